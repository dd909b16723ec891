#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(RSP), then
// argv, a null, envp, a null, auxv.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	MOVD	$1, R1
	MOVD	R1, ·linked(SB)
	MOVD	0(RSP), R1
	ADD	$2, R1
	MOVD	RSP, R2
	ADD	R1<<3, R2
	MOVD	0(R2), R19			// envp[0]
	CBZ	R19, start
	MOVD	$·marker(SB), R20
	MOVD	$const_markerLen, R21
compare:
	MOVBU	(R19), R1
	MOVBU	(R20), R2
	CMP	R1, R2
	BNE	start
	ADD	$1, R19
	ADD	$1, R20
	SUBS	$1, R21
	BNE	compare

	// R19: the letter of this act, R20: its entry in the table.
	MOVD	$·acts(SB), R20
	MOVD	$const_actCount, R21
next:
	MOVBU	(R19), R1
	CMP	$'-', R1
	BEQ	skip
	MOVD	act_letter(R20), R2
	CMP	R1, R2
	BNE	start
	MOVD	act_nr(R20), R8
	MOVD	act_a0(R20), R0
	MOVD	act_a1(R20), R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$0, R5
	SVC
	MOVD	R0, act_result(R20)
skip:
	ADD	$1, R19
	ADD	$act__size, R20
	SUBS	$1, R21
	BNE	next
start:
	MOVD	$0, R0
	JMP	_rt0_arm64_linux(SB)
