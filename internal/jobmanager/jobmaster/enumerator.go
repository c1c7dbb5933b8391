// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

// snapshotTries bounds how often a snapshot is taken again because the enumerator assigned splits meanwhile.
const snapshotTries = 16

// enumeratorEvents takes what an enumerator does to the JobMaster. Its methods are called from any goroutine, don't block,
// and keep the order in which they are called.
type enumeratorEvents struct {
	started  func()
	failed   func(error)
	assigned func(reader int, splits []byte, noMore bool)
	snapshot func(checkpoint int64, state []byte, err error)
}

// enumerator runs the split enumerator of one source on one goroutine.
//
// An assignment belongs to a snapshot exactly if the enumerator's state says that it was made. The two are told apart by
// order alone: assignments and snapshots are posted to the JobMaster under one lock, and a snapshot counts only if none
// was posted since before the enumerator was asked. So an enumerator that assigns from a goroutine of its own must do so
// under the lock that its Snapshot takes.
type enumerator struct {
	source  *graph.StreamNode
	readers int
	logger  *slog.Logger
	events  enumeratorEvents
	ctx     context.Context // ends with the enumerator
	cancel  context.CancelFunc
	wake    chan struct{}
	ended   chan struct{} // closed when the goroutine has ended
	wg      sync.WaitGroup
	mu      struct {
		sync.Mutex
		calls    []func(graph.Enumerator) error
		assigned int64 // counts what was posted to the JobMaster
		stopped  bool
	}
}

var _ graph.EnumeratorRuntime = (*enumerator)(nil)

// startEnumerator makes the enumerator on a goroutine of its own, from a state or afresh, once its predecessor, if there is
// one, has ended.
func startEnumerator(
	ctx context.Context, source *graph.StreamNode, readers int, from core.StartEnumerator, predecessor *enumerator,
	logger *slog.Logger, events enumeratorEvents,
) *enumerator {
	e := &enumerator{
		source: source, readers: readers, logger: logger, events: events,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	e.ctx, e.cancel = context.WithCancel(ctx)
	e.wg.Go(func() {
		defer close(e.ended)
		if predecessor != nil {
			<-predecessor.ended
		}
		e.run(from)
	})
	return e
}

// stop ends the enumerator: nothing is posted any more.
func (e *enumerator) stop() {
	e.mu.Lock()
	e.mu.stopped = true
	e.mu.Unlock()
	e.cancel()
}

// wait waits for its goroutine, which ends soon after stop.
func (e *enumerator) wait() { e.wg.Wait() }

// call queues a call of the enumerator.
func (e *enumerator) call(f func(graph.Enumerator) error) {
	e.mu.Lock()
	e.mu.calls = append(e.mu.calls, f)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *enumerator) run(from core.StartEnumerator) {
	var en graph.Enumerator
	err := guarded(func() (err error) {
		en, err = e.source.Source.NewEnumerator(e.ctx, e, from.Restored)
		return err
	})
	if err == nil {
		err = guarded(func() error { return tellAssigned(en, from.Assigned) })
	}
	if err == nil {
		err = guarded(func() error { return en.Start(e.ctx) })
	}
	if err == nil {
		e.post(e.events.started)
		err = e.serve(en)
	}
	if en != nil {
		err = errors.Join(err, guarded(en.Close))
	}
	if err != nil {
		e.Fail(err) // nobody hears it if the enumerator was stopped
	}
}

// tellAssigned says what readers hold or finished beyond the state that the enumerator starts from.
func tellAssigned(en graph.Enumerator, assigned []core.AssignedSplits) error {
	for _, a := range assigned {
		for _, splits := range a.Splits {
			if err := en.Assigned(a.Reader, splits); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve calls the enumerator until it is stopped or fails.
func (e *enumerator) serve(en graph.Enumerator) error {
	for {
		select {
		case <-e.ctx.Done():
			return nil
		case <-e.wake:
		}
		e.mu.Lock()
		calls := e.mu.calls
		e.mu.calls = nil
		e.mu.Unlock()
		for _, f := range calls {
			select {
			case <-e.ctx.Done():
				return nil
			default:
			}
			if err := guarded(func() error { return f(en) }); err != nil {
				return err
			}
		}
	}
}

// snapshot asks for the state in a checkpoint.
func (e *enumerator) snapshot(checkpoint int64) {
	e.call(func(en graph.Enumerator) error {
		for range snapshotTries {
			e.mu.Lock()
			before := e.mu.assigned
			e.mu.Unlock()
			state, err := en.Snapshot(checkpoint) // an error declines the checkpoint, the enumerator goes on
			if e.postIf(before, func() { e.events.snapshot(checkpoint, state, err) }) {
				return nil
			}
		}
		e.post(func() {
			e.events.snapshot(checkpoint, nil, fmt.Errorf("the enumerator assigned splits during each of %d snapshots", snapshotTries))
		})
		return nil
	})
}

func (e *enumerator) post(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mu.stopped {
		f()
	}
}

// postIf posts if no assignment was made since.
func (e *enumerator) postIf(assigned int64, f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.assigned != assigned {
		return false
	}
	if !e.mu.stopped {
		f()
	}
	return true
}

// Readers implements graph.EnumeratorRuntime.
func (e *enumerator) Readers() int { return e.readers }

// Assign implements graph.EnumeratorRuntime.
func (e *enumerator) Assign(reader int, splits []byte) { e.assign(reader, splits, false) }

// NoMoreSplits implements graph.EnumeratorRuntime.
func (e *enumerator) NoMoreSplits(reader int) { e.assign(reader, nil, true) }

func (e *enumerator) assign(reader int, splits []byte, noMore bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.assigned++
	if !e.mu.stopped {
		e.events.assigned(reader, splits, noMore)
	}
}

// Fail implements graph.EnumeratorRuntime.
func (e *enumerator) Fail(err error) { e.post(func() { e.events.failed(err) }) }

// Logger implements graph.EnumeratorRuntime.
func (e *enumerator) Logger() *slog.Logger { return e.logger }

// panicked is a panic of user code.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n\n%s", p.value, p.stack) }

// guarded calls user code and turns its panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return f()
}
