#include "textflag.h"

// func rankColumn(t *cutTable, x *float64, n int, dst *byte) (missing uint64)
TEXT ·rankColumn(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), DX
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ dst+24(FP), R8
	MOVQ 0(DX), DI           // pivots, then cuts
	MOVQ 8(DX), R11          // count
	MOVQ 16(DX), R12         // bytes of the sixteenths before the spare one
	XORQ R9, R9              // missing
	XORQ R10, R10            // row
	VMOVUPS (DI), Z0         // pivots

row:
	VMOVSD (SI)(R10*8), X1
	VCVTSD2SS X1, X1, X1
	VUCOMISS X1, X1
	JP absent
	VBROADCASTSS X1, Z2
	VCMPPS $18, Z2, Z0, K1   // pivots <= x
	KMOVW K1, AX
	POPCNTL AX, AX
	SHLQ $6, AX
	CMPQ AX, R12
	CMOVQGT R12, AX
	VMOVUPS 64(DI)(AX*1), Z3
	VCMPPS $18, Z2, Z3, K2   // cuts of that sixteenth <= x
	KMOVW K2, BX
	POPCNTL BX, BX
	SHRQ $2, AX
	ADDQ BX, AX
	CMPQ AX, R11
	CMOVQGT R11, AX
	MOVB AX, (R8)(R10*1)
	INCQ R10
	CMPQ R10, CX
	JLT row
	JMP done

absent:
	BTSQ R10, R9
	MOVB $0, (R8)(R10*1)
	INCQ R10
	CMPQ R10, CX
	JLT row

done:
	MOVQ R9, missing+32(FP)
	VZEROUPPER
	RET

// func rankRow(t *rowTable, n int, x *float64, row *byte)
TEXT ·rankRow(SB), NOSPLIT, $0-32
	MOVQ t+0(FP), DX
	MOVQ n+8(FP), CX
	MOVQ x+16(FP), SI
	MOVQ row+24(FP), R8

feature:
	MOVQ 24(DX), AX          // number of the feature
	MOVLQZX 32(DX), R9       // its slots
	MOVLQZX 36(DX), R10
	VMOVSD (SI)(AX*8), X1
	VCVTSD2SS X1, X1, X1
	VUCOMISS X1, X1
	JP absent
	MOVQ 0(DX), DI           // pivots, then cuts
	VBROADCASTSS X1, Z2
	VCMPPS $29, (DI), Z2, K1 // x >= pivots
	KMOVW K1, AX
	POPCNTL AX, AX
	SHLQ $6, AX
	MOVQ 16(DX), R12         // bytes of the sixteenths before the spare one
	CMPQ AX, R12
	CMOVQGT R12, AX
	VCMPPS $29, 64(DI)(AX*1), Z2, K2 // x >= cuts of that sixteenth
	KMOVW K2, BX
	POPCNTL BX, BX
	SHRQ $2, AX
	ADDQ BX, AX
	MOVQ 8(DX), R11          // count
	CMPQ AX, R11
	CMOVQGT R11, AX
	MOVB AX, (R8)(R9*1)
	MOVB AX, (R8)(R10*1)

next:
	ADDQ $40, DX
	DECQ CX
	JNZ feature
	VZEROUPPER
	RET

absent:
	MOVB $0, (R8)(R9*1)
	MOVB $255, (R8)(R10*1)
	JMP next
