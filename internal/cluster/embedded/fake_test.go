// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
)

// world is what fake tasks share: the channels between them, and where their output ends up.
type world struct {
	mu struct {
		sync.Mutex
		tasks     map[int64]*fakeTask
		committed map[int]int // how often a record was committed
		starts    int
		commits   [][]int
		stuck     bool // tasks that are canceled don't end
		failNext  error
	}
	release chan struct{} // lets stuck tasks end
}

func newWorld() *world {
	w := &world{release: make(chan struct{})}
	w.mu.tasks = map[int64]*fakeTask{}
	w.mu.committed = map[int]int{}
	return w
}

// split is a range of numbers, Next is the one to be read next.
type split struct{ ID, Next, End int }

// fakeState is what a fake task snapshots: the splits of a reader, the records not committed of a sink.
type fakeState struct {
	Splits []split
	NoMore bool
}

// fakeTask reads a number a millisecond and passes it on; one without consumers keeps them until they are committed.
type fakeTask struct {
	w      *world
	c      task.Config
	mails  chan func()
	done   chan struct{}
	cancel chan struct{}
	once   sync.Once
	// The rest belongs to its goroutine.
	state         fakeState
	assigned      int64
	ready         int64
	asked         bool
	pending       []int
	aligned       map[int64]int
	inputsEnded   int
	ended         bool
	snapshots     map[int64]int // number of pending records at a checkpoint
	terminal      int64
	endedReported bool
}

func (w *world) start(c task.Config) task.Task {
	t := &fakeTask{
		w: w, c: c, mails: make(chan func(), 1024), done: make(chan struct{}), cancel: make(chan struct{}),
		aligned: map[int64]int{}, snapshots: map[int64]int{}, assigned: c.ReaderNumber,
	}
	w.mu.Lock()
	w.mu.tasks[c.Attempt] = t
	w.mu.starts++
	w.mu.Unlock()
	go t.run() // ends with the task; Done tells
	return t
}

func (t *fakeTask) post(f func()) {
	select {
	case t.mails <- f:
	case <-t.done:
	}
}

func (t *fakeTask) run() {
	defer close(t.done)
	t.c.Reporter.Changed(t.c.Attempt, task.Initializing, nil)
	if err := t.restore(); err != nil {
		t.c.Reporter.Changed(t.c.Attempt, task.Failed, err)
		return
	}
	t.c.Reporter.Changed(t.c.Attempt, task.Running, nil)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-t.cancel:
			t.w.mu.Lock()
			stuck := t.w.mu.stuck
			t.w.mu.Unlock()
			if stuck {
				<-t.w.release
			}
			t.c.Reporter.Changed(t.c.Attempt, task.Canceled, nil)
			return
		case f := <-t.mails:
			f()
		case <-tick.C:
			t.w.mu.Lock()
			err := t.w.mu.failNext
			t.w.mu.failNext = nil
			t.w.mu.Unlock()
			if err != nil {
				t.c.Reporter.Changed(t.c.Attempt, task.Failed, err)
				return
			}
			t.read()
		}
		if t.ended && len(t.pending) == 0 {
			t.c.Reporter.Changed(t.c.Attempt, task.Finished, nil)
			return
		}
	}
}

func (t *fakeTask) restore() error {
	for _, n := range t.c.Vertex.Nodes {
		r, err := t.c.State.Restored(n.OperatorID, t.c.Subtask, t.c.Vertex.Parallelism, t.c.Vertex.MaxParallelism)
		if err != nil {
			return err
		}
		if r != nil && n.Source != nil {
			if err := json.Unmarshal(r.Schema("splits"), &t.state); err != nil {
				return err
			}
		}
	}
	return nil
}

// read emits the next number of the first split.
func (t *fakeTask) read() {
	if t.c.Vertex.Source() == nil || t.ended || t.terminal != 0 {
		return
	}
	if len(t.state.Splits) == 0 {
		if t.state.NoMore {
			t.end()
		} else if !t.asked {
			t.asked = true
			t.ready++
			t.c.Reporter.ReaderReady(t.c.Attempt, t.ready)
		}
		return
	}
	s := &t.state.Splits[0]
	t.emit(s.Next)
	if s.Next++; s.Next == s.End {
		t.state.Splits = t.state.Splits[1:]
	}
}

func (t *fakeTask) emit(v int) {
	if len(t.c.Vertex.Out) == 0 {
		t.pending = append(t.pending, v)
		return
	}
	consumers := t.consumers()
	to := consumers[v%len(consumers)]
	to.post(func() { to.emit(v) })
}

