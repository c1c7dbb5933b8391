// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// JobDetails is the state of a job for people and programs that watch it.
type JobDetails struct {
	JobID, Name string
	Epoch       int64
	Status      JobStatus
	// Cause is why the job fails or failed; Failures is its exception history, oldest first.
	Cause    *Failure
	Failures []Failure
	Vertices []VertexDetails
	// Slots is how many the job needs, MissingSlots how many it lacks.
	Slots, MissingSlots int
	// Checkpoints are the figures of checkpoints; Committed is the newest whose output is committed.
	Checkpoints coordinator.Stats
	Committed   int64
}

// VertexDetails is one vertex.
type VertexDetails struct {
	ID, Name    string
	Parallelism int
	Subtasks    []SubtaskDetails
}

// SubtaskDetails is the current attempt of one subtask.
type SubtaskDetails struct {
	State       ExecutionState
	Attempt     int64
	Since       time.Time
	TaskManager string
	// Metrics are what was reported last; nil before the first.
	Metrics *weirpb.TaskMetrics
}

// Details returns the state of the job. What it points to does not change any more.
func (m *Master) Details() JobDetails {
	d := JobDetails{
		JobID: m.config.JobID, Name: m.config.Graph.Name, Epoch: m.config.Epoch, Status: m.status, Cause: m.cause,
		Failures: slices.Clone(m.failures), Slots: len(m.slots.seats), MissingSlots: m.slots.missing(),
		Checkpoints: m.checks.coordinator.Stats(),
		Committed:   max(0, m.checks.coordinator.Committed()),
	}
	for i, v := range m.config.Graph.Vertices {
		vd := VertexDetails{ID: v.ID, Name: v.Name, Parallelism: v.Parallelism}
		for _, e := range m.graph.current[i] {
			vd.Subtasks = append(vd.Subtasks, SubtaskDetails{
				State: e.state, Attempt: e.attempt, Since: e.since, TaskManager: e.taskManager, Metrics: e.metrics,
			})
		}
		d.Vertices = append(d.Vertices, vd)
	}
	return d
}

// TaskManagers lists, by name, those that the job has heard of lately.
func (m *Master) TaskManagers() []string { return slices.Clone(m.slots.order) }
