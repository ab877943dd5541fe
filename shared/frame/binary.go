package frame

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
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

// Encode returns f in the internal binary form.
func Encode(f *Frame) []byte {
	schema, err := json.Marshal(f.Schema())
	if err != nil {
		panic("frame: " + err.Error()) // a Schema always marshals
	}
	le := binary.LittleEndian
	dst := append([]byte(nil), binaryMagic...)
	dst = le.AppendUint32(dst, uint32(len(schema)))
	dst = append(dst, schema...)
	dst = le.AppendUint64(dst, uint64(f.Rows()))
	for _, c := range f.Cols {
		if c.nulls == 0 {
			dst = append(dst, 0)
		} else {
			dst = append(dst, 1)
			for _, w := range c.valid[:(c.n+63)/64] {
				dst = le.AppendUint64(dst, w)
			}
		}
		switch {
		case c.Field.Type == Double:
			for _, v := range c.Floats {
				dst = le.AppendUint64(dst, math.Float64bits(v))
			}
		case c.Field.Type == Boolean:
			for _, v := range c.Bools {
				b := byte(0)
				if v {
					b = 1
				}
				dst = append(dst, b)
			}
		case c.Field.Type != String:
			for _, v := range c.Ints {
				dst = le.AppendUint64(dst, uint64(v))
			}
		case c.Field.Levels == nil:
			for _, v := range c.ends {
				dst = le.AppendUint32(dst, v)
			}
			dst = append(dst, c.bytes...)
		default:
			for _, v := range c.Codes {
				dst = le.AppendUint32(dst, uint32(v))
			}
			dst = le.AppendUint32(dst, uint32(len(c.extra)))
			for _, s := range c.extra {
				dst = le.AppendUint32(dst, uint32(len(s)))
				dst = append(dst, s...)
			}
		}
	}
	return le.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

// Decode reads the internal binary form. It verifies the checksum and every
// length against what is there, and never allocates more than a small multiple
// of len(data).
func Decode(data []byte) (*Frame, error) {
	f, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("frame: stored frame: %w", err)
	}
	return f, nil
}

func decode(data []byte) (*Frame, error) {
	n := len(data) - crc32.Size
	if n < len(binaryMagic) || string(data[:len(binaryMagic)]) != binaryMagic {
		return nil, fmt.Errorf("not a frame of version %d", binaryMagic[4])
	}
	if binary.LittleEndian.Uint32(data[n:]) != crc32.Checksum(data[:n], castagnoli) {
		return nil, fmt.Errorf("checksum mismatch")
	}
	d := &decoder{data: data[len(binaryMagic):n]}
	var s Schema
	if err := json.Unmarshal(d.take(d.uint32()), &s); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	l, err := NewLayout(s)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	rows := d.uint64()
	if rows > uint64(len(d.data)) { // every type takes a byte a cell at least
		return nil, fmt.Errorf("%d rows in %d bytes", rows, len(d.data))
	}
	f := l.New(0)
	for _, c := range f.Cols {
		if err := d.column(c, int(rows)); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Field.Name, err)
		}
	}
	if d.short || len(d.data) != 0 {
		return nil, fmt.Errorf("wrong length")
	}
	return f, nil
}

// decoder reads from data; past its end it reads nothing and is short.
type decoder struct {
	data  []byte
	short bool
}

func (d *decoder) take(n uint32) []byte { return d.cells(int(n), 1) }

// cells takes n cells of size bytes.
func (d *decoder) cells(n, size int) []byte {
	if d.short || n > len(d.data)/size {
		d.short, d.data = true, nil
		return nil
	}
	b := d.data[: n*size : n*size]
	d.data = d.data[n*size:]
	return b
}

func (d *decoder) uint32() uint32 {
	if b := d.cells(1, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.cells(1, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

var errShort = fmt.Errorf("the data end early")

func (d *decoder) column(c *Column, rows int) error {
	le := binary.LittleEndian
	flag := d.cells(1, 1)
	if flag == nil || flag[0] > 1 {
		return errShort
	}
	if flag[0] == 1 {
		words := d.cells((rows+63)/64, 8)
		if words == nil {
			return errShort
		}
		present := 0
		for i := 0; i < len(words); i += 8 {
			w := le.Uint64(words[i:])
			if over := i*8 + 64 - rows; over > 0 {
				w &= ^uint64(0) >> over
			}
			present += bits.OnesCount64(w)
			c.valid = append(c.valid, w)
		}
		if c.nulls = rows - present; c.nulls == 0 {
			return fmt.Errorf("a validity bitmap without a missing cell")
		}
	}
	c.n = rows
	switch {
	case c.Field.Type == Double:
		b := d.cells(rows, 8)
		c.Grow(len(b) / 8)
		for ; len(b) > 0; b = b[8:] {
			v := math.Float64frombits(le.Uint64(b))
			if v != v && !c.IsNull(len(c.Floats)) {
				return fmt.Errorf("NaN in a present cell")
			}
			c.Floats = append(c.Floats, v)
		}
	case c.Field.Type == Boolean:
		for _, v := range d.cells(rows, 1) {
			c.Bools = append(c.Bools, v != 0)
		}
	case c.Field.Type != String:
		b := d.cells(rows, 8)
		c.Grow(len(b) / 8)
		for ; len(b) > 0; b = b[8:] {
			c.Ints = append(c.Ints, int64(le.Uint64(b)))
		}
	case c.Field.Levels == nil:
		return d.text(c, rows)
	default:
		return d.codes(c, rows)
	}
	if d.short {
		return errShort
	}
	return nil
}

func (d *decoder) text(c *Column, rows int) error {
	b := d.cells(rows, 4)
	c.Grow(len(b) / 4)
	last := uint32(0)
	for ; len(b) > 0; b = b[4:] {
		end := binary.LittleEndian.Uint32(b)
		if end < last {
			return fmt.Errorf("text ends go backwards")
		}
		c.ends = append(c.ends, end)
		last = end
	}
	c.bytes = append(c.bytes, d.take(last)...)
	if d.short {
		return errShort
	}
	return nil
}

func (d *decoder) codes(c *Column, rows int) error {
	b := d.cells(rows, 4)
	extra := d.uint32()
	if uint64(extra) > uint64(len(d.data)/4) {
		return errShort
	}
	for range extra {
		c.extra = append(c.extra, string(d.take(d.uint32())))
	}
	limit := uint64(len(c.Field.Levels) + len(c.extra))
	c.Grow(len(b) / 4)
	for ; len(b) > 0; b = b[4:] {
		code := binary.LittleEndian.Uint32(b)
		if uint64(code) >= limit && !c.IsNull(len(c.Codes)) || code > math.MaxInt32 {
			return fmt.Errorf("code %d of %d levels", code, limit)
		}
		c.Codes = append(c.Codes, int32(code))
	}
	if d.short {
		return errShort
	}
	return nil
}
