// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import "unsafe"

const (
	// PrefetchGroup is how many rows ahead a caller should prefetch: enough to hide memory, few enough to stay in the cache.
	PrefetchGroup = 64
	// Tables below prefetchBytesMin are in the cache anyway.
	prefetchBytesMin = 256 << 10
)

// Prefetch asks for the slots of up to PrefetchGroup hashes, whose rows are needed soon; of more, the rest is not looked
// at. It changes nothing but the speed of the calls that follow.
func (t *Table[K, S]) Prefetch(hashes []uint64) {
	if !canPrefetch || t.slotBytes < prefetchBytesMin {
		return
	}
	var at [PrefetchGroup]unsafe.Pointer
	n := 0
	for _, h := range hashes[:min(len(hashes), PrefetchGroup)] {
		sg, tag := t.place(h, 0)
		if len(sg.slots) > 0 {
			at[n] = unsafe.Pointer(&sg.slots[sg.home(tag)])
			n++
		}
	}
	prefetch(&at, n)
}
