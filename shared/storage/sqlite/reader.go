package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/portico-ml/portico/shared/fault"
)

// extent is a piece of a blob: size bytes from start on are those of file.
type extent struct {
	start, size int64
	file        string
}

// reader walks the extents that cover [pos, end) of a blob. Files are never
// changed, and outlive their blob by the grace, so what it gives is one
// version; past the grace it fails.
type reader struct {
	files    files
	extents  []extent
	pos, end int64
	file     *os.File // of extents[0]
}

// open opens the file of the first extent, at pos.
func (r *reader) open() error {
	if r.pos >= r.end {
		return nil
	}
	if len(r.extents) == 0 || r.pos < r.extents[0].start || r.pos >= r.extents[0].start+r.extents[0].size {
		return fault.New(fault.Internal, "", "the embedded store is damaged: no bytes at offset %d", r.pos)
	}
	e := r.extents[0]
	file, err := os.Open(r.files.path(e.file))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, fault.Unavailable, "the blob was replaced while it was being read")
	}
	if err == nil {
		_, err = file.Seek(r.pos-e.start, io.SeekStart)
	}
	if err != nil {
		return wrap(errors.Join(err, file.Close()), "read blob")
	}
	r.file = file
	return nil
}

// Read implements io.Reader.
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
	stop := min(r.end, r.extents[0].start+r.extents[0].size)
	n, err := r.file.Read(p[:min(int64(len(p)), stop-r.pos)])
	r.pos += int64(n)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("file %s is shorter than its row says: %w", r.extents[0].file, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return n, fault.Wrap(err, fault.Internal, "read blob")
	}
	if r.pos == stop {
		err = r.Close()
		r.extents = r.extents[1:]
	}
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
