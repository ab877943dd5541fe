package main

import "fmt"

// walkWide walks 64 rows at once down perfect trees of depth 1 to 6. A row's
// place is a byte, its heap index. At each level every row needs the byte of
// the slot its node tests. Those bytes are selected by a tournament: the slots
// of the level's nodes are merged in pairs under the mask of the last level's
// outcomes, the pairs under the mask of the level before, and so on to the
// root's. The ranks to compare with are one VPERMB of the tree's rank table by
// heap index. Then place = 2·place + (byte >= rank), as in the scalar walk.
//
// walkDeep takes trees of depth 7 or 8. Each is cut into two or four parts of
// depth 6 below its first tests. All parts are walked by all rows, and each row's
// leaf is added from the one part that its first tests lead to.
//
// walkRow takes a row by itself: it walks one tree at a time, but asks all of a
// tree's tests at once. The row's slots fit one to four registers, from which a
// permutation picks the 64 bytes that the tree's nodes test, and one comparison
// with the ranks makes a word of 64 outcomes. The path is then bit by bit down
// that word, without a load. Of a tree in parts, the first tests choose the one
// part.

const maxDepth = 6

// level emits the tests of level d. Outcomes of levels 0 to 5 are K1 to K6.
func level(d int) {
	p("\t// level %d", d)
	top := 8 // first free vector register
	var emit func(first, nodes, k int) int
	// emit leaves in a register the bytes of nodes first to first+nodes-1,
	// selected by the outcomes from level k-1 on.
	emit = func(first, nodes, k int) int {
		z := top
		if nodes == 1 {
			p("\tMOVWLZX %d(R8), AX", 2*first)
			p("\tVMOVDQU8 (SI)(AX*8), Z%d", z)
			top++
			return z
		}
		if nodes == 2 {
			emit(first, 1, k+1)
			p("\tMOVWLZX %d(R8), AX", 2*(first+1))
			p("\tVMOVDQU8 (SI)(AX*8), K%d, Z%d", k, z)
			return z
		}
		a := emit(first, nodes/2, k+1)
		b := emit(first+nodes/2, nodes/2, k+1)
		p("\tVPBLENDMB Z%d, Z%d, K%d, Z%d", b, a, k, a)
		top = b
		return a
	}
	v := emit(1<<d, 1<<d, 1)
	p("\tVPERMB Z1, Z0, Z7")
	p("\tVPCMPUB $5, Z7, Z%d, K%d", v, d+1)
	p("\tVPADDB Z0, Z0, Z0")
	p("\tVPSUBB Z2, Z0, K%d, Z0", d+1)
}

// prologue loads the arguments and the constants of both kernels.
func prologue(name, frame string) {
	p("// func %s(t *perfectTrees, block *byte, sums *[64]float32)", name)
	p("TEXT ·%s(SB), NOSPLIT, %s-24", name, frame)
	p("\tMOVQ t+0(FP), DI")
	p("\tMOVQ block+8(FP), SI")
	p("\tMOVQ sums+16(FP), R9")
	p("\tMOVQ 0(DI), R8   // slots: 64 places a tree or part")
	p("\tMOVQ 8(DI), R10  // ranks: 64 bytes a tree or part")
	p("\tMOVQ 16(DI), R11 // leaves: 1<<depth a tree")
	p("\tMOVQ 24(DI), R12 // depth")
	p("\tMOVQ 32(DI), R13 // trees")
	p("\tVPTERNLOGD $255, Z2, Z2, Z2")
	p("\tVPABSB Z2, Z3    // 1")
	p("\tMOVL $32, AX")
	p("\tVPBROADCASTD AX, Z5")
	for g := range 4 {
		p("\tVMOVUPS %d(R9), Z%d", 64*g, 28+g)
	}
}

