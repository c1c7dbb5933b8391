// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package executor

import (
	"maps"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/task"
)

// reporter takes what tasks report, on their goroutines, to that of the executor.
type reporter struct{ x *Executor }

var _ task.Reporter = (*reporter)(nil)

// Changed implements task.Reporter.
func (r *reporter) Changed(attempt int64, s task.Status, err error) {
	r.x.config.Post(func() { r.x.changed(attempt, s, err) })
}

// InputsEnded implements task.Reporter.
func (r *reporter) InputsEnded(attempt int64) { r.post(func() { r.x.core.InputsEnded(attempt) }) }

// Acknowledge implements task.Reporter.
func (r *reporter) Acknowledge(attempt int64, a task.Acknowledgement) {
	m := &weirpb.AcknowledgeCheckpoint{
		Checkpoint: a.Checkpoint, Attempt: attempt, State: a.State, Bytes: a.Bytes,
		AlignNanos: a.Align.Nanoseconds(), SyncNanos: a.Sync.Nanoseconds(), AsyncNanos: a.Async.Nanoseconds(),
		StartedUnixNanos: a.Started.UnixNano(),
	}
	for _, id := range slices.Sorted(maps.Keys(a.Prepared)) {
		m.Prepared = append(m.Prepared, &weirpb.Prepared{Operator: id, Committables: a.Prepared[id]})
	}
	r.post(func() { r.x.core.Acknowledged(m) })
}

// Decline implements task.Reporter.
func (r *reporter) Decline(attempt, checkpoint int64, reason error) {
	r.post(func() { r.x.core.Declined(attempt, checkpoint, textOf(reason)) })
}

// ReaderReady implements task.Reporter.
func (r *reporter) ReaderReady(attempt, ready int64) {
	r.post(func() { r.x.core.ReaderReady(attempt, ready) })
}

// MissingAssignments implements task.Reporter.
func (r *reporter) MissingAssignments(attempt, from int64) {
	r.post(func() { r.x.core.MissingAssignments(attempt, from) })
}

func (r *reporter) post(f func()) {
	r.x.config.Post(func() {
		f()
		r.x.perform()
	})
}

func stateOf(s task.Status) weirpb.TaskState {
	switch s {
	case task.Initializing:
		return weirpb.TaskState_TASK_STATE_INITIALIZING
	case task.Running:
		return weirpb.TaskState_TASK_STATE_RUNNING
	case task.Finished:
		return weirpb.TaskState_TASK_STATE_FINISHED
	case task.Canceling:
		return weirpb.TaskState_TASK_STATE_CANCELING
	case task.Canceled:
		return weirpb.TaskState_TASK_STATE_CANCELED
	case task.Failed:
		return weirpb.TaskState_TASK_STATE_FAILED
	}
	return weirpb.TaskState_TASK_STATE_UNSPECIFIED
}

func metricsOf(m task.Metrics) *weirpb.TaskMetrics {
	t := &weirpb.TaskMetrics{
		BusyNanos: m.Busy.Nanoseconds(), IdleNanos: m.Idle.Nanoseconds(),
		BackpressuredNanos: m.Backpressured.Nanoseconds(), BatchesIn: m.BatchesIn,
		BytesIn: m.BytesIn, BytesOut: m.BytesOut,
	}
	for _, o := range m.Operators {
		w := &weirpb.OperatorMetrics{
			Uid: clean(o.UID), Name: clean(o.Name), StateRows: o.State.Rows, StateBytes: o.State.Bytes,
		}
		if o.Metrics != nil {
			w.RecordsIn, w.RecordsOut = o.Metrics.RecordsIn.Load(), o.Metrics.RecordsOut.Load()
			w.LateDropped, w.Watermark = o.Metrics.LateDropped.Load(), o.Metrics.Watermark.Load()
			if holder := o.Metrics.Holder.Load(); holder != nil {
				w.Holder = clean(*holder)
			}
			w.Counters, w.Gauges = cleanKeys(o.Metrics.Counters()), cleanKeys(o.Metrics.Gauges())
		}
		t.Operators = append(t.Operators, w)
	}
	return t
}

// clean makes a name of the user's fit for a message.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func cleanKeys[V any](m map[string]V) map[string]V {
	for k, v := range m {
		if c := clean(k); c != k {
			delete(m, k)
			m[c] = v
		}
	}
	return m
}
