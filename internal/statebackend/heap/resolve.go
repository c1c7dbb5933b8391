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
// Who moves or drops rows forgets them; who drops slots, or begins an epoch, forgets all.
type lookahead struct {
	found findings
	// lent tells that there are rows.
	lent bool
	// searches are those for the group at hand and for the next one, in turns; which is next tells turn. It has begun for
	// count of the batch's hashes from at on.
	searches        [2]search
	turn, at, count int
}

func (a *lookahead) forgetRows() {
	if a.lent {
		a.found.rows, a.lent = addresses{}, false
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
	now := &a.searches[a.turn]
	if at == 0 || a.at != at || a.count != len(group) {
		t.begin(group, now)
	}
	a.turn ^= 1
	a.at = at + len(group)
	next, ahead := hashes[a.at:min(a.at+PrefetchGroup, len(hashes))], &a.searches[a.turn]
	a.count = len(next)
	if t.ttl != nil { // it is for Row to say whether a row lives
		t.begin(next, ahead)
		return (*[PrefetchGroup]*S)(unsafe.Pointer(&a.found.rows))
	}
	a.lent = true
	t.chase(next, ahead, len(group), now)
	missed := t.match(now, keys[:len(group)])
	t.ask(ahead, len(next))
	if missed <= walkMax {
		t.walk(now, keys, missed)
	}
	return (*[PrefetchGroup]*S)(unsafe.Pointer(&a.found.rows))
}

// prefetches reports whether slots are likely to lie outside the cache.
func (t *Table[K, S]) prefetches() bool { return canPrefetch && t.slotBytes >= t.config.prefetchMin }

// begin begins the search for the rows of hashes.
func (t *Table[K, S]) begin(hashes []uint64, s *search) {
	t.chase(hashes, s, 0, nil)
	t.ask(s, len(hashes))
}

// chase finds the homes of hashes, and goes on with the search for the m rows of now.
func (t *Table[K, S]) chase(hashes []uint64, next *search, m int, now *search) {
	if n := t.probe.chase(unsafe.SliceData(hashes), len(hashes), next, m, now); n < len(hashes) {
		group, _ := bits.Mul64(hashes[n], t.probe.groups)
		panic(fmt.Sprintf("state %s: key group %d is not in %v", t.config.Name, group, t.config.Groups))
	}
}

// ask has the n homes of s on their way, and their keys, where slots are larger than a line. It is a loop of its own: a
// request is not done before its page is found, and a processor works ahead of it by a few hundred instructions at most,
// which are to be requests, too. It stands where the most follows that needs nothing of it: the walk, and the user's
// function for a group.
func (t *Table[K, S]) ask(s *search, n int) {
	if !t.prefetches() {
		return
	}
	prefetch(&s.slots, n)
	if slotBytes[K, S]() > lineBytes {
		var keys addresses
		for i := range n {
			keys[i&groupMask] = s.slots[i&groupMask] + unsafe.Offsetof(slot[K, S]{}.key)
		}
		prefetch(&keys, n)
	}
}

// match notes the rows of keys, or nil, and returns how many are missed.
func (t *Table[K, S]) match(s *search, keys []K) int {
	f := &t.ahead.found
	if t.wordKeys {
		return t.probe.settle(s, len(keys), unsafe.Pointer(unsafe.SliceData(keys)), unsafe.Offsetof(slot[K, S]{}.key), f)
	}
	// Meta words are compared again, in the place of keys.
	missed := t.probe.settle(s, len(keys), unsafe.Pointer(&s.wants), unsafe.Offsetof(slot[K, S]{}.meta), f)
	t.compare(s, keys)
	return missed
}

// walk ends the search for the first of keys that are missed.
func (t *Table[K, S]) walk(s *search, keys []K, missed int) {
	f := &t.ahead.found
	t.probe.walk(s, f, missed)
	rows := (*[PrefetchGroup]unsafe.Pointer)(unsafe.Pointer(&f.rows))
	for _, i := range f.missed[:missed] {
		row := rows[i&groupMask]
		if row != nil && (*slot[K, S])(unsafe.Add(row, -int(stateAt))).key != keys[i] {
			f.rows[i&groupMask] = 0
		}
	}
}

// walkMax is how many rows of a group are walked to: of more, most are new, or not written in this epoch.
const walkMax = PrefetchGroup / 4

// compare drops the rows of slots with another key.
func (t *Table[K, S]) compare(s *search, keys []K) {
	slots := (*[PrefetchGroup]*slot[K, S])(unsafe.Pointer(&s.slots))
	rows := &t.ahead.found.rows
	if t.textAt != noText { // it lies elsewhere, and is asked for before
		var texts addresses
		for i := range keys {
			texts[i&groupMask] = *(*uintptr)(unsafe.Add(unsafe.Pointer(&slots[i&groupMask].key), t.textAt))
		}
		prefetch(&texts, len(keys))
	}
	for i := range keys {
		if rows[i&groupMask] != 0 && slots[i&groupMask].key != keys[i] {
			rows[i&groupMask] = 0
		}
	}
}

// Prefetch asks for slots while a caller goes over a batch with Row alone: at each multiple of PrefetchGroup for those of
// the group that begins at the next one, and at 0 for those of the first, too. It changes nothing but the speed of calls.
func (t *Table[K, S]) Prefetch(hashes []uint64, at int) {
	if !t.prefetches() {
		return
	}
	t.ahead.count = 0
	if at == 0 {
		t.begin(hashes[:min(PrefetchGroup, len(hashes))], &t.ahead.searches[0])
	}
	if next := at + PrefetchGroup; next < len(hashes) {
		t.begin(hashes[next:min(next+PrefetchGroup, len(hashes))], &t.ahead.searches[0])
	}
}

// wordKey reports whether keys of a type are equal if and only if the eight bytes that they take are.
func wordKey(t reflect.Type) bool { return t.Size() == 8 && plainBytes(t) == 8 }

// plainBytes is how many bytes of a value are compared as they are, if they all are, else less than its size.
func plainBytes(t reflect.Type) uintptr {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return t.Size()
	case reflect.Array:
		return uintptr(t.Len()) * plainBytes(t.Elem())
	case reflect.Struct:
		n := uintptr(0)
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "_" {
				n += plainBytes(f.Type)
			}
		}
		return n
	default:
		return 0
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
