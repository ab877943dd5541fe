package summary

import (
	"math"
	"slices"
)

// radixRows is the number of values from which on sorting by digits is the
// quicker way.
const radixRows = 1 << 12

// sortFloats sorts numbers, none of them NaN.
func sortFloats(x []float64) {
	if len(x) < radixRows {
		slices.Sort(x)
		return
	}
	// As integers positive numbers have the order of numbers, and negative ones
	// the opposite.
	keys := make([]uint64, len(x))
	for i, v := range x {
		b := math.Float64bits(v)
		keys[i] = b ^ (uint64(int64(b)>>63) | 1<<63)
	}
	for i, k := range radixSort(keys) {
		x[i] = math.Float64frombits(k ^ (uint64(int64(^k)>>63) | 1<<63))
	}
}

func sortInts(x []int64) {
	if len(x) < radixRows {
		slices.Sort(x)
		return
	}
	keys := make([]uint64, len(x))
	for i, v := range x {
		keys[i] = uint64(v) ^ 1<<63
	}
	for i, k := range radixSort(keys) {
		x[i] = int64(k ^ 1<<63)
	}
}

// radixSort sorts keys by one digit of 11 bits after the other, the lowest
// first, and leaves out those that all keys share. It uses up keys.
func radixSort(keys []uint64) []uint64 {
	const bits, digits = 11, 6
	var counts [digits][1 << bits]uint32
	for _, k := range keys {
		for d := range digits {
			counts[d][k>>(d*bits)&(1<<bits-1)]++
		}
	}
	other := make([]uint64, len(keys))
	for d := range digits {
		count := &counts[d]
		if count[keys[0]>>(d*bits)&(1<<bits-1)] == uint32(len(keys)) {
			continue
		}
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, k := range keys {
			place := &count[k>>(d*bits)&(1<<bits-1)]
			other[*place] = k
			*place++
		}
		keys, other = other, keys
	}
	return keys
}
