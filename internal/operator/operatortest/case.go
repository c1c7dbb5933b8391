// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package operatortest is the hostile harness of operators: it runs one step over small tables of input in every way in
// which a task may, and wants the same output each time.
//
//	one record a batch, all at once, random sizes       batches of one owner, shared batches
//	outputs of one row                                  one input first, the other first, by turns
//	snapshot and restore after every delivery           snapshots in slices between records, aborted ones, crashes
//	one subtask, two, three, and from one to the other
//
// A test lists what comes in on each input and what must come out:
//
//	operatortest.Run(t, operatortest.Case{
//		Step:   operator.Filter(func(n *int) bool { return *n > 1 }),
//		Inputs: []operatortest.Input{operatortest.NewFeed[int]().At(5, 1).At(6, 2).Watermark(6).End()},
//		Want:   []operatortest.Want{operatortest.Expect(2).At(6)},
//	})
//
// What it checks besides: watermarks never go back, nothing follows the end, the end of time comes out when it came in
// on all inputs, shared batches are not changed, and no batch is empty. Run it with -tags invariants too: batches that
// were handed back are overwritten then.
//
// Non-obvious: rows of a crash are taken back and come again, as in a job, so a record must not matter to the output
// once it is behind a snapshot. After a restore, watermarks that came before are sent again in some runs and not in
// others: an operator must not depend on it.
package operatortest

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
)

// Case is a step, what comes in, and what must come out.
type Case struct {
	Step operator.Step
	// Inputs has one feed for each input of the step.
	Inputs []Input
	// Want has the outputs that are looked at; others are not connected.
	Want []Want
	// InTurns says that the order between inputs matters to the result: they are fed in turns, an event each, instead of
	// in every order.
	InTurns bool
	// OneSubtask keeps the step at parallelism 1, for results that depend on which subtask has a record.
	OneSubtask bool
	// Groups is the number of key groups, 8 if zero.
	Groups int
}

// Input is a Feed of some record type.
type Input interface {
	events() []event
	// owner returns the subtask that a row belongs to.
	owner(i, groups, parallelism int) int
	// deliver hands the rows at the given indices to a port, as one batch.
	deliver(p operator.Port, rows []int, shared bool) error
}

// event is a row or what stands between rows.
type event struct {
	kind kind
	// at is the time of a watermark, in nanoseconds, or how far the clock moves.
	at int64
	// row is the index of a row among those of the feed.
	row int
}

type kind uint8

const (
	row kind = iota
	watermark
	idle
	active
	clock
	end
)

// Feed is what comes in on one input, in order. Its methods add an event each and return the feed.
type Feed[T any] struct {
	all   []event
	rows  []T
	times []int64
	hash  func(*T) uint64
	// timed is set once a row has a time.
	timed bool
}

// NewFeed makes an empty feed.
func NewFeed[T any]() *Feed[T] { return &Feed[T]{} }

// KeyBy gives batches the column of key hashes, and sends each row to the owner of its key group. It panics if K can't
// be a key.
func (f *Feed[T]) KeyBy[K comparable](key func(*T) K) *Feed[T] {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		panic(err)
	}
	f.hash = func(r *T) uint64 {
		k := key(r)
		return hash(&k)
	}
	return f
}

// Row adds records without an event time.
func (f *Feed[T]) Row(rows ...T) *Feed[T] {
	for _, r := range rows {
		f.add(element.NoTime, r)
	}
	return f
}

// At adds records at an event time in nanoseconds.
func (f *Feed[T]) At(at int64, rows ...T) *Feed[T] {
	f.timed = true
	for _, r := range rows {
		f.add(at, r)
	}
	return f
}

func (f *Feed[T]) add(at int64, r T) {
	f.all = append(f.all, event{kind: row, row: len(f.rows)})
	f.rows = append(f.rows, r)
	f.times = append(f.times, at)
}

func (f *Feed[T]) control(k kind, at int64) *Feed[T] {
	f.all = append(f.all, event{kind: k, at: at})
	return f
}

// Watermark advances event time.
func (f *Feed[T]) Watermark(at int64) *Feed[T] { return f.control(watermark, at) }

// Idle takes the input out of the minimum of watermarks, Active puts it back.
func (f *Feed[T]) Idle() *Feed[T] { return f.control(idle, 0) }

// Active puts the input back.
func (f *Feed[T]) Active() *Feed[T] { return f.control(active, 0) }

// Clock advances processing time, for all inputs.
func (f *Feed[T]) Clock(d time.Duration) *Feed[T] { return f.control(clock, int64(d)) }

// End sends the end of time and ends the input.
func (f *Feed[T]) End() *Feed[T] { return f.Watermark(element.MaxWatermark).Stop() }

// Stop ends the input without the end of time.
func (f *Feed[T]) Stop() *Feed[T] { return f.control(end, 0) }

// Each calls onRow for the records of the feed and onWatermark for its watermarks, in order: for tests that drive a step
// by hand.
func (f *Feed[T]) Each(onRow func(at int64, r *T), onWatermark func(at int64)) {
	for _, e := range f.all {
		switch e.kind {
		case row:
			onRow(f.times[e.row], &f.rows[e.row])
		case watermark:
			onWatermark(e.at)
		case idle, active, clock, end:
		}
	}
}

func (f *Feed[T]) events() []event { return f.all }

func (f *Feed[T]) owner(i, groups, parallelism int) int {
	if f.hash == nil {
		return i % parallelism
	}
	group, _ := keys.Group(f.hash(&f.rows[i]), groups)
	return group * parallelism / groups
}

func (f *Feed[T]) deliver(p operator.Port, rows []int, shared bool) error {
	b := element.NewBatch[T](len(rows))
	for _, i := range rows {
		if f.timed {
			*b.AppendNanos(f.times[i]) = f.rows[i]
		} else {
			*b.Append() = f.rows[i]
		}
	}
	if f.hash != nil {
		hashes := make([]uint64, len(rows))
		for n, i := range rows {
			hashes[n] = f.hash(&f.rows[i])
		}
		b.SetHashes(hashes)
	}
	if !shared {
		err := p.Deliver(b)
		b.Release()
		return err
	}
	b.Hold()
	before := describe(b)
	err := p.Deliver(b)
	if after := describe(b); err == nil && after != before {
		err = fmt.Errorf("a shared batch was changed: it was %s, and is %s", before, after)
	}
	b.Release()
	b.Release()
	return err
}

func describe[T any](b *element.Batch[T]) string {
	return fmt.Sprintf("%+v at %d, hashes %d", b.Rows(), b.Times(), b.Hashes())
}
