#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(R13), then
// argv, a null, envp, a null, auxv.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	MOVW	$·linked(SB), R1
	MOVW	$1, R2
	MOVW	R2, (R1)
	MOVW	(R13), R1
	ADD	$2, R1
	ADD	R1<<2, R13, R2
	MOVW	(R2), R5			// envp[0]
	CMP	$0, R5
	BEQ	start
	MOVW	$·marker(SB), R8
	MOVW	$const_markerLen, R6
compare:
	MOVBU	(R5), R1
	MOVBU	(R8), R2
	CMP	R1, R2
	BNE	start
	ADD	$1, R5
	ADD	$1, R8
	SUB.S	$1, R6
	BNE	compare

	// R5: the letter of this act, R8: its entry in the table. The kernel
	// takes the system call number in R7.
	MOVW	$·acts(SB), R8
	MOVW	$const_actCount, R6
next:
	MOVBU	(R5), R1
	CMP	$'-', R1
	BEQ	skip
	MOVW	act_letter(R8), R2
	CMP	R1, R2
	BNE	start
	MOVW	act_nr(R8), R7
	MOVW	act_a0(R8), R0
	MOVW	act_a1(R8), R1
	MOVW	$0, R2
	MOVW	$0, R3
	MOVW	$0, R4
	SWI	$0
	MOVW	R0, act_result(R8)
skip:
	ADD	$1, R5
	ADD	$act__size, R8
	SUB.S	$1, R6
	BNE	next
start:
	MOVW	$0, R0
	B	_rt0_arm_linux(SB)
