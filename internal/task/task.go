// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/task/alignment"
	"github.com/weir-stream/weir/internal/task/splits"
)

const (
	bufferTimeoutDefault = 10 * time.Millisecond
	// closeTimeout is how long the end of a task is not reported because user code is being closed.
	closeTimeout = 10 * time.Second
	// endedTimeout is how long a task whose consumer is gone waits to be canceled before it fails: the consumer's failure
	// is the cause, and will be reported first.
	endedTimeout = 5 * time.Second
	// lostTimeout is the same for one whose producer is gone. It is short: if that was in another process which died, no
	// other failure is reported until a heartbeat is missed.
	lostTimeout = 50 * time.Millisecond
)

// errCanceled is the cause with which the attempt's context ends on Cancel.
var errCanceled = errors.New("task canceled")

// subtask is a Task.
type subtask struct {
	config Config
	logger *slog.Logger
	clock  Clock
	mail   *mailbox
	done   chan struct{}
	// runCtx ends with the attempt, by cancelRun.
	runCtx    context.Context
	cancelRun context.CancelCauseFunc
	canceled  atomic.Bool

	// What follows to mu belongs to the task's goroutine once it runs.

	chain
	aligner *alignment.Aligner
	// ledger is nil in tasks without a source.
	ledger *splits.Ledger
	mails  []mail
	// timer fires for the earliest thing that is due while the task waits.
	timer Timer
	// unsent is when open builders were first seen to hold rows since the last flush; zero if they don't.
	unsent time.Time
	checkpoints
	reading

	figures

	mu struct {
		sync.Mutex
		gate       *exchange.Gate
		partitions []*exchange.Partition
		// released is set once what the exchange lent is given back: what is made afterwards is at once.
		released bool
	}
}

var _ Task = (*subtask)(nil)

// Start begins an attempt: it restores, connects and runs on a goroutine of its own until its input ends, it fails or is
// canceled.
func Start(c Config) Task {
	c.BufferTimeout = cmp.Or(c.BufferTimeout, bufferTimeoutDefault)
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("job", c.JobID, "subtask", c.Subtask, "attempt", c.Attempt)
	t := &subtask{
		config: c,
		logger: c.Logger.With("task", c.Vertex.Name, "uid", uidsOf(c.Vertex)),
		clock:  c.Clock,
		mail:   newMailbox(),
		done:   make(chan struct{}),
	}
	t.aligner = alignment.New(len(c.Inputs))
	if c.Vertex.Source() != nil {
		t.ledger = splits.New(c.ReaderNumber)
	}
	//nolint:forbidigo // the attempt's own context: it ends on Cancel, or when the task has ended
	t.runCtx, t.cancelRun = context.WithCancelCause(context.Background())
	// Owner: whoever called Start; Cancel stops the goroutine, Done tells of its end.
	go t.run()
	return t
}

// uidsOf lists the uids of a chain.
func uidsOf(v *graph.JobVertex) string {
	var uids []string
	for _, n := range v.Nodes {
		if n.UID != "" {
			uids = append(uids, n.UID)
		}
	}
	return strings.Join(uids, ",")
}

// Trigger starts a checkpoint.
func (t *subtask) Trigger(id int64, flags element.BarrierFlags, number int64) {
	b := element.CheckpointBarrier{ID: id, Flags: flags}
	t.mail.post(mail{kind: mailTrigger, checkpoint: id, trigger: splits.Trigger{Barrier: b, Number: number}})
}

// Completed tells that a checkpoint completed.
func (t *subtask) Completed(id int64) { t.mail.post(mail{kind: mailCompleted, checkpoint: id}) }

// Committed tells that what a checkpoint prepared is committed.
func (t *subtask) Committed(id int64) { t.mail.post(mail{kind: mailCommitted, checkpoint: id}) }

// Aborted tells that a checkpoint will not complete.
func (t *subtask) Aborted(id int64) { t.mail.post(mail{kind: mailAborted, checkpoint: id}) }

// Decided tells that all checkpoints below an id are decided.
func (t *subtask) Decided(below int64) { t.mail.post(mail{kind: mailDecided, checkpoint: below}) }

