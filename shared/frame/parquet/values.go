package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
)

// values are present cells, in one of three forms by physical type.
type values struct {
	ints   []int64   // boolean, int32s, int64s
	floats []float64 // floats, doubles
	texts  [][]byte  // byteArrays, fixedArrays, int96s; parts of a page
}

func (v *values) len() int { return max(len(v.ints), len(v.floats), len(v.texts)) }

func (v *values) reset() { v.ints, v.floats, v.texts = v.ints[:0], v.floats[:0], v.texts[:0] }

// part appends the values of w from lo to hi (exclusive).
func (v *values) part(w *values, lo, hi int) {
	switch {
	case w.ints != nil:
		v.ints = append(v.ints, w.ints[lo:hi]...)
	case w.floats != nil:
		v.floats = append(v.floats, w.floats[lo:hi]...)
	default:
		v.texts = append(v.texts, w.texts[lo:hi]...)
	}
}

// decodePage reads the n values of a page that is not plain; length is that of
// fixedArrays.
func decodePage(b []byte, physical, encoding int32, length, n int) (v values, ok bool) {
	switch encoding {
	case deltaBinary:
		if physical != int32s && physical != int64s {
			return v, false
		}
		v.ints, _, ok = deltas(b, n, physical == int32s)
		return v, ok && len(v.ints) == n
	case deltaLength:
		if physical != byteArrays {
			return v, false
		}
		v.texts, ok = deltaTexts(b, n)
		return v, ok
	case deltaBytes:
		if physical != byteArrays && physical != fixedArrays {
			return v, false
		}
		v.texts, ok = prefixed(b, n)
		for _, t := range v.texts {
			ok = ok && (physical == byteArrays || len(t) == length)
		}
		return v, ok
	case byteStreamSplit:
		size := sizeOf(physical, length)
		if size == 0 || physical == int96s || len(b)/size < n {
			return v, false
		}
		joined := make([]byte, n*size)
		for i := range n {
			for k := range size {
				joined[i*size+k] = b[k*n+i]
			}
		}
		_, ok = v.plain(joined, physical, length, n)
		return v, ok
	}
	return v, false
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

// plain appends the first n plain values of b, which are no truth values, and
// returns what is behind them.
func (v *values) plain(b []byte, physical int32, length, n int) (rest []byte, ok bool) {
	le := binary.LittleEndian
	size := sizeOf(physical, length)
	if size > 0 && len(b)/size < n || physical == byteArrays && len(b)/4 < n {
		return nil, false
	}
	switch physical {
	case int32s:
		for i := range n {
			v.ints = append(v.ints, int64(int32(le.Uint32(b[4*i:]))))
		}
	case int64s:
		for i := range n {
			v.ints = append(v.ints, int64(le.Uint64(b[8*i:])))
		}
	case floats:
		for i := range n {
			v.floats = append(v.floats, float64(math.Float32frombits(le.Uint32(b[4*i:]))))
		}
	case doubles:
		for i := range n {
			v.floats = append(v.floats, math.Float64frombits(le.Uint64(b[8*i:])))
		}
	case byteArrays:
		for range n {
			if len(b) < 4 {
				return nil, false
			}
			size := le.Uint32(b)
			if b = b[4:]; uint64(size) > uint64(len(b)) {
				return nil, false
			}
			v.texts = append(v.texts, b[:size:size])
			b = b[size:]
		}
		return b, true
	case fixedArrays, int96s:
		for i := range n {
			v.texts = append(v.texts, b[i*size:(i+1)*size:(i+1)*size])
		}
	default:
		return nil, false
	}
	return b[n*size:], true
}

// truths appends n truth values, a bit each, the first at bit at.
func (v *values) truths(b []byte, at, n int) bool {
	if len(b) < (at+n+7)/8 {
		return false
	}
	for i := at; i < at+n; i++ {
		v.ints = append(v.ints, int64(b[i>>3]>>(i&7)&1))
	}
	return true
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

// pick appends the values of a dictionary at indexes.
func (v *values) pick(dict *values, indexes []uint32) bool {
	n := uint32(dict.len())
	for _, i := range indexes {
		if i >= n {
			return false
		}
	}
	switch {
	case dict.ints != nil:
		for _, i := range indexes {
			v.ints = append(v.ints, dict.ints[i])
		}
	case dict.floats != nil:
		for _, i := range indexes {
			v.floats = append(v.floats, dict.floats[i])
		}
	default:
		for _, i := range indexes {
			v.texts = append(v.texts, dict.texts[i])
		}
	}
	return true
}
