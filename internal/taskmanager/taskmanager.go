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
	"github.com/weir-stream/weir/internal/taskmanager/core"
)

// Config is what a TaskManager is made of. All is required, but where a zero value is explained.
type Config struct {
	core.Config
	Network rpc.Network
	// Executor makes the executor of a job that has a slot here.
	Executor func(ExecutorRequest) (Executor, error)
	Logger   *slog.Logger
	// StopTimeout bounds the wait for executors when the TaskManager or a job ends.
	StopTimeout time.Duration
	// Report completes a report to the ResourceManager, Serve answers a request by calling reply once, later and from any
	// goroutine, and Drained is told when no slot is in use and none will be. Nil for nothing to add, no answer, nobody.
	Report  func(*weirpb.TaskManagerReport)
	Serve   func(r *weirpb.WorkerRequest, reply func(*weirpb.WorkerReply))
	Drained func()
}

// TaskManager has slots, and an executor for each job that they are given to.
type TaskManager struct {
	config   Config
	endpoint *rpc.Endpoint
	slots    *core.Slots
	// executors are by job; order lists the jobs in the order in which they came. ending are those of jobs that ended.
	executors map[string]Executor
	order     []string
	ending    []Executor
	// draining tells that Drained is to be told.
	draining bool
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
		executors: map[string]Executor{},
	}
	if err := t.endpoint.Start(t); err != nil {
		return nil, fmt.Errorf("start TaskManager: %w", err)
	}
	return t, nil
}

// ID is the name of the TaskManager.
func (t *TaskManager) ID() string { return t.config.ID }

// Drain has it take no further slot for a job; what runs goes on.
func (t *TaskManager) Drain() {
	t.endpoint.Post(func() { // one that has stopped takes nothing
		t.draining = true
		t.slots.Drain()
		t.perform()
	})
}

// Connected tells it that the ResourceManager is reached from now on, so that this one hears of its slots at once.
func (t *TaskManager) Connected() {
	t.endpoint.Post(func() {
		t.slots.Connected(time.Now())
		t.perform()
	})
}

// Stop ends all executors, without a word to anybody, and waits for them. The error is ErrLeftBehind if some don't end.
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

// FailTask ends a running attempt of a subtask, as if it had failed; for tests. It reports whether there was one
// in this process.
func (t *TaskManager) FailTask(ctx context.Context, jobID string, s graph.SubtaskID, err error) bool {
	found, callErr := t.endpoint.Call(ctx, func() bool {
		x, ok := t.executors[jobID].(interface {
			Fail(s graph.SubtaskID, err error) bool
		})
		return ok && x.Fail(s, err)
	})
	return callErr == nil && found // an endpoint that has stopped has no attempts
}

// Receive implements rpc.Handler.
func (t *TaskManager) Receive(e *weirpb.Envelope) {
	now := time.Now()
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_AllocateSlots:
		t.slots.Allocate(e, now)
		t.makeExecutors(now)
	case *weirpb.Envelope_JobSetup:
		if x := t.executors[b.JobSetup.GetJobId()]; x != nil {
			x.Receive(e, nil)
		}
	case *weirpb.Envelope_WorkerRequest:
		t.serve(e.GetFrom(), b.WorkerRequest)
	case *weirpb.Envelope_PeerLost: // who is silent for too long is lost, however that came
	default:
		if !t.slots.Admit(e) {
			t.config.Logger.Debug("message of a deposed JobMaster dropped", "job", e.GetJobId(), "epoch", e.GetEpoch())
			return
		}
		t.receiveFromJobMaster(e, now)
	}
	t.perform()
}

// serve has a request answered.
func (t *TaskManager) serve(from string, r *weirpb.WorkerRequest) {
	if t.config.Serve == nil {
		return
	}
	t.config.Serve(r, func(reply *weirpb.WorkerReply) {
		reply.Number = r.GetNumber()
		t.endpoint.Post(func() {
			t.endpoint.Send(from, &weirpb.Envelope{Body: &weirpb.Envelope_WorkerReply{WorkerReply: reply}})
		})
	})
}

func (t *TaskManager) receiveFromJobMaster(e *weirpb.Envelope, now time.Time) {
	switch e.GetBody().(type) {
	case *weirpb.Envelope_AnswerSlots:
		t.slots.Answer(e, now) // an executor learns from it who its JobMaster is
	case *weirpb.Envelope_JobMasterHeartbeat:
		t.slots.Heartbeat(e, now)
	}
	if x := t.executors[e.GetJobId()]; x != nil {
		x.Receive(e, func(allocation string) bool { return t.slots.Use(e, allocation, now) })
	} else {
		t.slots.Refuse(e)
	}
}

// makeExecutors makes an executor for each job that has its first slot here. It may take some time to begin, so it doesn't
// wait for the slot to be accepted.
func (t *TaskManager) makeExecutors(now time.Time) {
	for _, s := range t.slots.Slots() {
		if s.State == core.Free || t.executors[s.Job] != nil {
			continue
		}
		x, err := t.config.Executor(ExecutorRequest{
			JobID: s.Job, TaskManager: t.config.ID, Incarnation: t.config.Incarnation, Heartbeat: t.config.Heartbeat,
			Now: now, Post: t.endpoint.Post, Send: t.endpoint.Send,
			Allocations: func() []string { return t.slots.Of(s.Job) },
			Reported:    func(to string) { t.slots.Reported(s.Job, to, time.Now()) },
		})
		if err != nil {
			t.config.Logger.Error("executor of job not made", "job", s.Job, "error", err)
			continue
		}
		t.executors[s.Job] = x
		t.order = append(t.order, s.Job)
	}
}

// perform does what the slot table has decided.
func (t *TaskManager) perform() {
	for _, a := range t.slots.Take() {
		switch a := a.(type) {
		case core.Send:
			if r := a.Message.GetTaskManagerReport(); r != nil && t.config.Report != nil {
				t.config.Report(r)
			}
			t.endpoint.Send(a.To, a.Message)
		case core.EndJob:
			t.endJob(a.Job)
		}
	}
	if t.draining && !t.slots.InUse() {
		t.draining = false // it is told once
		if t.config.Drained != nil {
			t.config.Drained()
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
	t.ending = slices.DeleteFunc(t.ending, Executor.Idle)
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
		if at := t.executors[job].Next(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}