// Assign hands over an assignment of splits.
func (t *subtask) Assign(number int64, encoded []byte, noMore bool) {
	t.mail.post(mail{kind: mailAssign, assignment: splits.Assignment{Number: number, Splits: encoded, NoMore: noMore}})
}

// Cancel ends the task: it unblocks whoever waits for credit or the attempt's context.
func (t *subtask) Cancel() {
	if t.canceled.Swap(true) {
		return
	}
	t.cancelRun(errCanceled)
	t.release(false)
	t.mail.signal()
}

// Done is closed after the end.
func (t *subtask) Done() <-chan struct{} { return t.done }

// run is the life of the task.
func (t *subtask) run() {
	defer close(t.done)
	t.report(Initializing, nil)
	err := t.guarded(t.live)
	switch {
	case err == nil || t.canceled.Load():
	case errors.Is(err, exchange.ErrClosed):
		t.awaitCancel(endedTimeout)
	case errors.Is(err, exchange.ErrLost):
		t.awaitCancel(lostTimeout)
	}
	switch {
	case t.canceled.Load():
		t.report(Canceling, nil)
		t.end(Canceled, nil)
	case err != nil:
		t.cancelRun(err)
		t.end(Failed, err)
	default:
		t.end(Finished, nil)
	}
}

// live restores and runs until the end of the input, an error or Cancel.
func (t *subtask) live() error {
	if err := t.wire(); err != nil {
		return err
	}
	if err := t.open(); err != nil {
		return err
	}
	t.running(t.clock.Now())
	t.report(Running, nil)
	return t.loop()
}

// guarded turns a panic into an error. Operators guard what they call of the user's, so it is a fault of the engine.
func (t *subtask) guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("task %s panicked: %v\n\n%s", t.config.Vertex.Name, v, debug.Stack())
		}
	}()
	return f()
}

// awaitCancel gives the failure of a neighbour time to be reported first: that is the cause.
func (t *subtask) awaitCancel(timeout time.Duration) {
	timer := t.clock.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-t.runCtx.Done():
	case <-timer.C():
	}
}

// end closes the operators, reports, and gives back what the exchange lent. A Close that does not return delays the
// report for a bounded time, and the end of the task until it does.
func (t *subtask) end(s Status, err error) {
	t.stopped(t.clock.Now())
	t.abandonSnapshots()
	var closing sync.WaitGroup
	closed := make(chan error, 1)
	closing.Go(func() { closed <- t.guarded(t.closeOperators) })
	timer := t.clock.NewTimer(closeTimeout)
	select {
	case closeErr := <-closed:
		if closeErr != nil && s == Finished {
			s, err = Failed, closeErr
		} else if closeErr != nil {
			t.logger.Warn("close operators", "error", closeErr)
		}
	case <-timer.C():
		t.logger.Warn("operators are slow to close", "after", closeTimeout)
	}
	timer.Stop()
	t.mail.close() // checkpoints that it has not begun are not declined: those end, or begin anew, with its own end
	t.report(s, err)
	t.release(s == Finished)
	closing.Wait()
	t.files.Wait()
	t.cancelRun(nil)
}

// release gives back what the exchange lent: in good order, consumers still take what was sent.
func (t *subtask) release(finished bool) {
	t.mu.Lock()
	gate, partitions := t.mu.gate, t.mu.partitions
	t.mu.gate, t.mu.partitions, t.mu.released = nil, nil, true
	t.mu.Unlock()
	for _, p := range partitions {
		if finished {
			p.Finish()
		} else {
			p.Release()
		}
	}
	if gate != nil {
		gate.Close()
	}
}

// lent takes note of what release has to give back; it reports whether the task is to go on.
func (t *subtask) lent(gate *exchange.Gate, p *exchange.Partition) bool {
	t.mu.Lock()
	released := t.mu.released
	if !released && gate != nil {
		t.mu.gate = gate
	}
	if !released && p != nil {
		t.mu.partitions = append(t.mu.partitions, p)
	}
	t.mu.Unlock()
	if released && gate != nil {
		gate.Close()
	}
	if released && p != nil {
		p.Release()
	}
	return !released
}

func (t *subtask) report(s Status, err error) { t.config.Reporter.Changed(t.config.Attempt, s, err) }
