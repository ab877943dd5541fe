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
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

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
)

// Expansion bounds what a byte of the file may become: cells, and bytes of
// text. Equal values in a row take hardly any space in the format.
const expansion = 1024

// File is an opened file, immutable.
type File struct {
	data   []byte
	meta   *metadata
	schema frame.Schema
}

// Open reads the metadata of a file, of which data is the whole.
func Open(data []byte) (*File, error) {
	if len(data) < 12 || string(data[:4]) != magic || string(data[len(data)-4:]) != magic {
		if len(data) >= 4 && string(data[len(data)-4:]) == "PARE" {
			return nil, bad("it is encrypted")
		}
		return nil, refuse("it is none, or it is cut off: it does not begin and end with PAR1")
	}
	size := binary.LittleEndian.Uint32(data[len(data)-8:])
	if uint64(size) > uint64(len(data)-12) {
		return nil, bad("its metadata of %d bytes do not fit in its %d bytes", size, len(data))
	}
	m, err := readMetadata(data[len(data)-8-int(size) : len(data)-8])
	if err != nil {
		return nil, err
	}
	if m.encrypted {
		return nil, bad("it is encrypted")
	}
	f := &File{data: data, meta: m}
	if f.schema, err = m.schema(); err != nil {
		return nil, err
	}
	rows, cols := int64(0), int64(len(f.schema))
	limit := min(int64(len(data))*expansion+1<<16, maxCells)
	for i := range m.groups {
		g := &m.groups[i]
		if g.rows < 0 || g.rows > limit || len(g.chunks) != len(f.schema) {
			return nil, bad("row group %d says %d rows of %d columns, in a table of %d", i+1, g.rows, len(g.chunks), len(f.schema))
		}
		if rows += g.rows; cols > 0 && rows > limit/cols {
			return nil, fault.New(fault.TooLarge, "", "the Parquet file of %d bytes holds more than %d cells", len(data), limit)
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
		if err := f.Append(out, l, g, budget); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Budget is the bytes of text that may still be read from a file.
type Budget struct{ left int64 }

// Budget returns what a file of this size may hold.
func (f *File) Budget() *Budget {
	return &Budget{min(int64(len(f.data))*expansion+1<<20, maxText)}
}

// Append appends the rows of a row group to a frame of layout l. After an error
// the frame holds some of the cells.
func (f *File) Append(dst *frame.Frame, l *frame.Layout, group int, budget *Budget) error {
	g := &f.meta.groups[group]
	for k, c := range dst.Cols {
		name := c.Field.Name
		i := f.schema.Index(name)
		if i < 0 {
			if !l.Schema[k].Optional {
				near := ""
				if n := f.schema.Nearest(name); n != "" {
					near = fmt.Sprintf(" (it has %q; names are compared exactly)", n)
				}
				return fault.New(fault.BadUserArgument, "InputMismatchError", "the file has no column %q, which is needed%s", name, near)
			}
			for range g.rows {
				c.AppendNull()
			}
			continue
		}
		r := &chunkReader{file: f, element: &f.meta.elements[i+1], field: &f.schema[i], chunk: &g.chunks[i], rows: g.rows, budget: budget}
		if err := r.read(c); err != nil {
			return err
		}
	}
	return nil
}

// chunkReader reads the cells of a column in a row group.
type chunkReader struct {
	file    *File
	element *element
	field   *frame.Field // as the file has it
	chunk   *chunk
	rows    int64
	budget  *Budget

	dict    *values
	levels  []uint32
	indexes []uint32
}

func (r *chunkReader) bad(format string, args ...any) error {
	return bad("column %q: %s", r.field.Name, fmt.Sprintf(format, args...))
}

func (r *chunkReader) read(dst *frame.Column) error {
	c, size := r.chunk, int64(len(r.file.data))
	start := c.data
	if c.dict > 0 && c.dict < start {
		start = c.dict
	}
	switch {
	case r.rows == 0:
		return nil
	case c.elsewhere:
		return r.bad("its values are encrypted or in another file")
	case c.physical != r.element.physical:
		return r.bad("its values have physical type %d, the schema says %d", c.physical, r.element.physical)
	case c.values != r.rows:
		return r.bad("it has %d values in %d rows", c.values, r.rows)
	case start < 4 || c.compressed < 0 || start > size || c.compressed > size-start:
		return r.bad("its pages lie outside the file")
	}
	pages := r.file.data[start : start+c.compressed]
	for done := int64(0); done < r.rows; {
		h, rest, err := r.header(pages)
		if err != nil {
			return err
		}
		body := rest[:h.compressed]
		pages = rest[h.compressed:]
		if h.kind == dictionaryPage {
			if r.dict != nil {
				return r.bad("it has two dictionaries")
			}
			if err := r.dictionary(h, body); err != nil {
				return err
			}
			continue
		}
		if h.kind != dataPage && h.kind != dataPageV2 {
			continue // an index
		}
		if int64(h.values) > r.rows-done {
			return r.bad("its pages hold %d values and more, the row group has %d", done+int64(h.values), r.rows)
		}
		if err := r.page(dst, h, body); err != nil {
			return err
		}
		done += int64(h.values)
	}
	return nil
}

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
func (r *chunkReader) header(b []byte) (h header, rest []byte, err error) {
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
		return h, nil, r.bad("a page's header cannot be read")
	case h.compressed < 0 || int(h.compressed) > len(t.b):
		return h, nil, r.bad("a page of %d bytes does not fit in the %d that are left", h.compressed, len(t.b))
	case h.uncompressed < 0 || h.uncompressed > maxPage || int64(h.uncompressed) > int64(h.compressed)*expansion*32+1<<16:
		return h, nil, r.bad("a page of %d bytes says that it becomes %d", h.compressed, h.uncompressed)
	case h.values < 0 || h.nulls < 0 || h.nulls > h.values || h.defBytes < 0 || h.repBytes < 0 || int64(h.defBytes)+int64(h.repBytes) > int64(h.compressed):
		return h, nil, r.bad("a page's header contradicts itself")
	case h.hasCRC && crc32.ChecksumIEEE(t.b[:h.compressed]) != uint32(h.crc):
		return h, nil, r.bad("a page is damaged: its checksum does not hold")
	}
	return h, t.b, nil
}

func (r *chunkReader) dictionary(h header, body []byte) error {
	b, err := r.decompress(body, int(h.uncompressed))
	if err != nil {
		return err
	}
	if int(h.values) > len(b) && h.values > 0 {
		return r.bad("a dictionary of %d bytes says that it has %d values", len(b), h.values)
	}
	v, ok := decodePlain(b, r.element.physical, int(r.element.length), int(h.values))
	if !ok || h.encoding != plain && h.encoding != plainDictionary {
		return r.bad("its dictionary cannot be read")
	}
	r.dict = &v
	return nil
}

// decompress gives size bytes, or an error.
func (r *chunkReader) decompress(b []byte, size int) ([]byte, error) {
	var stream io.Reader
	switch r.chunk.codec {
	case uncompressed:
		if len(b) != size {
			return nil, r.bad("a page of %d bytes says that it has %d", len(b), size)
		}
		return b, nil
	case snappyCodec:
		if n, err := snappy.DecodedLen(b); err != nil || n != size {
			return nil, r.bad("a page does not decompress to the %d bytes it announces", size)
		}
		out, err := snappy.Decode(nil, b)
		if err != nil {
			return nil, r.bad("a page cannot be decompressed (Snappy)")
		}
		return out, nil
	case gzipCodec:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, r.bad("a page cannot be decompressed (Gzip)")
		}
		stream = z
	case zstdCodec:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxPage), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, r.bad("a page cannot be decompressed (Zstandard)")
		}
		defer z.Close()
		stream = z
	default:
		if name := codecNames[r.chunk.codec]; name != "" {
			return nil, r.bad("compression %s is not supported: write the file with Snappy, Gzip or Zstandard", name)
		}
		return nil, r.bad("compression %d is not one of the format", r.chunk.codec)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(stream, out); err != nil && size > 0 {
		return nil, r.bad("a page does not decompress to the %d bytes it announces", size)
	}
	if n, _ := stream.Read(make([]byte, 1)); n > 0 {
		return nil, r.bad("a page becomes more than the %d bytes it announces", size)
	}
	return out, nil
}