// consumers are the live tasks that name this one as a producer.
func (t *fakeTask) consumers() []*fakeTask {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	var all []*fakeTask
	for _, o := range t.w.mu.tasks {
		if slices.ContainsFunc(o.c.Inputs, func(in task.InputChannel) bool { return in.Producer.Attempt == t.c.Attempt }) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *fakeTask) int { return a.c.Subtask - b.c.Subtask })
	return all
}

// end ends the input of this task.
func (t *fakeTask) end() {
	t.ended = true
	for _, o := range t.consumers() {
		o.post(func() {
			if o.inputsEnded++; o.inputsEnded == len(o.c.Inputs) {
				o.end()
			}
		})
	}
	if len(t.pending) > 0 {
		t.c.Reporter.InputsEnded(t.c.Attempt)
	}
}

func (t *fakeTask) barrier(id int64, flags element.BarrierFlags) {
	t.aligned[id]++
	if t.c.Vertex.Source() == nil && !t.ended && t.aligned[id] < len(t.c.Inputs) {
		return
	}
	a := task.Acknowledgement{Checkpoint: id, Prepared: map[string][]byte{}}
	for _, n := range t.c.Vertex.Nodes {
		if n.Source != nil {
			b, _ := json.Marshal(t.state)
			a.State = checkpoint.EncodeTaskState([]checkpoint.OperatorState{{
				Operator: checkpoint.OperatorID(n.OperatorID),
				State: checkpoint.StateHandle{
					Segments: []checkpoint.Segment{{Checkpoint: id, Inline: b, Size: int64(len(b)), Bytes: int64(len(b))}},
					States:   []checkpoint.State{{Name: "splits", Kind: statebackend.List, Segments: []int{0}}},
				},
			}})
		}
		if n.Sink != nil {
			b, _ := json.Marshal(t.pending)
			a.Prepared[n.OperatorID] = b
		}
	}
	t.snapshots[id] = len(t.pending)
	if flags.Has(element.Terminal) {
		t.terminal = id
	}
	for _, o := range t.consumers() {
		o.post(func() { o.barrier(id, flags) })
	}
	t.c.Reporter.Acknowledge(t.c.Attempt, a)
}

func (t *fakeTask) Trigger(id int64, flags element.BarrierFlags, number int64) {
	t.post(func() { t.barrier(id, flags) })
}
func (t *fakeTask) Completed(int64) {}
func (t *fakeTask) Committed(id int64) {
	t.post(func() {
		if n, ok := t.snapshots[id]; ok {
			t.pending = t.pending[n:]
			for k := range t.snapshots {
				t.snapshots[k] -= n
			}
		}
		if t.terminal == id {
			t.ended = true
		}
	})
}

func (t *fakeTask) Aborted(id int64) {
	t.post(func() {
		if t.terminal == id {
			t.terminal = 0
		}
	})
}

func (t *fakeTask) Decided(below int64) {
	t.post(func() {
		if t.terminal < below {
			t.terminal = 0
		}
	})
}

func (t *fakeTask) Assign(number int64, splits []byte, noMore bool) {
	t.post(func() {
		t.asked = false
		t.state.NoMore = t.state.NoMore || noMore
		if len(splits) > 0 {
			var s []split
			_ = json.Unmarshal(splits, &s)
			t.state.Splits = append(t.state.Splits, s...)
		}
	})
}
func (t *fakeTask) Cancel()                 { t.once.Do(func() { close(t.cancel) }) }
func (t *fakeTask) Done() <-chan struct{}   { return t.done }
func (t *fakeTask) Metrics() task.Metrics   { return task.Metrics{} }
func (t *fakeTask) Progress() task.Progress { return task.Progress{} }

// fakeStorage reads what fakeTask wrote out of the metadata alone.
type fakeStorage struct{ md *checkpoint.Metadata }

func newFakeStorage(_ *storage.Run, r executor.StorageRequest) (task.StateStorage, error) {
	if len(r.Restore) == 0 {
		return fakeStorage{}, nil
	}
	md, err := checkpoint.Decode(r.Restore)
	return fakeStorage{md}, err
}

func (s fakeStorage) Restored(op string, subtask, parallelism, _ int) (statebackend.Reader, error) {
	if s.md == nil {
		return nil, nil
	}
	o := s.md.Operator(checkpoint.OperatorID(op))
	if o == nil || len(o.Subtasks) != parallelism || len(o.Subtasks[subtask].State.Segments) == 0 {
		return nil, nil
	}
	return inlineReader{data: o.Subtasks[subtask].State.Segments[0].Inline}, nil
}

