// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/tasktest"
)

// rig is one task between channels that the test holds: two producers, one consumer. What happens is written down.
type rig struct {
	t       *testing.T
	told    *log
	storage *tasktest.Storage
	env     *exchange.Environment
	vertex  *graph.JobVertex
	out     *exchange.Gate
	in      [2]exchange.Sender
	task    task.Task
	// unacknowledged leaves acknowledgements out of what is written down; acknowledged, if set, is called for them.
	unacknowledged bool
	acknowledged   func(task.Acknowledgement)
	// state, if set, is used instead of storage.
	state task.StateStorage
	// logger, if set, is that of the executor.
	logger *slog.Logger
}

// newRig makes a task of chained steps; start starts it.
func newRig(t *testing.T, steps ...func() operator.Operator) *rig {
	t.Helper()
	r := &rig{t: t, told: &log{}, storage: &tasktest.Storage{}}
	nodes := []*graph.StreamNode{{UID: "in", Name: "in", Parallelism: 2, Source: &graph.SourceSpec{}}}
	edges := []*graph.StreamEdge{edge(0, 1, exchange.Rebalance)}
	for i, s := range steps {
		nodes = append(nodes, &graph.StreamNode{ID: i + 1, UID: string(rune('a' + i)), Name: "step", Inputs: 1, New: s})
		if i > 0 {
			edges = append(edges, edge(i, i+1, exchange.Forward))
		}
	}
	nodes = append(nodes, &graph.StreamNode{ID: len(nodes), Name: "out", Inputs: 1})
	edges = append(edges, edge(len(nodes)-2, len(nodes)-1, exchange.Rebalance))
	g, err := graph.Build(&graph.StreamGraph{Name: "rig", Parallelism: 1, Nodes: nodes, Edges: edges}, graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.env, err = exchange.NewEnvironment(exchange.Config{}); err != nil {
		t.Fatal(err)
	}
	r.vertex = g.Vertices[1]
	for i := range r.in {
		p, err := r.env.CreatePartition(exchange.PartitionID{Attempt: int64(i + 1)}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.in[i] = p.Senders()[0]
	}
	return r
}

func (r *rig) start() {
	r.t.Helper()
	if r.state == nil {
		r.state = r.storage.Task(tasktest.Subtask{Parallelism: 1, MaxParallelism: 128}, 0)
	}
	r.out = exchange.NewGate([]int{0}, func() {}, exchange.GateOptions{})
	if err := r.env.Connect(r.out, 0, exchange.Source{ID: exchange.PartitionID{Attempt: 3}}, nil); err != nil {
		r.t.Fatal(err)
	}
	r.task = task.Start(task.Config{
		JobID: "job", Vertex: r.vertex, Attempt: 3, Exchange: r.env, Reporter: rigReporter{r}, Logger: r.logger,
		Inputs: []task.InputChannel{
			{Producer: exchange.PartitionID{Attempt: 1}}, {Producer: exchange.PartitionID{Attempt: 2}},
		},
		State: r.state,
	})
	synctest.Wait()
}

// close ends what runs.
func (r *rig) close() {
	r.task.Cancel()
	<-r.task.Done()
	r.out.Close()
	r.storage.Wait()
	if err := r.env.Close(); err != nil {
		r.t.Error(err)
	}
}

// send puts rows, a control or both into a channel, and waits until the task has done with it.
func (r *rig) send(channel int, c element.Control, keys ...int64) {
	r.t.Helper()
	r.put(channel, c, keys...)
	synctest.Wait()
}

func (r *rig) put(channel int, c element.Control, keys ...int64) {
	r.t.Helper()
	var b element.Any
	if len(keys) > 0 {
		rows := element.NewBatch[row](8)
		for _, k := range keys {
			rows.Append().Key = k
		}
		b = rows
	}
	if err := r.in[channel].Send(b, c); err != nil {
		r.t.Fatal(err)
	}
}

func barrier(id int64) element.Control {
	return element.Control{Kind: element.Barrier, Checkpoint: element.CheckpointBarrier{ID: id}}
}

var (
	nothing = element.Control{}
	ended   = element.Control{Kind: element.EndOfInput}
)

// sent writes down what came out of the task.
func (r *rig) sent() {
	for {
		e, ok := r.out.Next()
		if !ok {
			return
		}
		if e.Err != nil {
			r.told.add("out: lost")
		}
		if e.Batch != nil {
			r.told.add("out: %d rows", e.Batch.Len())
		}
		switch e.Control.Kind {
		case element.None:
		case element.Barrier:
			r.told.add("out: barrier %d", e.Control.Checkpoint.ID)
		default:
			r.told.add("out: %v", e.Control.Kind)
		}
		r.out.Release(e)
	}
}

// expect compares what was written down since the last call.
func (r *rig) expect(want string) {
	r.t.Helper()
	synctest.Wait()
	r.sent()
	r.told.mu.Lock()
	got := strings.Join(r.told.mu.lines, ", ")
	r.told.mu.lines = nil
	r.told.mu.Unlock()
	if got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

type rigReporter struct{ r *rig }

func (x rigReporter) Changed(_ int64, s task.Status, err error) {
	names := [...]string{"initializing", "running", "finished", "canceling", "canceled", "failed"}
	if err != nil {
		x.r.sent() // the loss of the channel, were it there
	}
	x.r.told.add("%s", names[s])
}
func (x rigReporter) InputsEnded(int64) { x.r.told.add("inputs ended") }
func (x rigReporter) Acknowledge(_ int64, a task.Acknowledgement) {
	if x.r.acknowledged != nil {
		x.r.acknowledged(a)
	}
	if !x.r.unacknowledged {
		x.r.told.add("acknowledged %d", a.Checkpoint)
	}
}
func (x rigReporter) Decline(_, id int64, _ error)    { x.r.told.add("declined %d", id) }
func (x rigReporter) ReaderReady(int64, int64)        {}
func (x rigReporter) MissingAssignments(int64, int64) {}
