// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/internal/invariants"
)

// NoTime in a column of event times marks a record that carries none.
const NoTime = math.MinInt64

// Bounds of the number of rows in a batch: about batchBytes of them, and never more than MaxRows.
const (
	MaxRows    = 1024
	minRows    = 64
	batchBytes = 64 << 10
	// fanoutBytes is half of a core's L2 cache: the open builders of all targets of a partitioner fit in it.
	fanoutBytes = 512 << 10
)

// RowsFor returns how many rows of T a batch holds on an edge with that many targets: fewer for large records and at
// high fan-out, down to one.
func RowsFor[T any](targets int) int {
	size := max(1, int(unsafe.Sizeof(*new(T))))
	rows := min(max(batchBytes/size, minRows), MaxRows)
	if targets <= 1 {
		return rows
	}
	return max(1, min(rows, fanoutBytes/(targets*size)))
}

// Any is a Batch of a record type that the holder does not know: what the erased runtime moves.
type Any interface {
	// Len is the number of rows.
	Len() int
	// Hold adds a holder, who releases the batch too.
	Hold()
	// Release gives back one hold on the batch; the last one sends it home to its pool.
	Release()
	// TakeFrame hands the frame that strings of the rows lie in to the caller, with the batch's hold on it; nil where they
	// own themselves.
	TakeFrame() *Frame
}

// Batch is records by value, with their event times and, behind KeyBy, the hashes of their keys in parallel columns.
//
// A batch that is handed over by a call belongs to the callee until that call returns: it may change rows in place and
// swap the storage with a batch of its own, unless the batch is Shared. Whoever keeps records beyond the call copies
// them. The zero Batch is empty, full at zero rows, and belongs to no pool.
type Batch[T any] struct {
	rows []T
	// Invariant: nil, or as long as rows.
	times []int64
	// Invariant: nil, or as long as rows.
	hashes []uint64
	// frame is what strings in rows borrow from; nil where they own themselves. It goes where the rows go.
	frame *Frame
	limit int
	home  *Pool[T]
	// holds counts holders beyond the first; it is touched only where a batch is shared.
	holds atomic.Int32
}

// NewBatch makes an empty batch that is full at limit rows. Its storage is allocated by the first row.
func NewBatch[T any](limit int) *Batch[T] { return &Batch[T]{limit: limit} }

// Len is the number of rows.
func (b *Batch[T]) Len() int { return len(b.rows) }

// Rows returns the records; the slice is valid as long as the batch is.
func (b *Batch[T]) Rows() []T { return b.rows }

// Times returns event times in Unix nanoseconds, parallel to Rows; nil, or NoTime, where records carry no time.
func (b *Batch[T]) Times() []int64 { return b.times }

// Hashes returns the key hashes, parallel to Rows; nil where the stream is not keyed.
func (b *Batch[T]) Hashes() []uint64 { return b.hashes }

// Limit is the number of rows at which the batch is full.
func (b *Batch[T]) Limit() int { return b.limit }

// Full reports whether the batch has reached its size; a producer stops then.
func (b *Batch[T]) Full() bool { return len(b.rows) >= b.limit }

// Append adds a zeroed row without an event time and returns it to be filled in place, until the next row is added.
func (b *Batch[T]) Append() *T {
	if b.times != nil {
		b.times = append(b.times, NoTime)
	}
	return b.appendRow()
}

// AppendAt adds a zeroed row with an event time.
func (b *Batch[T]) AppendAt(at time.Time) *T { return b.AppendNanos(at.UnixNano()) }

// AppendNanos is AppendAt for a time in Unix nanoseconds.
func (b *Batch[T]) AppendNanos(at int64) *T {
	if b.times == nil {
		b.Timed()
	}
	b.times = append(b.times, at)
	return b.appendRow()
}

func (b *Batch[T]) appendRow() *T {
	n := len(b.rows)
	if n == cap(b.rows) {
		b.Grow(n + 1)
	}
	b.rows = b.rows[:n+1]
	r := &b.rows[n]
	*r = *new(T)
	return r
}

// Grow makes room for n rows in all, and for at least the limit.
func (b *Batch[T]) Grow(n int) {
	if n <= cap(b.rows) {
		return
	}
	rows := make([]T, len(b.rows), max(n, b.limit))
	copy(rows, b.rows)
	b.rows = rows
}

// Timed gives the batch a column of event times, NoTime for the rows that it has, if it has none. The column has room
// for as many rows as the batch.
func (b *Batch[T]) Timed() []int64 {
	if b.times == nil {
		b.times = make([]int64, len(b.rows), max(b.limit, cap(b.rows), 1))
		for i := range b.times {
			b.times[i] = NoTime
		}
	}
	return b.times
}

