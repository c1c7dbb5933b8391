// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
)

// WindowAggregate emits the result of each window of each key when the watermark passes its end, at the last moment of
// the window. A record costs one Add, whatever size and slide are. It fails if A can't be stored, or K can't be a key.
func WindowAggregate[K comparable, T, A, R any](
	windows Windows, key func(*T) K, f aggregate.Function[T, A, R],
) (Step, error) {
	return newAggregateStep(windows, key, f,
		func(w *windowBase[K, R]) contents[A] {
			return contents[A]{fire: func(accs []*A) error {
				w.emit.Emit(f.Result(accs[0]))
				return nil
			}}
		})
}

// newAggregateStep is newWindowStep for accumulators that can be merged, so that producers may combine records.
func newAggregateStep[K comparable, T, A, R, U any](
	windows Windows, key func(*T) K, f aggregate.Function[T, A, R], newContents func(*windowBase[K, U]) contents[A],
) (Step, error) {
	add := f.Add
	if direct, ok := f.(interface{ Adder() func(acc *A, in *T) }); ok {
		add = direct.Adder()
	}
	step, err := newWindowStep(windows, accumulators[A]{merge: f.Merge}, key,
		func(w *windowBase[K, U]) (contents[A], func(*A, *T)) { return newContents(w), add })
	if err == nil {
		step.Combine = combineOf(windows, key, add)
	}
	return step, err
}

// WindowAggregateProcess hands the results of WindowAggregate on to a function that knows key and window. bind makes the
// context of the API around that of the step, once a subtask.
func WindowAggregateProcess[K comparable, T, A, R, U, C any](
	windows Windows, key func(*T) K, f aggregate.Function[T, A, R],
	bind func(*WindowContext[K]) *C, process func(ctx *C, in *R, out *element.Out[U]) error,
) (Step, error) {
	return newAggregateStep(windows, key, f,
		func(w *windowBase[K, U]) contents[A] {
			// result has a place of its own, so that a pointer to it costs no allocation.
			c, result := bind(&w.window), new(R)
			return contents[A]{fire: func(accs []*A) error {
				*result = f.Result(accs[0])
				if err := process(c, result, w.emit); err != nil {
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
