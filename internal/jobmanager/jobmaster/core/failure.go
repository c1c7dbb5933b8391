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
	Text              string
	Kind              FailureKind
}

// Error is the text, after the task's name.
func (f *Failure) Error() string {
	if f.Task == "" {
		return f.Text
	}
	return f.Task + ": " + f.Text
}
