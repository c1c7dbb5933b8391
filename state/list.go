// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/ttl"
)

// List is an ordered list of T.
type List[T any] struct {
	items []T
	// times has the time of the last write of each item, and is empty in a field without a time to live.
	// Invariant: clock == nil or len(times) == len(items).
	times []int64
	clock *ttl.Clock `weir:"-"`
	// oldest is at most the least of times, so that most calls need not look for what has expired.
	oldest int64 `weir:"-"`
}

// Len is the number of elements.
func (l *List[T]) Len() int { return len(l.items) }

// Append adds an element at the end.
func (l *List[T]) Append(v T) {
	if len(l.items) == cap(l.items) {
		l.widen()
	}
	l.items = append(l.items, v)
	if l.clock != nil {
		l.times = append(l.times, l.clock.Now)
	}
}

const (
	// Lists begin with room for firstBytes, and for firstItems elements if these take no more than firstBytesMax: those of
	// records that wait for another one have a few, and growing from one by one costs more than the room.
	firstBytes    = 32
	firstItems    = 4
	firstBytesMax = 256
	// Lists double up to doubledBytes: those of busy keys get long, and copying costs more than room. Longer ones grow as
	// slices do, by a quarter.
	doubledBytes = 1 << 20
)

// widen makes room for an element at least.
func (l *List[T]) widen() {
	size, n := max(1, int(unsafe.Sizeof(*new(T)))), len(l.items)
	room := max(1, firstBytes/size, min(firstItems, firstBytesMax/size))
	if n*size < doubledBytes {
		room = max(room, n*3/4) // slices round up: what they make of it is twice the length, or a little less
	}
	l.items = slices.Grow(l.items, room)
}

// Grow makes room for n more elements: whoever knows how many come saves copying.
func (l *List[T]) Grow(n int) { l.items = slices.Grow(l.items, n) }

// Insert adds an element before element i, or at the end if i is the length; it panics beyond.
func (l *List[T]) Insert(i int, v T) {
	if i < 0 || i > len(l.items) {
		panic(fmt.Sprintf("insert at %d into a list of %d elements", i, len(l.items)))
	}
	l.Append(v)
	copy(l.items[i+1:], l.items[i:])
	l.items[i] = v
	if l.clock != nil {
		copy(l.times[i+1:], l.times[i:])
		l.times[i] = l.clock.Now
	}
}

// Truncate removes the elements from n on; it panics if there are fewer than n.
func (l *List[T]) Truncate(n int) {
	clear(l.items[n:])
	l.items = l.items[:n]
	if len(l.times) > 0 {
		l.times = l.times[:n]
	}
}

// At returns element i in place; it panics outside the list, as a slice does. For a time to live it is a read.
func (l *List[T]) At(i int) *T {
	p := &l.items[i]
	l.read(i)
	return p
}

// All yields the elements in place and in order; the list must not grow meanwhile.
func (l *List[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range l.items {
			l.read(i)
			if !yield(&l.items[i]) {
				return
			}
		}
	}
}

// DeleteFunc removes the elements for which del is true, keeping the order.
func (l *List[T]) DeleteFunc(del func(*T) bool) {
	kept := 0
	for i := range l.items {
		if del(&l.items[i]) {
			continue
		}
		if kept != i {
			l.items[kept] = l.items[i]
			if len(l.times) > 0 {
				l.times[kept] = l.times[i]
			}
		}
		kept++
	}
	l.Truncate(kept)
}

// Clear removes all elements.
func (l *List[T]) Clear() { l.items, l.times = nil, nil }

func (l *List[T]) read(i int) {
	if l.clock != nil && l.clock.OnRead {
		l.times[i] = l.clock.Now
	}
}

// Expire drops the elements that have expired; elements written from now on get the time of c. It is for the engine: c
// is the clock of the field.
func (l *List[T]) Expire(c *ttl.Clock) {
	l.clock = c
	l.times = fitTimes(l.times, len(l.items), c.Now)
	if !c.Expired(l.oldest) {
		return
	}
	i := -1
	l.DeleteFunc(func(*T) bool { i++; return c.Expired(l.times[i]) })
	l.oldest = least(l.times, c.Now)
}

// fitTimes gives elements that were stored without a time, before the field had a time to live, the present one.
func fitTimes(times []int64, n int, now int64) []int64 {
	for len(times) < n {
		times = append(times, now)
	}
	return times[:n]
}

// least is the least of times, or now if there is none.
func least(times []int64, now int64) int64 {
	for _, t := range times {
		now = min(now, t)
	}
	return now
}
