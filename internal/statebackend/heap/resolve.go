// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/bits"
	"reflect"
	"unsafe"
)

// lookahead is what a table has found of the batch at hand: the rows of one group of its keys, and where to look for those
// of the next, whose lines of the cache are on their way meanwhile.
//
// Who moves or drops rows forgets them, who drops slots forgets all.
type lookahead struct {
	rows addresses
	// lent tells that there are rows.
	lent bool
	// homes are those of the group at hand and of the next one, in turns; which is next tells turn. count of them, of the
	// batch's hashes from at on, are known.
	homes           [2]addresses
	turn, at, count int
}

func (a *lookahead) forgetRows() {
	if a.lent {
		a.rows, a.lent = addresses{}, false
	}
}

func (a *lookahead) forget() {
	a.forgetRows()
	a.count = 0
}

// Resolve finds the rows of a group of keys: of PrefetchGroup at most, whose hashes begin at hashes[at]. Callers go over a
// batch by such groups, from at 0 on, and show hashes whole, so that the slots of the next group are asked for while the
// rows of this one are used.
//
// Rows that are nil are for Row to find or to make: those that are new, or not written since the last Begin, and a few
// more. Every call of Row or Delete may make rows that follow in the group nil, and all are gone with the next call of any
// other method. So a row is read when its turn has come:
//
//	for at := 0; at < len(hashes); at += PrefetchGroup {
//		rows := t.Resolve(hashes, at, keys) // those of this group
//		for i := range keys {
//			row, isNew := rows[i], false
//			if row == nil {
//				row, isNew = t.Row(hashes[at+i], &keys[i])
//			}
func (t *Table[K, S]) Resolve(hashes []uint64, at int, keys []K) *[PrefetchGroup]*S {
	a := &t.ahead
	group := hashes[at:min(at+PrefetchGroup, len(hashes))]
	homes := &a.homes[a.turn]
	if at == 0 || a.at != at || a.count != len(group) {
		t.foresee(group, homes)
	}
	a.turn ^= 1
	a.at = at + len(group)
	next := hashes[a.at:min(a.at+PrefetchGroup, len(hashes))]
	a.count = len(next)
	t.foresee(next, &a.homes[a.turn])
	if t.ttl == nil { // else it is for Row to say whether a row lives
		a.lent = true
		t.resolve(group, homes, keys[:len(group)])
	}
	return (*[PrefetchGroup]*S)(unsafe.Pointer(&a.rows))
}

// prefetches reports whether slots are likely to lie outside the cache.
func (t *Table[K, S]) prefetches() bool { return canPrefetch && t.slotBytes >= t.config.prefetchMin }

// foresee finds the homes of hashes and asks for their lines; of slots that are larger than one, also for that of the key.
func (t *Table[K, S]) foresee(hashes []uint64, homes *addresses) {
	if len(hashes) == 0 {
		return
	}
	p := probe{
		groups: t.groups, first: t.first, mix: t.mix,
		entrances: unsafe.Pointer(unsafe.SliceData(t.entrances)), count: uint64(len(t.entrances)),
		slotBytes: unsafe.Sizeof(slot[K, S]{}), homeMask: homeMask(unsafe.Sizeof(slot[K, S]{})),
	}
	if n := p.homes(&hashes[0], len(hashes), homes); n < len(hashes) {
		group, _ := bits.Mul64(hashes[n], t.groups)
		panic(fmt.Sprintf("state %s: key group %d is not in %v", t.config.Name, group, t.config.Groups))
	}
	if slotBytes[K, S]() > lineBytes && t.prefetches() {
		var keys addresses
		for i := range hashes {
			keys[i&groupMask] = homes[i&groupMask] + unsafe.Offsetof(slot[K, S]{}.key)
		}
		prefetch(&keys, len(hashes))
	}
}

// resolve notes the rows of hashes, or nil, in rounds: two that go by the meta words of slots, then one that compares keys.
// None has a jump that could be foreseen wrongly, but for the comparison of text: so what is waited for is waited for
// together.
func (t *Table[K, S]) resolve(hashes []uint64, homes *addresses, keys []K) {
	c := chase{mix: t.groups * t.mix, lendable: t.lendable, slotBytes: unsafe.Sizeof(slot[K, S]{})}
	if c.slotBytes <= lineBytes/2 {
		c.neighbor = c.slotBytes
	}
	rows := &t.ahead.rows
	if t.prefetches() { // else a few more are left to Row
		c.advance(&hashes[0], len(hashes), homes)
	}
	c.settle(&hashes[0], len(hashes), homes, rows)
	slots := (*[PrefetchGroup]*slot[K, S])(unsafe.Pointer(homes))
	if t.textAt != noText {
		t.compareText(slots, keys)
		return
	}
	for i := range keys {
		s := slots[i&groupMask]
		row := uintptr(unsafe.Pointer(&s.state)) & rows[i&groupMask]
		if s.key != keys[i] {
			row = 0
		}
		rows[i&groupMask] = row
	}
}

// compareText is the last round of resolve for keys with text, which lies elsewhere: it is asked for before.
func (t *Table[K, S]) compareText(slots *[PrefetchGroup]*slot[K, S], keys []K) {
	rows := &t.ahead.rows
	var texts addresses
	for i := range keys {
		texts[i&groupMask] = *(*uintptr)(unsafe.Add(unsafe.Pointer(&slots[i&groupMask].key), t.textAt))
	}
	prefetch(&texts, len(keys))
	for i := range keys {
		s, row := slots[i&groupMask], uintptr(0)
		if rows[i&groupMask] != 0 && s.key == keys[i] {
			row = uintptr(unsafe.Pointer(&s.state))
		}
		rows[i&groupMask] = row
	}
}

// Prefetch asks for slots while a caller goes over a batch with Row alone: at each multiple of PrefetchGroup for those of
// the group that begins at the next one, and at 0 for those of the first, too. It changes nothing but the speed of calls.
func (t *Table[K, S]) Prefetch(hashes []uint64, at int) {
	if !t.prefetches() {
		return
	}
	var homes addresses
	if at == 0 {
		t.foresee(hashes[:min(PrefetchGroup, len(hashes))], &homes)
	}
	if next := at + PrefetchGroup; next < len(hashes) {
		t.foresee(hashes[next:min(next+PrefetchGroup, len(hashes))], &homes)
	}
}

// noText stands for the place of text in keys without.
const noText = ^uintptr(0)

// textAt is the offset of the first string in a type, or noText.
func textAt(t reflect.Type) uintptr {
	switch t.Kind() {
	case reflect.String:
		return 0
	case reflect.Array:
		if t.Len() > 0 {
			return textAt(t.Elem())
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if at := textAt(f.Type); at != noText {
				return f.Offset + at
			}
		}
	}
	return noText
}