// Untimed drops the column of event times but keeps its storage out of reach.
func (b *Batch[T]) Untimed() { b.times = nil }

// SetTimes replaces the column of event times; it must be nil or as long as Rows.
func (b *Batch[T]) SetTimes(times []int64) {
	invariants.Check(times == nil || len(times) == len(b.rows), "times %d rows %d", len(times), len(b.rows))
	b.times = times
}

// SetHashes replaces the column of key hashes; it must be nil or as long as Rows.
func (b *Batch[T]) SetHashes(hashes []uint64) {
	invariants.Check(hashes == nil || len(hashes) == len(b.rows), "hashes %d rows %d", len(hashes), len(b.rows))
	b.hashes = hashes
}

// Keyed gives the batch a column of key hashes, zero for the rows that it has, if it has none. The column has room for as
// many rows as the batch.
func (b *Batch[T]) Keyed() []uint64 {
	if b.hashes == nil {
		b.hashes = make([]uint64, len(b.rows), max(b.limit, cap(b.rows), 1))
	}
	return b.hashes
}

// Borrow says that strings of the rows lie in f, and takes over one hold on it: the batch gives it back when it is
// released or reset. It must borrow from nothing yet.
func (b *Batch[T]) Borrow(f *Frame) {
	invariants.Check(b.frame == nil, "batch borrows from two frames")
	b.frame = f
}

// Resize sets the number of rows to n, within the capacity or beyond it. Rows that appear hold what the storage held:
// the caller overwrites them. Columns that the batch has are resized with it.
func (b *Batch[T]) Resize(n int) {
	if n > cap(b.rows) {
		b.Grow(n)
	}
	b.rows = b.rows[:n]
	if b.times != nil {
		b.times = resize(b.times, n)
	}
	if b.hashes != nil {
		b.hashes = resize(b.hashes, n)
	}
}

func resize[E any](s []E, n int) []E {
	if n <= cap(s) {
		return s[:n]
	}
	grown := make([]E, n, max(n, 2*cap(s)))
	copy(grown, s)
	return grown
}

// Reset empties the batch and keeps its storage; it is untimed and unkeyed afterwards, unless it held those columns:
// then they are kept, empty. A frame that it borrowed from is given back.
func (b *Batch[T]) Reset() {
	b.giveFrame()
	b.rows = b.rows[:0]
	if b.times != nil {
		b.times = b.times[:0]
	}
	if b.hashes != nil {
		b.hashes = b.hashes[:0]
	}
}

// Swap exchanges the storage of two batches, columns included; limits and pools stay. It is how a batch leaves a chain
// without a copy. Neither may be shared.
func (b *Batch[T]) Swap(o *Batch[T]) {
	invariants.Check(!b.Shared() && !o.Shared(), "swap of a shared batch")
	b.rows, o.rows = o.rows, b.rows
	b.times, o.times = o.times, b.times
	b.hashes, o.hashes = o.hashes, b.hashes
	b.frame, o.frame = o.frame, b.frame
}

// Hold adds a holder: the batch is shared until all but one have released it, and must not be changed meanwhile.
func (b *Batch[T]) Hold() { b.holds.Add(1) }

// Shared reports whether others hold the batch too.
func (b *Batch[T]) Shared() bool { return b.holds.Load() > 0 }

// Release gives back one hold; the last one sends the batch home to its pool. The caller must not touch it afterwards.
func (b *Batch[T]) Release() {
	if b.holds.Load() > 0 && b.holds.Add(-1) >= 0 {
		return
	}
	b.holds.Store(0)
	b.giveFrame()
	if invariants.Enabled {
		mangle(b.rows)
	}
	if b.home != nil {
		b.home.put(b)
	}
}

// TakeFrame hands over the frame. Strings of the rows are good until the caller releases it.
func (b *Batch[T]) TakeFrame() *Frame {
	f := b.frame
	b.frame = nil
	return f
}

func (b *Batch[T]) giveFrame() {
	if b.frame != nil {
		b.frame.Release()
		b.frame = nil
	}
}

// mangle overwrites the rows of a batch that is given back, so that whoever kept a pointer into it finds out.
func mangle[T any](rows []T) { clear(rows[:cap(rows)]) }

// Assert returns the typed batch behind b, or an error that names both types: a wiring fault of the engine.
func Assert[T any](b Any) (*Batch[T], error) {
	t, ok := b.(*Batch[T])
	if !ok {
		return nil, fmt.Errorf("batch is %T, not %T", b, t)
	}
	return t, nil
}

// Borrowed reports whether strings of the rows lie in a frame, so that copies of rows are good only as long as the batch.
func (b *Batch[T]) Borrowed() bool { return b.frame != nil }
