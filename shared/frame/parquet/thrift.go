package parquet

import (
	"encoding/binary"
	"math"
)

// The compact protocol of Thrift, as far as Parquet's metadata use it.
const (
	tStop byte = iota
	tTrue
	tFalse
	tByte
	tI16
	tI32
	tI64
	tDouble
	tBinary
	tList
	tSet
	tMap
	tStruct
)

// maxNesting bounds structures in structures: metadata have seven levels.
const maxNesting = 32

// thriftReader reads from b. After an error it reads zeros, and no list has a
// further element: every loop over what is read ends.
type thriftReader struct {
	b     []byte
	bad   bool
	depth int
}

func (r *thriftReader) fail() { r.bad, r.b = true, nil }

func (r *thriftReader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *thriftReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// int reads an integer of any width.
func (r *thriftReader) int() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// int32 reads an integer that must fit 32 bits.
func (r *thriftReader) int32() int32 {
	v := r.int()
	if v != int64(int32(v)) {
		r.fail()
		return 0
	}
	return int32(v)
}

func (r *thriftReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// structure calls field for every field; field must read it, or skip it.
func (r *thriftReader) structure(field func(id int, kind byte)) {
	if r.depth++; r.depth > maxNesting {
		r.fail()
	}
	defer func() { r.depth-- }()
	for id := 0; ; {
		head := r.byte()
		if head == tStop || r.bad {
			return
		}
		if delta := int(head >> 4); delta != 0 {
			id += delta
		} else {
			id = int(int16(r.int()))
		}
		field(id, head&15)
	}
}

// list calls element for every element.
func (r *thriftReader) list(element func(kind byte)) {
	head := r.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = r.uvarint()
	}
	if n > uint64(len(r.b)) { // an element takes a byte at least
		r.fail()
		return
	}
	for ; n > 0 && !r.bad; n-- {
		element(head & 15)
	}
}

// skip reads over a field of a kind.
func (r *thriftReader) skip(kind byte) {
	switch kind {
	case tTrue, tFalse: // the kind is the value
	case tByte:
		r.byte()
	case tI16, tI32, tI64:
		r.uvarint()
	case tDouble:
		if len(r.b) < 8 {
			r.fail()
			return
		}
		r.b = r.b[8:]
	case tBinary:
		r.bytes()
	case tList, tSet:
		r.list(func(kind byte) {
			if kind == tTrue || kind == tFalse {
				r.byte()
				return
			}
			r.skip(kind)
		})
	case tStruct:
		r.structure(func(_ int, kind byte) { r.skip(kind) })
	default: // maps are not used
		r.fail()
	}
}

// thriftWriter appends to b.
type thriftWriter struct {
	b    []byte
	last []int // id of the last field, by nesting
}

func (w *thriftWriter) uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *thriftWriter) zigzag(v int64)   { w.uvarint(uint64(v<<1) ^ uint64(v>>63)) }

// open begins a structure, close ends it.
func (w *thriftWriter) open() { w.last = append(w.last, 0) }

func (w *thriftWriter) close() {
	w.b = append(w.b, tStop)
	w.last = w.last[:len(w.last)-1]
}

// field begins a field: ids grow by less than 16.
func (w *thriftWriter) field(id int, kind byte) {
	last := &w.last[len(w.last)-1]
	w.b = append(w.b, byte(id-*last)<<4|kind)
	*last = id
}

func (w *thriftWriter) int32(id int, v int32) {
	w.field(id, tI32)
	w.zigzag(int64(v))
}

func (w *thriftWriter) int64(id int, v int64) {
	w.field(id, tI64)
	w.zigzag(v)
}

func (w *thriftWriter) bool(id int, v bool) {
	if v {
		w.field(id, tTrue)
	} else {
		w.field(id, tFalse)
	}
}

func (w *thriftWriter) text(id int, s string) {
	w.field(id, tBinary)
	w.raw(s)
}

func (w *thriftWriter) raw(s string) {
	w.uvarint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// list begins a list of n elements.
func (w *thriftWriter) list(id int, kind byte, n int) {
	w.field(id, tList)
	if n < 15 {
		w.b = append(w.b, byte(n)<<4|kind)
		return
	}
	w.b = append(w.b, 0xF0|kind)
	w.uvarint(uint64(min(n, math.MaxInt32)))
}

// structure writes a field that is a structure.
func (w *thriftWriter) structure(id int, fields func()) {
	w.field(id, tStruct)
	w.open()
	fields()
	w.close()
}
