// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// WindowAggregate emits the result of each window of each key when the watermark passes its end, at the last moment of
// the window. A record costs one Add, whatever size and slide are. It fails if A can't be stored, or K can't be a key.
func WindowAggregate[K comparable, T, A, R any](
	windows Windows, key func(*T) K, f aggregate.Function[T, A, R],
) (Step, error) {
	return newWindowStep(windows, heap.ColumnsConfig[A]{Merge: f.Merge}, key,
		func(w *windower[K, T, A, R]) firer[T, A] {
			return &folder[K, T, A, R, R]{w: w, f: f, send: func(r *R) error {
				w.emit.Emit(*r)
				return nil
			}}
		})
}

// WindowAggregateProcess hands the results of WindowAggregate on to a function that knows key and window. bind makes the
// context of the API around that of the step, once a subtask.
func WindowAggregateProcess[K comparable, T, A, R, U, C any](
	windows Windows, key func(*T) K, f aggregate.Function[T, A, R],
	bind func(*WindowContext[K]) *C, process func(ctx *C, in *R, out *element.Out[U]) error,
) (Step, error) {
	return newWindowStep(windows, heap.ColumnsConfig[A]{Merge: f.Merge}, key,
		func(w *windower[K, T, A, U]) firer[T, A] {
			c := bind(&w.window)
			return &folder[K, T, A, R, U]{w: w, f: f, send: func(r *R) error {
				if err := process(c, r, w.emit); err != nil {
					return w.rt.failed(err)
				}
				return nil
			}}
		})
}

// WindowReduce folds the records of a window into one, which begins as the first; f must be associative.
func WindowReduce[K comparable, T any](windows Windows, key func(*T) K, f func(acc, in *T)) (Step, error) {
	return WindowAggregate(windows, key, reduction(f))
}

// WindowReduceProcess hands the results of WindowReduce on to a function that knows key and window.
func WindowReduceProcess[K comparable, T, U, C any](
	windows Windows, key func(*T) K, f func(acc, in *T),
	bind func(*WindowContext[K]) *C, process func(ctx *C, in *T, out *element.Out[U]) error,
) (Step, error) {
	return WindowAggregateProcess(windows, key, reduction(f), bind, process)
}

// Reduced is the accumulator of a reduction; Seen tells the empty one.
type Reduced[T any] struct {
	Value T
	Seen  bool
}

func reduction[T any](f func(acc, in *T)) aggregate.Function[T, Reduced[T], T] {
	return aggregate.Of(
		func(acc *Reduced[T], in *T) {
			if !acc.Seen {
				*acc = Reduced[T]{*in, true}
				return
			}
			f(&acc.Value, in)
		},
		func(acc, from *Reduced[T]) {
			switch {
			case !from.Seen:
			case !acc.Seen:
				*acc = *from
			default:
				f(&acc.Value, &from.Value)
			}
		},
		func(acc *Reduced[T]) T { return acc.Value },
	)
}

// folder fires the folds of windows.
type folder[K comparable, T, A, R, U any] struct {
	w    *windower[K, T, A, U]
	f    aggregate.Function[T, A, R]
	send func(*R) error
	// result has a place of its own, so that a pointer to it costs no allocation.
	result R
}

func (f *folder[K, T, A, R, U]) add(cell *A, in *T) { f.f.Add(cell, in) }

func (f *folder[K, T, A, R, U]) fire(start, end int64) error {
	return f.w.columns.Fold(start, end, func(id uint32, acc *A) error {
		if !f.w.enter(id, end) {
			return nil
		}
		f.result = f.f.Result(acc)
		return f.send(&f.result)
	})
}

func (f *folder[K, T, A, R, U]) fireKey(id uint32, start, end int64) error {
	f.result = f.f.Result(f.w.columns.FoldKey(id, start, end))
	return f.send(&f.result)
}

func (f *folder[K, T, A, R, U]) restored() {}
