package parquet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"github.com/klauspost/compress/snappy"

	"github.com/portico-ml/portico/shared/frame"
)

// Group is what the end of a file says of a row group that AppendGroup has
// written. It can be stored and put into a footer later.
type Group struct {
	Rows   int64
	Size   int64 // bytes of the group
	Chunks []Chunk
}

// Chunk is a column of a row group. The columns lie one behind the other, each
// with its dictionary, where it has one, before its pages.
type Chunk struct {
	Dict         int64 // bytes of the dictionary; 0 = none
	Size         int64 // bytes of all pages
	Uncompressed int64
}

// AppendBinary appends the group in a form that DecodeGroups reads: some ten
// bytes a column.
func (g *Group) AppendBinary(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(g.Rows))
	dst = binary.AppendUvarint(dst, uint64(len(g.Chunks)))
	for _, c := range g.Chunks {
		dst = binary.AppendUvarint(dst, uint64(c.Dict))
		dst = binary.AppendUvarint(dst, uint64(c.Size))
		dst = binary.AppendUvarint(dst, uint64(c.Uncompressed))
	}
	return dst
}

// DecodeGroups reads groups that lie one behind the other.
func DecodeGroups(b []byte) ([]Group, error) {
	ok := true
	next := func() int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxInt64 {
			ok, b = false, nil
			return 0
		}
		b = b[n:]
		return int64(v)
	}
	var groups []Group
	for len(b) > 0 {
		g := Group{Rows: next()}
		n := next()
		if !ok || n > int64(len(b)/3) {
			return nil, errors.New("row groups of a Parquet file that cannot be read")
		}
		g.Chunks = make([]Chunk, n)
		for i := range g.Chunks {
			g.Chunks[i] = Chunk{next(), next(), next()}
			g.Size += g.Chunks[i].Size
		}
		if !ok {
			return nil, errors.New("row groups of a Parquet file that are cut off")
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// Magic is how a file begins.
const Magic = magic

// Append appends f as a whole file, in row groups of at most a million rows.
func Append(dst []byte, f *frame.Frame) []byte {
	const most = 1 << 20
	dst = append(dst, magic...)
	var groups []Group
	for lo := 0; lo < f.Rows(); lo += most {
		var g Group
		dst, g = AppendGroup(dst, f, lo, min(lo+most, f.Rows()))
		groups = append(groups, g)
	}
	return AppendFooter(dst, f.Schema(), groups)
}

// A data page has at most this many rows, and text.
const (
	rowsOfPage = 1 << 16
	textOfPage = 1 << 20
)

// endOfPage returns where the page that begins at row from ends.
func endOfPage(c *frame.Column, from, hi int) int {
	to := min(from+rowsOfPage, hi)
	if c.Field.Type != frame.String || c.Field.Categorical() {
		return to
	}
	text := 0
	for r := from; r < to; r++ {
		if text += len(c.Text(r)); text > textOfPage {
			return r + 1
		}
	}
	return to
}

// AppendGroup appends the rows of f from lo to hi (exclusive) as a row group.
// The bytes do not depend on where in a file they come to lie.
func AppendGroup(dst []byte, f *frame.Frame, lo, hi int) ([]byte, Group) {
	start := len(dst)
	g := Group{Rows: int64(hi - lo)}
	var w pageWriter
	for _, c := range f.Cols {
		at := len(dst)
		var k Chunk
		w.total = 0
		width := 0
		if c.Field.Categorical() {
			codes := w.dictionary(c, lo, hi)
			width = bitWidth(max(codes-1, 0))
			dst = w.append(dst, dictionaryPage, codes)
			k.Dict = int64(len(dst) - at)
		}
		for from := lo; ; {
			to := endOfPage(c, from, hi)
			w.cells(c, from, to, width)
			dst = w.append(dst, dataPage, to-from)
			if from = to; from == hi {
				break
			}
		}
		k.Size, k.Uncompressed = int64(len(dst)-at), w.total
		g.Chunks = append(g.Chunks, k)
	}
	g.Size = int64(len(dst) - start)
	return dst, g
}

// AppendFooter ends a file: Magic, the groups in this order, and this.
func AppendFooter(dst []byte, s frame.Schema, groups []Group) []byte {
	w := &thriftWriter{}
	rows := int64(0)
	for _, g := range groups {
		rows += g.Rows
	}
	w.open()
	w.int32(1, 2)
	w.list(2, tStruct, len(s)+1)
	w.open()
	w.text(4, "schema")
	w.int32(5, int32(len(s)))
	w.close()
	for i := range s {
		writeElement(w, &s[i])
	}
	w.int64(3, rows)
	w.list(4, tStruct, len(groups))
	offset := int64(len(magic))
	for _, g := range groups {
		writeGroup(w, s, &g, offset)
		offset += g.Size
	}
	if kept, err := json.Marshal(s); err == nil {
		w.list(5, tStruct, 1)
		w.open()
		w.text(1, schemaKey)
		w.text(2, string(kept))
		w.close()
	}
	w.text(6, "Portico")
	w.close()
	dst = append(dst, w.b...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(w.b)))
	return append(dst, magic...)
}

func physicalOf(f *frame.Field) int32 {
	switch f.Type {
	case frame.Boolean:
		return boolean
	case frame.Int32:
		return int32s
	case frame.Int64, frame.DateTime:
		return int64s
	case frame.Double:
		return doubles
	}
	return byteArrays
}

func writeElement(w *thriftWriter, f *frame.Field) {
	w.open()
	w.int32(1, physicalOf(f))
	w.int32(3, 1)
	w.text(4, f.Name)
	switch f.Type {
	case frame.String:
		w.int32(6, 0) // UTF8, as older readers know it
		w.structure(10, func() { w.structure(logicalString, func() {}) })
	case frame.DateTime:
		w.int32(6, 10) // TIMESTAMP_MICROS
		w.structure(10, func() {
			w.structure(logicalTimestamp, func() {
				w.bool(1, true) // in UTC
				w.structure(2, func() { w.structure(2, func() {}) })
			})
		})
	}
	w.close()
}

func writeGroup(w *thriftWriter, s frame.Schema, g *Group, offset int64) {
	w.open()
	w.list(1, tStruct, len(g.Chunks))
	total := int64(0)
	for i, c := range g.Chunks {
		total += c.Uncompressed
		at := offset
		offset += c.Size
		w.open()
		w.int64(2, 0)
		w.structure(3, func() {
			w.int32(1, physicalOf(&s[i]))
			encodings := []int32{rle, plain}
			if c.Dict > 0 {
				encodings = append(encodings, rleDictionary)
			}
			w.list(2, tI32, len(encodings))
			for _, e := range encodings {
				w.zigzag(int64(e))
			}
			w.list(3, tBinary, 1)
			w.raw(s[i].Name)
			w.int32(4, snappyCodec)
			w.int64(5, g.Rows)
			w.int64(6, c.Uncompressed)
			w.int64(7, c.Size)
			w.int64(9, at+c.Dict)
			if c.Dict > 0 {
				w.int64(11, at)
			}
		})
		w.close()
	}
	w.int64(2, total)
	w.int64(3, g.Rows)
	w.close()
}

// pageWriter makes pages.
type pageWriter struct {
	page     []byte // the one being made
	packed   []byte
	encoding int32
	levels   []uint32
	codes    []uint32
	total    int64
}

// dictionary makes the page of a categorical column's levels, and of the texts
// outside them that the rows have, and returns their number.
func (w *pageWriter) dictionary(c *frame.Column, lo, hi int) int {
	n := len(c.Field.Levels)
	w.page, w.encoding = w.page[:0], plain
	put := func(text string) {
		w.page = binary.LittleEndian.AppendUint32(w.page, uint32(len(text)))
		w.page = append(w.page, text...)
	}
	for _, v := range c.Field.Levels {
		put(v)
	}
	// Codes past the levels count up by first appearance in the column.
	most := n - 1
	for r := lo; r < hi; r++ {
		if !c.IsNull(r) {
			most = max(most, int(c.Codes[r]))
		}
	}
	texts := make([]string, most+1-n)
	for r := lo; r < hi; r++ {
		if !c.IsNull(r) && int(c.Codes[r]) >= n {
			texts[int(c.Codes[r])-n] = c.Level(r)
		}
	}
	for _, v := range texts {
		put(v)
	}
	return most + 1
}

// cells makes a data page; width is that of dictionary indexes.
func (w *pageWriter) cells(c *frame.Column, lo, hi, width int) {
	le := binary.LittleEndian
	w.levels = w.levels[:0]
	for r := lo; r < hi; r++ {
		d := uint32(1)
		if c.IsNull(r) {
			d = 0
		}
		w.levels = append(w.levels, d)
	}
	w.page = append(w.page[:0], 0, 0, 0, 0)
	w.page = appendHybrid(w.page, w.levels, 1)
	le.PutUint32(w.page, uint32(len(w.page)-4))
	w.encoding = plain
	if c.Field.Categorical() {
		w.encoding = rleDictionary
		w.codes = w.codes[:0]
	}
	bit := 0
	for r := lo; r < hi; r++ {
		if w.levels[r-lo] == 0 {
			continue
		}
		switch {
		case c.Field.Categorical():
			w.codes = append(w.codes, uint32(c.Codes[r]))
		case c.Field.Type == frame.Double:
			w.page = le.AppendUint64(w.page, math.Float64bits(c.Floats[r]))
		case c.Field.Type == frame.Int32:
			w.page = le.AppendUint32(w.page, uint32(c.Ints[r]))
		case c.Field.Type == frame.Int64 || c.Field.Type == frame.DateTime:
			w.page = le.AppendUint64(w.page, uint64(c.Ints[r]))
		case c.Field.Type == frame.Boolean:
			if bit&7 == 0 {
				w.page = append(w.page, 0)
			}
			if c.Bools[r] {
				w.page[len(w.page)-1] |= 1 << (bit & 7)
			}
			bit++
		default:
			text := c.Text(r)
			w.page = le.AppendUint32(w.page, uint32(len(text)))
			w.page = append(w.page, text...)
		}
	}
	if c.Field.Categorical() {
		w.page = append(w.page, byte(width))
		w.page = appendHybrid(w.page, w.codes, width)
	}
}

// append compresses the page and appends it with its header.
func (w *pageWriter) append(dst []byte, kind int32, n int) []byte {
	w.packed = snappy.Encode(w.packed[:cap(w.packed)], w.page)
	t := &thriftWriter{b: dst}
	t.open()
	t.int32(1, kind)
	t.int32(2, int32(len(w.page)))
	t.int32(3, int32(len(w.packed)))
	if kind == dictionaryPage {
		t.structure(7, func() {
			t.int32(1, int32(n))
			t.int32(2, plain)
		})
	} else {
		t.structure(5, func() {
			t.int32(1, int32(n))
			t.int32(2, w.encoding)
			t.int32(3, rle)
			t.int32(4, rle)
		})
	}
	t.close()
	w.total += int64(len(t.b)-len(dst)) + int64(len(w.page))
	return append(t.b, w.packed...)
}
