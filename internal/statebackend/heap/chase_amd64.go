// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

package heap

import "unsafe"

// chase is the first round for the n hashes of next, and the second one for the m rows of now; each may be none. The first
// notes homes and meta words, and asks for their lines. It stops at a hash of another key group, and chase returns how many
// it has found. The second moves on to the slot behind a home that doesn't have the row, or to the one behind that; it asks
// for what it moves to.
func (p *probe) chase(hashes *uint64, n int, next *search, m int, now *search) int {
	return chase(p, hashes, n, next, m, now)
}

// settle is the third round for the n rows of s. It moves to the slot behind, where that has the row, compares keys, of a
// word each, with what slots have at keyAt, and asks for what is behind slots without their row. It returns how many are
// missed.
func (p *probe) settle(s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int {
	return settle(p, s, n, keys, keyAt, f)
}

//go:noescape
func chase(p *probe, hashes *uint64, n int, next *search, m int, now *search) int

//go:noescape
func settle(p *probe, s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int
