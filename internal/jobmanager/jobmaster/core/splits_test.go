// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestReaderGivesBack compares the log of a reader with a plain list, over random assignments, checkpoints that complete
// or not, reports and restarts: what is given back is exactly what no complete checkpoint covers.
func TestReaderGivesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &source{readers: make([]reader, 1), spread: true}
		var all, open [][]byte // all assignments of the attempt; those since the newest complete checkpoint
		covered := map[int64]int{}
		next := byte(0)
		id := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				next++
				s.readers[0].assign(assignment{splits: []byte{next}})
				all, open = append(all, []byte{next}), append(open, []byte{next})
			case 2:
				id++
				s.snapshot(id, nil)
				covered[id] = len(all)
			case 3: // a checkpoint completes
				if len(s.snapshots) > 0 {
					done := rapid.SampledFrom(s.snapshots).Draw(t, "completed").checkpoint
					s.completed(done)
					if n := covered[done]; len(all)-n < len(open) {
						open = all[n:]
					}
				}
			case 4: // a report shows what was applied
				s.applied(0, int64(rapid.IntRange(0, len(all)).Draw(t, "applied")))
			case 5: // the reader restarts, with all checkpoints aborted
				back := s.readers[0].restart()
				if !slices.EqualFunc(back, open, func(a, b []byte) bool { return string(a) == string(b) }) {
					t.Fatalf("given back %v, want %v", back, open)
				}
				s.snapshots, all, open = nil, nil, nil
			}
		}
	})
}

// TestHeldBack: what is assigned after a snapshot can't be sent before the trigger of that checkpoint.
func TestHeldBack(t *testing.T) {
	s := &source{readers: make([]reader, 1)}
	r := &s.readers[0]
	r.assign(assignment{})
	s.snapshot(1, nil)
	r.assign(assignment{})
	if got := s.sendable(0); got != 1 {
		t.Errorf("sendable up to %d before the trigger, want 1", got)
	}
	s.snapshot(2, nil)
	r.assign(assignment{})
	s.triggered(2)
	if got := s.sendable(0); got != 1 {
		t.Errorf("sendable up to %d while the older trigger waits, want 1", got)
	}
	s.triggered(1)
	if got := s.sendable(0); got != 3 {
		t.Errorf("sendable up to %d after the triggers, want 3", got)
	}
	s.snapshot(3, nil)
	r.assign(assignment{})
	s.forget(3)
	if got := s.sendable(0); got != 4 {
		t.Errorf("sendable up to %d after the checkpoint was aborted, want 4", got)
	}
}
