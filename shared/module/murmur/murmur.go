// Package murmur is MurmurHash3 for 32 bits (Austin Appleby, 2011), by which
// texts become features: the same numbers wherever it is computed.
package murmur

import (
	"encoding/binary"
	"math/bits"
)

const (
	c1 = 0xcc9e2d51
	c2 = 0x1b873593
)

func mix(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }

// Sum32 returns the hash of b.
func Sum32(b []byte, seed uint32) uint32 {
	h, n := seed, len(b)
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h^mix(binary.LittleEndian.Uint32(b)), 13)*5 + 0xe6546b64
	}
	if len(b) > 0 {
		k := uint32(0)
		for i, c := range b {
			k |= uint32(c) << (8 * i)
		}
		h ^= mix(k)
	}
	h ^= uint32(n)
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}
