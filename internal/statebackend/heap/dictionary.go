// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math/bits"
	"unsafe"

	"github.com/weir-stream/weir/internal/invariants"
)

// dictionary gives keys small numbers: an id is the number of a page of keys, and a place in it. A page has keys of one
// key group, so that a page of cells is of one key group too.
//
//	hash -> group: slots { tag (32 bits) | id + 1 }, linear probing from the home of the tag
//	id   -> pages[id / pageCells]: key and hash
type dictionary[K comparable] struct {
	first, groups uint64
	mix           uint64
	segs          []idIndex
	pages         []*keyPage[K]
	// free are numbers of pages that are not in use.
	free []uint32
	// count is the number of ids in use.
	count int
	// empty is a slot without an id, to be read where there is none.
	empty uint64
}

// idIndex is the index of the ids of one key group.
type idIndex struct {
	slots []uint64
	shift uint8
	count int
	// pages are numbers of pages in the order in which they were filled; the last has room, or is full.
	pages []uint32
	// check is the count at which it pays to look for ids that are not in use.
	check int
}

type keyPage[K comparable] struct {
	group, count int
	keys         [pageCells]K
	hashes       [pageCells]uint64
}

const (
	idSlotsMin = 8
	// checkMin is the least number of ids of a key group that are looked at.
	checkMin = 2 * pageCells
)

func newDictionary[K comparable](c Config) dictionary[K] {
	return dictionary[K]{
		first: uint64(max(0, c.Groups.First)), groups: uint64(c.MaxParallelism), mix: remix(c.Seed),
		segs: make([]idIndex, c.Groups.Len()),
	}
}

// id returns the id of a key, giving it one if it has none.
func (d *dictionary[K]) id(h uint64, k *K) (id uint32, isNew bool) {
	group, rest := bits.Mul64(h, d.groups)
	invariants.Check(group-d.first < uint64(len(d.segs)), "key group %d is not one of %d from %d", group, len(d.segs), d.first)
	sg := &d.segs[group-d.first]
	if len(sg.slots) == 0 {
		return d.insert(sg, int(group-d.first), h, k), true
	}
	mixed := rest * d.mix
	tag := mixed << 32
	mask := len(sg.slots) - 1
	for i := int(mixed >> sg.shift); ; i = (i + 1) & mask {
		w := sg.slots[i]
		if w == 0 {
			return d.insert(sg, int(group-d.first), h, k), true
		}
		if w&^(1<<32-1) == tag {
			id := uint32(w) - 1
			if d.pages[id/pageCells].keys[id%pageCells] == *k {
				return id, false
			}
		}
	}
}

// ids looks up the ids of a batch of keys, giving ids to those that have none. It goes over each group of keys three times,
// so that the misses of the cache, first in the index and then in the keys, come together. created is called for each
// new id.
func (d *dictionary[K]) ids(keys []K, hashes []uint64, ids []uint32, created func(id uint32)) {
	hashes, ids = hashes[:len(keys)], ids[:len(keys)]
	for len(keys) > 0 {
		n := min(len(keys), PrefetchGroup)
		if canPrefetch && d.count*d.idBytes() >= prefetchBytesMin {
			d.foresee(keys[:n], hashes, ids)
		} else {
			clear(ids[:n])
		}
		for i := range keys[:n] {
			if ids[i] != 0 {
				ids[i]--
				continue
			}
			id, isNew := d.id(hashes[i], &keys[i])
			if isNew {
				created(id)
			}
			ids[i] = id
		}
		keys, hashes, ids = keys[n:], hashes[n:], ids[n:]
	}
}

// idBytes is about what the index has for each id.
func (d *dictionary[K]) idBytes() int { return int(unsafe.Sizeof(*new(K))) + 16 }

// foresee finds the ids plus one of keys that are where their hash says, and leaves zero for others.
func (d *dictionary[K]) foresee(keys []K, hashes []uint64, ids []uint32) {
	var at [PrefetchGroup]unsafe.Pointer
	hashes, ids = hashes[:len(keys)], ids[:len(keys)]
	empty := unsafe.Pointer(&d.empty)
	for i, h := range hashes {
		group, rest := bits.Mul64(h, d.groups)
		sg := &d.segs[group-d.first]
		if len(sg.slots) == 0 {
			at[i%PrefetchGroup] = empty
			continue
		}
		at[i%PrefetchGroup] = unsafe.Pointer(&sg.slots[rest*d.mix>>sg.shift])
	}
	prefetch((*addresses)(unsafe.Pointer(&at)), len(keys))
	for i, h := range hashes {
		w := *(*uint64)(at[i%PrefetchGroup])
		ids[i] = 0
		if w != 0 && uint32(w>>32) == uint32(h*d.groups*d.mix) {
			ids[i] = uint32(w)
			id := uint32(w) - 1
			at[i%PrefetchGroup] = unsafe.Pointer(&d.pages[id/pageCells].keys[id%pageCells])
		}
	}
	prefetch((*addresses)(unsafe.Pointer(&at)), len(keys))
	for i := range keys {
		if ids[i] != 0 && *(*K)(at[i%PrefetchGroup]) != keys[i] {
			ids[i] = 0
		}
	}
}

