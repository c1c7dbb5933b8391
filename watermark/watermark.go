// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package watermark says where event time comes from and how far it has come.
//
// A Strategy is given to Watermarks of a stream. Directly behind a source each split has a generator of its own, and the
// watermark of the source is the least of its splits: a split that is read faster than another makes no record late.
// Elsewhere each subtask has one.
//
//	record -> at(record) -> Generator -> watermark of the split -+
//	record -> at(record) -> Generator -> watermark of the split -+-> least -> behind the next batch
//
// Non-obvious: a watermark of t promises that no record at or before t follows. So a generator that saw a record at t,
// and expects more of that time, is at t-1ns. A zero time.Time is no event time: the record carries none.
package watermark

import "time"

// Strategy extracts event times from records of T and derives watermarks from them, one generator a split. The zero
// Strategy is that of FromSource.
type Strategy[T any] struct {
	// fill is nil where the times are those that the source attached.
	fill  fill[T]
	bound time.Duration
	// generator is nil where watermarks follow the latest time seen, at bound behind it.
	generator func() Generator[T]
	idle      time.Duration
}

// UnixNano is an instant in Unix nanoseconds. Records that keep their times as integers give it faster than a time.Time.
type UnixNano int64

// Instant is what event times are given as.
type Instant interface{ time.Time | UnixNano }

// Ascending is for times that never go back within a split.
func Ascending[T any, I Instant](at func(*T) I) Strategy[T] { return Strategy[T]{fill: fillBy(at)} }

// BoundedOutOfOrderness is for times that are at most bound behind the latest one seen.
func BoundedOutOfOrderness[T any, I Instant](bound time.Duration, at func(*T) I) Strategy[T] {
	return Strategy[T]{fill: fillBy(at), bound: bound}
}

// FromSource takes the times that the source itself attaches (ingestion time, broker time), which must not go back within
// a split. T appears in no argument, so it is written: FromSource[Order]().
func FromSource[T any]() Strategy[T] { return Strategy[T]{} }

// Custom makes one generator for each split. Where at is nil, it sees the times that the source attached.
func Custom[T any, I Instant](at func(*T) I, generator func() Generator[T]) Strategy[T] {
	return Strategy[T]{fill: fillBy(at), generator: generator}
}

// Idle takes a split out of the minimum after it was silent for d. Time in which the step waits for a slower one behind
// it is not counted.
func (s Strategy[T]) Idle(d time.Duration) Strategy[T] {
	s.idle = d
	return s
}

// Generator derives the watermarks of one split; its calls are never concurrent.
type Generator[T any] interface {
	// OnRecord sees every record; it may emit a watermark there and then (punctuated). It is sent behind the batch that
	// the record came in.
	OnRecord(in *T, at time.Time, out *Output)
	// OnPeriod is called when the source goes idle and at most every 5 ms otherwise.
	OnPeriod(out *Output)
}

// Output takes the watermarks of a Generator; those that go back are ignored.
type Output struct {
	// at is the latest watermark in Unix nanoseconds.
	at int64
}

// Emit promises that no record at or before at follows.
func (o *Output) Emit(at time.Time) { o.at = max(o.at, Nanos(at)) }
