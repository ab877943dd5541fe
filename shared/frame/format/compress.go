package format

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Compression wraps the files of text formats. Files of one compression may
// follow each other and read as their contents would: gzip members, Zstandard
// frames.
type Compression string

// The compressions.
const (
	None Compression = ""
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// ParseCompression reads the name of a compression, or its extension.
func ParseCompression(name string) (Compression, error) {
	switch strings.ToLower(name) {
	case "", "none":
		return None, nil
	case "gzip", "gz":
		return Gzip, nil
	case "zstd", "zst":
		return Zstd, nil
	}
	return None, fault.New(fault.BadArgument, "DataTypeNotSupported", "compression %.40q: one of gzip, zstd", name)
}

// Extension returns the end of a compressed file's name, without the point.
func (c Compression) Extension() string {
	switch c {
	case Gzip:
		return "gz"
	case Zstd:
		return "zst"
	}
	return ""
}

// Sniff returns the compression that data begin as.
func Sniff(data []byte) Compression {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b\x08")):
		return Gzip
	case bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")):
		return Zstd
	}
	return None
}

// maxWindow bounds the memory that a Zstandard file may ask for.
const maxWindow = 128 << 20

// NewReader reads what r holds, decompressed. It is for one goroutine and must
// be closed.
func (c Compression) NewReader(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, damaged(c, err)
		}
		return z, nil
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, damaged(c, err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// Decompress returns what data hold. More than limit bytes are refused without
// making them.
func (c Compression) Decompress(data []byte, limit int64) ([]byte, error) {
	if c == None {
		if int64(len(data)) > limit {
			return nil, tooLarge(limit)
		}
		return data, nil
	}
	r, err := c.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, limit+1))
	switch {
	case n > limit:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, damaged(c, err)
	}
	return out.Bytes(), nil
}

// zstds is the encoder of all: it encodes for several goroutines at once.
var zstds = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithZeroFrames(true))
})

// gzips are writers to be used again: one has most of a megabyte.
var gzips sync.Pool // *gzip.Writer

// Compress appends data, compressed by themselves, to dst. The same data give
// the same bytes, and none are a member or frame of their own.
func (c Compression) Compress(dst, data []byte) ([]byte, error) {
	switch c {
	case Gzip:
		out := bytes.NewBuffer(dst)
		z, ok := gzips.Get().(*gzip.Writer)
		if !ok {
			z = gzip.NewWriter(nil)
		}
		z.Reset(out)
		if _, err := z.Write(data); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		gzips.Put(z)
		return out.Bytes(), nil
	case Zstd:
		z, err := zstds()
		if err != nil {
			return nil, err
		}
		return z.EncodeAll(data, dst), nil
	}
	return append(dst, data...), nil
}

func damaged(c Compression, err error) error {
	what := "is damaged or is none"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		what = "is cut off"
	}
	return fault.New(fault.BadUserArgument, frame.CodeCell, "the %s file %s", c, what).Because(err)
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "", "the file has more than %d bytes when it is decompressed", limit)
}
