// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/stream"
)

// feed is a source of one split that holds records back until a round releases them. fill makes the record of a number.
type feed[T any] struct {
	fill func(i int64, out *T)
	// released is how many records may go out in all; wake, set by the reader, tells it of more.
	released *atomic.Int64
	wake     *atomic.Pointer[func()]
	// completed is the number of checkpoints that the reader was told of; checkpoints has them, but for those that nobody
	// waits for.
	completed   *atomic.Int64
	checkpoints chan int64
}

func newFeed[T any](fill func(i int64, out *T)) feed[T] {
	return feed[T]{fill: fill, released: new(atomic.Int64), wake: new(atomic.Pointer[func()]), completed: new(atomic.Int64), checkpoints: make(chan int64, 16)}
}

// release lets n more records go out.
func (f feed[T]) release(n int64) {
	f.released.Add(n)
	if wake := f.wake.Load(); wake != nil {
		(*wake)()
	}
}

func (f feed[T]) Boundedness() connector.Boundedness { return connector.Unbounded }

func (f feed[T]) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[span], restored *span) (connector.Enumerator[span, span], error) {
	return deal{rt}, nil
}

func (f feed[T]) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[T, span], error) {
	wake := rt.Wake
	f.wake.Store(&wake)
	return &feedReader[T]{feed: f, rt: rt}, nil
}

// span is the one split: the next number.
type span struct{ Next int64 }

func (span) SplitID() string { return "all" }

// deal hands out the one split.
type deal struct {
	rt connector.EnumeratorContext[span]
}

func (deal) Assigned(int, []span) error { return nil }
func (d deal) Start(context.Context) error {
	d.rt.Assign(d.rt.Readers()[0], span{})
	return nil
}
func (deal) ReaderReady(int) error        { return nil }
func (deal) AddBack([]span, int) error    { return nil }
func (deal) Snapshot(int64) (span, error) { return span{}, nil }
func (deal) Close() error                 { return nil }

type feedReader[T any] struct {
	feed[T]
	rt   connector.RuntimeContext
	held bool
	next int64
}

func (r *feedReader[T]) Add([]span) error {
	r.held = true
	r.rt.Wake()
	return nil
}

func (r *feedReader[T]) Poll(b *element.Batch[T]) (string, error) {
	n := min(int64(b.Limit()), r.released.Load()-r.next)
	if !r.held || n == 0 {
		return "", connector.ErrWait
	}
	b.Resize(int(n))
	rows, fill := b.Rows(), r.fill
	for i := range rows {
		fill(r.next, &rows[i])
		r.next++
	}
	return "all", nil
}

func (r *feedReader[T]) NoMoreSplits()                  {}
func (r *feedReader[T]) Snapshot(int64) ([]span, error) { return []span{{r.next}}, nil }
func (r *feedReader[T]) Completed(checkpoint int64) error {
	r.completed.Add(1)
	select {
	case r.checkpoints <- checkpoint:
	default:
	}
	return nil
}
func (r *feedReader[T]) Close() error { return nil }

// tally is a sink that adds up what a function reads of the rows, and tells when it has a number of them.
type tally[T any] struct {
	of        func(*T) int64
	sum, rows int64
	// wanted is the number of rows in all that a round waits for.
	wanted *atomic.Int64
	done   chan int64
}

func newTally[T any](of func(*T) int64) *tally[T] {
	return &tally[T]{of: of, wanted: new(atomic.Int64), done: make(chan int64, 1)}
}

func (t *tally[T]) NewWriter(context.Context, connector.RuntimeContext, []connector.None) (connector.Writer[T, connector.None, connector.None], error) {
	return t, nil
}

func (t *tally[T]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil
}

func (t *tally[T]) Write(_ context.Context, b *element.Batch[T]) error {
	rows, of := b.Rows(), t.of
	for i := range rows {
		t.sum += of(&rows[i])
	}
	t.rows += int64(len(rows))
	if t.rows == t.wanted.Load() {
		t.done <- t.sum
	}
	return nil
}

func (t *tally[T]) PrepareCommit(context.Context, int64) ([]connector.None, error) { return nil, nil }

func (t *tally[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (t *tally[T]) Close() error                           { return nil }

// live is a job that runs between a feed and a tally.
type live[T, U any] struct {
	tb   testing.TB
	job  *weir.Handle
	feed feed[T]
	out  *tally[U]
}

// start runs a job with one subtask a step. describe leads from the feed to the tally.
func start[T, U any](
	tb testing.TB, f feed[T], out *tally[U], o weir.Options, describe func(env *stream.Env, in feed[T], out *tally[U]),
) *live[T, U] {
	tb.Helper()
	h, err := weir.Run(tb.Context(), "bench", func(env *stream.Env) error {
		env.Parallelism(1)
		describe(env, f, out)
		return nil
	}, o)
	if err != nil {
		tb.Fatal(err)
	}
	return &live[T, U]{tb, h, f, out}
}

// round sends n records and waits until the sink has so many rows more. It returns the sum of all rows so far.
func (l *live[T, U]) round(n, results int64) int64 {
	l.tb.Helper()
	l.out.wanted.Add(results)
	l.feed.release(n)
	select {
	case sum := <-l.out.done:
		return sum
	case <-l.job.Done():
		l.tb.Fatalf("the job ended: %v", l.job.Wait())
		return 0
	}
}

// stop ends the job and waits for it.
func (l *live[T, U]) stop() {
	l.tb.Helper()
	if err := l.job.Cancel(context.WithoutCancel(l.tb.Context())); err != nil {
		l.tb.Fatal(err)
	}
	if err := l.job.Wait(); !errors.Is(err, weir.ErrCanceled) {
		l.tb.Fatal(err)
	}
}
