// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"context"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/console"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// report is a sample with what Handle shows beside it.
type report struct {
	console.Sample
	keys []string
}

// report is how the job is doing now, or was at its end. The JobMaster answers at once, for it never blocks.
func (h *Handle) report(now time.Time) *report {
	d, err := h.job.Status(context.Background())
	if err != nil {
		d = core.JobDetails{} // it only passes on the error of the context
	}
	return reportOf(h.graph, &d, now)
}

// reportOf sums up the subtasks of each step.
func reportOf(g *graph.JobGraph, d *core.JobDetails, now time.Time) *report {
	r := &report{Sample: console.Sample{At: now, Status: d.Status.String(), Failures: len(d.Failures)}}
	if n := len(d.Failures); n > 0 {
		r.Failure = d.Failures[n-1].Error()
	}
	if c := d.Checkpoints.LatestCompleted; c != nil {
		r.Checkpoint = checkpointOf(c)
	}
	for i, v := range g.Vertices {
		for n, node := range v.Nodes {
			step := console.Step{
				Name: node.Name, Source: node.Source != nil, Sink: node.Sink != nil, Counters: map[string]int64{},
				Watermark: element.MaxWatermark,
			}
			if i < len(d.Vertices) {
				for _, s := range d.Vertices[i].Subtasks {
					addSubtask(&step, s.Metrics, n)
				}
			}
			r.Steps = append(r.Steps, step)
			key := node.UID
			if key == "" {
				key = node.Name
			}
			r.keys = append(r.keys, key)
		}
	}
	return r
}

// checkpointOf is what is shown of a completed checkpoint.
func checkpointOf(c *coordinator.CheckpointStats) console.Checkpoint {
	return console.Checkpoint{ID: c.ID, Completed: c.End, Duration: c.Duration(), Bytes: c.StateBytes}
}

// addSubtask adds the figures of the n-th step of a task.
func addSubtask(step *console.Step, m *weirpb.TaskMetrics, n int) {
	if m == nil || n >= len(m.GetOperators()) {
		step.Watermark = element.MinWatermark
		return
	}
	o := m.GetOperators()[n]
	step.In += o.GetRecordsIn()
	step.Out += o.GetRecordsOut()
	step.Late += o.GetLateDropped()
	if o.GetWatermark() < step.Watermark {
		step.Watermark, step.Holder = o.GetWatermark(), o.GetHolder()
	}
	for name, value := range o.GetCounters() {
		step.Counters[name] += value
	}
	if total := m.GetBusyNanos() + m.GetIdleNanos() + m.GetBackpressuredNanos(); total > 0 {
		step.Busy = max(step.Busy, float64(m.GetBusyNanos())/float64(total))
		step.Backpressured = max(step.Backpressured, float64(m.GetBackpressuredNanos())/float64(total))
	}
}

// timeOf is the time of a watermark, the zero time where there is none.
func timeOf(nanos int64) time.Time {
	if nanos == element.MinWatermark {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}
