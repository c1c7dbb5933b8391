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
	// Restarts counts the restarts after failures, as far as those under earlier JobMasters are known.
	Restarts int64
}

// VertexDetails is one vertex.
type VertexDetails struct {
	ID, Name    string
	Parallelism int
	Subtasks    []SubtaskDetails
}

// SubtaskDetails is the current attempt of one subtask, and those before it.
type SubtaskDetails struct {
	AttemptDetails
	// Past has at most PastMax, the newest first.
	Past []AttemptDetails
}

// AttemptDetails is one attempt.
type AttemptDetails struct {
	State ExecutionState
	// Attempt is unique in the job, Number counts those of the subtask from 0.
	Attempt int64
	Number  int
	Since   time.Time
	// Entered is when the attempt entered each state, zero where it has not.
	Entered     [Failed + 1]time.Time
	TaskManager string
	// Endpoint is where the exchange of its executor is reached, empty before it is deployed.
	Endpoint string
	// Cause is why it failed.
	Cause *Failure
	// Metrics are what was reported last; nil before the first.
	Metrics *weirpb.TaskMetrics
}

func (e *execution) details() AttemptDetails {
	return AttemptDetails{
		State: e.state, Attempt: e.attempt, Number: e.number, Since: e.since, Entered: e.entered,
		TaskManager: e.taskManager, Endpoint: e.endpoint, Cause: e.cause, Metrics: e.metrics,
	}
}

// Details returns the state of the job. What it points to does not change any more.
func (m *Master) Details() JobDetails {
	d := JobDetails{
		JobID: m.config.JobID, Name: m.config.Graph.Name, Epoch: m.config.Epoch, Status: m.status, Cause: m.cause,
		Failures: slices.Clone(m.failures), Slots: len(m.slots.seats), MissingSlots: m.slots.missing(),
		Checkpoints: m.checks.coordinator.Stats(),
		Committed:   max(0, m.checks.coordinator.Committed()), Restarts: m.restarts.granted,
	}
	for i, v := range m.config.Graph.Vertices {
		vd := VertexDetails{ID: v.ID, Name: v.Name, Parallelism: v.Parallelism}
		for k, e := range m.graph.current[i] {
			s := SubtaskDetails{AttemptDetails: e.details()}
			for _, p := range m.graph.past[i][k] {
				s.Past = append(s.Past, p.details())
			}
			vd.Subtasks = append(vd.Subtasks, s)
		}
		d.Vertices = append(d.Vertices, vd)
	}
	return d
}

// TaskManagers lists, by name, those that the job has heard of lately.
func (m *Master) TaskManagers() []string { return slices.Clone(m.slots.order) }
