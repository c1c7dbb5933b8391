// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/bits"
)

// mean is an exact fraction of whole minutes.
type mean struct{ Sum, Count int64 }

func (m *mean) add(minutes int64) {
	m.Sum += minutes
	m.Count++
}

func (m *mean) merge(o *mean) {
	m.Sum += o.Sum
	m.Count += o.Count
}

// compare orders means without rounding, by cross multiplication; neither may be of nothing.
func (m *mean) compare(o *mean) int {
	aHi, aLo := mul(m.Sum, o.Count)
	bHi, bLo := mul(o.Sum, m.Count)
	switch {
	case aHi < bHi || aHi == bHi && aLo < bLo:
		return -1
	case aHi > bHi || aHi == bHi && aLo > bLo:
		return 1
	}
	return 0
}

// mul is the signed product in 128 bits; n is not negative.
func mul(a, n int64) (hi int64, lo uint64) {
	h, l := bits.Mul64(uint64(a), uint64(n))
	if a < 0 {
		h -= uint64(n)
	}
	return int64(h), l
}

// String has two decimals, rounded half away from zero, and no negative zero; a mean of nothing is empty.
func (m *mean) String() string {
	if m.Count == 0 {
		return ""
	}
	sum, sign := m.Sum, ""
	if sum < 0 {
		sum, sign = -sum, "-"
	}
	whole, rest := sum/m.Count, sum%m.Count
	cents := (rest*200 + m.Count) / (2 * m.Count)
	if cents == 100 {
		whole, cents = whole+1, 0
	}
	if whole == 0 && cents == 0 {
		sign = ""
	}
	return fmt.Sprintf("%s%d.%02d", sign, whole, cents)
}
