#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(X2), then
// argv, a null, envp, a null, auxv.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	MOV	$1, T0
	MOV	T0, ·linked(SB)
	MOV	0(X2), T0
	ADD	$2, T0
	SLL	$3, T0
	ADD	X2, T0
	MOV	0(T0), S2			// envp[0]
	BEQZ	S2, start
	MOV	$·marker(SB), S3
	MOV	$const_markerLen, S4
compare:
	MOVBU	(S2), T0
	MOVBU	(S3), T1
	BNE	T0, T1, start
	ADD	$1, S2
	ADD	$1, S3
	ADD	$-1, S4
	BNEZ	S4, compare

	// S2: the letter of this act, S3: its entry in the table.
	MOV	$·acts(SB), S3
	MOV	$const_actCount, S4
next:
	MOVBU	(S2), T0
	MOV	$'-', T1
	BEQ	T0, T1, skip
	MOV	act_letter(S3), T1
	BNE	T0, T1, start
	MOV	act_nr(S3), A7
	MOV	act_a0(S3), A0
	MOV	act_a1(S3), A1
	MOV	$0, A2
	MOV	$0, A3
	MOV	$0, A4
	MOV	$0, A5
	ECALL
	MOV	A0, act_result(S3)
skip:
	ADD	$1, S2
	ADD	$act__size, S3
	ADD	$-1, S4
	BNEZ	S4, next
start:
	MOV	$0, A0
	JMP	_rt0_riscv64_linux(SB)
