// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest

import (
	"cmp"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/watermerge"
	"github.com/weir-stream/weir/stream"
)

// pipeline is all subtasks of a described graph in one goroutine: the channels between them are calls.
type pipeline struct {
	t           testing.TB
	graph       *graph.JobGraph
	parallelism int
	// instances are by node and subtask.
	instances [][]*instance
	outputs   []exchange.Output
	now       time.Time
	// mark is the last watermark of the inputs.
	mark    int64
	attempt int64
	ended   bool
	// store keeps the state of each node between two lives.
	store []*statebackend.Memory
	// tapped is what was emitted to side outputs, by tag.
	tapped map[string][]any
}

// instance is one operator of one subtask.
type instance struct {
	op   operator.Operator
	rt   *operator.Runtime
	wake time.Time
	// mergers are by input; channels counts those of each.
	mergers  []*watermerge.Merger
	channels []int
}

// keyGroups of a harness are few, so that small tests meet several keys in one and rescale all the same.
const keyGroups = 128

func newPipeline(t testing.TB, build func(*stream.Env) error) *pipeline {
	t.Helper()
	sg, err := stream.Describe(stream.Setup{Name: t.Name()}, build)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipeline{t: t, now: time.Unix(0, 0).UTC(), mark: element.MinWatermark, tapped: map[string][]any{}}
	for _, n := range sg.Nodes {
		if n.Parallelism > 1 {
			n.Parallelism = 0
		}
		n.MaxParallelism = keyGroups
		p.store = append(p.store, statebackend.NewMemory(keyGroups))
	}
	p.graph, err = graph.Build(sg, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	p.start(1, 0)
	t.Cleanup(p.close)
	return p
}

// start makes, wires and opens all operators, consumers before their producers, and restores a checkpoint but 0.
func (p *pipeline) start(parallelism int, checkpoint int64) {
	p.parallelism = parallelism
	p.attempt++
	sg := p.graph.Stream
	p.instances = make([][]*instance, len(sg.Nodes))
	p.outputs = nil
	for i, n := range sg.Nodes {
		for range p.subtasks(n) {
			p.instances[i] = append(p.instances[i], &instance{
				op: n.New(), mergers: make([]*watermerge.Merger, n.Inputs), channels: make([]int, n.Inputs),
			})
		}
	}
	for _, e := range sg.Edges {
		p.wire(e)
	}
	for i := len(sg.Nodes) - 1; i >= 0; i-- {
		for subtask, in := range p.instances[i] {
			for input, n := range in.channels {
				in.mergers[input] = watermerge.New(n)
			}
			p.open(sg.Nodes[i], subtask, in, checkpoint)
		}
	}
}

// subtasks of a step that the job itself holds to one stay one.
func (p *pipeline) subtasks(n *graph.StreamNode) int { return cmp.Or(n.Parallelism, p.parallelism) }

// wire leads an edge from each producer to each consumer, or one to one.
func (p *pipeline) wire(e *graph.StreamEdge) {
	from, to := p.instances[e.From], p.instances[e.To]
	partitioning := e.Partitioning
	if partitioning == exchange.Forward && len(from) != len(to) {
		partitioning = exchange.Rebalance
	}
	for subtask, producer := range from {
		consumers := to
		if partitioning == exchange.Forward {
			consumers = to[subtask : subtask+1]
		}
		senders := make([]exchange.Sender, len(consumers))
		for i, c := range consumers {
			senders[i] = &call{c, e.Input, c.channels[e.Input]}
			c.channels[e.Input]++
		}
		out, port := e.NewOutput(graph.OutputConfig{
			Senders: senders, Subtask: subtask, KeyGroups: keyGroups, Partitioning: partitioning,
		})
		p.check(producer.op.Connect(e.Tag, port))
		p.outputs = append(p.outputs, out)
	}
}

func (p *pipeline) open(n *graph.StreamNode, subtask int, in *instance, checkpoint int64) {
	in.rt = &operator.Runtime{
		Info: operator.Info{
			JobID: "harness", JobName: p.graph.Name, Vertex: n.Name, UID: n.UID, Name: n.Name,
			Subtask: subtask, Parallelism: p.subtasks(n), MaxParallelism: keyGroups, Attempt: p.attempt,
		},
		Logger:   slog.New(slog.DiscardHandler),
		Metrics:  operator.NewMetrics(),
		Now:      func() time.Time { return p.now },
		WakeAt:   func(at time.Time) { in.wake = at },
		Wake:     func() { in.wake = p.now },
		Canceled: p.t.Context().Done(),
		Tap:      func(tag string, v any) { p.tapped[tag] = append(p.tapped[tag], v) },
	}
	if checkpoint != 0 {
		r, err := p.store[n.ID].Reader(checkpoint, p.subtasks(n), subtask)
		p.check(err)
		in.rt.Restored = r
	}
	p.check(in.op.Open(p.t.Context(), in.rt))
}

// call is a channel that is a call: what is sent is processed before Send returns.
type call struct {
	to             *instance
	input, channel int
}

// Ready is always true.
func (c *call) Ready() bool { return true }

// Send processes a batch and what follows it.
func (c *call) Send(b element.Any, ctl element.Control) error {
	port := c.to.op.Port(c.input)
	if b != nil {
		err := port.Deliver(b)
		b.Release()
		if err != nil {
			return err
		}
	}
	m := c.to.mergers[c.input]
	switch ctl.Kind {
	case element.Watermark:
		return pass(port, m.Watermark(c.channel, ctl.At))
	case element.Idle, element.Active:
		return pass(port, m.Status(c.channel, ctl.Kind == element.Idle))
	case element.EndOfInput:
		return pass(port, m.End(c.channel))
	default:
		return nil
	}
}

// pass hands on what merging the channels of an input found.
func pass(to operator.Port, c watermerge.Change) error {
	if c.Active {
		if err := to.Status(false); err != nil {
			return err
		}
	}
	if c.Advanced {
		if err := to.Watermark(c.Watermark); err != nil {
			return err
		}
	}
	if c.Idle {
		if err := to.Status(true); err != nil {
			return err
		}
	}
	if c.Ended {
		return to.End()
	}
	return nil
}

// flush sends on what waits in open batches, in topological order.
func (p *pipeline) flush() {
	p.t.Helper()
	for _, o := range p.outputs {
		p.check(o.Flush())
	}
}

func (p *pipeline) watermark(at int64) {
	p.t.Helper()
	p.mark = at
	for _, f := range p.feeders() {
		p.check(f.watermark(at))
		p.flush()
	}
}

func (p *pipeline) end() {
	p.t.Helper()
	p.ended = true
	for _, f := range p.feeders() {
		p.check(f.end())
		p.flush()
	}
}

// feeders are the heads of the pipeline, of all subtasks.
func (p *pipeline) feeders() []feeder {
	var all []feeder
	for _, in := range slices.Concat(p.instances...) {
		if f, ok := in.op.(feeder); ok {
			all = append(all, f)
		}
	}
	return all
}

// sleep lets time pass from one wake-up to the next.
func (p *pipeline) sleep(d time.Duration) {
	p.t.Helper()
	until := p.now.Add(d)
	for {
		var next *instance
		for _, in := range slices.Concat(p.instances...) {
			if !in.wake.IsZero() && (next == nil || in.wake.Before(next.wake)) {
				next = in
			}
		}
		if next == nil || next.wake.After(until) {
			break
		}
		if next.wake.After(p.now) {
			p.now = next.wake
		}
		next.wake = time.Time{}
		p.check(next.op.Tick(p.now))
		p.flush()
	}
	p.now = until
}

// restart takes a savepoint of all operators and starts others from it.
func (p *pipeline) restart(parallelism int) {
	p.t.Helper()
	if parallelism < 1 || parallelism > keyGroups {
		p.t.Fatalf("restart at parallelism %d: want 1 to %d", parallelism, keyGroups)
	}
	p.flush()
	cp := statebackend.Checkpoint{ID: p.attempt, Flags: element.Savepoint}
	for node, subtasks := range p.instances {
		for subtask, in := range subtasks {
			p.check(in.op.Barrier(cp))
			p.check(p.store[node].Take(cp, len(subtasks), subtask, in.op.States()...))
		}
	}
	p.closeOperators()
	p.start(parallelism, cp.ID)
	if p.mark != element.MinWatermark {
		p.watermark(p.mark)
	}
	if p.ended {
		p.end()
	}
}

func (p *pipeline) closeOperators() {
	for _, in := range slices.Concat(p.instances...) {
		p.check(in.op.Close())
	}
}

func (p *pipeline) close() {
	for _, in := range slices.Concat(p.instances...) {
		if err := in.op.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// steps are the subtasks of the step with that uid.
func (p *pipeline) steps(uid string) []*instance {
	for i, n := range p.graph.Stream.Nodes {
		if n.UID == uid {
			return p.instances[i]
		}
	}
	p.t.Helper()
	p.t.Fatalf("no step has the uid %q", uid)
	return nil
}

// check ends the test with an error of the pipeline.
func (p *pipeline) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