// page appends the cells of a data page.
func (r *chunkReader) page(dst *frame.Column, h header, body []byte) error {
	n := int(h.values)
	optional := r.element.repetition == 1
	var b, defs []byte
	var err error
	if h.kind == dataPageV2 {
		defs = body[h.repBytes : h.repBytes+h.defBytes]
		b = body[h.repBytes+h.defBytes:]
		if !h.bare {
			b, err = r.decompress(b, int(h.uncompressed-h.repBytes-h.defBytes))
		}
	} else {
		b, err = r.decompress(body, int(h.uncompressed))
		if err == nil && optional {
			switch {
			case h.defEncoding == bitPacked:
				return r.bad("definition levels are packed in the deprecated way")
			case len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4):
				return r.bad("a page is cut off")
			}
			size := binary.LittleEndian.Uint32(b)
			defs, b = b[4:4+size], b[4+size:]
		}
	}
	if err != nil {
		return err
	}
	present := n
	if optional {
		var ok bool
		if r.levels, ok = hybrid(r.levels, defs, 1, n); !ok {
			return r.bad("the definition levels of a page cannot be read")
		}
		present = 0
		for _, d := range r.levels {
			present += int(d)
		}
	}
	var v values
	ok := true
	switch {
	case present == 0:
	case h.encoding == plainDictionary || h.encoding == rleDictionary:
		if r.dict == nil || len(b) == 0 || b[0] > 32 {
			return r.bad("a page refers to a dictionary that is not there")
		}
		if r.indexes, ok = hybrid(r.indexes, b[1:], int(b[0]), present); ok {
			v, ok = r.dict.pick(r.indexes)
		}
	default:
		v, ok = decodePage(b, r.element.physical, h.encoding, int(r.element.length), present)
	}
	if !ok {
		return r.bad("the values of a page cannot be read (encoding %d)", h.encoding)
	}
	if !optional {
		r.levels = nil
	}
	return r.append(dst, &v, n)
}
