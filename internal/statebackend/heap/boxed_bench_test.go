// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/state"
)

// history is a row whose list is short for most keys and long for some.
type history struct {
	Known  bool
	Totals [8]int64
	Items  state.List[historyItem]
}

type historyItem struct {
	At, Price int64
	From, URL string
}

const (
	historyKeys = 20_000
	// One key in historyBusy has historyLong items, the others historyShort.
	historyBusy, historyLong, historyShort = 200, 3000, 10
)

// BenchmarkSnapshotLists writes full snapshots of rows with lists, in CPU time of the process.
func BenchmarkSnapshotLists(b *testing.B) {
	t, err := NewBoxed[int64, history](Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: benchGroups - 1}, MaxParallelism: benchGroups})
	if err != nil {
		b.Fatal(err)
	}
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("https://www.example.com/", 40)
	for k := range int64(historyKeys) {
		row, _ := t.Row(hash(&k), &k)
		n := int64(historyShort)
		if k%historyBusy == 0 {
			n = historyLong
		}
		for i := range n {
			from := (k + i*7) % 800
			row.Items.Append(historyItem{At: i, Price: k * i, From: text[from : from+9], URL: text[from : from+60+i%50]})
		}
	}
	w, id := &discard{}, int64(0)
	start := processTime(b)
	for b.Loop() {
		id++
		if err := t.Begin(statebackend.Checkpoint{ID: id}); err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			if done, err = t.Step(w, benchBatch); err != nil {
				b.Fatal(err)
			}
		}
		if err := t.Aborted(id); err != nil { // so that the next one is full, too
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processTime(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
	b.ReportMetric(float64(w.bytes)/float64(b.N)/1e6, "MB")
}
