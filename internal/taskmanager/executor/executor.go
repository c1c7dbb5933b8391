// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

// StorageRequest says whose state is to be read and written.
type StorageRequest struct {
	JobID string
	// Dir is the run's directory, as the JobMaster names it.
	Dir string
	// Restore is the encoded metadata of the checkpoint to start from, empty on a fresh start.
	Restore []byte
	Vertex  *graph.JobVertex
	Subtask int
	Attempt int64
}

// Config is what an Executor is made of. All is required, but where a zero value is explained.
type Config struct {
	core.Config
	Graph *graph.JobGraph
	// Rebuild builds the graph anew with other key groups: a process that describes the job by itself learns with the
	// tasks what restored state has settled. Nil where Graph is the JobMaster's.
	Rebuild  func(keyGroups map[string]int) (*graph.JobGraph, error)
	Exchange task.Exchange
	Storage  func(StorageRequest) (task.StateStorage, error)
	Start    func(task.Config) task.Task
	// Clock is handed to the tasks; nil for the system's.
	Clock  task.Clock
	Logger *slog.Logger
	// Post has a function run by the goroutine that calls the executor, unless that has ended. Send passes a message on.
	Post func(func()) bool
	Send func(to string, m *weirpb.Envelope)
	// BufferTimeout and RowsMax are handed to the tasks; zero for their defaults.
	BufferTimeout time.Duration
	RowsMax       int
}

// Executor holds the tasks of one job. Its methods are called by one goroutine, but for Wait.
type Executor struct {
	config Config
	core   *core.Executor
	tasks  map[int64]*running
	wg     sync.WaitGroup
}

// running is a task and how it said that it ends.
type running struct {
	task    task.Task
	subtask graph.SubtaskID
	// state and err are what it reported last; they are passed on, if terminal, once it has ended.
	state task.Status
	err   error
	// killed tells that a test fails the task: its end counts as a failure.
	killed error
}

// New makes an executor without tasks.
func New(c Config, now time.Time) *Executor {
	c.Fingerprint = c.Graph.Fingerprint
	return &Executor{config: c, core: core.NewExecutor(c.Config, now), tasks: map[int64]*running{}}
}

// Receive takes a message of the JobMaster.
func (x *Executor) Receive(e *weirpb.Envelope, usable func(allocation string) bool) {
	x.core.Receive(e, usable)
	x.perform()
}

// Tick sends a report if it is due. allocations are the job's slots.
func (x *Executor) Tick(now time.Time, allocations []string) {
	if now.Before(x.core.Next()) {
		return
	}
	for _, id := range x.core.Live() {
		if r := x.tasks[id]; r != nil {
			x.observe(id, r)
		}
	}
	x.core.Tick(now, allocations)
	x.perform()
}

// StateBytes is the size of all state of the tasks.
func (x *Executor) StateBytes() (n int64) {
	for _, r := range x.tasks {
		for _, o := range r.task.Metrics().Operators {
			n += o.State.Bytes
		}
	}
	return n
}

// Next is the time of the next Tick.
func (x *Executor) Next() time.Time { return x.core.Next() }

// Cancel ends all tasks without a report; Wait waits until they have.
func (x *Executor) Cancel() {
	for _, r := range x.tasks {
		r.task.Cancel()
	}
}

// Idle reports whether no task is left.
func (x *Executor) Idle() bool { return len(x.tasks) == 0 }

