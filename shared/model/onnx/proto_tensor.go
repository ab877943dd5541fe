package onnx

import (
	"encoding/binary"
	"math"
)

// parseTensor reads a TensorProto.
func parseTensor(b []byte) (*tensor, string, error) {
	t := new(tensor)
	var name string
	var raw []byte
	var hasRaw bool
	var floats []float32
	var doubles []float64
	var ints []int64
	var texts []string
	dims := make([]int64, 0, 4)
	if n := count(b, 6); n > 0 {
		texts = make([]string, 0, n)
	}
	err := each(b, func(f *fields) (err error) {
		switch f.num {
		case 1:
			if dims, err = appendVarints(dims, f); len(dims) > maxDims {
				return refuse("%d dimensions: the limit is %d", len(dims), maxDims)
			}
		case 2:
			t.typ = Type(min(f.value, 255))
		case 3:
			return refuse("it is stored in segments, which is not supported")
		case 4:
			floats, err = appendFixed32(floats, f)
		case 5, 7, 11:
			ints, err = appendVarints(ints, f)
		case 6:
			texts = append(texts, f.text())
		case 8:
			name = f.text()
		case 9:
			raw, hasRaw = f.bytes, true
		case 10:
			doubles, err = appendFixed64(doubles, f)
		case 13:
			return refuse("it is stored outside the file: save the model as one file")
		case 14:
			if f.value != 0 {
				return refuse("it is stored outside the file: save the model as one file")
			}
		}
		return err
	})
	if err != nil {
		return nil, name, err
	}
	t.shape = make([]int, len(dims))
	n := 1
	for i, d := range dims {
		if d < 0 || d > int64(8*len(b)) || d > 0 && n > 8*len(b)/int(d) {
			return nil, name, refuse("its shape %v does not fit its %d bytes", dims, len(b))
		}
		t.shape[i] = int(d)
		n *= int(d)
	}
	if hasRaw {
		err = t.setRaw(raw, n)
	} else {
		switch t.typ {
		case Float:
			t.f32 = floats
		case Double:
			t.f64 = doubles
		case Int64:
			t.i64 = ints
		case Int32, uint8Type:
			t.i32 = make([]int32, len(ints))
			for i, v := range ints {
				t.i32[i] = int32(v)
			}
		case Bool:
			t.b = make([]bool, len(ints))
			for i, v := range ints {
				t.b[i] = v != 0
			}
		case String:
			t.s = texts
		default:
			err = refuse("elements of type %s are not supported", t.typ)
		}
	}
	if err != nil {
		return nil, name, err
	}
	if got := t.len(); got != n {
		return nil, name, refuse("it has %d elements, its shape %v says %d", got, t.shape, n)
	}
	return t, name, nil
}

// setRaw reads n elements of little-endian bytes.
func (t *tensor) setRaw(raw []byte, n int) error {
	size := map[Type]int{Float: 4, Double: 8, Int32: 4, Int64: 8, Bool: 1, uint8Type: 1}[t.typ]
	if size == 0 {
		return refuse("elements of type %s are not supported", t.typ)
	}
	if len(raw) != size*n {
		return refuse("it has %d bytes for %d elements of type %s", len(raw), n, t.typ)
	}
	switch t.typ {
	case Float:
		t.f32 = make([]float32, n)
		for i := range t.f32 {
			t.f32[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case Double:
		t.f64 = make([]float64, n)
		for i := range t.f64 {
			t.f64[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	case Int32:
		t.i32 = make([]int32, n)
		for i := range t.i32 {
			t.i32[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case Int64:
		t.i64 = make([]int64, n)
		for i := range t.i64 {
			t.i64[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	case Bool:
		t.b = make([]bool, n)
		for i := range t.b {
			t.b[i] = raw[i] != 0
		}
	case uint8Type:
		t.i32 = make([]int32, n)
		for i := range t.i32 {
			t.i32[i] = int32(raw[i])
		}
	}
	return nil
}
