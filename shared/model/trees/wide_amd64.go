package trees

import "golang.org/x/sys/cpu"

// hasWide reports whether this processor runs the kernel.
var hasWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VBMI

// walkWide adds the leaves of t's trees to the sums of 64 rows. Row r's byte
// in the slot at offset s is block[s+r].
//
//go:noescape
func walkWide(t *wideTrees, block *byte, sums *[64]float32)

// walkDeep is walkWide for trees of depth 7 or 8, each in two or four parts.
//
//go:noescape
func walkDeep(t *wideTrees, block *byte, sums *[64]float32)

// rankColumn writes, for each of n ≤ 64 values, how many of t's cuts are at most
// it as a float32, and returns which are NaN; their rank is written as 0.
//
//go:noescape
func rankColumn(t *cutTable, x *float64, n int, dst *byte) (missing uint64)

// rankRow writes to row, for each of n features, how many of its cuts are at
// most its value in x, into both its slots; where that is NaN, 0 into the left
// one and 255 into the right one.
//
//go:noescape
func rankRow(t *rowTable, n int, x *float64, row *byte)

// walkRow returns sum and the leaves of t's trees, added one after the other,
// of a row of so many slots, at most rowSlots; it may read rowSlots of them.
//
//go:noescape
func walkRow(t *wideTrees, row *byte, slots int, sum float32) float32
