package hive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The binary protocol of Apache Thrift, as far as HiveServer2 speaks it.

// Types of fields.
const (
	tStop   = 0
	tBool   = 2
	tByte   = 3
	tDouble = 4
	tI16    = 6
	tI32    = 8
	tI64    = 10
	tString = 11
	tStruct = 12
	tMap    = 13
	tSet    = 14
	tList   = 15
)

const (
	version   = 0x80010000
	kindCall  = 1
	kindReply = 2
	kindError = 3
)

// writer appends what a message consists of.
type writer struct{ b []byte }

func (w *writer) i32(v int32) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }

func (w *writer) text(s string) {
	w.i32(int32(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) field(kind byte, id int16) {
	w.b = append(w.b, kind)
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(id))
}

func (w *writer) fieldI32(id int16, v int32)   { w.field(tI32, id); w.i32(v) }
func (w *writer) fieldText(id int16, s string) { w.field(tString, id); w.text(s) }

func (w *writer) fieldI64(id int16, v int64) {
	w.field(tI64, id)
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(v))
}

func (w *writer) fieldTrue(id int16) {
	w.field(tBool, id)
	w.b = append(w.b, 1)
}

// fieldRaw adds a struct as it came from the server: a handle.
func (w *writer) fieldRaw(id int16, body []byte) {
	w.field(tStruct, id)
	w.b = append(w.b, body...)
}

func (w *writer) fieldMap(id int16, pairs ...string) {
	w.field(tMap, id)
	w.b = append(w.b, tString, tString)
	w.i32(int32(len(pairs) / 2))
	for _, s := range pairs {
		w.text(s)
	}
}

func (w *writer) stop() { w.b = append(w.b, tStop) }

// fields are a struct that was read, by field id. Their values are bool,
// int64, float64, []byte, fields, and lists: []bool, []int64, []float64,
// [][]byte, []fields. A map is nil.
type fields map[int16]any

func (f fields) child(id int16) fields      { v, _ := f[id].(fields); return v }
func (f fields) num(id int16) int64         { v, _ := f[id].(int64); return v }
func (f fields) text(id int16) string       { v, _ := f[id].([]byte); return string(v) }
func (f fields) bytes(id int16) []byte      { v, _ := f[id].([]byte); return v }
func (f fields) children(id int16) []fields { v, _ := f[id].([]fields); return v }

var errThrift = errors.New("the answer is not what HiveServer2 says")

// reader reads answers. What the server says of lengths is believed up to
// limit bytes of one answer, and memory follows what has come.
type reader struct {
	r     *bufio.Reader
	left  int64
	depth int
}

// maxAnswer bounds one answer.
const maxAnswer = 256 << 20

const maxNesting = 32

func newReader(r io.Reader) *reader { return &reader{r: bufio.NewReaderSize(r, 64<<10)} }

