package main

import "fmt"

// askTests answers all tests of a tree for 64 rows, as QuickScorer does
// (Lucchese et al., SIGIR 2015), but carries leaf numbers instead of clearing
// bits of leaf sets. Children come before their parents, and every node is the
// same few instructions: compare the 64 bytes of its slot with its rank, and
// under that mask take its right child's 64 leaf numbers instead of its left
// child's. A node's numbers go to memory, where its parent finds them; a child
// that is a leaf is a vector of one number. There is no branch on data and none
// on the shape of a tree. With bytes of leaf sets, as RapidScorer has them (Ye et
// al., KDD 2018), a node took as long, a dword of leaf set a row a quarter longer;
// both must then still search for the first leaf that is left.
//
// The add kernels look up and add the leaves of whole trees, tree after tree, so
// that a row's sum is formed in the order of the trees. Trees of up to 64 leaves
// have their leaves in registers; others are gathered.
//
// The row kernels do the same for a row by itself. A permutation picks the bytes
// that the tree's nodes test from the row's slots, and one comparison makes a word
// of all outcomes. Each leaf has the word of the nodes it lies left of; the row's
// leaf is the first of those none of whose nodes went right.

// unrolled is how many nodes askTests takes at a time; the layout pads to it.
const (
	unrolled = 4
	nodeSize = 10
	treeSize = 16
)

func askTests() {
	p("// func askTests(asks *ask, n int, block, results, to *byte)")
	p("TEXT ·askTests(SB), NOSPLIT, $0-40")
	p("\tMOVQ asks+0(FP), R8")
	p("\tMOVQ n+8(FP), CX")
	p("\tMOVQ block+16(FP), SI")
	p("\tMOVQ results+24(FP), R9")
	p("\tMOVQ to+32(FP), R10")
	p("")
	p("node:")
	for u := range unrolled {
		at := nodeSize * u
		p("\tVPBROADCASTD %d(R8), Z%d", at+6, 2*u)
		p("\tMOVWLZX %d(R8), AX", at)
		p("\tMOVWLZX %d(R8), BX", at+2)
		p("\tMOVWLZX %d(R8), DX", at+4)
		p("\tVPCMPUB $2, (SI)(AX*8), Z%d, K%d // rank <= slot", 2*u, u+1)
		p("\tVMOVDQU64 (R9)(BX*8), Z%d", 2*u+1)
		p("\tVMOVDQU8 (R9)(DX*8), K%d, Z%d", u+1, 2*u+1)
		p("\tVMOVDQU64 Z%d, %d(R10)", 2*u+1, 64*u)
	}
	p("\tADDQ $%d, R8", nodeSize*unrolled)
	p("\tADDQ $%d, R10", 64*unrolled)
	p("\tSUBQ $%d, CX", unrolled)
	p("\tJG node")
	p("\tVZEROUPPER")
	p("\tRET")
}

// sums loads or stores the 64 sums of size bytes in the registers from first on.
func sums(size, first int, store bool) {
	for g := range size {
		if store {
			p("\tVMOVUPS Z%d, %d(DI)", first+g, 64*g)
		} else {
			p("\tVMOVUPS %d(DI), Z%d", 64*g, first+g)
		}
	}
}

// adder emits a kernel that adds n trees: setup once, and body for a tree whose
// record is at R8.
func adder(name string, size int, setup, body func(first int)) {
	first := 32 - size
	p("")
	p("// func %s(trees *asked, n int, leaves *uint32, results *byte, sums *[64]float%d)", name, 8*size)
	p("TEXT ·%s(SB), NOSPLIT, $0-40", name)
	p("\tMOVQ trees+0(FP), R8")
	p("\tMOVQ n+8(FP), CX")
	p("\tMOVQ leaves+16(FP), R11")
	p("\tMOVQ results+24(FP), R9")
	p("\tMOVQ sums+32(FP), DI")
	setup(first)
	sums(size, first, false)
	p("")
	p("tree:")
	body(first)
	p("\tADDQ $%d, R8", treeSize)
	p("\tDECQ CX")
	p("\tJNZ tree")
	sums(size, first, true)
	p("\tVZEROUPPER")
	p("\tRET")
}

// halfOf emits a choice, for the 16 leaf numbers in Z5 where K1 marks those from
// 32 on, among the 64 dwords in the registers from table on; it goes to Z of out.
func halfOf(table, out int) {
	p("\tVMOVDQA64 Z5, Z%d", out)
	p("\tVMOVDQA64 Z5, Z6")
	p("\tVPERMI2D Z%d, Z%d, Z%d", table+1, table, out)
	p("\tVPERMI2D Z%d, Z%d, Z6", table+3, table+2)
	p("\tVPBLENDMD Z6, Z%d, K1, Z%d", out, out)
}

