// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Value is a figure with its name within its scope.
type Value struct {
	Name  string
	Value float64
	// Text is the value of a figure that is no number, as a path; Value has no meaning then.
	Text string
	// Integer is the value of a counter or of a gauge of integers, exactly; Whole tells that it has one.
	Integer int64
	Whole   bool
	// Counter tells that it only grows.
	Counter bool
}

func counter(name string, n int64) Value {
	return Value{Name: name, Value: float64(n), Integer: n, Whole: true, Counter: true}
}

func whole(name string, n int64) Value {
	return Value{Name: name, Value: float64(n), Integer: n, Whole: true}
}

func gauge(name string, f float64) Value { return Value{Name: name, Value: f} }

// jobStates are the states whose durations are metrics, by the prefix of their names.
var jobStates = []struct{ prefix, state string }{
	{"initializing", "INITIALIZING"},
	{"created", "CREATED"},
	{"running", "RUNNING"},
	{"restarting", "RESTARTING"},
	{"cancelling", "CANCELLING"},
	{"failing", "FAILING"},
}

// OfJob returns the figures of a job as a whole.
func OfJob(d *weirpb.JobDetail, now time.Time) []Value {
	values := []Value{whole("numRestarts", d.Restarts), whole("fullRestarts", d.Restarts), whole("numRescales", 0)}
	end := now.UnixMilli()
	if d.End > 0 {
		end = d.End
	}
	for _, s := range jobStates {
		var in, millis int64
		if d.State == s.state {
			in = 1
			millis = max(0, end-d.Timestamps[s.state])
		}
		values = append(values, whole(s.prefix+"State", in), whole(s.prefix+"Time", millis))
	}
	return append(values, ofCheckpoints(d.Checkpoints)...)
}

// ofCheckpoints returns the figures of the checkpoints of a job; -1 is Flink's value for what has not happened.
func ofCheckpoints(c *weirpb.CheckpointsDetail) []Value {
	last := c.GetLatestCompleted()
	duration, size, full, id, end, path := int64(-1), int64(-1), int64(-1), int64(-1), int64(-1), "n/a"
	if last != nil {
		duration, size, full, id, end = last.End-last.Trigger, last.AddedBytes, last.StateBytes, last.Id, last.End
		path = last.Location
	}
	restored := int64(-1)
	if r := c.GetLatestRestored(); r != nil {
		restored = r.At
	}
	return []Value{
		whole("lastCheckpointDuration", duration), whole("lastCheckpointSize", size),
		whole("lastCheckpointFullSize", full), whole("lastCompletedCheckpointId", id),
		whole("lastCheckpointCompletedTimestamp", end), whole("lastCheckpointRestoreTimestamp", restored),
		{Name: "lastCheckpointExternalPath", Text: path},
		whole("numberOfInProgressCheckpoints", c.GetInProgress()),
		whole("numberOfCompletedCheckpoints", c.GetCompleted()),
		whole("numberOfFailedCheckpoints", c.GetFailed()),
		whole("totalNumberOfCheckpoints", c.GetTotal()),
	}
}

// OfTask returns the figures of a task as a whole: input is that of the head of its chain, output that of its last step. Bytes
// are those that records take between tasks: what a source reads and a sink writes is not among them, as in Flink.
func OfTask(m *weirpb.TaskMetrics, r TaskRates) []Value {
	values := []Value{
		gauge("busyTimeMsPerSecond", r.Busy), gauge("idleTimeMsPerSecond", r.Idle),
		gauge("backPressuredTimeMsPerSecond", r.Backpressured), gauge("softBackPressuredTimeMsPerSecond", r.Backpressured),
		gauge("hardBackPressuredTimeMsPerSecond", 0),
		counter("accumulateBusyTimeMs", m.BusyNanos/1e6), counter("accumulateIdleTimeMs", m.IdleNanos/1e6),
		counter("accumulateBackPressuredTimeMs", m.BackpressuredNanos/1e6),
		counter("numBuffersIn", m.BatchesIn),
		counter("numBytesIn", m.BytesIn), gauge("numBytesInPerSecond", r.BytesIn),
		counter("numBytesOut", m.BytesOut), gauge("numBytesOutPerSecond", r.BytesOut),
	}
	n := len(m.Operators)
	if n == 0 {
		return values
	}
	var late int64
	for _, o := range m.Operators {
		late += o.LateDropped
	}
	head, last := m.Operators[0], m.Operators[n-1]
	return append(values,
		counter("numRecordsIn", head.RecordsIn), gauge("numRecordsInPerSecond", rate(r.In, 0)),
		counter("numRecordsOut", last.RecordsOut), gauge("numRecordsOutPerSecond", rate(r.Out, n-1)),
		counter("numLateRecordsDropped", late), whole("currentInputWatermark", WatermarkMillis(head)))
}

// WatermarkMillis is the watermark of an operator in milliseconds, as Flink has them. The one before all times and the one
// after them stay what they are.
func WatermarkMillis(o *weirpb.OperatorMetrics) int64 {
	const perMilli = int64(time.Millisecond)
	w := o.GetWatermark()
	if w == math.MinInt64 || w == math.MaxInt64 {
		return w
	}
	if w%perMilli < 0 {
		return w/perMilli - 1
	}
	return w / perMilli
}

// OfOperator returns the figures of operator i of a task's chain, those of the user's code included.
func OfOperator(m *weirpb.TaskMetrics, r TaskRates, i int) []Value {
	o := m.Operators[i]
	values := []Value{
		counter("numRecordsIn", o.RecordsIn), gauge("numRecordsInPerSecond", rate(r.In, i)),
		counter("numRecordsOut", o.RecordsOut), gauge("numRecordsOutPerSecond", rate(r.Out, i)),
		counter("numLateRecordsDropped", o.LateDropped),
		whole("currentInputWatermark", WatermarkMillis(o)), whole("currentOutputWatermark", WatermarkMillis(o)),
		whole("stateRows", o.StateRows), whole("stateBytes", o.StateBytes),
	}
	for name, n := range o.Counters {
		values = append(values, counter(name, n))
	}
	for name, f := range o.Gauges {
		values = append(values, gauge(name, f))
	}
	return values
}

func rate(rates []float64, i int) float64 {
	if i < len(rates) {
		return rates[i]
	}
	return 0
}

// OperatorName is the name of an operator in names of metrics: what separates names there is replaced.
func OperatorName(o *weirpb.OperatorMetrics) string {
	name := o.Name
	if name == "" {
		name = o.Uid
	}
	return Escape(name)
}

// Escape replaces what separates names of metrics and lists of them.
func Escape(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '.', ':', ',', '"':
			return '_'
		}
		return r
	}, name)
}
