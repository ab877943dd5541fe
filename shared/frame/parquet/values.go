package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
)

// values are the present cells of a page, in one of three forms by physical
// type.
type values struct {
	ints   []int64   // boolean, int32s, int64s
	floats []float64 // floats, doubles
	texts  [][]byte  // byteArrays, fixedArrays, int96s; parts of a page
}

func (v *values) len() int { return max(len(v.ints), len(v.floats), len(v.texts)) }

// decodePage reads n values of a physical type; length is that of fixedArrays.
func decodePage(b []byte, physical, encoding int32, length, n int) (values, bool) {
	switch encoding {
	case plain:
		return decodePlain(b, physical, length, n)
	case rle:
		if physical != boolean || len(b) < 4 {
			return values{}, false
		}
		bits, ok := hybrid(nil, b[4:], 1, n)
		var v values
		for _, x := range bits {
			v.ints = append(v.ints, int64(x))
		}
		return v, ok
	case deltaBinary:
		if physical != int32s && physical != int64s {
			return values{}, false
		}
		ints, _, ok := deltas(b, n, physical == int32s)
		return values{ints: ints}, ok && len(ints) == n
	case deltaLength:
		if physical != byteArrays {
			return values{}, false
		}
		texts, ok := deltaTexts(b, n)
		return values{texts: texts}, ok
	case deltaBytes:
		if physical != byteArrays && physical != fixedArrays {
			return values{}, false
		}
		texts, ok := prefixed(b, n)
		for _, t := range texts {
			ok = ok && (physical == byteArrays || len(t) == length)
		}
		return values{texts: texts}, ok
	case byteStreamSplit:
		size := sizeOf(physical, length)
		if size == 0 || physical == int96s || len(b) < n*size {
			return values{}, false
		}
		joined := make([]byte, n*size)
		for i := range n {
			for k := range size {
				joined[i*size+k] = b[k*n+i]
			}
		}
		return decodePlain(joined, physical, length, n)
	}
	return values{}, false
}

// sizeOf returns the bytes of a plain value; 0 where they vary or are bits.
func sizeOf(physical int32, length int) int {
	switch physical {
	case int32s, floats:
		return 4
	case int64s, doubles:
		return 8
	case int96s:
		return 12
	case fixedArrays:
		return length
	}
	return 0
}

func decodePlain(b []byte, physical int32, length, n int) (v values, ok bool) {
	le := binary.LittleEndian
	size := sizeOf(physical, length)
	if size > 0 && len(b)/size < n || physical == boolean && len(b) < (n+7)/8 || physical == byteArrays && len(b)/4 < n {
		return v, false
	}
	switch physical {
	case boolean:
		v.ints = make([]int64, n)
		for i := range v.ints {
			v.ints[i] = int64(b[i>>3] >> (i & 7) & 1)
		}
	case int32s:
		v.ints = make([]int64, n)
		for i := range v.ints {
			v.ints[i] = int64(int32(le.Uint32(b[4*i:])))
		}
	case int64s:
		v.ints = make([]int64, n)
		for i := range v.ints {
			v.ints[i] = int64(le.Uint64(b[8*i:]))
		}
	case floats:
		v.floats = make([]float64, n)
		for i := range v.floats {
			v.floats[i] = float64(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case doubles:
		v.floats = make([]float64, n)
		for i := range v.floats {
			v.floats[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		}
	case byteArrays:
		v.texts = make([][]byte, n)
		for i := range v.texts {
			if len(b) < 4 {
				return v, false
			}
			size := le.Uint32(b)
			if b = b[4:]; uint64(size) > uint64(len(b)) {
				return v, false
			}
			v.texts[i] = b[:size:size]
			b = b[size:]
		}
	default: // int96s, fixedArrays
		v.texts = make([][]byte, n)
		for i := range v.texts {
			v.texts[i] = b[i*size : (i+1)*size]
		}
	}
	return v, true
}

// deltaTexts reads n texts whose lengths come first.
func deltaTexts(b []byte, n int) ([][]byte, bool) {
	lengths, b, ok := deltas(b, n, true)
	if !ok || len(lengths) != n {
		return nil, false
	}
	texts := make([][]byte, n)
	for i, size := range lengths {
		if size < 0 || size > int64(len(b)) {
			return nil, false
		}
		texts[i] = b[:size:size]
		b = b[size:]
	}
	return texts, true
}

// maxJoined bounds the bytes that a page of shared beginnings may become.
const maxJoined = 1 << 28

// prefixed reads n texts that each share a beginning with the one before.
func prefixed(b []byte, n int) ([][]byte, bool) {
	shared, b, ok := deltas(b, n, true)
	if !ok || len(shared) != n {
		return nil, false
	}
	texts, ok := deltaTexts(b, n)
	if !ok {
		return nil, false
	}
	total := 0
	for i, tail := range texts {
		if shared[i] == 0 {
			continue
		}
		if i == 0 || shared[i] < 0 || shared[i] > int64(len(texts[i-1])) {
			return nil, false
		}
		if total += int(shared[i]) + len(tail); total > maxJoined {
			return nil, false
		}
		texts[i] = append(bytes.Clone(texts[i-1][:shared[i]]), tail...)
	}
	return texts, true
}

// pick returns the values of a dictionary at indexes.
func (v *values) pick(indexes []uint32) (out values, ok bool) {
	n := uint32(v.len())
	for _, i := range indexes {
		if i >= n {
			return out, false
		}
	}
	switch {
	case v.ints != nil:
		out.ints = make([]int64, len(indexes))
		for k, i := range indexes {
			out.ints[k] = v.ints[i]
		}
	case v.floats != nil:
		out.floats = make([]float64, len(indexes))
		for k, i := range indexes {
			out.floats[k] = v.floats[i]
		}
	default:
		out.texts = make([][]byte, len(indexes))
		for k, i := range indexes {
			out.texts[k] = v.texts[i]
		}
	}
	return out, true
}
