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

// rankRow writes to dst, for each of n tables that are there, how many of its
// cuts are at most its feature of the row x; 255 where that is NaN.
//
//go:noescape
func rankRow(t *cutTable, n int, x *float64, dst *byte)
