// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// feed is a source that holds records back until a round releases them, with a split for each reader. Reader i of n makes the
// records i, i+n, i+2n and so on.
type feed struct {
	// fill makes the record of a number.
	fill func(i int64, out *record)
	// released is how many records each reader may send in all.
	released atomic.Int64
	mu       struct {
		sync.Mutex
		wake []func() // of the readers
	}
}

// record is what all jobs read.
type record struct{ Key, At int64 }

var _ connector.Source[record, share, connector.None] = (*feed)(nil)

// release lets each reader send n more records.
func (f *feed) release(n int64) {
	f.released.Add(n)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, wake := range f.mu.wake {
		wake()
	}
}

// Boundedness implements connector.Source.
func (f *feed) Boundedness() connector.Boundedness { return connector.Unbounded }

// NewEnumerator implements connector.Source.
func (f *feed) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[share], _ *connector.None) (connector.Enumerator[share, connector.None], error) {
	return dealer{rt}, nil
}

// NewReader implements connector.Source.
func (f *feed) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[record, share], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.wake = append(f.mu.wake, rt.Wake)
	return &reader{feed: f, rt: rt}, nil
}

// share is a split: every Of-th record from Index on, of which Sent were sent.
type share struct{ Index, Of, Sent int64 }

// SplitID implements connector.Split.
func (s share) SplitID() string { return strconv.FormatInt(s.Index, 10) }

// dealer gives each reader its share.
type dealer struct {
	rt connector.EnumeratorContext[share]
}

func (d dealer) Start(context.Context) error {
	all := d.rt.Readers()
	for _, r := range all {
		d.rt.Assign(r, share{Index: int64(r), Of: int64(len(all))})
	}
	return nil
}

func (dealer) Assigned(int, []share) error            { return nil }
func (dealer) ReaderReady(int) error                  { return nil }
func (dealer) AddBack([]share, int) error             { return nil }
func (dealer) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (dealer) Close() error                           { return nil }

// reader sends the records of its share as they are released.
type reader struct {
	feed *feed
	rt   connector.RuntimeContext
	held []share
}

func (r *reader) Add(s []share) error {
	r.held = append(r.held, s...)
	r.rt.Wake()
	return nil
}

func (r *reader) Poll(b *element.Batch[record]) (string, error) {
	if len(r.held) == 0 {
		return "", connector.ErrWait
	}
	s := &r.held[0]
	n := min(int64(b.Limit()), r.feed.released.Load()-s.Sent)
	if n == 0 {
		return "", connector.ErrWait
	}
	b.Resize(int(n))
	rows := b.Rows()
	for i := range rows {
		r.feed.fill(s.Sent*s.Of+s.Index, &rows[i])
		s.Sent++
	}
	return s.SplitID(), nil
}

func (r *reader) NoMoreSplits()                   {}
func (r *reader) Completed(int64) error           { return nil }
func (r *reader) Close() error                    { return nil }
func (r *reader) Snapshot(int64) ([]share, error) { return r.held, nil }

// tally is a sink that counts the rows of all its writers.
type tally[T any] struct {
	rows, wanted atomic.Int64
	done         chan struct{} // holds a token when all wanted rows are there
}

func newTally[T any]() *tally[T] { return &tally[T]{done: make(chan struct{}, 1)} }

// NewWriter implements connector.Sink.
func (t *tally[T]) NewWriter(context.Context, connector.RuntimeContext, []connector.None) (connector.Writer[T, connector.None, connector.None], error) {
	return (*counter[T])(t), nil
}

// NewCommitter implements connector.Sink: there is nothing to commit.
func (t *tally[T]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil
}

// counter is a writer of a tally.
type counter[T any] tally[T]

func (c *counter[T]) Write(_ context.Context, b *element.Batch[T]) error {
	if c.rows.Add(int64(b.Len())) == c.wanted.Load() {
		c.done <- struct{}{}
	}
	return nil
}

func (c *counter[T]) PrepareCommit(context.Context, int64) ([]connector.None, error) { return nil, nil }

func (c *counter[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (c *counter[T]) Close() error                           { return nil }
