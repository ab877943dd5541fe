// Package parquet reads and writes Apache Parquet files of plain columns.
//
// It is a small codec of our own, for two reasons. A file may come from
// anywhere: every length that it states is checked against its size before
// anything is made of it, pages decompress into exactly what they announce, and
// a run of equal values never becomes more than the rows that the file may
// have. And its row groups can be written apart and put together later, which
// is how a batch job stages its output.
//
// Read: every encoding in use but those of nested columns; uncompressed,
// Snappy, Gzip and Zstandard pages of both versions. Nested columns, encryption
// and the compressions LZO, LZ4 and Brotli are refused by name.
//
//	BOOLEAN                              Boolean
//	INT32, signed and unsigned to 16 bit Int32
//	INT64, UINT_32, UINT_64              Int64
//	FLOAT, DOUBLE, FLOAT16               Double; NaN is missing
//	DECIMAL                              Double; without a fraction Int32 or Int64
//	DATE, TIMESTAMP, INT96               DateTime, to the microsecond
//	BYTE_ARRAY, UUID, TIME               String
package parquet

import (
	"encoding/binary"
	"math"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

func refuse(reason string) error {
	return fault.New(fault.BadUserArgument, frame.CodeCell, "the Parquet file: %s", reason)
}

const magic = "PAR1"

// The bounds on what a file may become in memory.
const (
	maxPage  = 1 << 28 // bytes of a page
	maxCells = 1 << 27
	maxText  = 1 << 31 // bytes of text in all
	maxMeta  = 1 << 25 // bytes of the metadata at its end
)

// Expansion bounds what a byte of the file may become: cells, and bytes of
// text. Equal values in a row take hardly any space in the format.
const expansion = 1024

// File is an opened file, immutable.
type File struct {
	data   []byte // nil where only its end is there
	size   int64
	meta   *metadata
	schema frame.Schema
}

// Open reads the metadata of a file, of which data is the whole.
func Open(data []byte) (*File, error) {
	if len(data) < 12 || string(data[:4]) != magic {
		return nil, refuse(isNone)
	}
	f, err := OpenEnd(data, int64(len(data)))
	if err != nil {
		return nil, err
	}
	f.data = data
	rows, cols := int64(0), int64(len(f.schema))
	limit := min(f.size*expansion+1<<16, maxCells)
	for i := range f.meta.groups {
		g := &f.meta.groups[i]
		if g.rows > limit {
			return nil, bad("row group %d says %d rows, in a file of %d bytes", i+1, g.rows, f.size)
		}
		if rows += g.rows; cols > 0 && rows > limit/cols {
			return nil, fault.New(fault.TooLarge, "", "the Parquet file of %d bytes holds more than %d cells", f.size, limit)
		}
	}
	return f, nil
}

const isNone = "it is none, or it is cut off: it does not begin and end with PAR1"

// EndSize returns how many bytes from its end on OpenEnd needs of a file of
// size bytes, of which end are the last: 8 of them, or more.
func EndSize(end []byte, size int64) (int64, error) {
	if len(end) < 8 || size < 12 || string(end[len(end)-4:]) != magic {
		if len(end) >= 4 && string(end[len(end)-4:]) == "PARE" {
			return 0, bad("it is encrypted")
		}
		return 0, refuse(isNone)
	}
	n := int64(binary.LittleEndian.Uint32(end[len(end)-8:]))
	if n > size-12 {
		return 0, bad("its metadata of %d bytes do not fit in its %d bytes", n, size)
	}
	if n > maxMeta {
		return 0, fault.New(fault.TooLarge, "", "the Parquet file: its metadata have %d bytes; at most %d are read", n, maxMeta)
	}
	return n + 8, nil
}

// OpenEnd reads the metadata of a file of size bytes, of which end are the last.
// Its row groups can be read, a part at a time, by Spans and Rows.
func OpenEnd(end []byte, size int64) (*File, error) {
	n, err := EndSize(end, size)
	if err != nil {
		return nil, err
	}
	if n > int64(len(end)) {
		return nil, bad("of its metadata of %d bytes only %d are there", n, len(end))
	}
	m, err := readMetadata(end[int64(len(end))-n : len(end)-8])
	if err != nil {
		return nil, err
	}
	if m.encrypted {
		return nil, bad("it is encrypted")
	}
	f := &File{size: size, meta: m}
	if f.schema, err = m.schema(); err != nil {
		return nil, err
	}
	for i := range m.groups {
		if g := &m.groups[i]; g.rows < 0 || len(g.chunks) != len(f.schema) {
			return nil, bad("row group %d says %d rows of %d columns, in a table of %d", i+1, g.rows, len(g.chunks), len(f.schema))
		}
	}
	return f, nil
}

// Schema returns the columns as the file declares them. Levels and roles are
// there in files that this package has written.
func (f *File) Schema() frame.Schema { return f.schema }

// Groups returns the number of row groups.
func (f *File) Groups() int { return len(f.meta.groups) }

// Rows returns the number of rows of a row group.
func (f *File) Rows(group int) int64 { return f.meta.groups[group].rows }

// Read reads a whole file by a layout: columns by name, other types as text
// would be read. A required column that the file lacks is an error.
func Read(data []byte, l *frame.Layout) (*frame.Frame, error) {
	return Head(data, l, math.MaxInt)
}

// Head reads the row groups of a file up to the one that makes up so many rows.
func Head(data []byte, l *frame.Layout, rows int) (*frame.Frame, error) {
	f, err := Open(data)
	if err != nil {
		return nil, err
	}
	out := l.New(0)
	budget := f.Budget()
	for g := range f.meta.groups {
		if out.Rows() >= rows {
			break
		}
		r, err := f.Reader(g, l, nil, budget)
		if err != nil {
			return nil, err
		}
		for {
			n, err := r.Append(out, nil)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				break
			}
		}
	}
	return out, nil
}

// Budget is the bytes of text that may still be read.
type Budget struct{ left, all int64 }

// NewBudget returns a budget of n bytes.
func NewBudget(n int64) *Budget { return &Budget{n, n} }

// Budget returns what a file of this size may hold.
func (f *File) Budget() *Budget { return NewBudget(min(f.size*expansion+1<<20, maxText)) }
