// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// SessionsConfig is what Sessions are told.
type SessionsConfig[A any] struct {
	Config
	// Lateness is how long a session is kept after the watermark has passed its end.
	Lateness int64
	// Merge folds from, the later session, into acc. What from points to may become part of acc.
	Merge func(acc, from *A)
	// AppendOnly says that accumulators may be handed out as they are.
	AppendOnly bool
}

// Session is a session of one key: the time [Start, End) without a gap between its records, and their accumulator.
//
// It is stored as it is, so its fields keep their names. Of all sessions of a key the latest is row 0, which a look-up
// finds first, and knows of the others.
type Session[A any] struct {
	Start, End int64
	// Before is the latest end of the others, Others their number: they are rows 1 to Others. Without any, Before is
	// lower than any time.
	Before int64
	Others uint32
	// Timer is when the key is to be looked at: at the first moment at which a session of it ends or is dropped, or
	// earlier. Before, Others and Timer are of row 0 alone.
	Timer int64
	Acc   A
}

// sessionKey is the key of a row. It is stored; its fields keep their names.
type sessionKey[K comparable] struct {
	Key K
	N   uint32
}

// salt spreads the sessions of a key over the slots of its key group. That of row 0 is zero, as Table.Row wants it.
func (k *sessionKey[K]) salt() uint64 { return uint64(k.N) * 0x9e3779b97f4a7c15 }

// Sessions is the keyed state of session windows: a table of sessions by key, usually one each, and for each key one
// timer, whatever the number of its records: when it comes early, it is set anew. Timers are derived from the table. All calls come from the task's goroutine.
//
//	record   [t, t+gap)           |-----|               touches both, so that all become one
//	sessions of the key       |-----|  |-------|
type Sessions[K comparable, A any] struct {
	statebackend.State
	config SessionsConfig[A]
	table  *Table[sessionKey[K], Session[A]]
	// timers has the timer of each key, and maybe some that were replaced by earlier ones; keys counts the former.
	timers calendar[K]
	keys   int
	merger merger[A]
	// key is that of the row at hand; all are sessions of one key, in order of time.
	key sessionKey[K]
	all []Session[A]
}

// NewSessions makes an empty store. The error names the field of A, or the part of K, that can't be stored.
func NewSessions[K comparable, A any](c SessionsConfig[A]) (*Sessions[K, A], error) {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, fmt.Errorf("state %s: key: %w", c.Name, err)
	}
	table, err := newTable[sessionKey[K], Session[A]](c.Config,
		func(k *sessionKey[K]) (h, salt uint64) { return hash(&k.Key), k.salt() })
	if err != nil {
		return nil, err
	}
	s := &Sessions[K, A]{State: table, config: c, table: table, merger: merger[A]{merge: c.Merge}}
	if layoutOf(reflect.TypeFor[A]()) == layoutShared && !c.AppendOnly {
		if s.merger.codec, err = codec.For[A](); err != nil {
			return nil, fmt.Errorf("state %s: %w", c.Name, err)
		}
	}
	return s, nil
}

// Prefetch is that of Table.
func (s *Sessions[K, A]) Prefetch(hashes []uint64, at int) { s.table.Prefetch(hashes, at) }

// Put returns the session of a record that opens [start, end), at a watermark of its key: all sessions that it touches
// become one. It is nil where the record is late: it touches none, and its own would be gone. The session is valid until
// the next call.
func (s *Sessions[K, A]) Put(h uint64, k *K, start, end, watermark int64) *Session[A] {
	s.key.Key, s.key.N = *k, 0
	if end-1 <= watermark && s.gone(end, watermark) && !s.touches(h, start, end) {
		return nil
	}
	row, isNew := s.table.Row(h, &s.key)
	if isNew || start <= row.Before || start > row.End || end < row.Start {
		return s.putSlow(h, row, isNew, start, end, watermark)
	}
	row.Start, row.End = min(row.Start, start), max(row.End, end)
	if row.End-1 < row.Timer && row.End-1 > watermark {
		s.arm(h, row, row.End-1)
	}
	return row
}

// putSlow is Put for a record that doesn't just fall into the latest session of its key.
func (s *Sessions[K, A]) putSlow(h uint64, row *Session[A], isNew bool, start, end, watermark int64) *Session[A] {
	switch {
	case isNew:
		*row = Session[A]{Start: start, End: end, Before: math.MinInt64}
		s.keys++
		s.arm(h, row, s.due(end, watermark))
		return row
	case start > row.End:
		return s.follow(h, row, start, end, watermark)
	default:
		return s.join(h, start, end, watermark)
	}
}

// follow opens a session behind all others: the latest so far becomes one of those.
func (s *Sessions[K, A]) follow(h uint64, row *Session[A], start, end, watermark int64) *Session[A] {
	latest := *row
	s.key.N = latest.Others + 1
	*s.row(h) = Session[A]{Start: latest.Start, End: latest.End, Acc: latest.Acc}
	s.key.N = 0
	row = s.row(h)
	*row = Session[A]{Start: start, End: end, Before: latest.End, Others: latest.Others + 1, Timer: latest.Timer}
	s.armSooner(h, row, s.due(end, watermark))
	return row
}