// leaves emits the leaf values of 64 places in Z0 and adds them to the sums:
// of all rows, or of those in K1.
func leaves(masked bool) {
	p("\tVPANDQ Z4, Z0, Z0")
	for i := range 4 {
		p("\tVMOVUPS %d(R11), Z%d", 64*i, 24+i)
	}
	for g := range 4 {
		p("\tVEXTRACTI32X4 $%d, Z0, X8", g)
		p("\tVPMOVZXBD X8, Z8")
		p("\tVPTESTMD Z5, Z8, K7")
		p("\tVMOVDQA64 Z8, Z9")
		p("\tVPERMI2PS Z25, Z24, Z8")
		p("\tVPERMI2PS Z27, Z26, Z9")
		p("\tVBLENDMPS Z9, Z8, K7, Z8")
		if !masked {
			p("\tVADDPS Z8, Z%d, Z%d", 28+g, 28+g)
			continue
		}
		p("\tVADDPS Z8, Z%d, K1, Z%d", 28+g, 28+g)
		if g < 3 {
			p("\tKSHIFTRQ $16, K1, K1")
		}
	}
}

func epilogue() {
	for g := range 4 {
		p("\tVMOVUPS Z%d, %d(R9)", 28+g, 64*g)
	}
	p("\tVZEROUPPER")
	p("\tRET")
}

// top emits test i of those above the parts: it stands at place 0 of part i.
// Its outcomes go to K of the same number plus 1.
func top(i int) {
	p("\tMOVWLZX %d(R8), AX", 128*i)
	p("\tVMOVDQU8 (SI)(AX*8), Z8")
	p("\tVPBROADCASTB %d(R10), Z7", 64*i)
	p("\tVPCMPUB $5, Z7, Z8, K%d", i+1)
}

// rows emits the loop of walkRow for rows of up to width slots, for trees of
// depth 1 to 6 or for those in parts. A tree's leaf adds to the sum in X0 before
// the next tree's does.
func rows(width int, deep bool) {
	name := fmt.Sprintf("row%d", width)
	if deep {
		name += "deep"
	}
	p("")
	p("%s:", name)
	if deep {
		p("\tMOVL $1, DX        // heap index within the first tests")
		p("\tCMPQ R12, $7")
		p("\tJEQ %sLast", name)
		firstTest()
		p("")
		p("%sLast:", name)
		firstTest()
		p("\tSHLQ $6, DX")
		p("\tSUBQ R9, DX        // 64 times the number of the part")
	}
	offset := ""
	if deep {
		offset = "(DX*1)"
	}
	p("\tVMOVDQU64 (R8)%s, Z1", offset)
	pick(width)
	p("\tVPCMPUB $5, (R10)%s, Z1, K1", offset)
	p("\tKMOVQ K1, AX       // the outcome of each node, by heap index")
	p("\tMOVL $1, CX")
	for d := range maxDepth {
		if d > 0 && !deep {
			p("\tCMPQ R12, $%d", d)
			p("\tJEQ %sLeaf", name)
		}
		p("\tBTQ CX, AX")
		p("\tADCQ CX, CX")
	}
	p("")
	p("%sLeaf:", name)
	if deep {
		p("\tLEAQ (R11)(DX*4), DX")
		p("\tVADDSS -256(DX)(CX*4), X0, X0")
	} else {
		p("\tVADDSS (R11)(CX*4), X0, X0")
	}
	p("\tADDQ R9, R8")
	p("\tADDQ R9, R10")
	p("\tADDQ BX, R11")
	p("\tDECQ R13")
	p("\tJNZ %s", name)
	p("\tJMP rowDone")
}

// firstTest emits a test above the parts, the one with heap index DX: it stands
// at place 0 of part DX-1.
func firstTest() {
	p("\tMOVQ DX, CX")
	p("\tSHLQ $6, CX")
	p("\tMOVBLZX -64(R8)(CX*1), AX")
	p("\tMOVBLZX (SI)(AX*1), AX")
	p("\tCMPB AX, -64(R10)(CX*1)")
	p("\tCMC                // set where the row's byte is at least the rank")
	p("\tADCQ DX, DX")
}

