// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"iter"
	"slices"

	"github.com/weir-stream/weir/element"
)

// WindowProcess keeps the records of each window of each key, and hands them to process, in order of arrival, when the
// watermark passes the end of the window. A record is kept once, however many windows it is in; process must not change
// it. bind makes the context of the API around that of the step, once a subtask.
func WindowProcess[K comparable, T, U, C any](
	windows Windows, key func(*T) K,
	bind func(*WindowContext[K]) *C, process func(ctx *C, in iter.Seq[*T], out *element.Out[U]) error,
) (Step, error) {
	return newWindowStep(windows, accumulators[[]Arrival[T]]{merge: mergeArrivals[T], appendOnly: true}, key,
		func(w *windowBase[K, U]) (contents[[]Arrival[T]], func(*[]Arrival[T], *T)) {
			// next is the number of the next record.
			next, kept := int64(0), &arrivals[T]{}
			c, in := bind(&w.window), iter.Seq[*T](kept.all)
			fire := func(accs []*[]Arrival[T]) error {
				kept.lists = append(kept.lists, accs...)
				kept.arrange()
				err := process(c, in, w.emit)
				kept.clear()
				if err != nil {
					return w.rt.failed(err)
				}
				return nil
			}
			restored := func(acc *[]Arrival[T]) { next = max(next, nextNumber(*acc)) }
			return contents[[]Arrival[T]]{fire: fire, restored: restored}, func(acc *[]Arrival[T], in *T) {
				*acc = append(*acc, Arrival[T]{next, *in})
				next++
			}
		})
}

// Arrival is a record in state, with a number by which those of several accumulators are put in order.
type Arrival[T any] struct {
	Number int64
	Record T
}

// nextNumber is above the numbers of records in order.
func nextNumber[T any](in []Arrival[T]) int64 {
	if len(in) == 0 {
		return 0
	}
	return in[len(in)-1].Number + 1
}

// mergeArrivals puts the records of from among those of acc, in order.
func mergeArrivals[T any](acc, from *[]Arrival[T]) {
	behind := len(*acc) == 0 || len(*from) == 0 || (*acc)[len(*acc)-1].Number < (*from)[0].Number
	*acc = append(*acc, *from...)
	if !behind {
		slices.SortFunc(*acc, func(a, b Arrival[T]) int { return cmp.Compare(a.Number, b.Number) })
	}
}

// arrivals are the records of the window at hand.
type arrivals[T any] struct {
	lists []*[]Arrival[T]
	// merged has the records in order where there are several lists.
	merged []*Arrival[T]
}

// arrange puts the records of lists in order.
func (a *arrivals[T]) arrange() {
	if len(a.lists) < 2 {
		return
	}
	for _, l := range a.lists {
		for i := range *l {
			a.merged = append(a.merged, &(*l)[i])
		}
	}
	slices.SortFunc(a.merged, func(a, b *Arrival[T]) int { return cmp.Compare(a.Number, b.Number) })
}

// clear lets go of what was kept.
func (a *arrivals[T]) clear() {
	clear(a.lists)
	clear(a.merged)
	a.lists, a.merged = a.lists[:0], a.merged[:0]
}

func (a *arrivals[T]) empty() bool { return len(a.lists) == 0 }

// all yields the records.
func (a *arrivals[T]) all(yield func(*T) bool) {
	if len(a.lists) > 1 {
		for _, r := range a.merged {
			if !yield(&r.Record) {
				return
			}
		}
		return
	}
	for _, l := range a.lists {
		for i := range *l {
			if !yield(&(*l)[i].Record) {
				return
			}
		}
	}
}
