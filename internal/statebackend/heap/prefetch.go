// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

const (
	// PrefetchGroup is how many rows are looked up together: enough to hide memory, few enough to stay in the cache.
	PrefetchGroup = 128
	groupMask     = PrefetchGroup - 1
	// Tables below prefetchBytesMin are in the cache anyway.
	prefetchBytesMin = 256 << 10
)

// addresses are those of a group of slots or rows. They are numbers, so that noting one costs no look at what the garbage
// collector is doing; it need not see them, as segments hold all slots, and slots do not move.
type addresses [PrefetchGroup]uintptr
