package parquet

import (
	"encoding/binary"
	"math/bits"
)

// hybrid reads values of width bits that are written as runs of one value and
// groups of eight packed ones: definition levels, dictionary indexes, truth
// values. A run is never made longer than it is asked for.
type hybrid struct {
	b     []byte
	width int

	run    uint64 // left of a run of value
	value  uint32
	packed uint64 // left of packed values, which begin at bit at of bits
	bits   []byte
	at     int
}

// read appends the next n values.
func (h *hybrid) read(dst []uint32, n int) ([]uint32, bool) {
	for n > 0 {
		switch {
		case h.run > 0:
			k := int(min(h.run, uint64(n)))
			for range k {
				dst = append(dst, h.value)
			}
			h.run -= uint64(k)
			n -= k
		case h.packed > 0:
			k := int(min(h.packed, uint64(n)))
			dst = unpack(dst, h.bits, h.at, h.width, k)
			h.at += k * h.width
			h.packed -= uint64(k)
			n -= k
		default:
			if !h.next() {
				return dst, false
			}
		}
	}
	return dst, true
}

// next reads the head of the next run.
func (h *hybrid) next() bool {
	head, used := binary.Uvarint(h.b)
	if used <= 0 || head>>1 == 0 {
		return false
	}
	h.b = h.b[used:]
	if head&1 == 0 {
		size := (h.width + 7) / 8
		if len(h.b) < size {
			return false
		}
		h.run, h.value = head>>1, 0
		for i := range size {
			h.value |= uint32(h.b[i]) << (8 * i)
		}
		h.b = h.b[size:]
		return true
	}
	groups := min(head>>1, 1<<31)
	h.packed, h.bits, h.at = groups*8, h.b, 0
	if size := groups * uint64(h.width); size <= uint64(len(h.b)) {
		h.b = h.b[size:]
	} else { // the last group may be cut off at the values that are there
		h.packed, h.b = uint64(len(h.b))*8/uint64(h.width), nil
	}
	return h.packed > 0
}

// unpack appends n values of width bits, packed from the lowest bit on, the
// first at bit at.
func unpack(dst []uint32, b []byte, at, width, n int) []uint32 {
	mask := uint64(1)<<width - 1
	for i := range n {
		dst = append(dst, uint32(bitsAt(b, at+i*width)&mask))
	}
	return dst
}

// bitsAt returns the bits from position at on: 57 of them at least, where b has
// so many.
func bitsAt(b []byte, at int) uint64 {
	b = b[min(at>>3, len(b)):]
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b) >> (at & 7)
	}
	v := uint64(0)
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v >> (at & 7)
}

// appendHybrid writes values of width bits: runs of eight and more as runs, all
// else in groups of eight.
func appendHybrid(dst []byte, values []uint32, width int) []byte {
	for i := 0; i < len(values); {
		run := 1
		for i+run < len(values) && values[i+run] == values[i] {
			run++
		}
		if run >= 8 || i+run == len(values) {
			dst = binary.AppendUvarint(dst, uint64(run)<<1)
			for k := range (width + 7) / 8 {
				dst = append(dst, byte(values[i]>>(8*k)))
			}
			i += run
			continue
		}
		// Groups of eight up to the next long run.
		end := i
		for end < len(values) {
			run = 1
			for end+run < len(values) && values[end+run] == values[end] && run < 8 {
				run++
			}
			if run == 8 && (end-i)%8 == 0 {
				break
			}
			end++
		}
		groups := (end - i + 7) / 8
		dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
		dst = pack(dst, values[i:end], width, groups*8)
		i = end
	}
	return dst
}

// pack writes n values of width bits, those past the end as zeros.
func pack(dst []byte, values []uint32, width, n int) []byte {
	word, have := uint64(0), 0
	for i := range n {
		if i < len(values) {
			word |= uint64(values[i]) << have
		}
		for have += width; have >= 8; have -= 8 {
			dst = append(dst, byte(word))
			word >>= 8
		}
	}
	return dst
}

func bitWidth(max int) int { return bits.Len(uint(max)) }

// deltas reads up to n integers packed as differences and returns what is left
// of b. The values are those of 32 bits if narrow.
func deltas(b []byte, n int, narrow bool) (values []int64, rest []byte, ok bool) {
	head := func() int {
		v, used := binary.Uvarint(b)
		if used <= 0 || v > 1<<31 {
			b = nil
			return -1
		}
		b = b[used:]
		return int(v)
	}
	signed := func() int64 {
		v, used := binary.Varint(b)
		if used <= 0 {
			b = nil
			return 0
		}
		b = b[used:]
		return v
	}
	block, minis, total := head(), head(), head()
	if block <= 0 || minis <= 0 || total < 0 || total > n || block%minis != 0 || block > 1<<16 || block/minis%8 != 0 || len(b) == 0 {
		return nil, nil, false
	}
	per := block / minis
	last := signed()
	if total == 0 {
		return nil, b, true
	}
	values = append(make([]int64, 0, total), last)
	for len(values) < total {
		base := signed()
		if len(b) < minis {
			return nil, nil, false
		}
		widths := b[:minis]
		b = b[minis:]
		for _, w := range widths {
			if len(values) == total {
				break // the miniblocks past the end are not written
			}
			if w > 64 {
				return nil, nil, false
			}
			size := per * int(w) / 8
			count := min(per, total-len(values))
			if len(b)*8 < count*int(w) {
				return nil, nil, false
			}
			for i := range count {
				last += base + int64(wide(b, i*int(w), int(w)))
				if narrow {
					last = int64(int32(last))
				}
				values = append(values, last)
			}
			b = b[min(size, len(b)):]
		}
	}
	return values, b, true
}

// wide returns width bits from position at on, up to 64.
func wide(b []byte, at, width int) uint64 {
	if width == 0 {
		return 0
	}
	v := bitsAt(b, at)
	if width > 57 {
		low := 8 - at&7 // bits of the first byte
		v = v&(1<<low-1) | bitsAt(b, at+low)<<low
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}
