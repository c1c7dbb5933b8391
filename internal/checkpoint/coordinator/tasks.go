// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// Vertex is what the coordinator knows of a vertex of the job graph.
type Vertex struct {
	Parallelism, MaxParallelism int
	Operators                   []Operator
	// Inputs are the vertex's producers; a vertex without reads a source.
	Inputs []Input
}

// Operator is one step of a vertex.
type Operator struct {
	ID        checkpoint.OperatorID
	UID, Name string
	// Source operators have an enumerator.
	Source bool
}

// Input is an edge from another vertex. Forward edges connect subtask to subtask, others each to each.
type Input struct {
	Vertex  int
	Forward bool
}

// Vertices describes a job graph.
func Vertices(g *graph.JobGraph) []Vertex {
	vs := make([]Vertex, len(g.Vertices))
	for i, v := range g.Vertices {
		vs[i] = Vertex{Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism}
		for _, n := range v.Nodes {
			vs[i].Operators = append(vs[i].Operators, Operator{
				ID: checkpoint.OperatorID(n.OperatorID), UID: n.UID, Name: n.Name, Source: n.Source != nil,
			})
		}
		for _, e := range v.In {
			forward := e.From.Parallelism > 1 && len(e.Producers(0)) == 1
			vs[i].Inputs = append(vs[i].Inputs, Input{Vertex: e.From.Index, Forward: forward})
		}
	}
	return vs
}

// task is the current attempt of a subtask.
type task struct {
	attempt int64
	state   TaskState
}

// tasks is the state of all subtasks, with counts.
type tasks struct {
	vertices []Vertex
	of       [][]task
	// counts of subtasks by state: in all, and of each vertex.
	counts   [4]int
	byVertex [][4]int
}

func newTasks(vertices []Vertex) *tasks {
	t := &tasks{vertices: vertices, of: make([][]task, len(vertices)), byVertex: make([][4]int, len(vertices))}
	for i, v := range vertices {
		t.of[i] = make([]task, v.Parallelism)
		t.byVertex[i][Absent] = v.Parallelism
		t.counts[Absent] += v.Parallelism
	}
	return t
}

// set takes a change and returns whether it is news: a late message about an earlier attempt isn't.
func (t *tasks) set(c TaskChange) bool {
	if c.Task.Vertex < 0 || c.Task.Vertex >= len(t.of) || c.Task.Subtask < 0 || c.Task.Subtask >= len(t.of[c.Task.Vertex]) {
		return false
	}
	k := t.at(c.Task)
	if c.Attempt < k.attempt || *k == (task{c.Attempt, c.State}) {
		return false
	}
	t.counts[k.state]--
	t.counts[c.State]++
	t.byVertex[c.Task.Vertex][k.state]--
	t.byVertex[c.Task.Vertex][c.State]++
	*k = task{c.Attempt, c.State}
	return true
}

func (t *tasks) at(id graph.SubtaskID) *task { return &t.of[id.Vertex][id.Subtask] }

// silent reports whether a task sends no barriers any more.
func (t *tasks) silent(vertex, subtask int) bool { return t.of[vertex][subtask].state >= Ended }

// head reports whether all producers of a subtask are silent, so that no barrier will come by its inputs.
func (t *tasks) head(id graph.SubtaskID) bool {
	for _, in := range t.vertices[id.Vertex].Inputs {
		if in.Forward {
			if !t.silent(in.Vertex, id.Subtask) {
				return false
			}
		} else if c := t.byVertex[in.Vertex]; c[Ended]+c[Finished] != t.vertices[in.Vertex].Parallelism {
			return false
		}
	}
	return true
}

// ready reports whether a checkpoint can be triggered: every task is there, and not all have finished.
func (t *tasks) ready() bool { return t.counts[Absent] == 0 && t.counts[Running]+t.counts[Ended] > 0 }

// sourcesRead reports whether no source runs any more.
func (t *tasks) sourcesRead() bool {
	for i, v := range t.vertices {
		if len(v.Inputs) == 0 && t.byVertex[i][Running] > 0 {
			return false
		}
	}
	return true
}
