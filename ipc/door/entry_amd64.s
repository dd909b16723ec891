#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(SP), then
// argv, a null, envp, a null, auxv.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$1, ·linked(SB)
	MOVQ	0(SP), AX
	MOVQ	16(SP)(AX*8), R12		// envp[0]
	TESTQ	R12, R12
	JEQ	start
	LEAQ	·marker(SB), BX
	MOVQ	$const_markerLen, R13
compare:
	MOVBLZX	(R12), AX
	CMPB	AX, (BX)
	JNE	start
	INCQ	R12
	INCQ	BX
	DECQ	R13
	JNE	compare

	// R12: the letter of this act, BX: its entry in the table.
	LEAQ	·acts(SB), BX
	MOVQ	$const_actCount, R13
next:
	MOVBLZX	(R12), AX
	CMPQ	AX, $'-'
	JEQ	skip
	CMPQ	AX, act_letter(BX)
	JNE	start
	MOVQ	act_nr(BX), AX
	MOVQ	act_a0(BX), DI
	MOVQ	act_a1(BX), SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	XORL	R9, R9
	SYSCALL
	MOVQ	AX, act_result(BX)
skip:
	INCQ	R12
	ADDQ	$act__size, BX
	DECQ	R13
	JNE	next
start:
	XORL	DX, DX
	JMP	_rt0_amd64_linux(SB)
