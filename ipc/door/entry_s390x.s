#include "go_asm.h"
#include "textflag.h"

// The ELF entry point: see doc.go. The kernel has put argc at 0(R15), then
// argv, a null, envp, a null, auxv.
TEXT _slirp4netns_door(SB),NOSPLIT|NOFRAME,$0
	MOVD	$1, R2
	MOVD	$·linked(SB), R3
	MOVD	R2, (R3)
	MOVD	0(R15), R2
	ADD	$2, R2
	SLD	$3, R2
	ADD	R15, R2
	MOVD	0(R2), R7			// envp[0]
	CMPBEQ	R7, $0, start
	MOVD	$·marker(SB), R9
	MOVD	$const_markerLen, R8
compare:
	MOVBZ	(R7), R2
	MOVBZ	(R9), R3
	CMPBNE	R2, R3, start
	ADD	$1, R7
	ADD	$1, R9
	ADD	$-1, R8
	CMPBNE	R8, $0, compare

	// R7: the letter of this act, R9: its entry in the table.
	MOVD	$·acts(SB), R9
	MOVD	$const_actCount, R8
next:
	MOVBZ	(R7), R2
	CMPBEQ	R2, $'-', skip
	MOVD	act_letter(R9), R3
	CMPBNE	R2, R3, start
	MOVD	act_nr(R9), R1
	MOVD	act_a0(R9), R2
	MOVD	act_a1(R9), R3
	MOVD	$0, R4
	MOVD	$0, R5
	MOVD	$0, R6
	SYSCALL
	MOVD	R2, act_result(R9)
skip:
	ADD	$1, R7
	ADD	$act__size, R9
	ADD	$-1, R8
	CMPBNE	R8, $0, next
start:
	BR	_rt0_s390x_linux(SB)