func addFew32() {
	adder("addFew32", 4, func(int) {
		p("\tMOVL $32, AX")
		p("\tVPBROADCASTD AX, Z0")
	}, func(first int) {
		p("\tMOVL 0(R8), AX    // its leaf numbers")
		p("\tMOVL 8(R8), BX    // its leaves")
		p("\tLEAQ (R11)(BX*4), BX")
		for i := range 4 {
			p("\tVMOVUPS %d(BX), Z%d", 64*i, 16+i)
		}
		for g := range 4 {
			p("\tVPMOVZXBD %d(R9)(AX*1), Z5", 16*g)
			p("\tVPTESTMD Z0, Z5, K1")
			halfOf(16, 7)
			p("\tVADDPS Z7, Z%d, Z%d", first+g, first+g)
		}
	})
}

func addFew64() {
	adder("addFew64", 8, func(int) {
		p("\tMOVL $32, AX")
		p("\tVPBROADCASTD AX, Z0")
		p("\tVMOVDQU64 ·pairs+0(SB), Z1  // dwords to qwords: rows 0 to 7 of 16")
		p("\tVMOVDQU64 ·pairs+64(SB), Z2 // rows 8 to 15")
	}, func(first int) {
		p("\tMOVL 0(R8), AX    // its leaf numbers")
		p("\tMOVL 8(R8), BX    // its leaves: all lower halves, then the upper ones")
		p("\tMOVL 12(R8), DX   // their number")
		p("\tLEAQ (R11)(BX*4), BX")
		p("\tLEAQ (BX)(DX*4), DX")
		for i := range 4 {
			p("\tVMOVUPS %d(BX), Z%d", 64*i, 16+i)
			p("\tVMOVUPS %d(DX), Z%d", 64*i, 20+i)
		}
		for g := range 4 {
			p("\tVPMOVZXBD %d(R9)(AX*1), Z5", 16*g)
			p("\tVPTESTMD Z0, Z5, K1")
			halfOf(16, 7)
			halfOf(20, 8)
			p("\tVMOVDQA64 Z7, Z9")
			p("\tVPERMT2D Z8, Z1, Z7")
			p("\tVPERMT2D Z8, Z2, Z9")
			p("\tVADDPD Z7, Z%d, Z%d", first+2*g, first+2*g)
			p("\tVADDPD Z9, Z%d, Z%d", first+2*g+1, first+2*g+1)
		}
	})
}

// addMany emits the adder of trees with any number of leaves: they are gathered.
// A leaf's number has an upper byte too, at 4(R8).
func addMany(size int) {
	adder(fmt.Sprintf("addMany%d", 8*size), size, func(int) {}, func(first int) {
		p("\tMOVL 0(R8), AX    // its leaf numbers, lower bytes")
		p("\tMOVL 4(R8), DX    // upper bytes")
		p("\tMOVL 8(R8), BX    // its leaves")
		p("\tLEAQ (R11)(BX*4), BX")
		for g := range 4 {
			p("\tVPMOVZXBD %d(R9)(AX*1), Z5", 16*g)
			p("\tVPMOVZXBD %d(R9)(DX*1), Z6", 16*g)
			p("\tVPSLLD $8, Z6, Z6")
			p("\tVPORD Z6, Z5, Z5")
			if size == 4 {
				p("\tVPXORD Z7, Z7, Z7 // so as not to wait for the gather before")
				p("\tKXNORW K1, K1, K1")
				p("\tVGATHERDPS (BX)(Z5*4), K1, Z7")
				p("\tVADDPS Z7, Z%d, Z%d", first+g, first+g)
				continue
			}
			for half := range 2 {
				if half == 1 {
					p("\tVEXTRACTI64X4 $1, Z5, Y5")
				}
				p("\tVPXORD Z7, Z7, Z7 // so as not to wait for the gather before")
				p("\tKXNORB K1, K1, K1")
				p("\tVGATHERDPD (BX)(Y5*8), K1, Z7")
				p("\tVADDPD Z7, Z%d, Z%d", first+2*g+half, first+2*g+half)
			}
		}
	})
}

