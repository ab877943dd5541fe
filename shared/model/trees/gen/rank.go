package main

import "fmt"

// A rank is found in two steps, a vector of sixteen each, without a branch: how
// many pivots, every sixteenth cut, are at most x says in which sixteenth x lies, and
// how many cuts of that sixteenth are at most x says where in it.

// rank emits in AX the rank of the value in all of Z2, of size bytes, in the table
// at DI: pivots, then cuts. What is in front of it are the loads of the bytes of
// cuts before the spare sixteenth to R12, and of the count to R11.
func rank(size int) {
	// x >= vector, counted in reg.
	count := func(offset, reg, index string) {
		if size == 4 {
			p("\tVCMPPS $29, %s(DI)%s, Z2, K1", offset, index)
			p("\tKMOVW K1, %s", reg)
		} else {
			p("\tVCMPPD $29, %s(DI)%s, Z2, K1", offset, index)
			p("\tVCMPPD $29, 64+%s(DI)%s, Z2, K2", offset, index)
			p("\tKUNPCKBW K1, K2, K1")
			p("\tKMOVW K1, %s", reg)
		}
		p("\tPOPCNTL %s, %s", reg, reg)
	}
	shift := 4
	for 1<<shift < 16*size {
		shift++
	}
	count("0", "AX", "")
	p("\tSHLQ $%d, AX", shift)
	p("\tCMPQ AX, R12")
	p("\tCMOVQGT R12, AX")
	count(fmt.Sprint(16*size), "BX", "(AX*1)")
	p("\tSHRQ $%d, AX", shift-4)
	p("\tADDQ BX, AX")
	p("\tCMPQ AX, R11")
	p("\tCMOVQGT R11, AX // +Inf is at least what pads the table")
}

// value emits the value at an address in all of Z2, and a jump where it is NaN.
func value(size int, address, absent string) {
	p("\tVMOVSD %s, X1", address)
	if size == 4 {
		p("\tVCVTSD2SS X1, X1, X1")
		p("\tVUCOMISS X1, X1")
		p("\tJP %s", absent)
		p("\tVBROADCASTSS X1, Z2")
	} else {
		p("\tVUCOMISD X1, X1")
		p("\tJP %s", absent)
		p("\tVBROADCASTSD X1, Z2")
	}
}

func rankColumn(size int) {
	p("")
	p("// func rankColumn%d(t *cutTable, x *float64, n int, dst *byte) (missing uint64)", 8*size)
	p("TEXT ·rankColumn%d(SB), NOSPLIT, $0-40", 8*size)
	p("\tMOVQ t+0(FP), DX")
	p("\tMOVQ x+8(FP), SI")
	p("\tMOVQ n+16(FP), CX")
	p("\tMOVQ dst+24(FP), R8")
	p("\tMOVQ 0(DX), DI   // pivots, then cuts")
	p("\tMOVQ 8(DX), R11  // count")
	p("\tMOVQ 16(DX), R12 // bytes of the sixteenths before the spare one")
	p("\tXORQ R9, R9      // missing")
	p("\tXORQ R10, R10    // row")
	p("")
	p("row:")
	value(size, "(SI)(R10*8)", "absent")
	rank(size)
	p("\tMOVB AX, (R8)(R10*1)")
	p("\tINCQ R10")
	p("\tCMPQ R10, CX")
	p("\tJLT row")
	p("\tJMP done")
	p("")
	p("absent:")
	p("\tBTSQ R10, R9")
	p("\tMOVB $0, (R8)(R10*1)")
	p("\tINCQ R10")
	p("\tCMPQ R10, CX")
	p("\tJLT row")
	p("")
	p("done:")
	p("\tMOVQ R9, missing+32(FP)")
	p("\tVZEROUPPER")
	p("\tRET")
}

func rankRow(size int) {
	p("")
	p("// func rankRow%d(t *rowTable, n int, x *float64, row *byte)", 8*size)
	p("TEXT ·rankRow%d(SB), NOSPLIT, $0-32", 8*size)
	p("\tMOVQ t+0(FP), DX")
	p("\tMOVQ n+8(FP), CX")
	p("\tMOVQ x+16(FP), SI")
	p("\tMOVQ row+24(FP), R8")
	p("")
	p("feature:")
	p("\tMOVQ 24(DX), AX     // number of the feature")
	p("\tMOVLQZX 32(DX), R9  // its slots")
	p("\tMOVLQZX 36(DX), R10")
	value(size, "(SI)(AX*8)", "absent")
	p("\tMOVQ 0(DX), DI      // pivots, then cuts")
	p("\tMOVQ 8(DX), R11     // count")
	p("\tMOVQ 16(DX), R12    // bytes of the sixteenths before the spare one")
	rank(size)
	p("\tMOVB AX, (R8)(R9*1)")
	p("\tMOVB AX, (R8)(R10*1)")
	p("")
	p("next:")
	p("\tADDQ $40, DX")
	p("\tDECQ CX")
	p("\tJNZ feature")
	p("\tVZEROUPPER")
	p("\tRET")
	p("")
	p("absent:")
	p("\tMOVB $0, (R8)(R9*1)")
	p("\tMOVB $255, (R8)(R10*1)")
	p("\tJMP next")
}

// rankKernels emits rank_amd64.s.
func rankKernels() {
	for _, size := range []int{4, 8} {
		rankColumn(size)
		rankRow(size)
	}
}