// join is Put for any number of sessions.
func (s *Sessions[K, A]) join(h uint64, start, end, watermark int64) *Session[A] {
	s.load(h)
	timer, others := s.all[0].Timer, s.all[0].Others
	slices.SortFunc(s.all, func(a, b Session[A]) int { return cmp.Compare(a.Start, b.Start) })
	from := 0
	for from < len(s.all) && s.all[from].End < start {
		from++
	}
	to := from
	for to < len(s.all) && s.all[to].Start <= end {
		to++
	}
	if from == to {
		s.all = slices.Insert(s.all, from, Session[A]{Start: start, End: end})
	} else {
		one := &s.all[from]
		for i := from + 1; i < to; i++ {
			s.merger.merge(&one.Acc, &s.all[i].Acc)
		}
		one.Start, one.End = min(one.Start, start), max(s.all[to-1].End, end)
		s.all = slices.Delete(s.all, from+1, to)
	}
	n, end := uint32(from+1), s.all[from].End
	if from == len(s.all)-1 {
		n = 0
	}
	row := s.store(h, timer, others)
	s.armSooner(h, row, s.due(end, watermark))
	s.key.N = n
	return s.row(h)
}

// touches reports whether a key has a session that [start, end) touches.
func (s *Sessions[K, A]) touches(h uint64, start, end int64) bool {
	row := s.find(h)
	if row == nil {
		return false
	}
	touched := start <= row.End && end >= row.Start
	for n := row.Others; n > 0 && !touched; n-- {
		s.key.N = n
		row = s.find(h)
		touched = start <= row.End && end >= row.Start
	}
	s.key.N = 0
	return touched
}

// load makes all the sessions of a key, row 0 first.
func (s *Sessions[K, A]) load(h uint64) {
	s.key.N = 0
	s.all = append(s.all[:0], *s.row(h))
	for s.key.N < s.all[0].Others {
		s.key.N++
		s.all = append(s.all, *s.row(h))
	}
}

// store makes all, in order of time and not none, the sessions of a key that had others beside row 0, and returns row 0.
func (s *Sessions[K, A]) store(h uint64, timer int64, others uint32) *Session[A] {
	last := len(s.all) - 1
	latest := s.all[last]
	latest.Before, latest.Others, latest.Timer = math.MinInt64, uint32(last), timer
	for i := range s.all[:last] {
		w := s.all[i]
		latest.Before = max(latest.Before, w.End)
		s.key.N = uint32(i + 1)
		*s.row(h) = Session[A]{Start: w.Start, End: w.End, Acc: w.Acc}
	}
	for n := uint32(last + 1); n <= others; n++ {
		s.key.N = n
		s.table.remove(h, s.key.salt(), &s.key)
	}
	clear(s.all)
	s.key.N = 0
	row := s.row(h)
	*row = latest
	return row
}

// row lends row N of the key at hand, find reads it.
func (s *Sessions[K, A]) row(h uint64) *Session[A] {
	sg, i, _ := s.table.put(h, s.key.salt(), &s.key)
	return &sg.slots[i].state
}

func (s *Sessions[K, A]) find(h uint64) *Session[A] {
	sg, i, ok := s.table.find(h, s.key.salt(), &s.key)
	if !ok {
		return nil
	}
	return &sg.slots[i].state
}

// due is when something becomes of a session that ends at end: it fires, or is dropped if it has fired.
func (s *Sessions[K, A]) due(end, watermark int64) int64 {
	if end-1 > watermark {
		return end - 1
	}
	return saturated(end-1, s.config.Lateness)
}

// gone reports whether a session is past its time: records for it are late.
func (s *Sessions[K, A]) gone(end, watermark int64) bool {
	return saturated(end-1, s.config.Lateness) <= watermark
}

// arm sets the timer of the key at hand, whose row 0 is given.
func (s *Sessions[K, A]) arm(h uint64, row *Session[A], at int64) {
	row.Timer = at
	if !s.timers.sized {
		s.timers.begin(row.End - row.Start)
	}
	s.timers.push(Timer[K]{at, h, s.key.Key})
	if s.timers.count > 2*s.keys+staleMin {
		s.rebuild()
	}
}

func (s *Sessions[K, A]) armSooner(h uint64, row *Session[A], at int64) {
	if at < row.Timer {
		s.arm(h, row, at)
	}
}

// Advance calls fire for the sessions that end up to a watermark, in order of time, then of the hash of their keys, and
// drops those that are past their time. The session is fire's during the call.
func (s *Sessions[K, A]) Advance(to int64, fire func(h uint64, k *K, w *Session[A]) error) error {
	for {
		for {
			timer, ok := s.timers.pop(to)
			if !ok {
				break
			}
			if err := s.look(&timer, fire); err != nil {
				return err
			}
		}
		day := s.timers.open(to)
		if day == nil {
			return nil
		}
		s.open(day)
	}
}

