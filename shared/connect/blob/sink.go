package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/storage"
)

// metaDelivery is the metadata by which a delivery knows its own blob.
const metaDelivery = "portico_delivery"

// Sink returns the sink of the blob at the place, which is written whole when
// it is committed; until then it is held in memory.
func (c *Connector) Sink(p connect.Place) (connect.Sink, error) {
	f, compression, err := connect.FileFormat(p.FileFormat, p.RelativeLocation)
	if err != nil {
		return nil, err
	}
	return &sink{c, p, f, compression}, nil
}

type sink struct {
	c           *Connector
	place       connect.Place
	format      *format.Format
	compression format.Compression
}

// FileFormat is the format of the blob.
func (s *sink) FileFormat() (*format.Format, format.Compression) { return s.format, s.compression }

// Target is the blob, for those who have a file for it.
func (s *sink) Target(ctx context.Context) (*Blob, error) {
	b, err := s.c.Open(ctx, ReferenceOf(s.place), true)
	if err != nil {
		return nil, moduleFault(err)
	}
	return b, nil
}

// Check looks whether the blob may be written.
func (s *sink) Check(ctx context.Context, schema frame.Schema) error {
	if err := s.format.Check(schema); err != nil {
		return err
	}
	b, err := s.c.Open(ctx, ReferenceOf(s.place), true)
	if err != nil {
		return moduleFault(err)
	}
	if !s.place.KeepExisting || !b.Readable() {
		return nil
	}
	_, err = b.Head(ctx)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil {
		return exists(b)
	}
	return moduleFault(err)
}

func exists(b *Blob) error {
	return fault.Module(57, "blob %s exists already, and is not to be written over", b).At("RelativeLocation")
}

// Open begins the blob with its header.
func (s *sink) Open(ctx context.Context, schema frame.Schema, delivery string) (connect.Writer, error) {
	b, err := s.c.Open(ctx, ReferenceOf(s.place), true)
	if err != nil {
		return nil, moduleFault(err)
	}
	w := &writer{sink: s, blob: b}
	if delivery != "" {
		sum := sha256.Sum256([]byte(delivery))
		w.delivery = hex.EncodeToString(sum[:16])
		done, err := w.done(ctx)
		if err != nil {
			return nil, err
		}
		if done {
			return nil, connect.ErrDelivered
		}
	}
	switch {
	case !s.format.Appends:
		l, err := frame.NewLayout(schema)
		if err != nil {
			return nil, fault.Module(17, "%v", err)
		}
		w.rows = l.New(0)
	case !s.place.NoHeader:
		w.text = s.format.AppendHeader(nil, schema)
	}
	return w, nil
}

type writer struct {
	*sink
	blob     *Blob
	delivery string
	text     []byte
	rows     *frame.Frame // of a format whose files are written whole
}

// done reports whether this delivery wrote the blob.
func (w *writer) done(ctx context.Context) (bool, error) {
	if !w.blob.Readable() {
		return false, nil
	}
	info, err := w.blob.Head(ctx)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return false, nil
	}
	if err != nil {
		return false, moduleFault(err)
	}
	return info.Meta[metaDelivery] == w.delivery, nil
}

// Append adds the rows of f.
func (w *writer) Append(_ context.Context, f *frame.Frame) (err error) {
	if w.rows != nil {
		for i, c := range w.rows.Cols {
			c.AppendRange(f.Cols[i], 0, f.Rows())
		}
		return nil
	}
	w.text, err = w.format.AppendRows(w.text, f, 0, f.Rows())
	return err
}

// Commit writes the blob.
func (w *writer) Commit(ctx context.Context) error {
	var err error
	if w.rows != nil {
		w.text, err = w.format.Append(nil, w.rows)
	}
	if err == nil && w.compression != format.None {
		w.text, err = w.compression.Compress(nil, w.text)
	}
	if err != nil {
		return err
	}
	var meta map[string]string
	if w.delivery != "" {
		meta = map[string]string{metaDelivery: w.delivery}
	}
	err = w.blob.Write(ctx, Content{
		Size: int64(len(w.text)),
		Open: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(w.text[off : off+n])), nil
		},
		Block: w.block,
	}, meta, storage.Condition{IfAbsent: w.place.KeepExisting})
	if fault.Is(err, fault.Conflict) && w.place.KeepExisting {
		if w.delivery != "" {
			if ours, derr := w.done(ctx); derr == nil && ours {
				return connect.ErrDelivered
			}
		}
		return exists(w.blob)
	}
	if fault.Is(err, fault.NotFound) {
		return fault.Module(79, "blob %s cannot be written: there is no such container", w.blob).At("RelativeLocation")
	}
	if err != nil {
		return moduleFault(err)
	}
	return nil
}

// block names a block of this content, which no other writer's has.
func (w *writer) block(n int) (id storage.PartID) {
	sum := sha256.Sum256(w.text)
	copy(id[:8], sum[:8])
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// Abort forgets the rows.
func (w *writer) Abort() { w.text, w.rows = nil, nil }