// find32 emits in AX the row's leaf of a tree of up to 32, whose tests are at R10:
// 32 slots, 32 ranks, and 32 words of the nodes that a leaf lies left of.
func find32(width int) {
	p("\tVMOVDQU64 (R10), Z1")
	pick(width)
	p("\tVPCMPUB $5, 32(R10), Y1, K1")
	p("\tKMOVD K1, AX       // the nodes that went right")
	p("\tVPBROADCASTD AX, Z3")
	p("\tVPTESTNMD 64(R10), Z3, K1")
	p("\tVPTESTNMD 128(R10), Z3, K2")
	p("\tKUNPCKWD K1, K2, K1")
	p("\tKMOVD K1, AX")
	p("\tTZCNTL AX, AX")
	p("\tADDQ $192, R10")
}

// find64 is find32 for up to 64 leaves: 64 slots, 64 ranks, the lower halves of
// 64 words and the upper ones.
func find64(width int) {
	p("\tVMOVDQU64 (R10), Z1")
	pick(width)
	p("\tVPCMPUB $5, 64(R10), Z1, K1")
	p("\tKMOVQ K1, AX       // the nodes that went right")
	p("\tVPBROADCASTD AX, Z3")
	p("\tSHRQ $32, AX")
	p("\tVPBROADCASTD AX, Z4")
	for i := range 4 {
		p("\tVPTESTNMD %d(R10), Z3, K%d", 128+64*i, i+1)
		p("\tVPTESTNMD %d(R10), Z4, K%d, K%d", 384+64*i, i+1, i+1)
	}
	p("\tKUNPCKWD K1, K2, K1")
	p("\tKUNPCKWD K3, K4, K3")
	p("\tKUNPCKDQ K1, K3, K1")
	p("\tKMOVQ K1, AX")
	p("\tTZCNTQ AX, AX")
	p("\tADDQ $640, R10")
}

// askRow emits the kernel for a row by itself, of trees of up to leaves leaves.
func askRow(leaves, size int) {
	bits := 8 * size
	name := fmt.Sprintf("row%dof%d", bits, leaves)
	p("")
	p("// func %s(t *fewTrees, row *byte, slots int, sum float%d) float%d", name, bits, bits)
	p("TEXT ·%s(SB), NOSPLIT, $0-%d", name, 32+size)
	p("\tMOVQ t+0(FP), DI")
	p("\tMOVQ row+8(FP), SI")
	p("\tMOVQ slots+16(FP), DX")
	move, add := "VMOVSS", "VADDSS"
	if size == 8 {
		move, add = "VMOVSD", "VADDSD"
	}
	p("\t%s sum+24(FP), X0", move)
	p("\tMOVQ 0(DI), R8   // trees")
	p("\tMOVQ 8(DI), R10  // tests")
	p("\tMOVQ 16(DI), R11 // leaves")
	p("\tMOVQ 24(DI), CX  // number of trees")
	for i := range 4 {
		p("\tVMOVDQU64 %d(SI), Z%d", 64*i, 16+i)
	}
	p("\tCMPQ DX, $64")
	p("\tJLE slots64")
	p("\tCMPQ DX, $128")
	p("\tJLE slots128")
	for _, width := range []int{256, 128, 64} {
		p("")
		p("slots%d:", width)
		if leaves == 32 {
			find32(width)
		} else {
			find64(width)
		}
		p("\tMOVL 8(R8), BX")
		p("\tADDQ AX, BX")
		if size == 4 {
			p("\t%s (R11)(BX*4), X0, X0", add)
		} else {
			p("\tMOVL 12(R8), DX   // to the upper halves")
			p("\tADDQ BX, DX")
			p("\tVMOVD (R11)(BX*4), X5")
			p("\tVPINSRD $1, (R11)(DX*4), X5, X5")
			p("\t%s X5, X0, X0", add)
		}
		p("\tADDQ $%d, R8", treeSize)
		p("\tDECQ CX")
		p("\tJNZ slots%d", width)
		if width > 64 {
			p("\tJMP done")
		}
	}
	p("")
	p("done:")
	p("\t%s X0, ret+32(FP)", move)
	p("\tVZEROUPPER")
	p("\tRET")
}

// askKernels emits ask_amd64.s.
func askKernels() {
	p("")
	for i := range 16 {
		// Dwords 2j and 2j+1 of the first: lower and upper half of row j.
		p("DATA ·pairs+%d(SB)/8, $%#x", 8*i, uint64(i)|uint64(16+i)<<32)
	}
	p("GLOBL ·pairs(SB), RODATA|NOPTR, $128")
	p("")
	askTests()
	addFew32()
	addFew64()
	addMany(4)
	addMany(8)
	for _, leaves := range []int{32, 64} {
		askRow(leaves, 4)
		askRow(leaves, 8)
	}
}
