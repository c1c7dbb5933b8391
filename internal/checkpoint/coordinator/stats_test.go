// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// TestCountsGoOn takes over from a JobMaster that had triggered 20 checkpoints, of which 15 completed, the newest last.
func TestCountsGoOn(t *testing.T) {
	acknowledged := time.Unix(100, 0).UTC()
	past := &checkpoint.Metadata{
		JobID: "job", ID: 40, Kind: checkpoint.Periodic, Trigger: time.Unix(99, 0).UTC(),
		Operators: []checkpoint.Operator{{Subtasks: []checkpoint.Subtask{{State: checkpoint.StateHandle{Segments: []checkpoint.Segment{
			{Checkpoint: 39, Bytes: 100}, {Checkpoint: 40, Bytes: 7},
		}}}}}},
		History: &checkpoint.History{Total: 20, Completed: 15, Restored: 2, Acknowledged: acknowledged},
	}
	c := New(Config{JobID: "job", Epoch: 2, IDs: IDsReserved{First: 49, Count: 16}, Past: past})
	s := c.Stats()
	if want := (Counts{Total: 20, Completed: 15, Failed: 5, Restored: 2}); s.Counts != want {
		t.Errorf("%+v, want %+v", s.Counts, want)
	}
	last := s.LatestCompleted
	if last == nil || last.ID != 40 || !last.End.Equal(acknowledged) || last.StateBytes != 107 || last.AddedBytes != 7 || len(s.History) != 1 {
		t.Errorf("the newest complete one: %+v, %d are remembered", last, len(s.History))
	}
	next := &open{id: 50, kind: checkpoint.Periodic}
	next.stats = c.stats.triggered(next, time.Unix(200, 0))
	next.parts = [][]part{{{}, {}, {}}}
	next.stats.Vertices = []VertexStats{{Subtasks: make([]SubtaskStats, 3)}}
	for i, tt := range []struct {
		started time.Time
		want    time.Duration
	}{{time.Unix(200, 5e8), time.Second / 2}, {time.Unix(199, 0), 0}, {time.Time{}, -1}} {
		a := Ack{Task: graph.SubtaskID{Subtask: i}, Timing: Timing{Started: tt.started}}
		next.stats.acked(next, a, time.Unix(201, 0))
		if got := next.stats.Vertices[0].Subtasks[i].StartDelay; got != tt.want {
			t.Errorf("a first barrier at %v came after %v, want %v", tt.started, got, tt.want)
		}
	}
	if h := c.stats.history(next); h.Total != 21 || h.Completed != 16 || h.Restored != 2 || !h.Acknowledged.Equal(time.Unix(201, 0)) {
		t.Errorf("the next one tells %+v", h)
	}
}
