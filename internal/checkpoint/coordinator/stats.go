// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// historyLen is how many checkpoints the statistics remember in full.
const historyLen = 10

// Status is how a checkpoint stands in the statistics.
type Status uint8

// The three.
const (
	InProgress Status = iota
	Completed
	Failed
)

// Stats are the figures of checkpoints. Counts go on where those of earlier JobMasters ended, as far as the newest complete
// checkpoint tells; the rest is of this JobMaster, but for that checkpoint itself.
type Stats struct {
	Counts Counts
	// History has the newest, newest first.
	History []*CheckpointStats
	// The newest of each sort, nil if there is none; savepoints are not among the completed.
	LatestCompleted, LatestSavepoint, LatestFailed *CheckpointStats
	LatestRestored                                 *RestoreStats
}

// Counts are numbers of checkpoints.
type Counts struct{ Total, InProgress, Completed, Failed, Restored int64 }

// CheckpointStats are the figures of one checkpoint.
type CheckpointStats struct {
	ID     int64
	Kind   checkpoint.Kind
	Status Status
	// Trigger, LatestAck and End are zero while they haven't been.
	Trigger, LatestAck, End time.Time
	// StateBytes is the size of all that the checkpoint refers to, AddedBytes of what it wrote itself.
	StateBytes, AddedBytes int64
	// Location is a savepoint's directory.
	Location string
	Failure  string
	Vertices []VertexStats
}

// Duration is the time from trigger to end.
func (s *CheckpointStats) Duration() time.Duration {
	if s.End.IsZero() {
		return 0
	}
	return s.End.Sub(s.Trigger)
}

// VertexStats are those of a vertex, by subtask.
type VertexStats struct {
	Acknowledged int
	Subtasks     []SubtaskStats
}

// SubtaskStats are those of a subtask; Acked is zero if it didn't acknowledge, or had finished before.
type SubtaskStats struct {
	Attempt                int64
	Acked                  time.Time
	StateBytes, AddedBytes int64
	Timing                 Timing
	// StartDelay is the time from the trigger to the first barrier. The clocks of two machines may make it too short, but never
	// negative; it is -1 if it isn't known.
	StartDelay time.Duration
}

// RestoreStats say what was restored last.
type RestoreStats struct {
	ID        int64
	Savepoint bool
	Path      string
	At        time.Time
}

// inherit takes what the newest complete checkpoint of earlier JobMasters tells. Those that it knows to have been triggered
// and that did not complete have failed: what was under way was aborted when the run was taken over.
func (s *Stats) inherit(past *checkpoint.Metadata) {
	if past == nil {
		return
	}
	x := &CheckpointStats{ID: past.ID, Kind: past.Kind, Status: Completed, Trigger: past.Trigger}
	past.Handles(func(_ *checkpoint.Operator, _ int, h *checkpoint.StateHandle) {
		x.StateBytes += h.Bytes()
		x.AddedBytes += h.Added(past.ID)
	})
	s.History, s.LatestCompleted = []*CheckpointStats{x}, x
	s.Counts = Counts{Total: 1, Completed: 1}
	if h := past.History; h != nil {
		x.LatestAck, x.End = h.Acknowledged, h.Acknowledged
		s.Counts = Counts{Total: h.Total, Completed: h.Completed, Failed: h.Total - h.Completed, Restored: h.Restored}
	}
}

// history is what the metadata of a checkpoint tell the next JobMaster, should it complete.
func (s *Stats) history(o *open) *checkpoint.History {
	return &checkpoint.History{
		Total: s.Counts.Total, Completed: s.Counts.Completed + 1, Restored: s.Counts.Restored, Acknowledged: o.stats.LatestAck.UTC(),
	}
}

// Stats returns the figures. They don't change any more.
func (c *Coordinator) Stats() Stats {
	s := c.stats
	s.Counts.InProgress = int64(len(c.open))
	s.History = slices.Clone(s.History)
	for i, h := range s.History {
		if h.Status == InProgress {
			s.History[i] = h.clone()
		}
	}
	return s
}

func (s *CheckpointStats) clone() *CheckpointStats {
	x := *s
	x.Vertices = slices.Clone(s.Vertices)
	for v := range x.Vertices {
		x.Vertices[v].Subtasks = slices.Clone(x.Vertices[v].Subtasks)
	}
	return &x
}

func (s *Stats) triggered(o *open, now time.Time) *CheckpointStats {
	x := &CheckpointStats{ID: o.id, Kind: o.kind, Trigger: now, Location: o.location, Vertices: make([]VertexStats, len(o.parts))}
	for v, parts := range o.parts {
		x.Vertices[v].Subtasks = make([]SubtaskStats, len(parts))
		for i, p := range parts {
			x.Vertices[v].Subtasks[i].Attempt = p.attempt
		}
	}
	s.Counts.Total++
	s.History = slices.Insert(s.History, 0, x)
	s.History = s.History[:min(len(s.History), historyLen)]
	return x
}

func (s *CheckpointStats) acked(o *open, a Ack, now time.Time) {
	v := &s.Vertices[a.Task.Vertex]
	v.Acknowledged++
	t := &v.Subtasks[a.Task.Subtask]
	t.Acked, t.Timing, t.StartDelay = now, a.Timing, -1
	if !a.Timing.Started.IsZero() {
		t.StartDelay = max(0, a.Timing.Started.Sub(s.Trigger))
	}
	for i := range a.State {
		t.StateBytes += a.State[i].State.Bytes()
		t.AddedBytes += a.State[i].State.Added(o.id)
	}
	s.StateBytes += t.StateBytes
	s.AddedBytes += t.AddedBytes
	s.LatestAck = now
}

func (s *Stats) completed(o *open, now time.Time) {
	o.stats.Status, o.stats.End = Completed, now
	s.Counts.Completed++
	if o.kind == checkpoint.Savepoint || o.kind == checkpoint.Terminal {
		s.LatestSavepoint = o.stats
	} else {
		s.LatestCompleted = o.stats
	}
}

func (s *Stats) failed(o *open, why string, now time.Time) {
	o.stats.Status, o.stats.End, o.stats.Failure = Failed, now, why
	s.Counts.Failed++
	s.LatestFailed = o.stats
}

func (s *Stats) restored(id int64, e Restored, now time.Time) {
	s.Counts.Restored++
	kind := e.Metadata.Kind
	s.LatestRestored = &RestoreStats{ID: id, Savepoint: kind == checkpoint.Savepoint || kind == checkpoint.Terminal, Path: e.Path, At: now}
}
