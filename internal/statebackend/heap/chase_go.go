// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !amd64 || purego

package heap

import (
	"math/bits"
	"unsafe"
)

func chase(p *probe, hashes *uint64, n int, next *search, m int, now *search) int {
	// An entrance has the same words for all types.
	entrances := unsafe.Slice((*entrance[struct{}, struct{}])(p.entrances), p.count)
	for i, h := range unsafe.Slice(hashes, n) {
		group, rest := bits.Mul64(h, p.groups)
		if group -= p.first; group >= p.count {
			return i
		}
		e := &entrances[group]
		tag := rest * p.mix & tagMask
		home, _ := bits.Mul64(tag, e.cap)
		next.slots[i&groupMask] = uintptr(unsafe.Pointer(e.slots)) + uintptr(home&p.homeMask)*p.slotBytes
		next.wants[i&groupMask] = uintptr(tag | p.lendable)
	}
	if m == 0 {
		return n
	}
	metas := (*[PrefetchGroup]*uint64)(unsafe.Pointer(&now.slots))
	for i := range m {
		want := uint64(now.wants[i&groupMask])
		away := differ(*metas[i&groupMask], want) & p.slotBytes
		away += differ(*wordAt(metas[i&groupMask], away), want) & p.slotBytes
		now.slots[i&groupMask] += away
	}
	prefetch(&now.slots, m)
	return n
}

//go:noinline
func settle(p *probe, s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int {
	metas := (*[PrefetchGroup]*uint64)(unsafe.Pointer(&s.slots))
	missed := 0
	var ahead addresses
	for i, key := range unsafe.Slice((*uint64)(keys), n) {
		want := uint64(s.wants[i&groupMask])
		slot := metas[i&groupMask]
		slot = wordAt(slot, differ(*slot, want)&p.slotBytes)
		s.slots[i&groupMask] = uintptr(unsafe.Pointer(slot)) // read as a pointer by later calls only
		miss := differ(*slot, want) | differ(*wordAt(slot, keyAt), key)
		f.rows[i&groupMask] = (s.slots[i&groupMask] + stateAt) &^ miss
		f.missed[missed&groupMask] = uint8(i)
		missed += int(miss & 1)
		ahead[i&groupMask] = s.slots[i&groupMask] + 2*p.slotBytes&miss
	}
	prefetch(&ahead, n)
	return missed
}
