package frame

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
	"slices"
)

// The binary form of a frame is internal: run results and previews are kept in
// it, in our own storage, and a reader of another version may refuse it.
//
//	magic    "PFRM", version byte
//	schema   uint32 length, JSON
//	rows     uint64
//	columns  in order: validity (a byte: 0 none missing, 1 a bitmap of
//	         uint64 words follows), then the cells
//	           Double                 float64 each
//	           Int32, Int64, DateTime int64 each
//	           Boolean                a byte each
//	           String                 uint32 end each, the text
//	           String with levels     uint32 code each; uint32 number of texts
//	                                  outside the levels, uint32 length and
//	                                  text of each
//	checksum uint32, CRC-32C of all before
//
// All numbers are little-endian.
const binaryMagic = "PFRM\x01"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pieceBytes is what is coded at a time: a table that fills half the memory is
// stored and read without a second copy of it. It is a multiple of every
// cell's size.
const pieceBytes = 64 << 10

// Encode returns f in the internal binary form.
func Encode(f *Frame) []byte {
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		panic("frame: " + err.Error()) // a Buffer takes everything
	}
	return b.Bytes()
}

// Write writes f in the internal binary form, the same bytes as Encode.
func Write(w io.Writer, f *Frame) error {
	schema, err := json.Marshal(f.Schema())
	if err != nil {
		return fmt.Errorf("frame: %w", err) // a Schema always marshals
	}
	e := &encoder{w: w, buf: make([]byte, 0, pieceBytes)}
	e.put([]byte(binaryMagic))
	e.uint32(uint32(len(schema)))
	e.put(schema)
	e.uint64(uint64(f.Rows()))
	for _, c := range f.Cols {
		e.column(c)
	}
	e.flush()
	e.uint32(e.sum)
	e.flush()
	return e.err
}

// encoder writes in pieces. After an error it goes on and writes nothing.
type encoder struct {
	w   io.Writer
	buf []byte
	sum uint32 // of what was written
	err error
}