func (fakeStorage) Begin(statebackend.Checkpoint, func()) (task.Snapshot, error) {
	return nil, fmt.Errorf("not used")
}

type inlineReader struct {
	statebackend.Reader
	data []byte
}

func (r inlineReader) Schema(string) []byte { return r.data }

type fakeExchange struct{ id string }

func (x fakeExchange) Address() string { return x.id }
func (x fakeExchange) Close() error    { return nil }
func (x fakeExchange) CreatePartition(exchange.PartitionID, int, exchange.Serde) (*exchange.Partition, error) {
	panic("not used")
}

func (x fakeExchange) Connect(*exchange.Gate, int, exchange.Source, exchange.Serde) error {
	panic("not used")
}

// fakeEnumerator hands out ranges of numbers, a split for each request.
type fakeEnumerator struct {
	rt   graph.EnumeratorRuntime
	left []split
}

func newFakeEnumerator(count, size int) func(context.Context, graph.EnumeratorRuntime, []byte) (graph.Enumerator, error) {
	return func(_ context.Context, rt graph.EnumeratorRuntime, restored []byte) (graph.Enumerator, error) {
		e := &fakeEnumerator{rt: rt}
		if restored != nil {
			return e, json.Unmarshal(restored, &e.left)
		}
		for i := range count {
			e.left = append(e.left, split{i, i * size, (i + 1) * size})
		}
		return e, nil
	}
}

func (e *fakeEnumerator) Assigned(int, []byte) error     { return nil }
func (e *fakeEnumerator) Start(context.Context) error    { return nil }
func (e *fakeEnumerator) Close() error                   { return nil }
func (e *fakeEnumerator) Snapshot(int64) ([]byte, error) { return json.Marshal(e.left) }
func (e *fakeEnumerator) AddBack(b []byte, _ int) error {
	var s []split
	err := json.Unmarshal(b, &s)
	e.left = append(e.left, s...)
	return err
}

func (e *fakeEnumerator) ReaderReady(reader int) error {
	if len(e.left) == 0 {
		e.rt.NoMoreSplits(reader)
		return nil
	}
	b, err := json.Marshal(e.left[:1])
	e.left = e.left[1:]
	e.rt.Assign(reader, b)
	return err
}

// fakeCommitter counts how often a record is committed; a repeated commit of the same checkpoint counts once.
type fakeCommitter struct{ w *world }

func (c fakeCommitter) Commit(_ context.Context, prepared [][]byte) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, p := range prepared {
		var records []int
		if err := json.Unmarshal(p, &records); err != nil {
			return err
		}
		for _, r := range records {
			c.w.mu.committed[r] = 1
		}
		c.w.mu.commits = append(c.w.mu.commits, records)
	}
	return nil
}
func (c fakeCommitter) Close() error { return nil }

// parallelism is that of all fake jobs.
const parallelism = 4

// numbers is a job that reads count splits of size numbers each into a sink: in one vertex, or in two that are connected
// each to each.
func (w *world) numbers(count, size int, two bool) *graph.JobGraph {
	sg := &graph.StreamGraph{Name: "numbers", Checkpoints: graph.Checkpoints{Interval: 20 * time.Millisecond}}
	sg.Nodes = []*graph.StreamNode{
		{
			ID: 0, UID: "in", Name: "in", Verb: "From", Parallelism: parallelism, MaxParallelism: 128,
			States: []statebackend.Spec{{Name: "splits", Kind: statebackend.List}},
			Source: &graph.SourceSpec{Bounded: true, NewEnumerator: newFakeEnumerator(count, size)},
		},
		{
			ID: 1, UID: "out", Name: "out", Verb: "To", Inputs: 1, Parallelism: parallelism, MaxParallelism: 128,
			Sink: &graph.SinkSpec{NewCommitter: func(context.Context) (graph.Committer, error) { return fakeCommitter{w}, nil }},
		},
	}
	e := &graph.StreamEdge{From: 0, To: 1, Partitioning: exchange.Forward}
	if two {
		e.Partitioning = exchange.Hash
	}
	sg.Edges = []*graph.StreamEdge{e}
	g, err := graph.Build(sg, graph.Options{Parallelism: parallelism})
	if err != nil {
		panic(err)
	}
	return g
}

func testConfig(w *world, taskManagers, slots int) Config {
	return Config{
		TaskManagers: taskManagers, SlotsPerTaskManager: slots, StartTask: w.start,
		NewExchange: func(id string) (Exchange, error) { return fakeExchange{id: id}, nil },
		NewStorage:  newFakeStorage,
		Heartbeat:   100 * time.Millisecond, CancelTimeout: 2 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}
}