func walkRow() {
	p("// func walkRow(t *perfectTrees, row *byte, slots int, sum float32) float32")
	p("TEXT ·walkRow(SB), NOSPLIT, $0-36")
	p("\tMOVQ t+0(FP), DI")
	p("\tMOVQ row+8(FP), SI")
	p("\tMOVQ slots+16(FP), DX")
	p("\tVMOVSS sum+24(FP), X0")
	p("\tMOVQ 8(DI), R10  // ranks: 64 bytes a tree or part")
	p("\tMOVQ 16(DI), R11 // leaves: 1<<depth a tree")
	p("\tMOVQ 24(DI), R12 // depth")
	p("\tMOVQ 32(DI), R13 // trees")
	p("\tMOVQ 40(DI), R8  // slots: 64 bytes a tree or part")
	for i := range 4 {
		p("\tVMOVDQU64 %d(SI), Z%d", 64*i, 16+i)
	}
	p("\tMOVQ R12, CX")
	p("\tMOVQ $4, BX")
	p("\tSHLQ CX, BX      // bytes of a tree's leaves")
	p("\tMOVQ $64, R9     // bytes of a tree's slots, and of its ranks")
	p("\tCMPQ R12, $7")
	p("\tJGE deep")
	p("\tSUBQ BX, R11     // a leaf is counted from the heap index of the first")
	p("\tCMPQ DX, $64")
	p("\tJLE row64")
	p("\tCMPQ DX, $128")
	p("\tJLE row128")
	p("\tJMP row256")
	p("")
	p("deep:")
	p("\tMOVQ BX, R9")
	p("\tSHRQ $2, R9      // a quarter of its leaves'")
	p("\tCMPQ DX, $64")
	p("\tJLE row64deep")
	p("\tCMPQ DX, $128")
	p("\tJLE row128deep")
	p("\tJMP row256deep")
	for _, deep := range []bool{false, true} {
		for _, width := range []int{64, 128, 256} {
			rows(width, deep)
		}
	}
	p("")
	p("rowDone:")
	p("\tVMOVSS X0, ret+32(FP)")
	p("\tVZEROUPPER")
	p("\tRET")
}

// walkKernels emits wide_amd64.s.
func walkKernels() {
	p("")
	prologue("walkWide", "$0")
	p("\tMOVQ R12, CX")
	p("\tMOVQ $4, BX")
	p("\tSHLQ CX, BX      // bytes of a tree's leaves")
	p("\tMOVQ $1, AX")
	p("\tSHLQ CX, AX")
	p("\tSUBQ $1, AX")
	p("\tVPBROADCASTB AX, Z4 // the bits of a place that number the leaf")
	p("")
	p("tree:")
	p("\tVMOVDQU64 (R10), Z1")
	p("\tVMOVDQA64 Z3, Z0")
	for d := range maxDepth {
		if d > 0 {
			p("\tCMPQ R12, $%d", d)
			p("\tJEQ leaves")
		}
		level(d)
	}
	p("")
	p("leaves:")
	leaves(false)
	p("\tADDQ $128, R8")
	p("\tADDQ $64, R10")
	p("\tADDQ BX, R11")
	p("\tDECQ R13")
	p("\tJNZ tree")
	p("")
	epilogue()

	p("")
	prologue("walkDeep", "$32")
	p("\tMOVL $63, AX")
	p("\tVPBROADCASTB AX, Z4")
	p("")
	p("tree:")
	top(0)
	p("\tKNOTQ K1, K2")
	p("\tKMOVQ K2, masks-32(SP)")
	p("\tKMOVQ K1, masks-24(SP)")
	p("\tMOVQ $2, CX       // parts")
	p("\tCMPQ R12, $7")
	p("\tJEQ parts")
	top(1)
	top(2)
	p("\tKANDNQ K2, K1, K4 // K2 &^ K1")
	p("\tKORQ K1, K2, K5")
	p("\tKNOTQ K5, K5")
	p("\tKANDNQ K1, K3, K6")
	p("\tKANDQ K1, K3, K7")
	for i, k := range []int{5, 4, 6, 7} {
		p("\tKMOVQ K%d, masks-%d(SP)", k, 32-8*i)
	}
	p("\tMOVQ $4, CX")
	p("")
	p("parts:")
	p("\tLEAQ masks-32(SP), DX")
	p("")
	p("part:")
	p("\tVMOVDQU64 (R10), Z1")
	p("\tVMOVDQA64 Z3, Z0")
	for d := range maxDepth {
		level(d)
	}
	p("\tKMOVQ (DX), K1")
	leaves(true)
	p("\tADDQ $8, DX")
	p("\tADDQ $128, R8")
	p("\tADDQ $64, R10")
	p("\tADDQ $256, R11")
	p("\tDECQ CX")
	p("\tJNZ part")
	p("\tDECQ R13")
	p("\tJNZ tree")
	p("")
	epilogue()

	p("")
	walkRow()
}