// open puts the timers of a day in order. Those of sessions that have grown beyond it are moved.
func (s *Sessions[K, A]) open(day []Timer[K]) {
	var hashes [PrefetchGroup]uint64
	s.key.N = 0
	for i := range day {
		if i%PrefetchGroup == 0 {
			n := min(PrefetchGroup, len(day)-i)
			for j := range n {
				hashes[j] = day[i+j].Hash
			}
			s.table.Prefetch(hashes[:n], 0)
		}
		x := &day[i]
		s.key.Key = x.Key
		row := s.find(x.Hash)
		switch {
		case row == nil || row.Timer != x.Time: // there was an earlier one
		case row.Others == 0 && row.End-1 > x.Time:
			row = s.row(x.Hash)
			row.Timer = row.End - 1
			s.timers.push(Timer[K]{row.Timer, x.Hash, x.Key})
		default:
			s.timers.push(*x)
		}
	}
	s.timers.done(day)
}

// look does what is due for the key of a timer.
func (s *Sessions[K, A]) look(x *Timer[K], fire func(h uint64, k *K, w *Session[A]) error) error {
	s.key = sessionKey[K]{Key: x.Key}
	if row := s.find(x.Hash); row == nil || row.Timer != x.Time {
		return nil // there was an earlier one
	}
	row := s.row(x.Hash)
	if row.Others > 0 {
		return s.elapse(x.Time, x.Hash, fire)
	}
	if row.End-1 == x.Time {
		if err := fire(x.Hash, &s.key.Key, row); err != nil {
			return err
		}
	}
	if s.gone(row.End, x.Time) {
		s.table.Delete(x.Hash, &s.key)
		s.keys--
	} else {
		s.arm(x.Hash, row, s.due(row.End, x.Time))
	}
	return nil
}

// elapse does what is due at a time for a key that has several sessions.
func (s *Sessions[K, A]) elapse(at int64, h uint64, fire func(h uint64, k *K, w *Session[A]) error) error {
	s.load(h)
	others := s.all[0].Others
	for i := range s.all {
		if s.all[i].End-1 == at {
			if err := fire(h, &s.key.Key, &s.all[i]); err != nil {
				return err
			}
		}
	}
	s.all = slices.DeleteFunc(s.all, func(w Session[A]) bool { return s.gone(w.End, at) })
	if len(s.all) == 0 {
		for s.key.N = range others + 1 {
			s.table.remove(h, s.key.salt(), &s.key)
		}
		s.keys--
		return nil
	}
	slices.SortFunc(s.all, func(a, b Session[A]) int { return cmp.Compare(a.Start, b.Start) })
	next := int64(math.MaxInt64)
	for i := range s.all {
		next = min(next, s.due(s.all[i].End, at))
	}
	s.arm(h, s.store(h, next, others), next)
	return nil
}

// Lend returns the accumulator of a session to whoever may keep what it points to: a copy, if the session goes on.
func (s *Sessions[K, A]) Lend(w *Session[A]) *A {
	if s.merger.codec == nil || s.config.Lateness == 0 {
		return &w.Acc
	}
	s.merger.copyTo(&s.merger.acc, &w.Acc)
	return &s.merger.acc
}

// All yields all sessions, for reading.
func (s *Sessions[K, A]) All() iter.Seq2[*K, *Session[A]] {
	return func(yield func(*K, *Session[A]) bool) {
		for k, w := range s.table.All() {
			if !yield(&k.Key, w) {
				return
			}
		}
	}
}

// rebuild makes the timers of what is in the table.
func (s *Sessions[K, A]) rebuild() {
	s.timers.empty()
	s.keys = 0
	for k, row := range s.table.All() {
		if k.N > 0 {
			continue
		}
		if !s.timers.sized {
			s.timers.begin(row.End - row.Start)
		}
		h, _ := s.table.hash(k)
		s.timers.push(Timer[K]{row.Timer, h, k.Key})
		s.keys++
	}
}

// Restore implements statebackend.State.
func (s *Sessions[K, A]) Restore(r statebackend.Reader) error {
	err := s.table.Restore(r)
	s.rebuild()
	return err
}

// Size implements statebackend.State.
func (s *Sessions[K, A]) Size() statebackend.Size {
	n := s.table.Size()
	n.Bytes += int64(s.timers.count) * int64(unsafe.Sizeof(Timer[K]{}))
	return n
}

// OffHeapBytes is the memory of the sessions that the collector does not see.
func (s *Sessions[K, A]) OffHeapBytes() int64 { return s.table.OffHeapBytes() }

// Close gives the memory back.
func (s *Sessions[K, A]) Close() error { return s.table.Close() }
