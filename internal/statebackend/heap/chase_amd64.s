// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// What is compared and moved here is told by Go in chase_go.go.

#define slot(s) search_slots(s)(BX*8)
#define want(s) search_wants(s)(BX*8)

// HOME is the first round for hash BX of next: MULQ leaves the key group in DX, and the rest of the hash in AX.
#define HOME \
	MOVQ       (SI)(BX*8), AX             \
	MULQ       R8                         \
	SUBQ       probe_first(R15), DX       \
	CMPQ       DX, probe_count(R15)       \
	JAE        done                       \
	IMULQ      R10, AX                    \
	ANDQ       $~0xffffff, AX             \ // tagMask
	SHLQ       $4, DX                     \
	MOVQ       (R11)(DX*1), R14           \ // entrance.slots
	LEAQ       (AX)(R9*1), R13            \
	MOVQ       R13, want(DI)              \
	MULQ       8(R11)(DX*1)               \ // entrance.cap
	ANDQ       probe_homeMask(R15), DX    \
	IMULQ      R12, DX                    \
	ADDQ       R14, DX                    \
	MOVQ       DX, slot(DI)

// ADVANCE is the second round for row BX of now. The slot that is compared second is the same where it was equal.
#define ADVANCE \
	MOVQ       want(CX), AX               \
	MOVQ       slot(CX), DX               \
	LEAQ       (DX)(R12*1), R13           \
	LEAQ       (DX)(R12*2), R14           \
	CMPQ       AX, (DX)                   \
	CMOVQNE    R13, DX                    \
	CMPQ       AX, (DX)                   \
	CMOVQNE    R14, DX                    \
	PREFETCHT0 (DX)                       \
	MOVQ       DX, slot(CX)

// func chase(p *probe, hashes *uint64, n int, next *search, m int, now *search) int
TEXT ·chase(SB), NOSPLIT, $8-56
	MOVQ    p+0(FP), R15
	MOVQ    hashes+8(FP), SI
	MOVQ    n+16(FP), R12
	MOVQ    next+24(FP), DI
	MOVQ    now+40(FP), CX
	MOVQ    probe_groups(R15), R8
	MOVQ    probe_lendable(R15), R9
	MOVQ    probe_mix(R15), R10
	MOVQ    probe_entrances(R15), R11
	MOVQ    m+32(FP), AX
	CMPQ    R12, AX
	CMOVQGT AX, R12
	MOVQ    R12, both-8(SP)
	MOVQ    probe_slotBytes(R15), R12
	XORQ    BX, BX
	JMP     nextBoth

loopBoth:
	HOME
	ADVANCE
	INCQ BX

nextBoth:
	CMPQ BX, both-8(SP)
	JLT  loopBoth
	JMP  nextHome

loopHome:
	HOME
	INCQ BX

nextHome:
	CMPQ BX, n+16(FP)
	JLT  loopHome
	MOVQ both-8(SP), BX
	JMP  nextAdvance

loopAdvance:
	ADVANCE
	INCQ BX

nextAdvance:
	CMPQ BX, m+32(FP)
	JLT  loopAdvance
	MOVQ n+16(FP), BX

done:
	MOVQ BX, ret+48(FP)
	RET

// func settle(p *probe, s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int
TEXT ·settle(SB), NOSPLIT, $0-56
	MOVQ p+0(FP), R15
	MOVQ s+8(FP), DI
	MOVQ n+16(FP), CX
	MOVQ keys+24(FP), SI
	MOVQ keyAt+32(FP), R11
	MOVQ f+40(FP), R8
	MOVQ probe_slotBytes(R15), R10
	XORQ R15, R15
	XORQ BX, BX
	XORQ R9, R9
	JMP  next

loop:
	MOVQ       want(DI), AX
	MOVQ       slot(DI), DX
	LEAQ       (DX)(R10*1), R13
	CMPQ       AX, (DX)
	CMOVQNE    R13, DX
	MOVQ       DX, slot(DI)
	MOVQ       (SI)(BX*8), R13
	LEAQ       (DX)(R10*2), R12
	LEAQ       8(DX), R14                    // the row
	MOVB       BX, findings_missed(R8)(R9*1) // unless the next one is
	XORQ       (DX), AX
	XORQ       (DX)(R11*1), R13
	ORQ        R13, AX
	CMOVQEQ    DX, R12
	CMOVQNE    R15, R14
	PREFETCHT0 (R12)
	MOVQ       R14, findings_rows(R8)(BX*8)
	NEGQ       AX
	ADCQ       $0, R9
	INCQ       BX

next:
	CMPQ BX, CX
	JLT  loop
	MOVQ R9, ret+48(FP)
	RET