func (d *dictionary[K]) insert(sg *idIndex, group int, h uint64, k *K) uint32 {
	if (sg.count+1)*3 > len(sg.slots)*2 {
		d.grow(sg)
	}
	var p *keyPage[K]
	if n := len(sg.pages); n > 0 {
		p = d.pages[sg.pages[n-1]]
	}
	if p == nil || p.count == pageCells {
		p = &keyPage[K]{group: group}
		sg.pages = append(sg.pages, d.number(p))
	}
	no := sg.pages[len(sg.pages)-1]
	id := no*pageCells + uint32(p.count)
	p.keys[p.count], p.hashes[p.count] = *k, h
	p.count++
	sg.count++
	d.count++
	d.place(sg, h, id)
	return id
}

// number gives a page a number.
func (d *dictionary[K]) number(p *keyPage[K]) uint32 {
	if n := len(d.free); n > 0 {
		no := d.free[n-1]
		d.free = d.free[:n-1]
		d.pages[no] = p
		return no
	}
	d.pages = append(d.pages, p)
	return uint32(len(d.pages) - 1)
}

// place writes an id into the index; the group has room.
func (d *dictionary[K]) place(sg *idIndex, h uint64, id uint32) {
	mixed := h * d.groups * d.mix
	mask := len(sg.slots) - 1
	i := int(mixed >> sg.shift)
	for sg.slots[i] != 0 {
		i = (i + 1) & mask
	}
	sg.slots[i] = mixed<<32 | uint64(id+1)
}

func (d *dictionary[K]) grow(sg *idIndex) { d.reindex(sg, max(idSlotsMin, 2*len(sg.slots))) }

// reindex makes the index of a group anew.
func (d *dictionary[K]) reindex(sg *idIndex, size int) {
	if size == len(sg.slots) {
		clear(sg.slots)
	} else {
		sg.slots = make([]uint64, size)
	}
	sg.shift = uint8(64 - bits.TrailingZeros(uint(size)))
	for _, no := range sg.pages {
		p := d.pages[no]
		for i := range p.count {
			d.place(sg, p.hashes[i], no*pageCells+uint32(i))
		}
	}
}

// dropPages gives back the pages of a group for which live, by place of the page in the group, is zero.
func (d *dictionary[K]) dropPages(group int, live []uint64) {
	sg := &d.segs[group]
	kept := sg.pages[:0]
	for i, no := range sg.pages {
		if live[i] != 0 {
			kept = append(kept, no)
			continue
		}
		n := d.pages[no].count
		sg.count -= n
		d.count -= n
		d.pages[no] = nil
		d.free = append(d.free, no)
	}
	if len(kept) == len(sg.pages) {
		return
	}
	sg.pages = kept
	size := len(sg.slots)
	for size > idSlotsMin && size*2 > sg.count*3*4 { // room for as many again
		size /= 2
	}
	d.reindex(sg, size)
}

// key returns the key of an id and its hash.
func (d *dictionary[K]) key(id uint32) (*K, uint64) {
	p := d.pages[id/pageCells]
	return &p.keys[id%pageCells], p.hashes[id%pageCells]
}

// renumber keeps the ids of a group whose bits are set in live, which is by place of the page in the group. moved is called with the old and the new id of each that stays.
func (d *dictionary[K]) renumber(group int, live []uint64, moved func(from, to uint32)) {
	sg := &d.segs[group]
	old := sg.pages
	d.count -= sg.count
	sg.pages, sg.count = nil, 0
	sg.slots = nil
	for i, no := range old {
		p := d.pages[no]
		for w := live[i]; w != 0; w &= w - 1 {
			bit := uint32(bits.TrailingZeros64(w))
			to := d.insert(sg, group, p.hashes[bit], &p.keys[bit])
			moved(no*pageCells+bit, to)
		}
	}
	for _, no := range old {
		d.pages[no] = nil
		d.free = append(d.free, no)
	}
}