func (e *encoder) flush() {
	e.sum = crc32.Update(e.sum, castagnoli, e.buf)
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// room returns the next n bytes to fill, at most pieceBytes.
func (e *encoder) room(n int) []byte {
	if len(e.buf)+n > cap(e.buf) {
		e.flush()
	}
	at := len(e.buf)
	e.buf = e.buf[:at+n]
	return e.buf[at:]
}

func (e *encoder) uint32(v uint32) { binary.LittleEndian.PutUint32(e.room(4), v) }

func (e *encoder) uint64(v uint64) { binary.LittleEndian.PutUint64(e.room(8), v) }

func (e *encoder) put(b []byte) {
	for len(b) > 0 {
		n := min(len(b), pieceBytes)
		copy(e.room(n), b)
		b = b[n:]
	}
}

func (e *encoder) column(c *Column) {
	le := binary.LittleEndian
	if c.nulls == 0 {
		e.put([]byte{0})
	} else {
		e.put([]byte{1})
		putCells(e, c.valid[:(c.n+63)/64], 8, le.PutUint64)
	}
	switch {
	case c.Field.Type == Double:
		e.floats(c.Floats)
	case c.Field.Type == Boolean:
		putCells(e, c.Bools, 1, func(b []byte, v bool) {
			b[0] = 0
			if v {
				b[0] = 1
			}
		})
	case c.Field.Type != String:
		e.ints(c.Ints)
	case c.Field.Levels == nil:
		putCells(e, c.ends, 4, le.PutUint32)
		e.put(c.bytes)
	default:
		putCells(e, c.Codes, 4, func(b []byte, v int32) { le.PutUint32(b, uint32(v)) })
		e.uint32(uint32(len(c.extra)))
		for _, s := range c.extra {
			e.uint32(uint32(len(s)))
			e.put([]byte(s))
		}
	}
}

// floats and ints are putCells without a call for each cell: most cells are
// numbers.
func (e *encoder) floats(cells []float64) {
	for piece := range slices.Chunk(cells, pieceBytes/8) {
		b := e.room(8 * len(piece))
		for _, v := range piece {
			binary.LittleEndian.PutUint64(b, math.Float64bits(v))
			b = b[8:]
		}
	}
}

func (e *encoder) ints(cells []int64) {
	for piece := range slices.Chunk(cells, pieceBytes/8) {
		b := e.room(8 * len(piece))
		for _, v := range piece {
			binary.LittleEndian.PutUint64(b, uint64(v))
			b = b[8:]
		}
	}
}

// putCells writes cells of size bytes each.
func putCells[T any](e *encoder, cells []T, size int, put func([]byte, T)) {
	for piece := range slices.Chunk(cells, pieceBytes/size) {
		b := e.room(size * len(piece))
		for _, v := range piece {
			put(b, v)
			b = b[size:]
		}
	}
}

// Decode reads the internal binary form. It verifies the checksum and every
// length against what is there, and never allocates more than a small multiple
// of len(data).
func Decode(data []byte) (*Frame, error) {
	f := &Frame{}
	err := ReadColumns(bytes.NewReader(data), int64(len(data)), func(c *Column) error {
		f.Cols = append(f.Cols, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadColumns is Decode of the size bytes that r gives, column by column: each
// gets them in order, and its error ends the reading. What it made of them
// counts only if ReadColumns returns nil.
func ReadColumns(r io.Reader, size int64, each func(c *Column) error) error {
	d := &decoder{r: r, left: size - crc32.Size, buf: make([]byte, min(pieceBytes, max(size, 0)))}
	err := d.frame(each)
	if d.err != nil {
		err = d.err // what follows from it says less
	}
	if err != nil {
		return fmt.Errorf("frame: stored frame: %w", err)
	}
	return nil
}

// decoder reads in pieces. Past the end, and after an error of the reader, it
// reads nothing and err is set.
type decoder struct {
	r    io.Reader
	left int64 // bytes before the checksum
	sum  uint32
	buf  []byte
	err  error
}

var errShort = errors.New("the data end early")

func (d *decoder) frame(each func(*Column) error) error {
	if string(d.next(len(binaryMagic))) != binaryMagic {
		d.err = nil
		return fmt.Errorf("not a frame of version %d", binaryMagic[4])
	}
	var s Schema
	if err := json.Unmarshal(d.take(int64(d.uint32())), &s); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	l, err := NewLayout(s)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	rows := d.uint64()
	if rows > uint64(max(d.left, 0)) { // every type takes a byte a cell at least
		return fmt.Errorf("%d rows in %d bytes", rows, d.left)
	}
	for i := range s {
		c := l.Column(i, 0)
		err := d.column(c, int(rows))
		if err == nil {
			err = d.err
		}
		if err != nil {
			return fmt.Errorf("column %q: %w", c.Field.Name, err)
		}
		if err := each(c); err != nil {
			return err
		}
	}
	if d.left != 0 {
		return errors.New("wrong length")
	}
	sum := d.sum
	if d.left = crc32.Size; d.uint32() != sum {
		return errors.New("checksum mismatch")
	}
	return d.err
}

// next returns the next n bytes, at most pieceBytes, until it is called again.
func (d *decoder) next(n int) []byte {
	if !d.has(int64(n), 1) {
		return nil
	}
	b := d.buf[:n]
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.err = fmt.Errorf("read: %w", err)
		return nil
	}
	d.left -= int64(n)
	d.sum = crc32.Update(d.sum, castagnoli, b)
	return b
}

// has reports whether n cells of size bytes are there.
func (d *decoder) has(n int64, size int) bool {
	if d.err == nil && n > d.left/int64(size) {
		d.err = errShort
	}
	return d.err == nil
}

// take returns the next n bytes.
func (d *decoder) take(n int64) []byte {
	if !d.has(n, 1) {
		return nil
	}
	return getCells(d, make([]byte, 0, n), int(n), 1, func(b []byte) byte { return b[0] })
}

// getCells appends n cells of size bytes each, which are there.
func getCells[T any](d *decoder, dst []T, n, size int, get func([]byte) T) []T {
	for n > 0 {
		k := min(n, pieceBytes/size)
		b := d.next(k * size)
		if b == nil {
			break
		}
		for ; len(b) > 0; b = b[size:] {
			dst = append(dst, get(b))
		}
		n -= k
	}
	return dst
}

// floats and ints are getCells without a call for each cell.
func (d *decoder) floats(dst []float64, n int) []float64 {
	for n > 0 && d.err == nil {
		b := d.next(8 * min(n, pieceBytes/8))
		n -= len(b) / 8
		for ; len(b) > 0; b = b[8:] {
			dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	}
	return dst
}

func (d *decoder) ints(dst []int64, n int) []int64 {
	for n > 0 && d.err == nil {
		b := d.next(8 * min(n, pieceBytes/8))
		n -= len(b) / 8
		for ; len(b) > 0; b = b[8:] {
			dst = append(dst, int64(binary.LittleEndian.Uint64(b)))
		}
	}
	return dst
}

func (d *decoder) uint32() uint32 {
	if b := d.next(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.next(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) column(c *Column, rows int) error {
	flag := d.next(1)
	if flag == nil || flag[0] > 1 {
		return errors.New("no validity")
	}
	if flag[0] == 1 {
		if err := d.validity(c, rows); err != nil {
			return err
		}
	}
	c.n = rows
	size := c.Field.cellBytes()
	if !d.has(int64(rows), size) {
		return d.err
	}
	c.Grow(rows)
	switch {
	case c.Field.Type == Double:
		c.Floats = d.floats(c.Floats, rows)
		for i, v := range c.Floats {
			if v != v && !c.IsNull(i) {
				return errors.New("NaN in a present cell")
			}
		}
	case c.Field.Type == Boolean:
		c.Bools = getCells(d, c.Bools, rows, size, func(b []byte) bool { return b[0] != 0 })
	case c.Field.Type != String:
		c.Ints = d.ints(c.Ints, rows)
	case c.Field.Levels == nil:
		return d.text(c, rows)
	default:
		return d.codes(c, rows)
	}
	return nil
}

// cellBytes is the size of a cell; of a text, that of its end.
func (f *Field) cellBytes() int {
	switch f.Type {
	case Boolean:
		return 1
	case String:
		return 4
	}
	return 8
}

func (d *decoder) validity(c *Column, rows int) error {
	words := (rows + 63) / 64
	if !d.has(int64(words), 8) {
		return d.err
	}
	c.valid = getCells(d, make([]uint64, 0, words), words, 8, binary.LittleEndian.Uint64)
	if d.err != nil {
		return d.err
	}
	if over := words*64 - rows; over > 0 {
		c.valid[words-1] &= ^uint64(0) >> over
	}
	present := 0
	for _, w := range c.valid {
		present += bits.OnesCount64(w)
	}
	if c.nulls = rows - present; c.nulls == 0 {
		return errors.New("a validity bitmap without a missing cell")
	}
	return nil
}

func (d *decoder) text(c *Column, rows int) error {
	c.ends = getCells(d, c.ends, rows, 4, binary.LittleEndian.Uint32)
	last := uint32(0)
	for _, end := range c.ends {
		if end < last {
			return errors.New("text ends go backwards")
		}
		last = end
	}
	c.bytes = d.take(int64(last))
	return nil
}

func (d *decoder) codes(c *Column, rows int) error {
	c.Codes = getCells(d, c.Codes, rows, 4, func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) })
	extra := d.uint32()
	if !d.has(int64(extra), 4) {
		return d.err
	}
	for range extra {
		c.extra = append(c.extra, string(d.take(int64(d.uint32()))))
	}
	limit := len(c.Field.Levels) + len(c.extra)
	for i, code := range c.Codes {
		if int(code) >= limit && !c.IsNull(i) || code < 0 {
			return fmt.Errorf("code %d of %d levels", uint32(code), limit)
		}
	}
	return nil
}
