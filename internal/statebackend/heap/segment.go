// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math/bits"
	"unsafe"
)

// segment is the rows of one key group: open addressing with linear probing, without wrapping around.
//
//	slots  |<-------------- cap: homes of tags, in order -------------->|<- tail ->|
//	                                                              always empty: ^
//
// Invariant: a row is at or behind its home, and no slot between is empty.
type segment[K comparable, S any] struct {
	slots []slot[K, S]
	// cap is the number of slots before the tail, and the bound of homes.
	cap uint64
	// live and dead count rows and tombstones; when they reach limit, the segment grows.
	live, dead, limit int
	// dirty is the epoch of the last write.
	dirty uint64
	index int
	// stamps has the times of the last write of the fields with a time to live, width of them for each slot.
	stamps []int64
	width  int

	// rows and tombs are what a running snapshot holds back, nil if there is nothing.
	rows, tombs *buffer[K, S]
}

const (
	capMin = 8
	// A segment grows when loadNum of loadDen slots are taken: fuller ones are searched longer.
	loadNum, loadDen = 3, 5
	// A segment of capJitter slots or more has a size that depends on its index, so that the segments of a table don't all
	// grow at the same time.
	capJitter = 64
	// A segment grows by a part of its slots: the smaller the part, the less memory is vacant, and the more often rows move.
	// Where rows lie beside the table, a slot is little next to its row.
	growthParts, growthPartsBoxed = 3, 1
	tailMax                       = 64
	// lookedAt is how many slots from a home on there are at least: those of the rounds of Resolve, and the one behind.
	lookedAt = 5
	// lineBytes is the size of a line of the cache.
	lineBytes = 64
)

// entrance is what a look-up needs of a segment. Those of a table lie together and stay in the cache.
type entrance[K comparable, S any] struct {
	slots *slot[K, S]
	cap   uint64
}

// at is the home of a tag. There is a slot behind it, and behind each that is not empty.
func (e *entrance[K, S]) at(tag uint64) *slot[K, S] {
	i, _ := bits.Mul64(tag, e.cap)
	return e.slots.skip(uintptr(i&homeMask(unsafe.Sizeof(*e.slots))) * unsafe.Sizeof(*e.slots))
}

// skip is the slot so many bytes behind s.
func (s *slot[K, S]) skip(bytes uintptr) *slot[K, S] {
	return (*slot[K, S])(unsafe.Add(unsafe.Pointer(s), bytes))
}

// homeMask has the bits of the number of a slot that tell a home. Where slots share a line of the cache, homes are the
// even ones: nine rows in ten are in the line of their home then, instead of eight.
func homeMask(slotBytes uintptr) uint64 {
	if slotBytes <= lineBytes/2 {
		return ^uint64(1)
	}
	return ^uint64(0)
}

// home is the slot where the search for a tag begins.
func (sg *segment[K, S]) home(tag uint64) int {
	i, _ := bits.Mul64(tag, sg.cap)
	return int(i & homeMask(unsafe.Sizeof(slot[K, S]{})))
}

// tagAt is the least tag whose home is at or behind slot i; ok is false if there is none.
func (sg *segment[K, S]) tagAt(i int) (tag uint64, ok bool) {
	mask := homeMask(unsafe.Sizeof(slot[K, S]{}))
	home := (uint64(i) + ^mask) & mask
	if home >= sg.cap {
		return 0, false
	}
	tag, rem := bits.Div64(home, 0, sg.cap)
	if rem > 0 {
		tag++
	}
	up := (tag + 1<<(epochBits+2) - 1) & tagMask
	return up, up >= tag
}

// unlink empties slot i and moves the rows behind it up.
func (sg *segment[K, S]) unlink(i int) {
	for j := i + 1; sg.slots[j].meta != 0; j++ {
		if sg.home(sg.slots[j].meta&tagMask) <= i {
			sg.move(i, j)
			i = j
		}
	}
	sg.slots[i] = slot[K, S]{}
}

func (sg *segment[K, S]) move(to, from int) {
	sg.slots[to] = sg.slots[from]
	if sg.width > 0 {
		copy(sg.stampsOf(to), sg.stampsOf(from))
	}
}

// stampsOf are the times of the row in slot i.
func (sg *segment[K, S]) stampsOf(i int) []int64 {
	return sg.stamps[i*sg.width : (i+1)*sg.width]
}

// grow makes room for one row at least, by a larger array or by dropping tombstones that nobody needs.
func (t *Table[K, S]) grow(sg *segment[K, S]) {
	if sg.dead > sg.live+capJitter {
		// Tombstones would outgrow the rows: a full snapshot is smaller than what they tell.
		t.chain.forget()
	}
	kept := 0
	for i := range sg.slots {
		if m := sg.slots[i].meta; m != 0 && !t.droppable(sg, m) {
			kept++
		}
	}
	size, tail := nextCap(int(sg.cap), sg.index, kept, t.growthParts), 0
	if size <= int(sg.cap) && sg.live+sg.dead < sg.limit {
		tail = 2 * (len(sg.slots) - int(sg.cap)) // it is full of rows whose hashes are nearly equal
	}
	t.rehash(sg, size, max(tail, tailOf(size)))
}

// reserve makes room for rows rows in all.
func (t *Table[K, S]) reserve(sg *segment[K, S], rows int) {
	if rows > sg.limit {
		size := rows*loadDen/loadNum + rows/50 + capMin
		t.rehash(sg, size, tailOf(size))
	}
}

// nextCap is for a segment that grows by one of parts parts.
func nextCap(size, index, kept, parts int) int {
	switch grown := size * (parts + 1) / parts; {
	case size == 0:
		return capMin
	case kept < size/8:
		return max(capMin, size/2)
	case kept < size/2:
		return size
	case size < capJitter && grown >= capJitter:
		return capJitter + index*37%(capJitter/parts)
	default:
		return grown
	}
}

func tailOf(size int) int { return min(tailMax, 8+size/8) }

// rehash moves all rows that are needed to a new array. They come in the order of their homes almost, so both arrays are
// walked from front to back.
func (t *Table[K, S]) rehash(sg *segment[K, S], size, tail int) {
	old := *sg
	sg.cap, sg.limit = uint64(size), max(1, size*loadNum/loadDen)
	sg.slots = t.allocate(size + tail)
	if t.ttl != nil {
		sg.width = t.ttl.width()
		sg.stamps = make([]int64, len(sg.slots)*sg.width)
	}
	sg.dead = 0
	for i := range old.slots {
		m := old.slots[i].meta
		if m == 0 || t.droppable(&old, m) {
			continue
		}
		at := sg.home(m & tagMask)
		for sg.slots[at].meta != 0 {
			at++
		}
		if at >= len(sg.slots)-1 { // the last slot stays empty
			t.release(sg.slots)
			*sg = old
			t.rehash(sg, size, 2*tail)
			return
		}
		sg.slots[at] = old.slots[i]
		if sg.width > 0 {
			copy(sg.stampsOf(at), old.stampsOf(i))
		}
		if m&deadBit != 0 {
			sg.dead++
		}
	}
	t.ahead.forget()
	t.release(old.slots)
	t.entrances[sg.index] = entrance[K, S]{slots: &sg.slots[0], cap: sg.cap}
}

// droppable reports whether a slot is a tombstone that neither a later increment nor the running snapshot needs.
func (t *Table[K, S]) droppable(sg *segment[K, S], meta uint64) bool {
	return meta&deadBit != 0 &&
		(meta&epochMask <= t.chain.clean || !t.chain.tellsDeletes()) &&
		!t.snap.needs(sg.index, meta)
}
