// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// WindowProcess keeps the records of each window of each key, and hands them to process, in order of arrival, when the
// watermark passes the end of the window. A record is kept once, however many windows it is in; process must not change
// it. bind makes the context of the API around that of the step, once a subtask.
func WindowProcess[K comparable, T, U, C any](
	windows Windows, key func(*T) K,
	bind func(*WindowContext[K]) *C, process func(ctx *C, in iter.Seq[*T], out *element.Out[U]) error,
) (Step, error) {
	return newWindowStep(windows, heap.ColumnsConfig[[]Arrival[T]]{AppendOnly: true}, key,
		func(w *windower[K, T, []Arrival[T], U]) firer[T, []Arrival[T]] {
			k := &keeper[K, T, U]{w: w}
			c, in := bind(&w.window), iter.Seq[*T](k.records)
			k.process = func() error {
				if err := process(c, in, w.emit); err != nil {
					return w.rt.failed(err)
				}
				return nil
			}
			return k
		})
}

// Arrival is a record in state, with a number by which those of several slices of time are put in order.
type Arrival[T any] struct {
	Number int64
	Record T
}

// keeper fires windows that keep their records.
type keeper[K comparable, T, U any] struct {
	w       *windower[K, T, []Arrival[T], U]
	process func() error
	// next is the number of the next record.
	next int64
	// cells are those of the window at hand. Where there are several, merged has their records in order.
	cells  []*[]Arrival[T]
	merged []*Arrival[T]
}

func (k *keeper[K, T, U]) add(cell *[]Arrival[T], in *T) {
	*cell = append(*cell, Arrival[T]{k.next, *in})
	k.next++
}

func (k *keeper[K, T, U]) fire(start, end int64) error {
	return k.w.columns.Gather(start, end, func(id uint32, cells []*[]Arrival[T]) error {
		if !k.w.enter(id, end) {
			return nil
		}
		k.cells = append(k.cells[:0], cells...)
		return k.run()
	})
}

func (k *keeper[K, T, U]) fireKey(id uint32, start, end int64) error {
	k.cells = k.w.columns.Cells(k.cells[:0], id, start, end)
	return k.run()
}

func (k *keeper[K, T, U]) run() error {
	k.merged = k.merged[:0]
	if len(k.cells) > 1 {
		for _, c := range k.cells {
			for i := range *c {
				k.merged = append(k.merged, &(*c)[i])
			}
		}
		slices.SortFunc(k.merged, func(a, b *Arrival[T]) int { return cmp.Compare(a.Number, b.Number) })
	}
	err := k.process()
	clear(k.cells)
	clear(k.merged)
	return err
}

// records yields the records of the window at hand.
func (k *keeper[K, T, U]) records(yield func(*T) bool) {
	if len(k.cells) > 1 {
		for _, a := range k.merged {
			if !yield(&a.Record) {
				return
			}
		}
		return
	}
	for _, c := range k.cells {
		for i := range *c {
			if !yield(&(*c)[i].Record) {
				return
			}
		}
	}
}

// restored goes on with numbers above those that were given out.
func (k *keeper[K, T, U]) restored() {
	_ = k.w.columns.Gather(math.MinInt64, math.MaxInt64, func(_ uint32, cells []*[]Arrival[T]) error {
		for _, c := range cells {
			if n := len(*c); n > 0 {
				k.next = max(k.next, (*c)[n-1].Number+1)
			}
		}
		return nil
	}) // the callback fails never
}
