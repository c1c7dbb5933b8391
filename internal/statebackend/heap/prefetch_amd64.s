// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "textflag.h"

// func prefetch(at *addresses, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ at+0(FP), AX
	MOVQ n+8(FP), CX
	TESTQ CX, CX
	JLE  done

loop:
	MOVQ       (AX), BX
	PREFETCHT0 (BX)
	ADDQ       $8, AX
	DECQ       CX
	JNZ        loop

done:
	RET
