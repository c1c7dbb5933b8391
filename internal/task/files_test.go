// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/snapshots"
)

// run keeps the state of a job in the files of a run, and its metadata.
type run struct {
	*storage.Run
	options  statefile.Options
	metadata map[int64]*checkpoint.Metadata
	made     []*snapshots.Storage
}

func newRun(t *testing.T) *run {
	t.Helper()
	r, err := storage.NewStore(storage.Memory()).NewRun(t.Context(), storage.RunInfo{JobID: "job", JobName: "count"})
	if err != nil {
		t.Fatal(err)
	}
	return &run{Run: r, metadata: map[int64]*checkpoint.Metadata{}}
}

// storageOf is that of a task.
func (r *run) storageOf(t *testing.T, c task.Config, restored int64) task.StateStorage {
	t.Helper()
	s := snapshots.New(t.Context(), snapshots.Config{
		Files: r.Run, Restore: r.metadata[restored], Vertex: c.Vertex, Subtask: c.Subtask, Attempt: c.Attempt,
		Options: r.options,
	})
	r.made = append(r.made, s)
	return s
}

// completed makes the metadata of a checkpoint of what its tasks acknowledged.
func (r *run) completed(m *master, c *checkpointed) {
	m.t.Helper()
	of := map[checkpoint.OperatorID]*checkpoint.Operator{}
	for attempt, d := range m.deployed {
		ack, acknowledged := c.acks[attempt]
		states := map[checkpoint.OperatorID]checkpoint.StateHandle{}
		decoded, err := checkpoint.DecodeTaskState(ack.State)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, s := range decoded {
			states[s.Operator] = s.State
		}
		for _, n := range d.Vertex.Nodes {
			id := checkpoint.OperatorID(n.OperatorID)
			if of[id] == nil {
				of[id] = &checkpoint.Operator{
					ID: id, UID: n.UID, Name: n.Name, Parallelism: d.Vertex.Parallelism,
					MaxParallelism: d.Vertex.MaxParallelism, Subtasks: make([]checkpoint.Subtask, d.Vertex.Parallelism),
				}
			}
			of[id].Subtasks[d.Subtask] = checkpoint.Subtask{Finished: !acknowledged, State: states[id]}
		}
	}
	meta := &checkpoint.Metadata{ID: c.id}
	for _, op := range of {
		meta.Operators = append(meta.Operators, *op)
	}
	r.metadata[c.id] = meta
}

// TestRestoreFromFiles is TestExactlyOnceAcrossRestores over state files, with more keys, so that increments build on
// each other.
func TestRestoreFromFiles(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 4))
			j := newJob(t, &numbers{spans: 6, spanSize: 100, pace: time.Millisecond})
			j.files = newRun(t)
			j.files.options.InlineBytes = []int{-1, 0, 400}[rnd.IntN(3)]
			var last *checkpointed
			for range 4 {
				m := j.start(1+rnd.IntN(3), last)
				m.running()
				for range rnd.IntN(5) {
					m.pass(time.Duration(rnd.IntN(7000)) * time.Microsecond)
					if c := m.checkpoint(0); c.completed {
						last = c
					} else {
						t.Errorf("checkpoint %d: %v", c.id, c.declined)
					}
				}
				m.pass(time.Duration(rnd.IntN(7000)) * time.Microsecond)
				m.close()
			}
			m := j.start(1+rnd.IntN(3), last)
			defer m.close()
			m.running()
			m.finish()
			j.expectRows(600)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
