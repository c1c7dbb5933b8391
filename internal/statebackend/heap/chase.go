// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import "unsafe"

// The rounds in which a group of rows is found go by addresses and meta words alone, so that they are compiled once for all
// tables, and are in assembly for one architecture: a jump or a word too much in them is paid for each record. Assembly
// knows the layout of probe, chase and entrance.

// probe is what homes are found by.
type probe struct {
	groups, first, mix uint64
	entrances          unsafe.Pointer
	count              uint64
	slotBytes          uintptr
	homeMask           uint64
}

// chase is what rows are found by from their homes on.
type chase struct {
	mix, lendable       uint64
	slotBytes, neighbor uintptr
}

// neighbor is how many bytes behind a slot the row with a meta word may be, if the slot has another: of two slots in a line
// the right one, more often than not. Slots that are larger have their rows at home.
func neighbor(meta, want uint64, slotBytes uintptr) uintptr {
	if slotBytes > lineBytes/2 {
		return 0
	}
	return differ(meta, want) & slotBytes
}

// differ is all ones where two words differ, else zero.
func differ(a, b uint64) uintptr {
	d := int64(a ^ b)
	return uintptr((d | -d) >> 63)
}
