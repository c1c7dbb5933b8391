// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/metrics"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// board is what a Worker shows Prometheus of itself and of the tasks of its executors: what these last told their JobMaster
// by way of the Worker, so that nobody has to ask them. Its methods may be called from any goroutine.
type board struct {
	id, host string
	process  metrics.Process
	rates    *metrics.Rates
	mu       struct {
		sync.Mutex
		jobs map[string]*shown
	}
}

// shown is what is known of the tasks of a job.
type shown struct {
	name string
	// vertices have ids and names, in the order of the graph.
	vertices []*weirpb.VertexDetail
	tasks    []*weirpb.TaskStatus
	// since is, by attempt, when it was first reported, in milliseconds.
	since map[int64]int64
}

func newBoard(id, host string) *board {
	b := &board{id: id, host: host, rates: metrics.NewRates()}
	b.mu.jobs = map[string]*shown{}
	return b
}

// begin takes the plan of a job whose executor has started.
func (b *board) begin(job string, plan []byte) {
	var p struct {
		Nodes []struct{ ID, Description string }
	}
	_ = json.Unmarshal(plan, &p) // without a plan no task is shown
	s := &shown{since: map[int64]int64{}}
	for _, n := range slices.Backward(p.Nodes) { // in a plan what consumes comes first
		s.vertices = append(s.vertices, &weirpb.VertexDetail{Id: n.ID, Name: n.Description})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.mu.jobs[job]; old != nil {
		s.name = old.name
	}
	b.mu.jobs[job] = s
}

// name tells what people call a job.
func (b *board) name(job, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.mu.jobs[job]; s != nil {
		s.name = name
	}
}

// show takes a report of all tasks of a job here. They are not changed any more.
func (b *board) show(job string, tasks []*weirpb.TaskStatus, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.mu.jobs[job]
	if s == nil {
		return
	}
	s.tasks = tasks
	there := map[int64]bool{}
	for _, t := range tasks {
		there[t.GetAttempt()] = true
		if s.since[t.GetAttempt()] == 0 {
			s.since[t.GetAttempt()] = now.UnixMilli()
		}
	}
	maps.DeleteFunc(s.since, func(id, _ int64) bool { return !there[id] })
}

// end forgets a job.
func (b *board) end(job string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.jobs, job)
}

// source is a metrics.Source.
func (b *board) source(context.Context) []metrics.Group {
	now := time.Now()
	groups := []metrics.Group{{
		Scope: "taskmanager", Labels: metrics.Labels{"host", b.host, "tm_id", b.id}, Values: metrics.OfNames(b.process.Read(now)),
	}}
	for _, d := range b.details() {
		ofJob := metrics.Groups(d, b.rates.Observe(now, d), b.host, now)
		groups = append(groups, ofJob[1:]...) // the first is of the job as a whole, which only its JobMaster knows
	}
	return groups
}

// details are the jobs in the form in which their JobMasters describe them, as far as it is known here.
func (b *board) details() []*weirpb.JobDetail {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*weirpb.JobDetail
	for _, job := range slices.Sorted(maps.Keys(b.mu.jobs)) {
		s := b.mu.jobs[job]
		d := &weirpb.JobDetail{JobId: job, Name: s.name}
		for _, v := range s.vertices {
			d.Vertices = append(d.Vertices, &weirpb.VertexDetail{Id: v.GetId(), Name: v.GetName()})
		}
		for _, t := range s.tasks {
			if t.GetVertex() < 0 || int(t.GetVertex()) >= len(d.GetVertices()) {
				continue // it is of no plan
			}
			v := d.GetVertices()[t.GetVertex()]
			v.Subtasks = append(v.Subtasks, &weirpb.SubtaskDetail{Index: t.GetSubtask(), Current: &weirpb.AttemptDetail{
				Id: t.GetAttempt(), Number: t.GetNumber(), TaskManager: b.id, Host: b.host, Metrics: t.GetMetrics(),
				Timestamps: map[string]int64{"RUNNING": s.since[t.GetAttempt()]},
			}})
		}
		all = append(all, d)
	}
	return all
}
