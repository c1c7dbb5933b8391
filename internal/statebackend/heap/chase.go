// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import "unsafe"

// The rounds in which a group of rows is found go by addresses and words alone, so that they are compiled once for all
// tables, and are in assembly for one architecture: a jump or a word too much in them is paid for each record. Assembly
// knows the layout of entrance; where the fields of the types here are, it has from the compiler.

// probe is what rows of a table are found by.
type probe struct {
	// groups is how many key groups there are in all; the table has count, from first on.
	groups, first uint64
	// mix remixes what a hash has below its group.
	mix       uint64
	entrances unsafe.Pointer
	count     uint64
	slotBytes uintptr
	homeMask  uint64
	// lendable is the low part of the meta word of rows that can be lent as they are: those written in this epoch, or
	// none, by a value that no slot has, where rows expire.
	lendable uint64
}

// search is where the rows of a group are looked for, and the meta words that their slots have.
type search struct{ slots, wants addresses }

// findings are the rows of a group, and, in their order, the first of missed, which are not found.
type findings struct {
	rows   addresses
	missed [PrefetchGroup]uint8
}

const _ uint8 = groupMask // fits into missed

// stateAt is where the state of a slot is: behind the meta word, as nothing is aligned to more than that.
const stateAt = unsafe.Sizeof(slot[uint64, uint64]{}.meta)

// chase is the first round for the n hashes of next, and the second one for the m rows of now; each may be none. The first
// notes homes, for which ask asks later, and meta words. It stops at a hash of another key group, and chase returns how
// many it has found. The second moves on to the slot behind a home that doesn't have the row, or to the one behind that;
// it asks for what it moves to.
func (p *probe) chase(hashes *uint64, n int, next *search, m int, now *search) int {
	return chase(p, hashes, n, next, m, now)
}

// settle is the third round for the n rows of s. It moves to the slot behind, where that has the row, compares keys, of a
// word each, with what slots have at keyAt, and asks for what is behind slots without their row. It returns how many are
// missed.
func (p *probe) settle(s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int {
	return settle(p, s, n, keys, keyAt, f)
}

// walk is the last round, for the rows that are missed. It goes on slot by slot: one row in 26 lies so far off. It is
// not inlined, as settle is not: the compiler takes it that memory with pointers is never written as numbers.
//
//go:noinline
func (p *probe) walk(s *search, f *findings, missed int) {
	for _, i := range f.missed[:missed] {
		want := uint64(s.wants[i&groupMask])
		at := (*[PrefetchGroup]*uint64)(unsafe.Pointer(&s.slots))[i&groupMask]
		for {
			at = wordAt(at, p.slotBytes)
			if *at == want {
				f.rows[i&groupMask] = uintptr(unsafe.Pointer(at)) + stateAt
				break
			}
			if *at == 0 || (*at^want)&^epochMask == 0 {
				break
			}
		}
	}
}

// neighbor is how many bytes behind a slot the row with a meta word may be, if the slot has another: of two slots in a line
// the right one, more often than not. Slots that are larger have their rows at home.
func neighbor(meta, want uint64, slotBytes uintptr) uintptr {
	if slotBytes > lineBytes/2 {
		return 0
	}
	return differ(meta, want) & slotBytes
}

// wordAt is the word so many bytes behind another one.
func wordAt(word *uint64, bytes uintptr) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(word), bytes))
}

// differ is all ones where two words differ, else zero.
func differ(a, b uint64) uintptr {
	d := int64(a ^ b)
	return uintptr((d | -d) >> 63)
}
