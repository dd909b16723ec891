#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(R1), then
// argv, a null, envp, a null, auxv. The assembler takes R0 for zero, which
// nobody has seen to yet. R13 must reach the runtime as it came.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	XOR	R0, R0
	MOVD	$1, R14
	MOVD	$·linked(SB), R15
	MOVD	R14, (R15)
	MOVD	0(R1), R14
	ADD	$2, R14
	SLD	$3, R14
	ADD	R1, R14
	MOVD	0(R14), R16			// envp[0]
	CMP	R16, $0
	BEQ	start
	MOVD	$·marker(SB), R17
	MOVD	$const_markerLen, R18
compare:
	MOVBZ	(R16), R14
	MOVBZ	(R17), R15
	CMP	R14, R15
	BNE	start
	ADD	$1, R16
	ADD	$1, R17
	ADD	$-1, R18
	CMP	R18, $0
	BNE	compare

	// R16: the letter of this act, R17: its entry in the table.
	MOVD	$·acts(SB), R17
	MOVD	$const_actCount, R18
next:
	MOVBZ	(R16), R14
	CMP	R14, $'-'
	BEQ	skip
	MOVD	act_letter(R17), R15
	CMP	R14, R15
	BNE	start
	MOVD	act_nr(R17), R9
	MOVD	act_a0(R17), R3
	MOVD	act_a1(R17), R4
	MOVD	$0, R5
	MOVD	$0, R6
	MOVD	$0, R7
	MOVD	$0, R8
	SYSCALL	R9				// moves R9 to R0, and zeroes R0 again
	BVC	positive			// an error is a flag and a positive number
	NEG	R3, R3
positive:
	MOVD	R3, act_result(R17)
skip:
	ADD	$1, R16
	ADD	$act__size, R17
	ADD	$-1, R18
	CMP	R18, $0
	BNE	next
start:
	BR	_rt0_ppc64le_linux(SB)
