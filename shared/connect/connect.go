// Package connect is where records come from and go to, for batch jobs and for
// the modules Import Data and Export Data alike.
//
// A Place describes where; a Source is opened to read it, a Sink to write it.
// This package holds what all of them share and reaches nothing itself: each
// kind of place is a package below, and package outside puts them together.
//
// What cannot be read or written as it was asked is a classic module error
// (fault.Module) naming the place; what may succeed later is
// fault.Unavailable. No error holds a secret of the place.
package connect

import (
	"context"
	"io"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

// Source is a place to read.
type Source interface {
	// Open begins to read. What it returns must be closed.
	Open(ctx context.Context) (*Records, error)
}

// Records are an open source, for one reader. They come in one of two ways:
// as the text of a file, or as typed rows.
type Records struct {
	// Text is the content of a file of Format, decompressed; NoHeader says that
	// its first record is data.
	Text     io.Reader
	Format   *format.Format
	NoHeader bool

	// Schema describes the rows, and Next gives the next of them: io.EOF after
	// the last. A frame is valid until the following call.
	Schema frame.Schema
	Next   func(ctx context.Context) (*frame.Frame, error)

	// Release gives back what the source holds; nil where that is nothing.
	Release func() error
}

// Close ends reading.
func (r *Records) Close() error {
	if r.Release == nil {
		return nil
	}
	return r.Release()
}

// Sink is a place to write.
type Sink interface {
	// Check reports, before there is anything to write, what will keep a table
	// of schema s from being written: rights, names, types.
	Check(ctx context.Context, s frame.Schema) error
	// Open begins to write a table of schema s. delivery names what is written:
	// where the place can remember it, the same delivery is made once however
	// often it is repeated, and ErrDelivered says that it has been made.
	// An empty delivery is made each time.
	Open(ctx context.Context, s frame.Schema, delivery string) (Writer, error)
}

// Writer is an open sink, for one writer. Nothing is to be seen at the place
// before Commit, unless the Sink's own comment says that its place cannot do
// that. After an error only Abort may be called.
type Writer interface {
	// Append writes the rows of f, in order.
	Append(ctx context.Context, f *frame.Frame) error
	// Commit ends writing and makes it last.
	Commit(ctx context.Context) error
	// Abort ends writing and undoes it, as far as the place can. After Commit
	// it does nothing.
	Abort()
}

// ErrDelivered says that a delivery was made before.
var ErrDelivered error = delivered{}

type delivered struct{}

func (delivered) Error() string { return "this delivery was made before" }

// Write writes a whole table. A delivery that was made before is no error.
func Write(ctx context.Context, to Sink, f *frame.Frame, delivery string) error {
	w, err := to.Open(ctx, f.Schema(), delivery)
	if err == ErrDelivered {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Append(ctx, f); err != nil {
		return err
	}
	if err := w.Commit(ctx); err != nil && err != ErrDelivered {
		return err
	}
	return nil
}
