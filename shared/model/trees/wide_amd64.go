package trees

import "golang.org/x/sys/cpu"

// hasWide reports whether this processor runs the kernels.
var hasWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VBMI && cpu.X86.HasBMI1

// walkWide adds the leaves of t's trees to the sums of 64 rows. Row r's byte
// in the slot at offset s is block[s+r].
//
//go:noescape
func walkWide(t *perfectTrees, block *byte, sums *[64]float32)

// walkDeep is walkWide for trees of depth 7 or 8, each in two or four parts.
//
//go:noescape
func walkDeep(t *perfectTrees, block *byte, sums *[64]float32)

// walkRow returns sum and the leaves of t's trees, added one after the other,
// of a row of so many slots, at most rowSlots; it may read rowSlots of them.
//
//go:noescape
func walkRow(t *perfectTrees, row *byte, slots int, sum float32) float32

// askTests asks n nodes, a multiple of askUnroll, and writes their results one
// after the other from to on.
//
//go:noescape
func askTests(asks *ask, n int, block, results, to *byte)

// addFew32 adds the leaves of n trees of at most 64 leaves, whose numbers are in
// results, to the sums of 64 rows, tree after tree.
//
//go:noescape
func addFew32(trees *asked, n int, leaves *uint32, results *byte, sums *[64]float32)

// addFew64 is addFew32 for float64.
//
//go:noescape
func addFew64(trees *asked, n int, leaves *uint32, results *byte, sums *[64]float64)

// addMany32 is addFew32 for trees of any number of leaves.
//
//go:noescape
func addMany32(trees *asked, n int, leaves *uint32, results *byte, sums *[64]float32)

// addMany64 is addMany32 for float64.
//
//go:noescape
func addMany64(trees *asked, n int, leaves *uint32, results *byte, sums *[64]float64)

// row32of32 is walkRow for trees of at most 32 leaves. The names of its like give
// the bits of the sum and the leaves.
//
//go:noescape
func row32of32(t *fewTrees, row *byte, slots int, sum float32) float32

//go:noescape
func row64of32(t *fewTrees, row *byte, slots int, sum float64) float64

//go:noescape
func row32of64(t *fewTrees, row *byte, slots int, sum float32) float32

//go:noescape
func row64of64(t *fewTrees, row *byte, slots int, sum float64) float64

// rankColumn32 writes, for each of n ≤ 64 values, how many of t's cuts are at most
// it as a float32, and returns which are NaN; their rank is written as 0.
//
//go:noescape
func rankColumn32(t *cutTable, x *float64, n int, dst *byte) (missing uint64)

// rankColumn64 is rankColumn32 for float64.
//
//go:noescape
func rankColumn64(t *cutTable, x *float64, n int, dst *byte) (missing uint64)

// rankRow32 writes to row, for each of n features, how many of its cuts are at
// most its value in x as a float32, into both its slots; where that is NaN, 0 into
// the left one and 255 into the right one.
//
//go:noescape
func rankRow32(t *rowTable, n int, x *float64, row *byte)

// rankRow64 is rankRow32 for float64.
//
//go:noescape
func rankRow64(t *rowTable, n int, x *float64, row *byte)
