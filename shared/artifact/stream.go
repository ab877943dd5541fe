package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// partBytes is the size of the parts that a large artifact is stored in, and
// so of the memory that storing it takes.
const partBytes = 16 << 20

// Sum is what is known of bytes before they are stored.
type Sum struct {
	Digest string
	Bytes  int64

	check uint32 // CRC-32C: storing need not compute the digest again
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SumOf reads what write writes.
func SumOf(write func(io.Writer) error) (Sum, error) {
	digest, check := sha256.New(), crc32.New(castagnoli)
	n := &counter{w: io.MultiWriter(digest, check)}
	if err := write(n); err != nil {
		return Sum{}, err
	}
	return Sum{Digest: hex.EncodeToString(digest.Sum(nil)), Bytes: n.bytes, check: check.Sum32()}, nil
}

type counter struct {
	w     io.Writer
	bytes int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return c.w.Write(p)
}

// Write is Put of what write writes, which may be more than one put can store
// and is never in memory as a whole. sum is the SumOf it; write is called anew
// where somebody deletes the artifact in between.
func (s *Store) Write(ctx context.Context, ws string, sum Sum, write func(io.Writer) error) error {
	if sum.Bytes <= int64(s.part) {
		var b bytes.Buffer
		b.Grow(int(sum.Bytes))
		if err := write(&b); err != nil {
			return err
		}
		if crc32.Checksum(b.Bytes(), castagnoli) != sum.check {
			return otherBytes(sum)
		}
		return s.put(ctx, ws, sum.Digest, b.Bytes())
	}
	err := s.Touch(ctx, ws, sum.Digest)
	for try := 0; try < 3 && fault.Is(err, fault.NotFound); try++ {
		err = s.writeParts(ctx, ws, sum, write)
		if fault.Is(err, fault.Conflict) { // somebody else stored it
			err = s.Touch(ctx, ws, sum.Digest)
		}
	}
	return err
}

func otherBytes(sum Sum) error {
	return fault.New(fault.Internal, "", "artifact %s: what was stored is not what was summed", sum.Digest)
}

func (s *Store) writeParts(ctx context.Context, ws string, sum Sum, write func(io.Writer) error) error {
	p := &parts{ctx: ctx, blobs: s.blobs, key: key(ws, sum.Digest), digest: sum.Digest, buf: make([]byte, 0, s.part)}
	if err := write(p); err != nil {
		return err
	}
	if err := p.flush(); err != nil {
		return err
	}
	if p.check != sum.check || p.bytes != sum.Bytes {
		return otherBytes(sum)
	}
	_, err := s.blobs.Commit(ctx, p.key, p.ids, nil, storage.Condition{IfAbsent: true})
	return err
}

// parts stages what is written to it. The ids depend on the artifact alone:
// who stores the same at the same time stages the same parts.
type parts struct {
	ctx    context.Context
	blobs  storage.Blobs
	key    string
	digest string
	buf    []byte
	ids    []storage.PartID
	check  uint32
	bytes  int64
}

func (p *parts) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), cap(p.buf)-len(p.buf))
		p.buf = append(p.buf, b[:k]...)
		b = b[k:]
		if len(p.buf) == cap(p.buf) {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (p *parts) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	var id storage.PartID
	copy(id[:8], p.digest)
	binary.BigEndian.PutUint64(id[8:], uint64(len(p.ids)))
	if err := p.blobs.PutPart(p.ctx, p.key, id, p.buf); err != nil {
		return err
	}
	p.ids = append(p.ids, id)
	p.check = crc32.Update(p.check, castagnoli, p.buf)
	p.bytes += int64(len(p.buf))
	p.buf = p.buf[:0]
	return nil
}

// Read gives an artifact to read as a stream of size bytes, and verifies it
// once read has read it all: what read made of it counts only if Read returns
// nil.
func (s *Store) Read(ctx context.Context, ws, digest string, read func(r io.Reader, size int64) error) error {
	info, r, err := s.blobs.Get(ctx, key(ws, digest), storage.ReadOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	in := &source{r: r, sum: sum}
	err = read(in, info.Size)
	if in.err == nil { // damage, to be seen behind what was read, explains why it could not be
		io.Copy(io.Discard, in)
	}
	if in.err == nil && in.bytes < info.Size {
		in.err = io.ErrUnexpectedEOF
	}
	if in.err != nil {
		return fault.Wrap(in.err, fault.Unavailable, "read artifact")
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fault.New(fault.Internal, "", "artifact %s is damaged: its bytes hash to %s", digest, got)
	}
	return err
}

// source sums what is read of it, and keeps an error that is not the end.
type source struct {
	r     io.Reader
	sum   io.Writer
	bytes int64
	err   error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.bytes += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
