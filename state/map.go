// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"
	"slices"
	"sort"

	"github.com/weir-stream/weir/internal/ttl"
)

// indexedFrom is the number of entries from which on a Map keeps an index; below, looking at all of them is faster.
const indexedFrom = 16

// Map is a map inside one row. K is restricted as the keys of KeyBy are: integers, bool, string, and arrays and structs
// of them.
//
// Entries lie densely, in the order in which they came or, after an iteration, by ascending key.
type Map[K comparable, V any] struct {
	keys   []K
	values []V
	// times has the time of the last write of each entry, and is empty in a field without a time to live.
	times []int64

	clock *ttl.Clock `weir:"-"`
	// oldest is at most the least of times.
	oldest int64 `weir:"-"`
	// index has the position of each key once there are many, or is nil.
	index map[K]int32 `weir:"-"`
	// gone marks entries deleted while an iteration runs, which removes them at its end; it may be shorter than keys.
	gone    []bool `weir:"-"`
	missing int    `weir:"-"`
	// iterating counts the iterations that run.
	iterating int `weir:"-"`
}

// Len is the number of entries.
func (m *Map[K, V]) Len() int { return len(m.keys) - m.missing }

// Get returns the value at k and whether it is there. For a time to live it is a read.
func (m *Map[K, V]) Get(k K) (V, bool) {
	i := m.find(k)
	if i < 0 || m.isGone(i) {
		var zero V
		return zero, false
	}
	m.read(i)
	return m.values[i], true
}

// At returns the value at k in place, adding a zero one where there is none. The pointer is valid until the map grows or
// an iteration begins or ends. For a time to live it is a write.
func (m *Map[K, V]) At(k K) *V {
	i := m.find(k)
	switch {
	case i < 0:
		i = m.add(k)
	case m.isGone(i):
		m.gone[i] = false
		m.missing--
	}
	if m.clock != nil {
		m.times[i] = m.clock.Now
	}
	return &m.values[i]
}

// Put sets the value at k.
func (m *Map[K, V]) Put(k K, v V) { *m.At(k) = v }

// Delete removes the entry at k, if there is one.
func (m *Map[K, V]) Delete(k K) {
	i := m.find(k)
	if i < 0 || m.isGone(i) {
		return
	}
	if m.iterating > 0 {
		m.markGone(i)
		return
	}
	last := len(m.keys) - 1
	if m.index != nil {
		delete(m.index, k)
		if i != last {
			m.index[m.keys[last]] = int32(i)
		}
	}
	m.move(i, last)
	m.truncate(last)
}

// All yields the entries by ascending key. Deleting entries meanwhile is allowed; entries that are added meanwhile are
// not yielded. For a time to live it is a read.
func (m *Map[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		if m.iterating == 0 {
			m.sort()
		}
		m.iterating++
		defer m.endIteration()
		for i, n := 0, len(m.keys); i < n && i < len(m.keys); i++ {
			if m.isGone(i) {
				continue
			}
			m.read(i)
			if !yield(m.keys[i], &m.values[i]) {
				return
			}
		}
	}
}

// Clear removes all entries.
func (m *Map[K, V]) Clear() {
	if m.iterating > 0 {
		for i := range m.keys {
			if !m.isGone(i) {
				m.markGone(i)
			}
		}
		return
	}
	m.keys, m.values, m.times, m.index = nil, nil, nil, nil
}

// find returns the position of k, gone or not, or -1.
func (m *Map[K, V]) find(k K) int {
	if len(m.keys) < indexedFrom {
		return slices.Index(m.keys, k)
	}
	if m.index == nil {
		m.index = make(map[K]int32, len(m.keys)+len(m.keys)/2)
		for i, k := range m.keys {
			m.index[k] = int32(i)
		}
	}
	if i, ok := m.index[k]; ok {
		return int(i)
	}
	return -1
}

func (m *Map[K, V]) add(k K) int {
	var zero V
	i := len(m.keys)
	m.keys = append(m.keys, k)
	m.values = append(m.values, zero)
	if m.clock != nil {
		m.times = append(m.times, m.clock.Now)
	}
	if m.index != nil {
		m.index[k] = int32(i)
	}
	return i
}

func (m *Map[K, V]) read(i int) {
	if m.clock != nil && m.clock.OnRead {
		m.times[i] = m.clock.Now
	}
}

func (m *Map[K, V]) isGone(i int) bool { return i < len(m.gone) && m.gone[i] }

func (m *Map[K, V]) markGone(i int) {
	for len(m.gone) <= i {
		m.gone = append(m.gone, false)
	}
	m.gone[i] = true
	m.missing++
	var zero V
	m.values[i] = zero
}

func (m *Map[K, V]) endIteration() {
	m.iterating--
	if m.iterating > 0 || m.missing == 0 {
		return
	}
	kept := 0
	for i := range m.keys {
		if m.isGone(i) {
			continue
		}
		m.move(kept, i)
		kept++
	}
	m.gone, m.missing, m.index = nil, 0, nil
	m.truncate(kept)
}

// move overwrites entry to by entry from.
func (m *Map[K, V]) move(to, from int) {
	if to == from {
		return
	}
	m.keys[to], m.values[to] = m.keys[from], m.values[from]
	if len(m.times) > 0 {
		m.times[to] = m.times[from]
	}
}

// truncate drops the entries from n on.
func (m *Map[K, V]) truncate(n int) {
	clear(m.keys[n:])
	clear(m.values[n:])
	m.keys, m.values = m.keys[:n], m.values[:n]
	if len(m.times) > 0 {
		m.times = m.times[:n]
	}
}

func (m *Map[K, V]) sort() {
	s := byKey[K, V]{m, comparer[K]()}
	if sort.IsSorted(s) {
		return
	}
	m.index = nil
	sort.Sort(s)
}

// byKey sorts the entries of a map in place.
type byKey[K comparable, V any] struct {
	*Map[K, V]
	compare func(a, b *K) int
}

func (s byKey[K, V]) Len() int           { return len(s.keys) }
func (s byKey[K, V]) Less(i, j int) bool { return s.compare(&s.keys[i], &s.keys[j]) < 0 }
func (s byKey[K, V]) Swap(i, j int) {
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
	s.values[i], s.values[j] = s.values[j], s.values[i]
	if len(s.times) > 0 {
		s.times[i], s.times[j] = s.times[j], s.times[i]
	}
}

// Expire drops the entries that have expired; entries written from now on get the time of c. It is for the engine: c is
// the clock of the field.
func (m *Map[K, V]) Expire(c *ttl.Clock) {
	m.clock = c
	m.times = fitTimes(m.times, len(m.keys), c.Now)
	if !c.Expired(m.oldest) {
		return
	}
	m.iterating++
	for i, t := range m.times {
		if c.Expired(t) {
			m.markGone(i)
		}
	}
	m.endIteration()
	m.oldest = least(m.times, c.Now)
}
