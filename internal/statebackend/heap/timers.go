// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"unsafe"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Domain is the time that a timer waits for.
type Domain uint8

const (
	// EventTime timers fire by watermarks.
	EventTime Domain = iota
	// ProcessingTime timers fire by the clock.
	ProcessingTime
	domains
)

// Timer is one that is due. Hash is that of Key.
type Timer[K comparable] struct {
	Time int64
	Hash uint64
	Key  K
}

// timerKey is a timer as the set has it. It is stored; its fields keep their names.
type timerKey[K comparable] struct {
	Time       int64
	Processing bool
	Key        K
}

// none is the state of a timer: that it is there.
type none struct{}

// Timers are the user timers of one operator in one subtask: for each domain a set of times and keys. What is stored and
// snapshotted is the set, a table of rows without state; the heaps that tell what is due are derived from it.
//
// Deleting takes a timer out of the set only. Invariant: each timer of the set is in the heap of its domain; what is in
// a heap but not in the set is skipped when its time comes.
type Timers[K comparable] struct {
	set   *Table[timerKey[K], none]
	heaps [domains]Queue[K]
	live  [domains]int
}

// NewTimers makes an empty set of timers. Config.Name is by convention TimersName.
func NewTimers[K comparable](c Config) (*Timers[K], error) {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, fmt.Errorf("state %s: key: %w", c.Name, err)
	}
	set, err := newTable[timerKey[K], none](c, func(k *timerKey[K]) (h, salt uint64) { return hash(&k.Key), k.salt() })
	if err != nil {
		return nil, err
	}
	return &Timers[K]{set: set}, nil
}

// TimersName is the name of the state of an operator's timers.
const TimersName = "timers"

// salt spreads the timers of one key over the slots of its key group.
func (k *timerKey[K]) salt() uint64 {
	x := uint64(k.Time)
	if k.Processing {
		x = ^x
	}
	return (x ^ x>>29) * 0xbf58476d1ce4e5b9
}

func (k *timerKey[K]) domain() Domain {
	if k.Processing {
		return ProcessingTime
	}
	return EventTime
}

// Register adds a timer, whose key has hash h, and reports whether it is new. One that is there already costs a look.
func (t *Timers[K]) Register(d Domain, at int64, h uint64, k *K) bool {
	key := timerKey[K]{Time: at, Processing: d == ProcessingTime, Key: *k}
	salt := key.salt()
	if _, _, ok := t.set.find(h, salt, &key); ok {
		return false
	}
	t.set.put(h, salt, &key)
	t.live[d]++
	t.heaps[d].Push(Timer[K]{at, h, *k})
	return true
}

// Delete removes a timer and reports whether it was there.
func (t *Timers[K]) Delete(d Domain, at int64, h uint64, k *K) bool {
	key := timerKey[K]{Time: at, Processing: d == ProcessingTime, Key: *k}
	if !t.set.remove(h, key.salt(), &key) {
		return false
	}
	t.live[d]--
	if len(t.heaps[d]) > 2*t.live[d]+staleMin {
		t.rebuild()
	}
	return true
}

// staleMin is how many deleted timers a heap may hold before it is looked through.
const staleMin = 1024

// Pop removes and returns the first timer that is due at until; ok is false if there is none. Timers come in order of
// time, those of one time in order of the hash of their keys, whatever the order in which they were registered. A timer
// registered meanwhile is among those that follow.
func (t *Timers[K]) Pop(d Domain, until int64) (timer Timer[K], ok bool) {
	for len(t.heaps[d]) > 0 && t.heaps[d][0].Time <= until {
		timer = t.heaps[d].Pop()
		key := timerKey[K]{Time: timer.Time, Processing: d == ProcessingTime, Key: timer.Key}
		if t.set.remove(timer.Hash, key.salt(), &key) {
			t.live[d]--
			return timer, true
		}
	}
	return Timer[K]{}, false
}

// Next is the time of the first timer; ok is false if there is none.
func (t *Timers[K]) Next(d Domain) (at int64, ok bool) {
	for len(t.heaps[d]) > 0 {
		first := &t.heaps[d][0]
		key := timerKey[K]{Time: first.Time, Processing: d == ProcessingTime, Key: first.Key}
		if _, _, ok := t.set.find(first.Hash, key.salt(), &key); ok {
			return first.Time, true
		}
		t.heaps[d].Pop()
	}
	return 0, false
}

// Len is the number of timers of a domain.
func (t *Timers[K]) Len(d Domain) int { return t.live[d] }

// rebuild makes the heaps of what is in the set.
func (t *Timers[K]) rebuild() {
	for d := range domains {
		clear(t.heaps[d])
		t.heaps[d], t.live[d] = t.heaps[d][:0], 0
	}
	for k := range t.set.All() {
		d := k.domain()
		h, _ := t.set.hash(k)
		t.heaps[d] = append(t.heaps[d], Timer[K]{k.Time, h, k.Key})
		t.live[d]++
	}
	for d := range domains {
		t.heaps[d].heapify()
	}
}

// Name implements statebackend.State.
func (t *Timers[K]) Name() string { return t.set.Name() }

// Schema implements statebackend.State.
func (t *Timers[K]) Schema() []byte { return t.set.Schema() }

// Begin implements statebackend.State.
func (t *Timers[K]) Begin(cp statebackend.Checkpoint) error { return t.set.Begin(cp) }

// Step implements statebackend.State.
func (t *Timers[K]) Step(w statebackend.Writer, rows int) (bool, error) { return t.set.Step(w, rows) }

// Crowded implements statebackend.State.
func (t *Timers[K]) Crowded() bool { return t.set.Crowded() }

// Base implements statebackend.State.
func (t *Timers[K]) Base() []int64 { return t.set.Base() }

// Completed implements statebackend.State.
func (t *Timers[K]) Completed(checkpoint int64) error { return t.set.Completed(checkpoint) }

// Aborted implements statebackend.State.
func (t *Timers[K]) Aborted(checkpoint int64) error { return t.set.Aborted(checkpoint) }

// Restore implements statebackend.State.
func (t *Timers[K]) Restore(r statebackend.Reader) error {
	err := t.set.Restore(r)
	t.rebuild()
	return err
}

// Size implements statebackend.State.
func (t *Timers[K]) Size() statebackend.Size {
	n := t.set.Size()
	var x Timer[K]
	for _, h := range t.heaps {
		n.Bytes += int64(cap(h)) * int64(unsafe.Sizeof(x))
	}
	return n
}

// OffHeapBytes is the memory of the timers that the collector does not see.
func (t *Timers[K]) OffHeapBytes() int64 { return t.set.OffHeapBytes() }

// Close gives the memory back.
func (t *Timers[K]) Close() error { return t.set.Close() }

var _ statebackend.State = (*Timers[int64])(nil)
