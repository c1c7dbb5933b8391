// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"log/slog"
	"time"

	"github.com/weir-stream/weir/connector"
)

// connectorRuntime is what a reader or writer sees of its task.
type connectorRuntime struct {
	rt     *Runtime
	wakeAt func(at time.Time)
}

var _ connector.RuntimeContext = connectorRuntime{}

func (c connectorRuntime) Subtask() int                 { return c.rt.Subtask }
func (c connectorRuntime) Parallelism() int             { return c.rt.Parallelism }
func (c connectorRuntime) Attempt() int64               { return c.rt.Attempt }
func (c connectorRuntime) JobID() string                { return c.rt.JobID }
func (c connectorRuntime) Logger() *slog.Logger         { return c.rt.Logger }
func (c connectorRuntime) Now() time.Time               { return c.rt.Now() }
func (c connectorRuntime) Wake()                        { c.rt.Wake() }
func (c connectorRuntime) WakeAt(at time.Time)          { c.wakeAt(at) }
func (c connectorRuntime) Counter(name string, n int64) { c.rt.Metrics.Counter(name).Add(n) }

// wakes joins the wake-up times of a reader and of the step around it, since a task keeps one for each operator. It is
// used from the task's goroutine.
type wakes struct {
	rt *Runtime
	// forReader, forStep and asked are zero where there is none.
	forReader, forStep, asked time.Time
}

func (w *wakes) reader(at time.Time) {
	w.forReader = at
	w.ask()
}

func (w *wakes) own(at time.Time, ok bool) {
	if w.forStep = at; !ok {
		w.forStep = time.Time{}
	}
	w.ask()
}

func (w *wakes) ask() {
	at := w.forReader
	if at.IsZero() || !w.forStep.IsZero() && w.forStep.Before(at) {
		at = w.forStep
	}
	if !at.IsZero() && !at.Equal(w.asked) {
		w.asked = at
		w.rt.WakeAt(at)
	}
}

// fired forgets the times that have come.
func (w *wakes) fired(now time.Time) {
	for _, at := range []*time.Time{&w.forReader, &w.forStep, &w.asked} {
		if !at.After(now) {
			*at = time.Time{}
		}
	}
	w.ask()
}
