// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/statebackend"
)

// discard is a Writer that has always room.
type discard struct{ bytes int }

func (d *discard) Room() bool { return true }
func (d *discard) Write(b statebackend.Block) error {
	d.bytes += len(b.Data)
	return nil
}

// BenchmarkColumnsSnapshot is a full snapshot of a million cells an operation, between batches of 1024 updates of random
// keys. It reports what a batch, with its slice of the snapshot, waits at most, and at the median.
func BenchmarkColumnsSnapshot(b *testing.B) {
	const cells = 1_000_000
	c, err := NewColumns[int64](ColumnsConfig[[2]int64]{
		Config:  Config{Name: "windows", Groups: statebackend.KeyGroupsOf(128, 1, 0), MaxParallelism: 128},
		Slicing: Slicing{Size: 10, Slide: 10},
	})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const batch = 1024
	list, hashes, ids := make([]int64, batch), make([]uint64, batch), make([]uint32, batch)
	update := func(next func() int64) {
		for i := range list {
			list[i] = next()
			hashes[i] = c.hash(&list[i])
		}
		c.IDs(list, hashes, ids)
		s := c.Slice(0)
		for _, id := range ids {
			c.Cell(s, id)[0]++
		}
	}
	for key := int64(0); key < cells; {
		update(func() int64 { key++; return key % cells })
	}
	var begin time.Duration
	var waits []time.Duration
	id, w := int64(0), &discard{}
	for b.Loop() {
		id++
		start := time.Now()
		if err := c.Begin(statebackend.Checkpoint{ID: id}); err != nil {
			b.Fatal(err)
		}
		begin = max(begin, time.Since(start))
		for done := false; !done; {
			start := time.Now()
			update(func() int64 { return random.Int64N(cells) })
			if done, err = c.Step(w, 2048); err != nil {
				b.Fatal(err)
			}
			waits = append(waits, time.Since(start))
		}
		if err := c.Aborted(id); err != nil { // so that the next one is full too
			b.Fatal(err)
		}
	}
	slices.Sort(waits)
	b.ReportMetric(float64(begin.Microseconds()), "begin-us")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "batch-p50-us")
	b.ReportMetric(float64(waits[len(waits)*999/1000].Microseconds()), "batch-p99.9-us")
	b.ReportMetric(float64(w.bytes)/float64(id)/cells, "B/cell")
}
