package parquet

import (
	"bytes"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Kinds of pages.
const (
	dataPage int32 = iota
	indexPage
	dictionaryPage
	dataPageV2
)

type header struct {
	kind         int32
	uncompressed int32
	compressed   int32
	crc          int32
	hasCRC       bool
	values       int32
	nulls        int32 // version 2
	encoding     int32
	defEncoding  int32
	defBytes     int32 // version 2
	repBytes     int32 // version 2
	bare         bool  // version 2: not compressed though the column is
}

// header reads a page's header; what follows it, rest, holds the page.
func (c *column) header(b []byte) (h header, rest []byte, err error) {
	t := &thriftReader{b: b}
	h.kind, h.defEncoding = -1, rle
	t.structure(func(id int, kind byte) {
		if kind == tI32 {
			v := t.int32()
			switch id {
			case 1:
				h.kind = v
			case 2:
				h.uncompressed = v
			case 3:
				h.compressed = v
			case 4:
				h.crc, h.hasCRC = v, true
			}
			return
		}
		if kind != tStruct || id != 5 && id != 7 && id != 8 {
			t.skip(kind)
			return
		}
		page := id
		t.structure(func(id int, kind byte) {
			if kind != tI32 {
				if page == 8 && id == 7 {
					h.bare = kind == tFalse
				}
				t.skip(kind)
				return
			}
			v := t.int32()
			switch {
			case id == 1:
				h.values = v
			case page == 8 && id == 2:
				h.nulls = v
			case page == 8 && id == 4, page != 8 && id == 2:
				h.encoding = v
			case page == 8 && id == 5:
				h.defBytes = v
			case page == 8 && id == 6:
				h.repBytes = v
			case page == 5 && id == 3:
				h.defEncoding = v
			}
		})
	})
	switch {
	case t.bad:
		return h, nil, c.bad("a page's header cannot be read")
	case h.compressed < 0 || int(h.compressed) > len(t.b):
		return h, nil, c.bad("a page of %d bytes does not fit in the %d that are left", h.compressed, len(t.b))
	case h.uncompressed < 0 || h.uncompressed > maxPage || int64(h.uncompressed) > int64(h.compressed)*expansion*32+1<<16:
		return h, nil, c.bad("a page of %d bytes says that it becomes %d", h.compressed, h.uncompressed)
	case h.values < 0 || h.nulls < 0 || h.nulls > h.values || h.defBytes < 0 || h.repBytes < 0 || int64(h.defBytes)+int64(h.repBytes) > int64(h.compressed):
		return h, nil, c.bad("a page's header contradicts itself")
	case h.hasCRC && crc32.ChecksumIEEE(t.b[:h.compressed]) != uint32(h.crc):
		return h, nil, c.bad("a page is damaged: its checksum does not hold")
	}
	return h, t.b, nil
}

// decompress gives size bytes, or an error.
func (c *column) decompress(b []byte, size int) ([]byte, error) {
	var stream io.Reader
	switch c.chunk.codec {
	case uncompressed:
		if len(b) != size {
			return nil, c.bad("a page of %d bytes says that it has %d", len(b), size)
		}
		return b, nil
	case snappyCodec:
		if n, err := snappy.DecodedLen(b); err != nil || n != size {
			return nil, c.bad("a page does not decompress to the %d bytes it announces", size)
		}
		out, err := snappy.Decode(nil, b)
		if err != nil {
			return nil, c.bad("a page cannot be decompressed (Snappy)")
		}
		return out, nil
	case gzipCodec:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, c.bad("a page cannot be decompressed (Gzip)")
		}
		stream = z
	case zstdCodec:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxPage), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, c.bad("a page cannot be decompressed (Zstandard)")
		}
		defer z.Close()
		stream = z
	default:
		if name := codecNames[c.chunk.codec]; name != "" {
			return nil, c.bad("compression %s is not supported: write the file with Snappy, Gzip or Zstandard", name)
		}
		return nil, c.bad("compression %d is not one of the format", c.chunk.codec)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(stream, out); err != nil && size > 0 {
		return nil, c.bad("a page does not decompress to the %d bytes it announces", size)
	}
	if n, _ := stream.Read(make([]byte, 1)); n > 0 {
		return nil, c.bad("a page becomes more than the %d bytes it announces", size)
	}
	return out, nil
}
