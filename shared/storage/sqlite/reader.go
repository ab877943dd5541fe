package sqlite

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// extent is a piece of a blob: size bytes from start on are those of file,
// whose blocks have the checksums sums.
type extent struct {
	start, size int64
	file        string
	sums        []byte
}

// reader walks the extents that cover [pos, end) of a blob, and gives only
// bytes whose checksum is right. Files are never changed, and outlive their
// blob by the grace, so what it gives is one version; past the grace it fails.
type reader struct {
	ctx      context.Context
	blobs    *blobs
	info     storage.BlobInfo
	extents  []extent
	pos, end int64
	file     *os.File // of extents[0]
	// ahead are the bytes of block that come next.
	ahead []byte
	block *[sumBlock]byte
}

var blocks = sync.Pool{New: func() any { return new([sumBlock]byte) }}

// open opens the file of the first extent.
func (r *reader) open() error {
	if r.pos >= r.end {
		return nil
	}
	if len(r.extents) == 0 || r.pos < r.extents[0].start || r.pos >= r.extents[0].start+r.extents[0].size {
		return damaged(r.info.Key, r.pos, r.end, "there is nothing")
	}
	e := r.extents[0]
	file, err := os.Open(r.blobs.s.files.path(e.file))
	if errors.Is(err, fs.ErrNotExist) {
		if now, herr := r.blobs.Head(r.ctx, r.info.Key); herr == nil && now.ETag == r.info.ETag {
			return damaged(r.info.Key, e.start, e.start+e.size, "the file is gone")
		}
		// Longer than the grace ago.
		return fault.Wrap(err, fault.Unavailable, "the blob was replaced while it was being read")
	}
	if err != nil {
		return wrap(err, "read blob %s", r.info.Key)
	}
	r.file = file
	return nil
}

// Read implements io.Reader. A block is read to where it is wanted, if it is
// wanted whole, else into a buffer.
func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	e := &r.extents[0]
	stop := min(r.end, e.start+e.size)
	if len(r.ahead) == 0 {
		n := (r.pos - e.start) / sumBlock
		lo := e.start + n*sumBlock
		hi := min(lo+sumBlock, e.start+e.size)
		direct := r.pos == lo && hi <= r.end && int64(len(p)) >= hi-lo
		to := p
		if !direct {
			if r.block == nil {
				r.block = blocks.Get().(*[sumBlock]byte)
			}
			to = r.block[:]
		}
		to = to[:hi-lo]
		if err := r.fill(e, n, lo, to); err != nil {
			return 0, err
		}
		if direct {
			return len(to), r.advance(hi, stop)
		}
		r.ahead = to[r.pos-lo : min(hi, stop)-lo]
	}
	n := copy(p, r.ahead)
	r.ahead = r.ahead[n:]
	return n, r.advance(r.pos+int64(n), stop)
}

// fill reads block number n of an extent, which begins at lo of the blob.
func (r *reader) fill(e *extent, n, lo int64, to []byte) error {
	switch got, err := r.file.ReadAt(to, lo-e.start); {
	case errors.Is(err, io.EOF) && got < len(to):
		return damaged(r.info.Key, lo, lo+int64(len(to)), "the file is cut")
	case err != nil && got < len(to):
		return wrap(err, "read blob %s", r.info.Key)
	case !e.sound(n, to):
		return damaged(r.info.Key, lo, lo+int64(len(to)), "the bytes are not those that were written")
	}
	return nil
}

// advance moves on to pos, and at the end of the extent to the next.
func (r *reader) advance(pos, stop int64) error {
	r.pos = pos
	if pos < stop {
		return nil
	}
	r.extents = r.extents[1:]
	return r.Close()
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.ahead = nil
	if r.block != nil {
		blocks.Put(r.block)
		r.block = nil
	}
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
