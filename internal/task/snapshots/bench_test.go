// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package snapshots_test

import (
	"fmt"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/snapshots"
)

const benchGroups = 128

// BenchmarkRestore restores the table of one task from a state file on the disk, whose pages the system has at hand.
func BenchmarkRestore(b *testing.B) {
	b.Run("rows of 16 bytes", func(b *testing.B) { benchRestore(b, 4_000_000, func(row *int64, h uint64) { *row = int64(h) }) })
	b.Run("rows of 1000 bytes", func(b *testing.B) {
		benchRestore(b, 250_000, func(row *[125]int64, h uint64) {
			for i := range row { // nothing that could be compressed
				h = (h ^ h>>29) * 0x9E3779B97F4A7C15
				row[i] = int64(h)
			}
		})
	})
}

func benchRestore[S any](b *testing.B, rows int64, set func(row *S, h uint64)) {
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		b.Fatal(err)
	}
	table := benchTable[S](b)
	for k := range rows {
		h := hash(&k)
		row, _ := table.Row(h, &k)
		set(row, h)
	}
	c := snapshots.Config{
		Files:  storage.RunAt(storage.Files(storage.OS(), b.TempDir())),
		Vertex: &graph.JobVertex{ID: "v"},
	}
	c.Restore = benchSnapshot(b, c, table)
	if err := table.Close(); err != nil {
		b.Fatal(err)
	}
	var bytes int64
	for _, s := range c.Restore.Operators[0].Subtasks[0].State.Segments {
		bytes += s.Size
	}
	b.SetBytes(bytes)
	for b.Loop() {
		table := benchTable[S](b)
		r, err := snapshots.New(b.Context(), c).Restored("op", 0, 1, benchGroups)
		if err == nil {
			err = table.Restore(r)
		}
		if err != nil || table.Size().Rows != rows {
			b.Fatal(table.Size(), err)
		}
		if err := table.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(rows), "ns/row")
}

func benchTable[S any](b *testing.B) *heap.Table[int64, S] {
	t, err := heap.NewTable[int64, S](heap.Config{
		Name: "rows", Groups: statebackend.KeyGroupRange{Last: benchGroups - 1}, MaxParallelism: benchGroups, Seed: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// benchSnapshot writes a full snapshot of a table.
func benchSnapshot(b *testing.B, c snapshots.Config, state statebackend.State) *checkpoint.Metadata {
	roomy := make(chan struct{}, 1)
	cp := statebackend.Checkpoint{ID: 1}
	files := snapshots.New(b.Context(), c)
	snap, err := files.Begin(cp, func() { roomy <- struct{}{} })
	if err == nil {
		err = state.Begin(cp)
	}
	w := snap.Operator("op")
	for done := false; !done && err == nil; {
		if !w.Room() {
			<-roomy
		}
		done, err = state.Step(w, 4096)
	}
	if err != nil {
		b.Fatal(err)
	}
	type result struct {
		state []byte
		err   error
	}
	ended := make(chan result, 1)
	snap.Finish(benchStates(state), func(state []byte, _ int64, err error) { ended <- result{state, err} })
	r := <-ended
	if r.err != nil {
		b.Fatal(r.err)
	}
	states, err := checkpoint.DecodeTaskState(r.state)
	if err != nil {
		b.Fatal(err)
	}
	if len(states) != 1 {
		b.Fatal(fmt.Sprint(states))
	}
	return &checkpoint.Metadata{ID: 1, Operators: []checkpoint.Operator{{
		ID: states[0].Operator, Parallelism: 1, MaxParallelism: benchGroups, Subtasks: []checkpoint.Subtask{{State: states[0].State}},
	}}}
}

func benchStates(s statebackend.State) []task.OperatorStates {
	return []task.OperatorStates{{OperatorID: "op", States: []task.StateInfo{{Name: s.Name(), Schema: s.Schema(), Base: s.Base()}}}}
}
