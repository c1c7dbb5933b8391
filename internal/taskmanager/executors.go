// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package taskmanager

import (
	"log/slog"
	"time"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
	executorcore "github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

// Executor runs the tasks of one job on a TaskManager: in its process, or in one of its own. Its methods are called by the
// TaskManager's goroutine, but for Wait, and don't block.
type Executor interface {
	// Receive takes a message of the JobMaster, whose epoch is the highest seen, or an answer of the Dispatcher. usable
	// tells which allocations are slots of the job, and makes those that are offered the JobMaster's.
	Receive(e *weirpb.Envelope, usable func(allocation string) bool)
	// Tick is called at or after the time that Next returned, and with each heartbeat. allocations are the job's slots. Next
	// is zero where the heartbeats are enough.
	Tick(now time.Time, allocations []string)
	Next() time.Time
	// Cancel ends all tasks without a report; the executor is not called again, but for these two.
	Cancel()
	// Idle reports whether nothing is left of it.
	Idle() bool
	// Wait returns when nothing is left of it, or false after the timeout.
	Wait(timeout time.Duration) bool
}

// ExecutorRequest is what a TaskManager gives an executor of its own.
type ExecutorRequest struct {
	JobID, TaskManager, Incarnation string
	Heartbeat                       time.Duration
	Now                             time.Time
	// Post has a function run by the TaskManager's goroutine, unless that has ended. Send passes a message on, and
	// Allocations lists the job's slots; both are for that goroutine only.
	Post        func(func()) bool
	Send        func(to string, m *weirpb.Envelope)
	Allocations func() []string
	// Reported is to be told, on that goroutine, of a report by an executor that is a process, which lists the allocations,
	// and goes to a JobMaster: then the TaskManager itself need not tell which slots there are.
	Reported func(to string)
}

// InProcess makes executors in the process of the TaskManager. All is required, but where a zero value is explained.
type InProcess struct {
	Exchange task.Exchange
	// Graph returns the graph of a job, as this process describes it.
	Graph   func(jobID string) (*graph.JobGraph, error)
	Storage func(executor.StorageRequest) (task.StateStorage, error)
	Start   func(task.Config) task.Task
	// Clock is handed to the tasks; nil for the system's.
	Clock  task.Clock
	Logger *slog.Logger
	// BufferTimeout and RowsMax are handed to the tasks; zero for their defaults.
	BufferTimeout time.Duration
	RowsMax       int
}

// Executor makes one, for Config.
func (c InProcess) Executor(r ExecutorRequest) (Executor, error) {
	g, err := c.Graph(r.JobID)
	if err != nil {
		return nil, err
	}
	return executor.New(executor.Config{
		Config: executorcore.Config{
			JobID: r.JobID, TaskManager: r.TaskManager, Incarnation: r.Incarnation, Heartbeat: r.Heartbeat,
		},
		Graph: g, Exchange: c.Exchange, Storage: c.Storage, Start: c.Start,
		Clock: c.Clock, Logger: c.Logger, Post: r.Post, Send: r.Send,
		BufferTimeout: c.BufferTimeout, RowsMax: c.RowsMax,
	}, r.Now), nil
}
