// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

import (
	"slices"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
)

// JobGraph is a StreamGraph with its steps chained into vertices: what is scheduled.
type JobGraph struct {
	Name string
	// Vertices are in topological order; a vertex's Index is its place.
	Vertices []*JobVertex
	Edges    []*JobEdge
	Stream   *StreamGraph
	// KeyGroups are those of all steps by operator id: built with them as Options, the same StreamGraph gives this graph.
	KeyGroups map[string]int
	// Fingerprint is a stable hash of all that must be the same in every role that describes the job.
	Fingerprint uint64
}

// SlotsNeeded is the number of slots that hold the job: subtasks of different vertices share a slot, those of one don't.
func (g *JobGraph) SlotsNeeded() int {
	n := 0
	for _, v := range g.Vertices {
		n = max(n, v.Parallelism)
	}
	return n
}

// JobVertex is a chain of steps that run in one task.
type JobVertex struct {
	Index int
	// ID is derived from uids and the shape of the graph: 32 hexadecimal digits, as Flink's.
	ID string
	// Name joins the names of the chained steps by " -> ".
	Name                        string
	Parallelism, MaxParallelism int
	// Nodes are the chained steps, head first; each step comes after the one that feeds it.
	Nodes []*StreamNode
	// Links are the edges inside the chain.
	Links []*StreamEdge
	// In are the edges into the head, ordered by input, then by edge; Out those that leave, in the order of their edges.
	In, Out []*JobEdge
}

// Source is the source at the head of the vertex, or nil.
func (v *JobVertex) Source() *StreamNode {
	if v.Nodes[0].Source != nil {
		return v.Nodes[0]
	}
	return nil
}

// JobEdge connects two vertices.
type JobEdge struct {
	// Index is the place in JobGraph.Edges; OutIndex that among the out edges of From, the Edge of a PartitionID.
	Index, OutIndex int
	From, To        *JobVertex
	Stream          *StreamEdge
	// Strings says whom the strings of records that come from another process belong to.
	Strings codec.Strings
}

// Borrows reports whether strings of records may be lent to the tasks of the vertex.
func (v *JobVertex) Borrows() bool {
	return slices.ContainsFunc(v.In, func(e *JobEdge) bool { return e.Strings == codec.Borrowed })
}

// Consumers is the number of channels that one producing subtask has on the edge: one for Forward, else one a consumer.
func (e *JobEdge) Consumers() int {
	if e.forward() {
		return 1
	}
	return e.To.Parallelism
}

// Producers lists the subtasks of From that feed a consuming subtask.
func (e *JobEdge) Producers(subtask int) []int {
	if e.forward() {
		return []int{subtask}
	}
	all := make([]int, e.From.Parallelism)
	for i := range all {
		all[i] = i
	}
	return all
}

// Channel is which of a producer's channels leads to a consuming subtask.
func (e *JobEdge) Channel(subtask int) int {
	if e.forward() {
		return 0
	}
	return subtask
}

// forward edges connect subtask to subtask; both sides have the same parallelism.
func (e *JobEdge) forward() bool { return e.Stream.Partitioning == exchange.Forward }
