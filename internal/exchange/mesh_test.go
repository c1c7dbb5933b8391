// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/weir-stream/weir/element"
)

// mesh is an edge between some producers and some consumers.
type mesh struct {
	producers, consumers, rowsMax int
	partitioning                  Partitioning
}

const (
	meshRecords     = 500 // of each producer
	meshCheckpoints = 5
)

// run sends records, with a watermark and a barrier here and there, and returns what each consumer got, sorted. Consumers
// align barriers: they block a channel from its barrier on until that of every other has come.
func (m mesh) run(t *testing.T, up, down *Environment) [][]int64 {
	t.Helper()
	var wg sync.WaitGroup
	ids := make([]PartitionID, m.producers)
	for i := range ids {
		ids[i] = PartitionID{Attempt: int64(i), Edge: 1}
	}
	got := make([][]int64, m.consumers)
	for c := range m.consumers {
		k := newTaker(t, m.producers)
		k.connect(t, down, up, c, ids...)
		wg.Go(func() { got[c] = m.consume(t, k) })
	}
	for i, id := range ids {
		p := partition(t, up, id, m.consumers)
		wg.Go(func() {
			w := NewWriter(WriterConfig[event]{
				Senders: p.Senders(), Subtask: i, KeyGroups: 16, RowsMax: m.rowsMax,
				Partitioning: m.partitioning, Hash: each(hashOf),
			})
			if err := m.produce(w, int64(i)); err != nil {
				t.Error(err)
			}
			p.Finish()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if up.registry.lookup(id) != nil {
			t.Errorf("partition %v is left behind", id)
		}
	}
	return got
}

func (m mesh) produce(w *Writer[event], i int64) error {
	const every = meshRecords / meshCheckpoints
	for n := int64(0); n < meshRecords; {
		size := 1 + n*7%90
		size = min(size, every-n%every)
		b := batch(int32(i), i*meshRecords+n, int(size))
		n += size
		if err := w.Process(b); err != nil {
			return err
		}
		if n%3 == 0 {
			if err := w.Watermark(i*meshRecords + n - 1); err != nil {
				return err
			}
		}
		if n%every == 0 {
			if err := w.Barrier(element.CheckpointBarrier{ID: n / every}); err != nil {
				return err
			}
		}
	}
	return w.End()
}

// consume checks that each channel keeps its order, that no record comes behind a watermark at or above it, and that what
// comes between two checkpoints is the same on all channels.
func (m mesh) consume(t *testing.T, k *taker) []int64 {
	t.Helper()
	var all []int64
	last, mark := make([]int64, m.producers), make([]int64, m.producers)
	for i := range last {
		last[i], mark[i] = -1, -1
	}
	checkpoint, aligned, ended := int64(1), 0, 0
	for ended < m.producers {
		e := k.take()
		if e.Err != nil {
			t.Error(e.Err)
			return all
		}
		c := e.Channel
		if e.Batch != nil {
			for _, r := range rows(e) {
				const every = meshRecords / meshCheckpoints
				if int(r.From) != c || r.N <= last[c] || r.N <= mark[c] || r.N%meshRecords/every+1 != checkpoint {
					t.Errorf("record %+v on channel %d behind %d, watermark %d, in checkpoint %d",
						r, c, last[c], mark[c], checkpoint)
				}
				last[c] = r.N
				all = append(all, r.N)
			}
			k.Release(e)
		}
		switch e.Control.Kind {
		case element.Watermark:
			mark[c] = e.Control.At
		case element.Barrier:
			if e.Control.Checkpoint.ID != checkpoint {
				t.Errorf("barrier %d in checkpoint %d", e.Control.Checkpoint.ID, checkpoint)
			}
			k.Block(c)
			if aligned++; aligned == m.producers {
				aligned = 0
				checkpoint++
				k.UnblockAll()
			}
		case element.EndOfInput:
			ended++
		default:
		}
	}
	slices.Sort(all)
	return all
}

// TestMesh runs each edge over all transports and several sizes of batches: what the consumers get is the same.
func TestMesh(t *testing.T) {
	for _, p := range partitionings {
		m := mesh{producers: 3, consumers: 3, partitioning: p}
		if p == Forward {
			m.producers, m.consumers = 1, 1
		}
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			var want [][]int64
			for _, m.rowsMax = range []int{0, 1, 7, 64} {
				for _, tr := range transports {
					t.Run(fmt.Sprint(tr.name, "/rows=", m.rowsMax), func(t *testing.T) {
						up, down := tr.open(t, Config{})
						got := m.run(t, up, down)
						if p == Rebalance { // the size of batches decides who gets what
							got = [][]int64{slices.Sorted(slices.Values(slices.Concat(got...)))}
						}
						if want == nil {
							want = got
						}
						total := 0
						for c := range got {
							total += len(got[c])
							if !slices.Equal(got[c], want[c]) {
								t.Errorf("consumer %d got %d records, others before %d", c, len(got[c]), len(want[c]))
							}
						}
						all := m.producers * meshRecords
						if p == Broadcast {
							all *= m.consumers
						}
						if total != all {
							t.Errorf("%d records of %d", total, all)
						}
					})
				}
			}
		})
	}
}
