// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
)

// moment is a place in the life of a job where a test can fail it.
type moment string

const (
	inMap      moment = "a stateless function"
	inProcess  moment = "a keyed function"
	inConnect  moment = "a function of two inputs"
	polling    moment = "polling a reader"
	starting   moment = "starting an enumerator"
	opening    moment = "opening a writer"
	writing    moment = "writing to a sink"
	preparing  moment = "preparing a commit"
	snapshot   moment = "the snapshot of a writer"
	committing moment = "before a commit"
	committed  moment = "after a commit, unheard"
	stateWrite moment = "writing a state file"
	stateSync  moment = "syncing a state file"
	stateRead  moment = "reading a state file"
	metaWrite  moment = "writing metadata"
	claiming   moment = "before a claim"
	claimed    moment = "after a claim, unheard"
	reserving  moment = "reserving checkpoint ids"
)

// errTrap is what a trap fails with if nothing else is said.
var errTrap = errors.New("trap of the test")

// errInjected is the failure of a task that a test fails from outside.
var errInjected = errors.New("failed by the test")

// traps are armed by a test and spring once, at the next one who passes the moment.
type traps struct {
	mu struct {
		sync.Mutex
		armed map[moment]*trap
	}
}

type trap struct {
	// times is how often it is still to spring.
	times  int
	spring func() error
	sprung chan struct{} // closed at the last time
}

func newTraps() *traps {
	t := &traps{}
	t.mu.armed = map[moment]*trap{}
	return t
}

// arm sets a trap that springs so many times, and returns what is closed when it has. A nil spring fails with errTrap.
func (t *traps) arm(m moment, times int, spring func() error) <-chan struct{} {
	if spring == nil {
		spring = func() error { return errTrap }
	}
	a := &trap{times: times, spring: spring, sprung: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.armed[m] = a
	return a.sprung
}

// disarm takes all traps away.
func (t *traps) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.mu.armed)
}

// pass is called at the moment; a nil receiver has no traps.
func (t *traps) pass(m moment) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	a := t.mu.armed[m]
	if a == nil {
		t.mu.Unlock()
		return nil
	}
	if a.times--; a.times == 0 {
		delete(t.mu.armed, m)
		close(a.sprung)
	}
	t.mu.Unlock()
	return a.spring()
}

// hooks are the traps in user functions.
func (t *traps) hooks() hooks {
	at := func(m moment) func(*event) error { return func(*event) error { return t.pass(m) } }
	return hooks{mapped: at(inMap), tracked: at(inProcess), joined: at(inConnect)}
}

// disk is a file system whose operations on checkpoints pass the traps.
func (t *traps) disk() (*faultfs.Disk, *faultfs.FS) {
	d := faultfs.New()
	view := d.View()
	view.Before = func(op faultfs.Op) error {
		state := strings.Contains(op.Name, "/state/")
		switch {
		case state && op.Kind == "write":
			return t.pass(stateWrite)
		case state && op.Kind == "sync":
			return t.pass(stateSync)
		case state && (op.Kind == "read" || op.Kind == "open"):
			return t.pass(stateRead)
		case op.Kind == "rename" && strings.HasSuffix(op.Name, ".meta"):
			return t.pass(metaWrite)
		case op.Kind == "link" && strings.HasSuffix(op.Name, ".mark"):
			return t.pass(claiming)
		case op.Kind == "link" && strings.Contains(op.Name, "/ids/"):
			return t.pass(reserving)
		}
		return nil
	}
	view.After = func(op faultfs.Op) error {
		if op.Kind == "link" && strings.HasSuffix(op.Name, ".mark") {
			return t.pass(claimed)
		}
		return nil
	}
	return d, view
}

// written is the state of a writer: the rows that it ever wrote.
type written struct{ Rows int64 }

// trapSink collects rows, with traps on the way.
type trapSink[T any] struct {
	collect.Sink[T]
	traps *traps
}

type (
	trappedWriter[T any]    = connector.Writer[T, written, collect.Committable[T]]
	plainWriter[T any]      = connector.Writer[T, connector.None, collect.Committable[T]]
	collectCommitter[T any] = connector.Committer[collect.Committable[T]]
)

func (s trapSink[T]) NewWriter(ctx context.Context, rt connector.RuntimeContext, restored []written) (trappedWriter[T], error) {
	if err := s.traps.pass(opening); err != nil {
		return nil, err
	}
	w, err := s.Sink.NewWriter(ctx, rt, nil)
	t := &trapWriter[T]{plainWriter: w, traps: s.traps}
	for _, r := range restored {
		t.written.Rows += r.Rows
	}
	return t, err
}

func (s trapSink[T]) NewCommitter(ctx context.Context) (collectCommitter[T], error) {
	c, err := s.Sink.NewCommitter(ctx)
	return trapCommitter[T]{c, s.traps}, err
}

type trapWriter[T any] struct {
	plainWriter[T]
	traps   *traps
	written written
}

func (w *trapWriter[T]) Write(ctx context.Context, b *element.Batch[T]) error {
	if err := w.traps.pass(writing); err != nil {
		return err
	}
	w.written.Rows += int64(b.Len())
	return w.plainWriter.Write(ctx, b)
}

func (w *trapWriter[T]) PrepareCommit(ctx context.Context, id int64) ([]collect.Committable[T], error) {
	if err := w.traps.pass(preparing); err != nil {
		return nil, err
	}
	return w.plainWriter.PrepareCommit(ctx, id)
}

func (w *trapWriter[T]) Snapshot(int64) (written, error) { return w.written, w.traps.pass(snapshot) }

type trapCommitter[T any] struct {
	collectCommitter[T]
	traps *traps
}

func (c trapCommitter[T]) Commit(ctx context.Context, all []collect.Committable[T]) error {
	if err := c.traps.pass(committing); err != nil {
		return err
	}
	if err := c.collectCommitter.Commit(ctx, all); err != nil {
		return err
	}
	return c.traps.pass(committed)
}
