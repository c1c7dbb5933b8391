// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/core"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
	executorcore "github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

// Config is what a TaskManager is made of. All is required, but where a zero value is explained.
type Config struct {
	core.Config
	Network  rpc.Network
	Exchange task.Exchange
	// Graph returns the graph of a job, as this process describes it.
	Graph   func(jobID string) (*graph.JobGraph, error)
	Storage func(executor.StorageRequest) (task.StateStorage, error)
	Start   func(task.Config) task.Task
	// Clock is handed to the tasks; nil for the system's.
	Clock  task.Clock
	Logger *slog.Logger
	// StopTimeout bounds the wait for tasks when the TaskManager or a job ends.
	StopTimeout time.Duration
	// BufferTimeout and RowsMax are handed to the tasks; zero for their defaults.
	BufferTimeout time.Duration
	RowsMax       int
}

// TaskManager has slots, and runs the tasks of the jobs that they are given to.
type TaskManager struct {
	config   Config
	endpoint *rpc.Endpoint
	slots    *core.Slots
	// executors are by job; order lists the jobs in the order in which they came. ending are those of jobs that ended.
	executors map[string]*executor.Executor
	order     []string
	ending    []*executor.Executor
}

var _ rpc.Handler = (*TaskManager)(nil)

// ErrLeftBehind says that tasks did not end: their goroutines can't be ended by anybody but themselves.
var ErrLeftBehind = errors.New("taskmanager: goroutines are left behind")

// Start makes a TaskManager that serves when it returns.
func Start(c Config) (*TaskManager, error) {
	t := &TaskManager{
		config:    c,
		endpoint:  rpc.NewEndpoint(c.ID, c.Network),
		slots:     core.NewSlots(c.Config, time.Now()),
		executors: map[string]*executor.Executor{},
	}
	if err := t.endpoint.Start(t); err != nil {
		return nil, fmt.Errorf("start TaskManager: %w", err)
	}
	return t, nil
}

// ID is the name of the TaskManager.
func (t *TaskManager) ID() string { return t.config.ID }

// Stop ends all tasks, without a word to anybody, and waits for them. The error is ErrLeftBehind if some don't end.
func (t *TaskManager) Stop() error {
	t.endpoint.Stop() // from here on the state is this goroutine's
	all := slices.Clone(t.ending)
	for _, job := range t.order {
		all = append(all, t.executors[job])
	}
	for _, x := range all {
		x.Cancel()
	}
	deadline := time.Now().Add(t.config.StopTimeout)
	for _, x := range all {
		if !x.Wait(time.Until(deadline)) {
			return fmt.Errorf("stop TaskManager %s: %w", t.config.ID, ErrLeftBehind)
		}
	}
	return nil
}

// FailTask ends a running attempt of a subtask, as if it had failed; for tests. It reports whether there was one.
func (t *TaskManager) FailTask(ctx context.Context, jobID string, s graph.SubtaskID, err error) (found bool) {
	_ = t.endpoint.Call(ctx, func() { // an endpoint that has stopped has no attempts
		if x := t.executors[jobID]; x != nil {
			found = x.Fail(s, err)
		}
	})
	return found
}

// Receive implements rpc.Handler.
func (t *TaskManager) Receive(e *weirpb.Envelope) {
	now := time.Now()
	switch e.GetBody().(type) {
	case *weirpb.Envelope_AllocateSlots:
		t.slots.Allocate(e, now)
	default:
		if !t.slots.Admit(e) {
			t.config.Logger.Debug("message of a deposed JobMaster dropped", "job", e.GetJobId(), "epoch", e.GetEpoch())
			return
		}
		t.receiveFromJobMaster(e, now)
	}
	t.perform()
}

func (t *TaskManager) receiveFromJobMaster(e *weirpb.Envelope, now time.Time) {
	switch e.GetBody().(type) {
	case *weirpb.Envelope_AnswerSlots:
		t.slots.Answer(e, now)
		if len(e.GetAnswerSlots().GetAccepted()) > 0 {
			t.executorOf(e.GetJobId(), now)
		}
		return
	case *weirpb.Envelope_JobMasterHeartbeat:
		t.slots.Heartbeat(e, now)
	case *weirpb.Envelope_DeployTasks, *weirpb.Envelope_CancelTasks: // who cancels first must not see a start later
		t.executorOf(e.GetJobId(), now)
	}
	if x := t.executors[e.GetJobId()]; x != nil {
		x.Receive(e, func(allocation string) bool { return t.slots.Use(e, allocation, now) })
	} else {
		t.slots.Refuse(e)
	}
}

// executorOf returns the executor of a job that has a slot here, and makes it if it is the first.
func (t *TaskManager) executorOf(job string, now time.Time) {
	if t.executors[job] != nil || !slices.ContainsFunc(t.slots.Slots(), func(s core.Slot) bool { return s.Job == job }) {
		return
	}
	g, err := t.config.Graph(job)
	if err != nil {
		t.config.Logger.Error("graph of job not found", "job", job, "error", err)
		return
	}
	t.executors[job] = executor.New(executor.Config{
		Config: executorcore.Config{
			JobID: job, TaskManager: t.config.ID, Incarnation: t.config.Incarnation, Heartbeat: t.config.Heartbeat,
		},
		Graph: g, Exchange: t.config.Exchange, Storage: t.config.Storage, Start: t.config.Start,
		Clock: t.config.Clock, Logger: t.config.Logger.With("job", job),
		Post: t.endpoint.Post, Send: t.endpoint.Send,
		BufferTimeout: t.config.BufferTimeout, RowsMax: t.config.RowsMax,
	}, now)
	t.order = append(t.order, job)
}

// perform does what the slot table has decided.
func (t *TaskManager) perform() {
	for _, a := range t.slots.Take() {
		switch a := a.(type) {
		case core.Send:
			t.endpoint.Send(a.To, a.Message)
		case core.EndJob:
			t.endJob(a.Job)
		}
	}
}

// endJob ends the executor of a job that has no slot here any more.
func (t *TaskManager) endJob(job string) {
	x := t.executors[job]
	if x == nil {
		return
	}
	x.Cancel()
	delete(t.executors, job)
	t.order = slices.DeleteFunc(t.order, func(o string) bool { return o == job })
	t.ending = slices.DeleteFunc(t.ending, func(e *executor.Executor) bool { return e.Idle() })
	if !x.Idle() {
		t.ending = append(t.ending, x)
	}
}

// Tick implements rpc.Handler.
func (t *TaskManager) Tick(now time.Time) {
	t.slots.Tick(now)
	for _, job := range t.order {
		t.executors[job].Tick(now, t.slots.Of(job))
	}
	t.perform()
}

// Next implements rpc.Handler.
func (t *TaskManager) Next() time.Time {
	next := t.slots.Next()
	for _, job := range t.order {
		if at := t.executors[job].Next(); at.Before(next) {
			next = at
		}
	}
	return next
}
