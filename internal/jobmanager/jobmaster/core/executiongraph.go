// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// executionGraph holds the current execution of each subtask of each vertex, and the pipelined regions.
type executionGraph struct {
	job *graph.JobGraph
	// current is indexed by vertex and subtask.
	current [][]*execution
	tally   tally // of these
	// byAttempt has the current executions only: reports of others are of the past.
	byAttempt map[int64]*execution
	// past are, indexed as current, the attempts before that are remembered, newest first.
	past    [][][]*execution
	regions []*region
	// regionOf is indexed as current.
	regionOf [][]int
	// attempts counts the attempts of this epoch.
	epoch, attempts int64
	// deployments counts those of regions in this epoch.
	deployments int64
}

// subtask names one place in the graph.
type subtask struct{ vertex, index int }

func newExecutionGraph(job *graph.JobGraph, epoch int64, now time.Time) *executionGraph {
	g := &executionGraph{job: job, epoch: epoch, byAttempt: map[int64]*execution{}}
	for _, v := range job.Vertices {
		g.current = append(g.current, make([]*execution, v.Parallelism))
		g.past = append(g.past, make([][]*execution, v.Parallelism))
		g.regionOf = append(g.regionOf, make([]int, v.Parallelism))
	}
	for v := range g.current {
		for i := range g.current[v] {
			g.renew(subtask{v, i}, now)
		}
	}
	g.findRegions()
	return g
}

// PastMax is how many attempts of a subtask are remembered besides the current one.
const PastMax = 16

// renew replaces the execution of a subtask by a new attempt; its id is unique over all epochs of the job.
func (g *executionGraph) renew(s subtask, now time.Time) *execution {
	g.attempts++
	e := &execution{vertex: s.vertex, subtask: s.index, attempt: g.epoch<<32 | g.attempts, since: now}
	e.entered[Created] = now
	if old := g.current[s.vertex][s.index]; old != nil {
		delete(g.byAttempt, old.attempt)
		e.number = old.number + 1
		past := &g.past[s.vertex][s.index]
		*past = slices.Insert((*past)[:min(len(*past), PastMax-1)], 0, old)
		g.tally.leaves(old)
	}
	g.tally.joins(e)
	g.current[s.vertex][s.index] = e
	g.byAttempt[e.attempt] = e
	return e
}

// adopt makes an attempt of an earlier epoch the current execution of its place.
func (g *executionGraph) adopt(e *execution) {
	old := g.current[e.vertex][e.subtask]
	delete(g.byAttempt, old.attempt)
	g.tally.leaves(old)
	g.tally.joins(e)
	g.current[e.vertex][e.subtask] = e
	g.byAttempt[e.attempt] = e
}

// deployment returns the number of the next one, unique over all epochs.
func (g *executionGraph) deployment() int64 {
	g.deployments++
	return g.epoch<<32 | g.deployments
}

// findRegions groups the subtasks that are connected by edges: all edges are pipelined, so a task can't be restarted
// without those that it exchanges records with.
func (g *executionGraph) findRegions() {
	for i, members := range graph.Regions(g.job) {
		r := &region{index: i}
		for _, s := range members {
			r.members = append(r.members, subtask{s.Vertex, s.Subtask})
			g.regionOf[s.Vertex][s.Subtask] = i
		}
		g.regions = append(g.regions, r)
	}
}

// of returns the current execution of a place.
func (g *executionGraph) of(s subtask) *execution { return g.current[s.vertex][s.index] }

// regionOfExecution returns the region of an execution.
func (g *executionGraph) regionOfExecution(e *execution) *region {
	return g.regions[g.regionOf[e.vertex][e.subtask]]
}

// on lists the executions on a TaskManager, in the order of the graph.
func (g *executionGraph) on(taskManager string) []*execution {
	var on []*execution
	g.all(func(e *execution) {
		if e.taskManager == taskManager {
			on = append(on, e)
		}
	})
	return on
}

// all calls f for each current execution, in the order of the graph.
func (g *executionGraph) all(f func(e *execution)) {
	for _, of := range g.current {
		for _, e := range of {
			f(e)
		}
	}
}

// every reports whether p holds for all current executions.
func (g *executionGraph) every(p func(e *execution) bool) bool {
	for _, of := range g.current {
		for _, e := range of {
			if !p(e) {
				return false
			}
		}
	}
	return true
}

// taskName is shown in messages: "map -> sink (2/4)".
func (g *executionGraph) taskName(e *execution) string {
	v := g.job.Vertices[e.vertex]
	return fmt.Sprintf("%s (%d/%d)", v.Name, e.subtask+1, v.Parallelism)
}
