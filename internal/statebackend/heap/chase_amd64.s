// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "textflag.h"

// What is compared and moved here is told by Go in chase_go.go.

// func findHomes(p *probe, hashes *uint64, n int, homes *addresses) int
TEXT ·findHomes(SB), NOSPLIT, $0-40
	MOVQ p+0(FP), R15
	MOVQ hashes+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ homes+24(FP), DI
	MOVQ 0(R15), R8   // groups
	MOVQ 8(R15), R9   // first
	MOVQ 16(R15), R10 // mix
	MOVQ 24(R15), R11 // entrances
	MOVQ 32(R15), R12 // count
	MOVQ 40(R15), R13 // slotBytes
	MOVQ 48(R15), R15 // homeMask
	XORQ BX, BX
	JMP  next

loop:
	MOVQ       (SI)(BX*8), AX
	MULQ       R8             // DX is the key group, AX the rest
	SUBQ       R9, DX
	CMPQ       DX, R12
	JAE        done
	IMULQ      R10, AX
	ANDQ       $~0xffffff, AX // tagMask
	SHLQ       $4, DX
	ADDQ       R11, DX
	MOVQ       (DX), R14      // entrance.slots
	MULQ       8(DX)          // entrance.cap
	ANDQ       R15, DX
	IMULQ      R13, DX
	ADDQ       R14, DX
	PREFETCHT0 (DX)
	MOVQ       DX, (DI)(BX*8)
	INCQ       BX

next:
	CMPQ BX, CX
	JLT  loop

done:
	MOVQ BX, ret+32(FP)
	RET

// func advance(c *chase, hashes *uint64, n int, homes *addresses)
TEXT ·advance(SB), NOSPLIT, $0-32
	MOVQ c+0(FP), R15
	MOVQ hashes+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ homes+24(FP), DI
	MOVQ 0(R15), R8       // mix
	MOVQ 8(R15), R9       // lendable
	MOVQ 16(R15), R10     // slotBytes
	MOVQ 24(R15), R11     // neighbor
	ADDQ R10, R11         // how far to go at most
	XORQ BX, BX
	JMP  next

loop:
	MOVQ       (SI)(BX*8), AX
	IMULQ      R8, AX
	ANDQ       $~0xffffff, AX // tagMask
	ORQ        R9, AX         // what the row has for a meta word
	MOVQ       (DI)(BX*8), DX
	LEAQ       (DX)(R10*1), R12
	LEAQ       (DX)(R11*1), R13
	CMPQ       AX, (DX)
	CMOVQNE    R12, DX
	CMPQ       AX, (DX)       // again the same, where it was equal
	CMOVQNE    R13, DX
	PREFETCHT0 (DX)
	MOVQ       DX, (DI)(BX*8)
	INCQ       BX

next:
	CMPQ BX, CX
	JLT  loop
	RET

// func settle(c *chase, hashes *uint64, n int, slots, found *addresses)
TEXT ·settle(SB), NOSPLIT, $0-40
	MOVQ c+0(FP), R15
	MOVQ hashes+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ slots+24(FP), DI
	MOVQ found+32(FP), R14
	MOVQ 0(R15), R8        // mix
	MOVQ 8(R15), R9        // lendable
	MOVQ 24(R15), R11      // neighbor
	XORQ BX, BX
	JMP  next

loop:
	MOVQ       (SI)(BX*8), AX
	IMULQ      R8, AX
	ANDQ       $~0xffffff, AX // tagMask
	ORQ        R9, AX
	MOVQ       (DI)(BX*8), DX
	LEAQ       (DX)(R11*1), R12
	CMPQ       AX, (DX)
	CMOVQNE    R12, DX
	MOVQ       DX, (DI)(BX*8)
	LEAQ       64(DX), R12
	MOVQ       $-1, R13
	MOVQ       $0, R10
	CMPQ       AX, (DX)
	CMOVQNE    R10, R13
	CMOVQEQ    DX, R12
	PREFETCHT0 (R12)
	MOVQ       R13, (R14)(BX*8)
	INCQ       BX

next:
	CMPQ BX, CX
	JLT  loop
	RET
