// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !amd64 || purego

package heap

import (
	"math/bits"
	"unsafe"
)

// homes finds the homes of n hashes and asks for their lines. It stops at a hash of another key group, and returns how many
// it found.
func (p *probe) homes(hashes *uint64, n int, homes *addresses) int {
	// An entrance has the same words for all types.
	entrances := unsafe.Slice((*entrance[struct{}, struct{}])(p.entrances), p.count)
	for i, h := range unsafe.Slice(hashes, n) {
		group, rest := bits.Mul64(h, p.groups)
		if group -= p.first; group >= p.count {
			return i
		}
		e := &entrances[group]
		home, _ := bits.Mul64(rest*p.mix&tagMask, e.cap)
		homes[i&groupMask] = uintptr(unsafe.Pointer(e.slots)) + uintptr(home&p.homeMask)*p.slotBytes
	}
	prefetch(homes, n)
	return n
}

// advance moves homes that don't have their row to the slot behind, or to the line behind where slots share one, and asks for
// what it moved to.
func (c *chase) advance(hashes *uint64, n int, homes *addresses) {
	metas := (*[PrefetchGroup]*uint64)(unsafe.Pointer(homes))
	for i, h := range unsafe.Slice(hashes, n) {
		want := h*c.mix&tagMask | c.lendable
		away := differ(*metas[i&groupMask], want) & c.slotBytes
		away += differ(*behind(metas[i&groupMask], away), want) & c.neighbor
		homes[i&groupMask] += away
	}
	prefetch(homes, n)
}

// settle moves to the neighbor of a slot, where that has the row. It tells which rows are found by all ones, and asks for
// the line behind where they are not.
func (c *chase) settle(hashes *uint64, n int, slots, found *addresses) {
	metas := (*[PrefetchGroup]*uint64)(unsafe.Pointer(slots))
	for i, h := range unsafe.Slice(hashes, n) {
		want := h*c.mix&tagMask | c.lendable
		slots[i&groupMask] += differ(*metas[i&groupMask], want) & c.neighbor
		found[i&groupMask] = ^differ(*metas[i&groupMask], want)
	}
}

func behind(meta *uint64, bytes uintptr) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(meta), bytes))
}
