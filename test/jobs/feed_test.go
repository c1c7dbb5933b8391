// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

const (
	// feedLanes is how many splits a feed has by default.
	feedLanes = 10
	// feedRows is the most rows of a batch, so that barriers fall between any two records.
	feedRows = 16
)

// feed is a source that a test lets flow: rows below an edge that it moves on, until it says which is the last.
type feed[T any] struct {
	fill func(i int64, out *T)
	// lanes is the number of splits: lane l has the rows l, l+lanes, ...
	lanes int64
	// polled counts rows that were handed out, each time they were.
	polled atomic.Int64
	mu     struct {
		sync.Mutex
		edge int64
		// ended says that no row comes behind the edge.
		ended bool
		wake  []func()
	}
}

func newFeed[T any](fill func(i int64, out *T)) *feed[T] {
	return &feed[T]{fill: fill, lanes: feedLanes}
}

// flow moves the edge on to n, never back.
func (f *feed[T]) flow(n int64) { f.change(func() { f.mu.edge = max(f.mu.edge, n) }) }

// end makes the edge the end and returns it.
func (f *feed[T]) end() int64 {
	f.change(func() { f.mu.ended = true })
	return f.edge()
}

func (f *feed[T]) edge() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.edge
}

// waiting is how often a reader has found nothing since the edge was moved.
func (f *feed[T]) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.mu.wake)
}

func (f *feed[T]) change(to func()) {
	f.mu.Lock()
	to()
	wake := f.mu.wake
	f.mu.wake = nil
	f.mu.Unlock()
	for _, w := range wake {
		w()
	}
}

// look returns the edge; a reader that has nothing below it is woken when it moves.
func (f *feed[T]) look(next int64, wake func()) (edge int64, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if next >= f.mu.edge && !f.mu.ended {
		f.mu.wake = append(f.mu.wake, wake)
	}
	return f.mu.edge, f.mu.ended
}

// lane is a split, with the number of its next row.
type lane struct{ Lane, Next int64 }

func (l lane) SplitID() string { return strconv.FormatInt(l.Lane, 10) }

// lanesLeft is the state of the enumerator.
type lanesLeft struct{ Lanes []lane }

func (f *feed[T]) Boundedness() connector.Boundedness { return connector.Bounded }

func (f *feed[T]) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[lane], restored *lanesLeft,
) (connector.Enumerator[lane, lanesLeft], error) {
	e := &feedEnumerator{rt: rt}
	if restored != nil {
		e.left = restored.Lanes
		return e, nil
	}
	for l := range f.lanes {
		e.left = append(e.left, lane{l, l})
	}
	return e, nil
}

// feedEnumerator deals out all lanes at the start, those of a reader at once: their times advance together, and what is
// assigned later would be late.
type feedEnumerator struct {
	rt   connector.EnumeratorContext[lane]
	left []lane
}

func (e *feedEnumerator) Assigned(_ int, splits []lane) error {
	for _, s := range splits {
		for i, l := range e.left {
			if l.Lane == s.Lane {
				e.left = append(e.left[:i:i], e.left[i+1:]...)
				break
			}
		}
	}
	return nil
}

func (e *feedEnumerator) Start(context.Context) error {
	readers := e.rt.Readers()
	own := make([][]lane, len(readers))
	for _, l := range e.left {
		own[l.Lane%int64(len(readers))] = append(own[l.Lane%int64(len(readers))], l)
	}
	e.left = nil
	for i, lanes := range own {
		if len(lanes) > 0 {
			e.rt.Assign(readers[i], lanes...)
		}
	}
	return nil
}

func (e *feedEnumerator) ReaderReady(reader int) error {
	e.rt.NoMoreSplits(reader)
	return nil
}

func (e *feedEnumerator) AddBack(splits []lane, reader int) error {
	e.rt.Assign(reader, splits...)
	return nil
}

func (e *feedEnumerator) Snapshot(int64) (lanesLeft, error) { return lanesLeft{e.left}, nil }
func (e *feedEnumerator) Close() error                      { return nil }

func (f *feed[T]) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[T, lane], error) {
	return &feedReader[T]{feed: f, rt: rt}, nil
}

// feedReader reads the lane that is furthest behind.
type feedReader[T any] struct {
	feed   *feed[T]
	rt     connector.RuntimeContext
	lanes  []lane
	noMore bool
}

func (r *feedReader[T]) Add(splits []lane) error {
	r.lanes = append(r.lanes, splits...)
	return nil
}

func (r *feedReader[T]) Poll(b *element.Batch[T]) (string, error) {
	if len(r.lanes) == 0 {
		if r.noMore {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	at := 0
	for i, l := range r.lanes {
		if l.Next < r.lanes[at].Next {
			at = i
		}
	}
	l := &r.lanes[at]
	id := l.SplitID()
	edge, ended := r.feed.look(l.Next, r.rt.Wake)
	for range feedRows {
		if l.Next >= edge || b.Full() {
			break
		}
		row := b.Append()
		r.feed.fill(l.Next, row)
		r.feed.polled.Add(1)
		l.Next += r.feed.lanes
	}
	switch {
	case l.Next < edge:
		return id, nil
	case ended:
		r.lanes = append(r.lanes[:at:at], r.lanes[at+1:]...)
		return id, connector.ErrSplitEnd
	case b.Len() == 0:
		return "", connector.ErrWait
	default:
		return id, nil
	}
}

func (r *feedReader[T]) NoMoreSplits() { r.noMore = true }

func (r *feedReader[T]) Snapshot(int64) ([]lane, error) { return append([]lane(nil), r.lanes...), nil }
func (r *feedReader[T]) Completed(int64) error          { return nil }
func (r *feedReader[T]) Close() error                   { return nil }