// Wait returns when all tasks have ended, or false after the timeout: their goroutines are left behind then.
func (x *Executor) Wait(timeout time.Duration) bool {
	done := make(chan struct{})
	// Owner: Wait, which gives it up only together with the tasks that it waits for.
	go func() {
		x.wg.Wait()
		close(done)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// Fail ends the current attempt of a subtask, as if it had failed; for tests.
func (x *Executor) Fail(s graph.SubtaskID, err error) bool {
	for _, r := range x.tasks {
		if r.subtask == s && r.killed == nil {
			r.killed = fmt.Errorf("%w: %w", errInjected, err)
			r.task.Cancel()
			return true
		}
	}
	return false
}

// perform does what the core has decided.
func (x *Executor) perform() {
	for _, a := range x.core.Take() {
		switch a := a.(type) {
		case core.Send:
			x.config.Send(a.To, a.Message)
		case core.Start:
			x.start(a)
		default:
			x.tell(a)
		}
	}
}

// tell passes an action on to the task that it is for.
func (x *Executor) tell(a core.Action) {
	switch a := a.(type) {
	case core.Cancel:
		if r := x.tasks[a.Attempt]; r != nil {
			r.task.Cancel()
		}
	case core.Trigger:
		if r := x.tasks[a.Attempt]; r != nil {
			r.task.Trigger(a.Checkpoint, a.Flags, a.Number)
		}
	case core.Assign:
		if r := x.tasks[a.Attempt]; r != nil {
			r.task.Assign(a.Number, a.Splits, a.NoMore)
		}
	case core.Outcome:
		r := x.tasks[a.Attempt]
		switch {
		case r == nil:
		case a.Kind == core.Completed:
			r.task.Completed(a.Checkpoint)
		case a.Kind == core.Committed:
			r.task.Committed(a.Checkpoint)
		case a.Kind == core.Aborted:
			r.task.Aborted(a.Checkpoint)
		case a.Kind == core.Decided:
			r.task.Decided(a.Checkpoint)
		}
	}
}

// start makes a task and the goroutine that waits for its end.
func (x *Executor) start(s core.Start) {
	id := s.Task.GetAttempt()
	c, err := x.taskConfig(s)
	if err != nil {
		x.core.Changed(id, weirpb.TaskState_TASK_STATE_FAILED, err.Error(), kindOf(err), x.now())
		x.perform()
		return
	}
	r := &running{subtask: graph.SubtaskID{Vertex: int(s.Task.GetVertex()), Subtask: c.Subtask}}
	r.task = x.config.Start(*c)
	x.tasks[id] = r
	x.wg.Go(func() {
		<-r.task.Done()
		x.config.Post(func() { x.ended(id, r) })
	})
}

// taskConfig translates the descriptor of a task.
func (x *Executor) taskConfig(s core.Start) (*task.Config, error) {
	vertex := int(s.Task.GetVertex())
	if s.Deploy.GetFingerprint() != x.config.Graph.Fingerprint {
		return nil, fatal{fmt.Errorf("the program describes another graph here than on the JobMaster: %016x, not %016x",
			x.config.Graph.Fingerprint, s.Deploy.GetFingerprint())}
	}
	if err := x.settle(s.Deploy.GetKeyGroups()); err != nil {
		return nil, err
	}
	if n := len(x.config.Graph.Vertices); vertex >= n {
		return nil, fatal{fmt.Errorf("the task is of vertex %d, the graph has %d here", vertex, n)}
	}
	v := x.config.Graph.Vertices[vertex]
	storage, err := x.config.Storage(StorageRequest{
		JobID: x.config.JobID, Dir: s.Deploy.GetCheckpointDir(), Restore: s.Deploy.GetRestore(),
		Vertex: v, Subtask: int(s.Task.GetSubtask()), Attempt: s.Task.GetAttempt(),
	})
	if err != nil {
		return nil, fmt.Errorf("open state storage: %w", err)
	}
	c := &task.Config{
		JobID: x.config.JobID, JobName: s.Deploy.GetJobName(), Vertex: v,
		Subtask: int(s.Task.GetSubtask()), Attempt: s.Task.GetAttempt(),
		Exchange: x.config.Exchange, State: storage, Clock: x.config.Clock,
		Reporter:     &reporter{x},
		Logger:       x.config.Logger,
		ReaderNumber: s.Task.GetReaderNumber(), BufferTimeout: x.config.BufferTimeout, RowsMax: x.config.RowsMax,
	}
	inputs, err := core.Inputs(s.Deploy, v, c.Subtask)
	if err != nil {
		return nil, err
	}
	c.Inputs = make([]task.InputChannel, len(inputs))
	for i, in := range inputs {
		c.Inputs[i] = task.InputChannel{
			Producer:     exchange.PartitionID{Attempt: in.Attempt, Edge: in.Edge},
			Subpartition: in.Subpartition, Address: in.Address,
		}
	}
	return c, nil
}

func (x *Executor) now() time.Time {
	if x.config.Clock != nil {
		return x.config.Clock.Now()
	}
	return time.Now()
}

// settle makes the graph that of the JobMaster, whose key groups these are. Chains depend on them, too.
func (x *Executor) settle(groups map[string]int32) error {
	if x.config.Rebuild == nil {
		return nil
	}
	same, settled := len(groups) == len(x.config.Graph.KeyGroups), make(map[string]int, len(groups))
	for id, n := range groups {
		settled[id] = int(n)
		same = same && x.config.Graph.KeyGroups[id] == int(n)
	}
	if same {
		return nil
	}
	g, err := x.config.Rebuild(settled)
	if err != nil {
		return fatal{fmt.Errorf("build the graph with the key groups of restored state: %w", err)}
	}
	x.config.Graph = g
	return nil
}

// changed takes what a task says of its state: the end is passed on by ended.
func (x *Executor) changed(id int64, s task.Status, err error) {
	r := x.tasks[id]
	if r == nil {
		return
	}
	r.state, r.err = s, err
	if r.killed != nil {
		return // what ends as a failure was never being canceled
	}
	if state := stateOf(s); !slices.Contains([]task.Status{task.Finished, task.Canceled, task.Failed}, s) {
		x.core.Changed(id, state, "", weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED, x.now())
		x.perform()
	}
}

// observe notes what a task has come to, for the next report.
func (x *Executor) observe(id int64, r *running) {
	p := r.task.Progress()
	x.core.Observe(id, core.Observed{
		Assigned: p.Assigned, Ready: p.Ready, Waiting: p.Waiting, Metrics: metricsOf(r.task.Metrics()),
	})
}

// ended reports how a task ended, now that nothing of it is left.
func (x *Executor) ended(id int64, r *running) {
	delete(x.tasks, id)
	x.observe(id, r)
	text, kind := "", weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED
	state := stateOf(r.state)
	switch {
	case r.state == task.Failed:
	case r.killed != nil:
		r.err, state = r.killed, weirpb.TaskState_TASK_STATE_FAILED
	case r.state != task.Finished && r.state != task.Canceled:
		r.err, state = errors.New("the task ended without saying how"), weirpb.TaskState_TASK_STATE_FAILED
	}
	if state == weirpb.TaskState_TASK_STATE_FAILED {
		text, kind = textOf(r.err), kindOf(r.err)
	}
	x.core.Changed(id, state, text, kind, x.now())
	x.perform()
}
