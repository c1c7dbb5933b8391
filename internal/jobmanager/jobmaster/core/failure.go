// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// FailuresMax is how many failures of a job are remembered, the newest.
const FailuresMax = 16

// FailureKind tells who failed, and so whether a restart can help.
type FailureKind = weirpb.FailureKind

// The kinds of failure.
const (
	User   = weirpb.FailureKind_FAILURE_KIND_USER
	World  = weirpb.FailureKind_FAILURE_KIND_WORLD
	Engine = weirpb.FailureKind_FAILURE_KIND_ENGINE
	Fatal  = weirpb.FailureKind_FAILURE_KIND_FATAL
)

// Failure is one entry of a job's exception history.
type Failure struct {
	At time.Time
	// Task is the name of the task that failed with its subtask, empty if it was none.
	Task, TaskManager string
	// Vertex, Subtask and Attempt are the place of the task, Endpoint is that of its executor.
	Vertex           string
	Subtask, Attempt int
	Endpoint         string
	Text             string
	Kind             FailureKind
}

// Error is the text, after the task's name.
func (f *Failure) Error() string {
	if f.Task == "" {
		return f.Text
	}
	return f.Task + ": " + f.Text
}

// at says which task failed.
func (g *executionGraph) at(f Failure, e *execution) Failure {
	f.Task, f.TaskManager, f.Endpoint = g.taskName(e), e.taskManager, e.endpoint
	f.Vertex, f.Subtask, f.Attempt = g.job.Vertices[e.vertex].ID, e.subtask, e.number
	return f
}
