// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import "time"

// Out receives the records that a user function emits. They inherit the event time of the input record, of the timer,
// or of the window's last moment. It is valid during the call.
//
// It fills a batch of its own and sends that on when it is full, in the middle of the user's call, and when the runtime
// calls Flush. An error of a send is kept: what is emitted afterwards is dropped, and Flush reports it.
//
// Emit copies the record twice, as an argument and into the batch; for records of more than four fields it is quicker to
// set those of Next one by one.
type Out[T any] struct {
	stamp
	rows  []T
	times []int64
	// n rows are filled. Invariant: n <= len(rows) == len(times).
	n     int
	batch *Batch[T]
	send  func(*Batch[T]) error
	err   error
}

// stamp is the event time of what is emitted. It is a type of its own because the compiler puts only methods without type
// parameters in place of their call.
type stamp struct{ at int64 }

// At sets the event time, in Unix nanoseconds or NoTime, that records emitted from now on inherit.
func (s *stamp) At(at int64) { s.at = at }

// NewOut makes an Out that collects up to limit rows before it sends them. send borrows the batch for the call and may
// swap its storage.
func NewOut[T any](limit int, send func(*Batch[T]) error) *Out[T] {
	return &Out[T]{batch: NewBatch[T](limit), send: send, stamp: stamp{at: NoTime}}
}

// Emit sends one record.
func (o *Out[T]) Emit(v T) {
	if o.n == len(o.rows) {
		o.overflow()
	}
	o.rows[o.n] = v
	o.times[o.n] = o.at
	o.n++
}

// EmitAt sends one record with an event time of its own.
func (o *Out[T]) EmitAt(v T, at time.Time) {
	o.Emit(v)
	o.times[o.n-1] = at.UnixNano()
}

// Next appends a zeroed record and returns it to be filled in place, until the next call on Out.
func (o *Out[T]) Next() *T {
	if o.n == len(o.rows) {
		o.overflow()
	}
	r := &o.rows[o.n]
	*r = *new(T)
	o.times[o.n] = o.at
	o.n++
	return r
}

// Pending is the number of records that wait for Flush.
func (o *Out[T]) Pending() int { return o.n }

// Flush sends on what was emitted and returns the first error of any send since the last Flush.
func (o *Out[T]) Flush() error {
	if o.n > 0 {
		o.ship()
	}
	err := o.err
	o.err = nil
	return err
}

// overflow makes room for a row: by the first allocation, else by sending the full batch on.
func (o *Out[T]) overflow() {
	if o.n > 0 {
		o.ship()
	}
	if len(o.rows) == 0 {
		o.adopt()
	}
}

// ship sends the filled rows and takes the storage that the receiver left.
func (o *Out[T]) ship() {
	b := o.batch
	b.rows, b.times, b.hashes = o.rows[:o.n], o.times[:o.n], nil
	o.n = 0
	if o.err == nil {
		o.err = o.send(b)
	}
	o.adopt()
}

// adopt spreads the storage of the batch over its whole capacity.
func (o *Out[T]) adopt() {
	b := o.batch
	n := max(1, b.limit)
	if cap(b.rows) < n {
		b.rows = make([]T, n)
	}
	if cap(b.times) < n {
		b.times = make([]int64, n)
	}
	o.rows, o.times = b.rows[:n], b.times[:n]
}
