// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math/bits"
	"unsafe"
)

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
	if len(hashes) > PrefetchGroup {
		hashes = hashes[:PrefetchGroup]
	}
	var at [PrefetchGroup]unsafe.Pointer
	groups, first, mix, entrances := t.groups, t.first, t.mix, t.entrances
	for i, h := range hashes {
		group, rest := bits.Mul64(h, groups)
		at[i&(PrefetchGroup-1)] = unsafe.Pointer(entrances[group-first].at(rest * mix & tagMask))
	}
	prefetch(&at, len(hashes))
}

// prefetchWhole is Prefetch for slots of more than one line, of which Prefetch asks for the first.
func (t *Table[K, S]) prefetchWhole(hashes []uint64) {
	t.Prefetch(hashes)
	if size := slotBytes[K, S](); !canPrefetch || t.slotBytes < prefetchBytesMin || size <= lineBytes {
		return
	}
	hashes = hashes[:min(len(hashes), PrefetchGroup)]
	var at [PrefetchGroup]unsafe.Pointer
	for i, h := range hashes {
		group, rest := bits.Mul64(h, t.groups)
		home := unsafe.Pointer(t.entrances[group-t.first].at(rest * t.mix & tagMask))
		at[i&(PrefetchGroup-1)] = unsafe.Add(home, lineBytes)
	}
	prefetch(&at, len(hashes))
}
