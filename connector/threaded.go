// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// handovers is the number of batches that a threaded reader fetches ahead of the task.
const handovers = 3

// Threaded makes a Reader of a blocking fetch, which it calls on one goroutine of its own: for one split at a time, in
// the order in which they were added.
//
//	fetch goroutine --- at most 3 batches, each with its split behind it ---> Poll
//	                <-- the storage of batches that were handed over ---
//
// fetch appends records of s to b until it is full or until what is there for now is read, moves the position of s
// behind them, and returns io.EOF, with or without records, when s is read to its end. It blocks while there is
// nothing, and returns soon after ctx has ended. Any other error fails the task, and records that come with it are
// dropped. What fetch keeps between calls is its own; what s refers to by slice or pointer it must replace, not change.
//
// Snapshot is exact: it returns each split as it was behind the last record that Poll returned, whatever was fetched
// ahead. The size of batches is that of the first one that Poll is given.
func Threaded[T any, S Split](rt RuntimeContext, fetch func(ctx context.Context, s *S, b *element.Batch[T]) error) Reader[T, S] {
	ctx, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // the reader owns it: Close ends it
	return &threaded[T, S]{
		rt: rt, fetch: fetch, ctx: ctx, cancel: cancel,
		full: make(chan handover[T, S], handovers),
		free: make(chan *element.Batch[T], handovers+1),
		more: make(chan struct{}, 1),
	}
}

var errReaderClosed = errors.New("connector: reader closed")

type threaded[T any, S Split] struct {
	rt     RuntimeContext
	fetch  func(ctx context.Context, s *S, b *element.Batch[T]) error
	ctx    context.Context // of the goroutine; ends with Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	// Of the task's goroutine. held are the unfinished splits in the order in which they are read, each behind the last
	// record that was returned.
	held []S
	// id is that of held[0], once a record or the end of it has come.
	id      string
	noMore  bool
	err     error
	started bool

	full chan handover[T, S]
	free chan *element.Batch[T]
	// waiting tells that Poll found nothing and that the next hand-over must wake the task.
	waiting atomic.Bool
	// more says that todo has grown.
	more chan struct{}
	mu   struct {
		sync.Mutex
		todo []S
	}
}

// handover is a batch, the split behind its last record, and whether the split or the reader ended there.
type handover[T any, S Split] struct {
	split S
	batch *element.Batch[T]
	end   bool
	err   error
}

func (t *threaded[T, S]) Add(splits []S) error {
	t.held = append(t.held, splits...)
	t.mu.Lock()
	t.mu.todo = append(t.mu.todo, splits...)
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default:
	}
	t.rt.Wake()
	return nil
}

func (t *threaded[T, S]) NoMoreSplits() {
	t.noMore = true
	t.rt.Wake()
}

func (t *threaded[T, S]) Poll(b *element.Batch[T]) (string, error) {
	if t.err != nil {
		return "", t.err
	}
	if len(t.held) == 0 {
		if t.noMore {
			return "", io.EOF
		}
		return "", ErrWait
	}
	if !t.started {
		t.started = true
		limit := max(1, b.Limit()-b.Len())
		t.wg.Go(func() { t.run(limit) })
	}
	h, ok := t.take()
	if !ok {
		return "", ErrWait
	}
	if h.err != nil {
		t.err = h.err
		return "", h.err
	}
	t.hand(h.batch, b)
	if t.id == "" {
		t.id = h.split.SplitID()
	}
	if h.end {
		id := t.id
		t.held, t.id = t.held[1:], ""
		return id, ErrSplitEnd
	}
	t.held[0] = h.split
	return t.id, nil
}

// take returns the next hand-over, if there is one. Where there is none, the goroutine sees waiting after it has put
// the next one, or the second look here sees what it put before.
func (t *threaded[T, S]) take() (handover[T, S], bool) {
	for range 2 {
		select {
		case h := <-t.full:
			return h, true
		default:
			t.waiting.Store(true)
		}
	}
	return handover[T, S]{}, false
}

// hand moves the records of from into b, by swapping the storage where b is empty, and gives from back.
func (t *threaded[T, S]) hand(from, b *element.Batch[T]) {
	if b.Len() == 0 {
		b.Swap(from)
	} else {
		appendBatch(b, from)
	}
	from.Reset()
	from.Untimed()
	from.SetHashes(nil)
	select {
	case t.free <- from:
	default:
	}
}

func appendBatch[T any](b, from *element.Batch[T]) {
	n := b.Len()
	times := from.Times()
	if times != nil {
		b.Timed()
	}
	b.Resize(n + from.Len())
	copy(b.Rows()[n:], from.Rows())
	if to := b.Times(); to != nil {
		for i := range to[n:] {
			to[n+i] = element.NoTime
		}
		copy(to[n:], times)
	}
}

func (t *threaded[T, S]) Snapshot(int64) ([]S, error) { return append([]S(nil), t.held...), nil }

func (t *threaded[T, S]) Completed(int64) error { return nil }

func (t *threaded[T, S]) Close() error {
	t.cancel(errReaderClosed)
	t.wg.Wait()
	return nil
}

// run reads the splits until the context ends or fetch fails.
func (t *threaded[T, S]) run(limit int) {
	for {
		s, ok := t.next()
		if !ok || !t.read(s, limit) {
			return
		}
	}
}

// next waits for a split to read.
func (t *threaded[T, S]) next() (s S, ok bool) {
	for {
		t.mu.Lock()
		if len(t.mu.todo) > 0 {
			s, t.mu.todo = t.mu.todo[0], t.mu.todo[1:]
			t.mu.Unlock()
			return s, true
		}
		t.mu.Unlock()
		select {
		case <-t.more:
		case <-t.ctx.Done():
			return s, false
		}
	}
}

// read fetches s to its end; it returns false if the goroutine is to end.
func (t *threaded[T, S]) read(s S, limit int) bool {
	b := t.batch(limit)
	for t.ctx.Err() == nil {
		err := t.guard(&s, b)
		end := errors.Is(err, io.EOF)
		if end {
			err = nil
		}
		if !end && err == nil && b.Len() == 0 {
			continue
		}
		select {
		case t.full <- handover[T, S]{split: s, batch: b, end: end, err: err}:
		case <-t.ctx.Done():
			return false
		}
		if t.waiting.Swap(false) {
			t.rt.Wake()
		}
		if end || err != nil {
			return end
		}
		b = t.batch(limit)
	}
	return false
}

// guard calls fetch; a panic in it fails the task, not the process.
func (t *threaded[T, S]) guard(s *S, b *element.Batch[T]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &FunctionError{fmt.Errorf("fetch of split %s: panic: %v\n%s", (*s).SplitID(), p, debug.Stack())}
		}
	}()
	return t.fetch(t.ctx, s, b)
}

func (t *threaded[T, S]) batch(limit int) *element.Batch[T] {
	select {
	case b := <-t.free:
		return b
	default:
		return element.NewBatch[T](limit)
	}
}
