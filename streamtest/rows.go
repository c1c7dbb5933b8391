// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// gate holds half of the rows back until the failures that a test asked for have happened.
type gate struct {
	mu struct {
		sync.Mutex
		opened bool
		wake   []func()
	}
}

func (g *gate) open() {
	g.mu.Lock()
	g.mu.opened = true
	wake := g.mu.wake
	g.mu.wake = nil
	g.mu.Unlock()
	for _, w := range wake {
		w()
	}
}

// passed reports whether the gate is open, and has wake called when it opens.
func (g *gate) passed(wake func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.opened {
		g.mu.wake = append(g.mu.wake, wake)
	}
	return g.mu.opened
}

// rowSource yields rows in order, through one reader.
type rowSource[T any] struct {
	rows []T
	gate *gate
}

// rowSplit is all rows from Next on.
type rowSplit struct{ Next int }

// SplitID is that of the only split.
func (rowSplit) SplitID() string { return "rows" }

// rowProgress is the state of the enumerator.
type rowProgress struct{ Assigned bool }

// Boundedness is that of a source which ends.
func (s rowSource[T]) Boundedness() connector.Boundedness { return connector.Bounded }

// NewEnumerator makes what assigns the split.
func (s rowSource[T]) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[rowSplit], restored *rowProgress,
) (connector.Enumerator[rowSplit, rowProgress], error) {
	e := &rowEnumerator{rt: rt}
	if restored != nil {
		e.rowProgress = *restored
	}
	return e, nil
}

// rowEnumerator gives the split to the first reader that asks.
type rowEnumerator struct {
	rowProgress
	rt connector.EnumeratorContext[rowSplit]
	// back are splits that were given back.
	back []rowSplit
}

func (e *rowEnumerator) Assigned(_ int, splits []rowSplit) error {
	e.rowProgress.Assigned = e.rowProgress.Assigned || len(splits) > 0
	return nil
}

func (e *rowEnumerator) Start(context.Context) error { return nil }

func (e *rowEnumerator) ReaderReady(reader int) error {
	switch {
	case len(e.back) > 0:
		e.rt.Assign(reader, e.back...)
		e.back = nil
	case !e.rowProgress.Assigned:
		e.rowProgress.Assigned = true
		e.rt.Assign(reader, rowSplit{})
	default:
		e.rt.NoMoreSplits(reader)
	}
	return nil
}

func (e *rowEnumerator) AddBack(splits []rowSplit, _ int) error {
	e.back = append(e.back, splits...)
	return nil
}

func (e *rowEnumerator) Snapshot(int64) (rowProgress, error) { return e.rowProgress, nil }
func (e *rowEnumerator) Close() error                        { return nil }

// NewReader makes what yields the rows.
func (s rowSource[T]) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[T, rowSplit], error) {
	return &rowReader[T]{source: s, rt: rt}, nil
}

type rowReader[T any] struct {
	source rowSource[T]
	rt     connector.RuntimeContext
	split  *rowSplit
	noMore bool
}

func (r *rowReader[T]) Add(splits []rowSplit) error {
	for _, s := range splits {
		r.split = &s
	}
	return nil
}

func (r *rowReader[T]) Poll(b *element.Batch[T]) (string, error) {
	if r.split == nil {
		if r.noMore {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	end := len(r.source.rows)
	if !r.source.gate.passed(r.rt.Wake) {
		end /= 2
	}
	for r.split.Next < end && !b.Full() {
		*b.Append() = r.source.rows[r.split.Next]
		r.split.Next++
	}
	switch {
	case r.split.Next == len(r.source.rows):
		id := r.split.SplitID()
		r.split = nil
		return id, connector.ErrSplitEnd
	case r.split.Next == end:
		return r.split.SplitID(), connector.ErrWait
	default:
		return r.split.SplitID(), nil
	}
}

func (r *rowReader[T]) NoMoreSplits() { r.noMore = true }

func (r *rowReader[T]) Snapshot(int64) ([]rowSplit, error) {
	if r.split == nil {
		return nil, nil
	}
	return []rowSplit{*r.split}, nil
}

func (r *rowReader[T]) Completed(int64) error { return nil }
func (r *rowReader[T]) Close() error          { return nil }

// sorted orders rows by how they print.
func sorted[T any](rows []T) []T {
	type rendered struct {
		text string
		row  T
	}
	all := make([]rendered, len(rows))
	for i, r := range rows {
		all[i] = rendered{fmt.Sprintf("%+v", r), r}
	}
	slices.SortStableFunc(all, func(a, b rendered) int { return cmp.Compare(a.text, b.text) })
	for i, r := range all {
		rows[i] = r.row
	}
	return rows
}
