// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
)

// Bounds of the number of key groups.
const (
	minKeyGroups = 128
	maxKeyGroups = 32768
)

// Options complete what a StreamGraph leaves open.
type Options struct {
	// Parallelism is that of steps where neither they nor the job set one; at least 1.
	Parallelism int
	// KeyGroups are, by operator id, those of restored state: they are fixed for its life, and win over the default but
	// not over what the job sets.
	KeyGroups map[string]int
	// DisableChaining gives each step a task of its own.
	DisableChaining bool
}

// DefaultMaxParallelism is the number of key groups of a step that sets none: room for half as many subtasks again,
// rounded up to a power of two, and never under 128.
func DefaultMaxParallelism(parallelism int) int {
	want := parallelism + parallelism/2
	return min(max(1<<bits.Len(uint(max(want, 1)-1)), minKeyGroups), maxKeyGroups)
}

// Build chains the steps of a job into vertices. It fails where the graph can't run: an empty one, or a step whose
// parallelism is above its key groups.
func Build(sg *StreamGraph, o Options) (*JobGraph, error) {
	if len(sg.Nodes) == 0 {
		return nil, fmt.Errorf("job %q has no steps", sg.Name)
	}
	assignOperatorIDs(sg)
	b := &builder{sg: sg, opt: o, head: make([]*StreamNode, len(sg.Nodes)), vertex: map[int]*JobVertex{}}
	if err := b.resolve(); err != nil {
		return nil, err
	}
	b.chain()
	b.connect()
	g := &JobGraph{Name: sg.Name, Vertices: b.vertices, Edges: b.edges, Stream: sg, KeyGroups: map[string]int{}}
	for i, n := range sg.Nodes {
		g.KeyGroups[n.OperatorID] = b.groups[i]
	}
	g.Fingerprint = fingerprint(Describe(sg))
	return g, nil
}

// builder holds what the steps of Build share.
type builder struct {
	sg  *StreamGraph
	opt Options
	// parallelism and groups are by node id.
	parallelism, groups []int
	partitioning        []exchange.Partitioning
	// head is, by node id, the head of the chain that the node is in.
	head     []*StreamNode
	vertex   map[int]*JobVertex
	vertices []*JobVertex
	edges    []*JobEdge
}

// resolve settles parallelism and key groups of each node, and what default partitioning means between them.
func (b *builder) resolve() error {
	b.parallelism = make([]int, len(b.sg.Nodes))
	b.groups = make([]int, len(b.sg.Nodes))
	for i, n := range b.sg.Nodes {
		p := firstSet(n.Parallelism, b.sg.Parallelism, b.opt.Parallelism, 1)
		b.parallelism[i] = p
		g := firstSet(n.MaxParallelism, b.sg.MaxParallelism, b.opt.KeyGroups[n.OperatorID], DefaultMaxParallelism(p))
		b.groups[i] = g
		if g > maxKeyGroups {
			return fmt.Errorf("step %q: max parallelism %d is above %d", n.Name, g, maxKeyGroups)
		}
		if p > g {
			return fmt.Errorf("step %q: parallelism %d is above its max parallelism %d; raise the latter before there is state", n.Name, p, g)
		}
	}
	b.partitioning = make([]exchange.Partitioning, len(b.sg.Edges))
	for i, e := range b.sg.Edges {
		b.partitioning[i] = e.Partitioning
		if e.Partitioning == exchange.Forward && b.parallelism[e.From] != b.parallelism[e.To] {
			b.partitioning[i] = exchange.Rebalance
		}
	}
	return nil
}

func firstSet(values ...int) int {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}

// chain finds for each node the head of its chain and fills the vertices. Nodes come in topological order.
func (b *builder) chain() {
	in := make([][]int, len(b.sg.Nodes))
	for i, e := range b.sg.Edges {
		in[e.To] = append(in[e.To], i)
	}
	for _, n := range b.sg.Nodes {
		b.head[n.ID] = n
		if len(in[n.ID]) == 1 && b.chainable(in[n.ID][0]) {
			b.head[n.ID] = b.head[b.sg.Edges[in[n.ID][0]].From]
		}
		h := b.head[n.ID]
		v := b.vertex[h.ID]
		if v == nil {
			v = &JobVertex{Index: len(b.vertices), ID: h.OperatorID, Parallelism: b.parallelism[h.ID]}
			b.vertex[h.ID] = v
			b.vertices = append(b.vertices, v)
		}
		v.Nodes = append(v.Nodes, n)
		v.MaxParallelism = max(v.MaxParallelism, b.groups[n.ID])
	}
	for _, v := range b.vertices {
		v.Name = chainName(v.Nodes)
	}
}

// chainable reports whether the only edge into a node can be a call.
func (b *builder) chainable(edge int) bool {
	e := b.sg.Edges[edge]
	from, to := b.sg.Nodes[e.From], b.sg.Nodes[e.To]
	return !b.opt.DisableChaining &&
		b.partitioning[edge] == exchange.Forward &&
		to.Inputs == 1 && to.Chaining == ChainAlways && from.Chaining != ChainNever &&
		b.groupsFit(from, to)
}

// groupsFit keeps a step that sets key groups of its own out of a chain with others.
func (b *builder) groupsFit(from, to *StreamNode) bool {
	return to.MaxParallelism == 0 || to.MaxParallelism == b.groups[b.head[from.ID].ID]
}

// connect sorts the edges into links inside chains and edges between vertices.
func (b *builder) connect() {
	for i, e := range b.sg.Edges {
		from, to := b.vertex[b.head[e.From].ID], b.vertex[b.head[e.To].ID]
		if from == to {
			from.Links = append(from.Links, e)
			continue
		}
		own := *e
		own.Partitioning = b.partitioning[i]
		edge := &JobEdge{Index: len(b.edges), OutIndex: len(from.Out), From: from, To: to, Stream: &own}
		keeps := slices.ContainsFunc(to.Nodes, func(n *StreamNode) bool { return n.KeepsText })
		edge.Strings = codec.Strings(b.sg.ObjectReuse && !keeps)
		b.edges = append(b.edges, edge)
		from.Out = append(from.Out, edge)
		to.In = insertByInput(to.In, edge)
	}
}

// insertByInput keeps edges ordered by input, and by age within one.
func insertByInput(in []*JobEdge, e *JobEdge) []*JobEdge {
	at := len(in)
	for at > 0 && in[at-1].Stream.Input > e.Stream.Input {
		at--
	}
	in = append(in, nil)
	copy(in[at+1:], in[at:])
	in[at] = e
	return in
}

func chainName(nodes []*StreamNode) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return strings.Join(names, " -> ")
}