func (r *reader) take(p []byte) error {
	if r.left -= int64(len(p)); r.left < 0 {
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	_, err := io.ReadFull(r.r, p)
	return err
}

func (r *reader) byte() (byte, error) {
	var b [1]byte
	err := r.take(b[:])
	return b[0], err
}

func (r *reader) num(size int) (int64, error) {
	var b [8]byte
	if err := r.take(b[8-size:]); err != nil {
		return 0, err
	}
	v := int64(binary.BigEndian.Uint64(b[:]))
	shift := 64 - 8*size
	return v << shift >> shift, nil
}

// bytes reads a text, piece by piece, so that a length that is none costs
// nothing.
func (r *reader) bytes() ([]byte, error) {
	n, err := r.num(4)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > r.left {
		return nil, errThrift
	}
	var b []byte
	for int64(len(b)) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-int64(have), 1<<20))...)
		if err := r.take(b[have:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// message reads the answer to a call and returns its result struct.
func (r *reader) message(method string) (fields, error) {
	r.left, r.depth = maxAnswer, 0
	head, err := r.num(4)
	if err != nil {
		return nil, err
	}
	if uint32(head)&0xffff0000 != version {
		return nil, errThrift
	}
	name, err := r.bytes()
	if err != nil {
		return nil, err
	}
	if _, err := r.num(4); err != nil {
		return nil, err
	}
	f, err := r.structure()
	if err != nil {
		return nil, err
	}
	switch kind := head & 0xff; {
	case kind == kindError:
		return nil, &serverError{f.text(1)}
	case kind != kindReply || string(name) != method:
		return nil, errThrift
	}
	return f.child(0), nil
}

// serverError is what the server says went wrong.
type serverError struct{ text string }

func (e *serverError) Error() string { return e.text }

func (r *reader) structure() (fields, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, errThrift
	}
	defer func() { r.depth-- }()
	f := fields{}
	for {
		kind, err := r.byte()
		if err != nil || kind == tStop {
			return f, err
		}
		id, err := r.num(2)
		if err != nil {
			return nil, err
		}
		if f[int16(id)], err = r.value(kind); err != nil {
			return nil, err
		}
	}
}

func (r *reader) value(kind byte) (any, error) {
	switch kind {
	case tBool:
		b, err := r.byte()
		return b != 0, err
	case tByte:
		return r.num(1)
	case tI16:
		return r.num(2)
	case tI32:
		return r.num(4)
	case tI64:
		return r.num(8)
	case tDouble:
		v, err := r.num(8)
		return math.Float64frombits(uint64(v)), err
	case tString:
		return r.bytes()
	case tStruct:
		return r.structure()
	case tList, tSet:
		return r.list()
	case tMap:
		return nil, r.skipMap()
	}
	return nil, errThrift
}

func (r *reader) list() (any, error) {
	kind, err := r.byte()
	if err != nil {
		return nil, err
	}
	n, err := r.num(4)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > r.left {
		return nil, errThrift
	}
	switch kind {
	case tBool:
		return listOf(n, func() (bool, error) { b, err := r.byte(); return b != 0, err })
	case tByte:
		return listOf(n, func() (int64, error) { return r.num(1) })
	case tI16:
		return listOf(n, func() (int64, error) { return r.num(2) })
	case tI32:
		return listOf(n, func() (int64, error) { return r.num(4) })
	case tI64:
		return listOf(n, func() (int64, error) { return r.num(8) })
	case tDouble:
		return listOf(n, func() (float64, error) { v, err := r.num(8); return math.Float64frombits(uint64(v)), err })
	case tString:
		return listOf(n, r.bytes)
	case tStruct:
		return listOf(n, r.structure)
	}
	return nil, errThrift
}

func listOf[T any](n int64, next func() (T, error)) ([]T, error) {
	var out []T
	for range n {
		v, err := next()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (r *reader) skipMap() error {
	var kinds [2]byte
	if err := r.take(kinds[:]); err != nil {
		return err
	}
	n, err := r.num(4)
	if err != nil {
		return err
	}
	if n < 0 || n > r.left {
		return errThrift
	}
	for range n {
		for _, k := range kinds {
			if r.depth++; r.depth > maxNesting {
				return errThrift
			}
			_, err := r.value(k)
			r.depth--
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// encode writes a struct that was read as the server sent it: a handle, of
// which the client knows nothing.
func (f fields) encode(dst []byte) []byte {
	w := &writer{dst}
	for id := int16(0); id < 16; id++ {
		switch v := f[id].(type) {
		case []byte:
			w.fieldText(id, string(v))
		case fields:
			w.field(tStruct, id)
			w.b = v.encode(w.b)
		case bool:
			w.field(tBool, id)
			b := byte(0)
			if v {
				b = 1
			}
			w.b = append(w.b, b)
		case int64:
			w.fieldI32(id, int32(v))
		case float64:
			w.field(tDouble, id)
			w.b = binary.BigEndian.AppendUint64(w.b, math.Float64bits(v))
		}
	}
	w.stop()
	return w.b
}
