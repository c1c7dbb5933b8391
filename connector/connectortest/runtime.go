// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/codec"
)

// Runtime is the context of a subtask, for tests that drive a reader or writer by hand. Its clock is time.Now: run it
// in a bubble of testing/synctest to fake it.
type Runtime struct {
	subtask, parallelism int
	attempt              int64
	job                  string

	mu struct {
		sync.Mutex
		woken    bool
		wakeAt   time.Time
		counters map[string]int64
	}
	// bell rings at Wake; several subtasks may share it.
	bell chan struct{}
}

// NewRuntime makes the context of one subtask of several.
func NewRuntime(subtask, parallelism int, attempt int64) *Runtime {
	r := &Runtime{subtask: subtask, parallelism: parallelism, attempt: attempt, job: "job", bell: make(chan struct{}, 1)}
	r.mu.counters = map[string]int64{}
	return r
}

// Subtask is the number given to NewRuntime.
func (r *Runtime) Subtask() int { return r.subtask }

// Parallelism is the number given to NewRuntime.
func (r *Runtime) Parallelism() int { return r.parallelism }

// Attempt is the number given to NewRuntime.
func (r *Runtime) Attempt() int64 { return r.attempt }

// JobID is "job".
func (r *Runtime) JobID() string { return r.job }

// Logger discards what is logged.
func (r *Runtime) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Now is time.Now.
func (r *Runtime) Now() time.Time { return time.Now() }

// Wake ends a Wait.
func (r *Runtime) Wake() {
	r.mu.Lock()
	r.mu.woken = true
	r.mu.Unlock()
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// WakeAt ends a Wait at that time.
func (r *Runtime) WakeAt(at time.Time) {
	r.mu.Lock()
	r.mu.wakeAt = at
	r.mu.Unlock()
}

// Counter adds to a metric.
func (r *Runtime) Counter(name string, n int64) {
	r.mu.Lock()
	r.mu.counters[name] += n
	r.mu.Unlock()
}

// Counted returns the value of a metric.
func (r *Runtime) Counted(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.counters[name]
}

// Wait returns when the subtask is to be called again, as the task would after ErrWait. It fails the test if that isn't
// within an hour.
func (r *Runtime) Wait(t testing.TB) {
	t.Helper()
	if !waitAny([]*Runtime{r}) {
		t.Fatal("the task was never woken")
	}
	r.due(time.Now())
}

// due takes the wake-up that the subtask has, if any.
func (r *Runtime) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	timed := !r.mu.wakeAt.IsZero() && !r.mu.wakeAt.After(now)
	if timed {
		r.mu.wakeAt = time.Time{}
	}
	woken := r.mu.woken
	r.mu.woken = false
	return woken || timed
}

// waitPatience is how long, in the time of the bubble, a task may sleep before its reader counts as asleep for good.
const waitPatience = time.Hour

// waitAny waits until one of the subtasks, which share a bell, is due, and puts its wake-up back.
func waitAny(rs []*Runtime) bool {
	end := time.Now().Add(waitPatience)
	for {
		next := end
		for _, r := range rs {
			if r.due(time.Now()) {
				r.mu.Lock()
				r.mu.woken = true
				r.mu.Unlock()
				return true
			}
			r.mu.Lock()
			if at := r.mu.wakeAt; !at.IsZero() && at.Before(next) {
				next = at
			}
			r.mu.Unlock()
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-rs[0].bell:
		case <-timer.C:
			if next.Equal(end) {
				return false
			}
		}
		timer.Stop()
	}
}

// stored returns values as they come back from a checkpoint.
func stored[V any](t testing.TB, values []V) []V {
	t.Helper()
	c, err := codec.For[V]()
	if err != nil {
		t.Fatalf("%T can't be stored: %v", *new(V), err)
	}
	reader, err := c.Reader(c.Schema())
	if err != nil {
		t.Fatalf("read back %T: %v", *new(V), err)
	}
	back := make([]V, len(values))
	if _, err := reader.Decode(c.Append(nil, values), back, codec.Owned); err != nil {
		t.Fatalf("read back %T: %v", *new(V), err)
	}
	return back
}

// keyOf is the default identity of a record.
func keyOf[T any](in *T) string { return fmt.Sprintf("%+v", *in) }

var _ connector.RuntimeContext = (*Runtime)(nil)
