// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/snapshots"
)

// crowding makes a rig of one step: its state is crowded from the first batch behind a barrier on, until a slice of its
// snapshot is written, and the storage has no room until the test says so.
func crowding(t *testing.T, room *bool) *rig {
	t.Helper()
	var r *rig
	r = newRig(t, func() operator.Operator {
		crowded := false
		s := &stubborn{log: r.told, crowded: func() bool { return crowded }}
		s.step = func(id int64, _ statebackend.Writer) (bool, error) {
			r.told.add("slice of %d", id)
			done := !crowded
			crowded = false
			return done, nil
		}
		s.aborted = func() { crowded = false }
		return &probe{log: r.told, state: s, each: func(_ *operator.Runtime, b *element.Batch[row]) error {
			r.told.add("batch %d", b.Rows()[0].Key)
			crowded = true
			return nil
		}}
	})
	r.storage.Room = func(int64) bool { return *room }
	r.put(1, ended)
	return r
}

// TestCrowdedTaskGoesAtThePaceOfTheStorage has records come while the storage is full: one batch is taken, the next one when
// a slice was written.
func TestCrowdedTaskGoesAtThePaceOfTheStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := false
		r := crowding(t, &room)
		r.start()
		defer r.close()
		r.send(0, barrier(1))
		r.send(0, nothing, 1)
		r.send(0, nothing, 2)
		r.expect("initializing, running, barrier 1, state begins 1, batch 1, out: barrier 1, out: 1 rows")
		room = true
		r.storage.Roomy()
		r.expect("slice of 1, batch 2, slice of 1, slice of 1, acknowledged 1, out: 1 rows")
		r.send(0, nothing, 3)
		r.expect("batch 3, out: 1 rows")
	})
}

// TestAbortFreesACrowdedTask aborts the checkpoint while the storage takes nothing, as a checkpoint does that times out.
func TestAbortFreesACrowdedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := false
		r := crowding(t, &room)
		r.start()
		defer r.close()
		r.send(0, barrier(1))
		r.send(0, nothing, 1)
		r.send(0, nothing, 2)
		r.task.Aborted(1)
		r.expect("initializing, running, barrier 1, state begins 1, batch 1, state aborted 1, aborted 1, batch 2, " +
			"out: barrier 1, out: 1 rows, out: 1 rows")
		r.send(0, nothing, 3)
		r.send(0, barrier(2))
		room = true
		r.storage.Roomy()
		r.expect("batch 3, barrier 2, state begins 2, slice of 2, slice of 2, acknowledged 2, out: 1 rows, out: barrier 2")
	})
}

// TestCancelOfACrowdedTask cancels while the storage takes nothing.
func TestCancelOfACrowdedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := false
		r := crowding(t, &room)
		r.start()
		defer r.close()
		r.send(0, barrier(1))
		r.send(0, nothing, 1)
		r.expect("initializing, running, barrier 1, state begins 1, batch 1, out: barrier 1, out: 1 rows")
		r.task.Cancel()
		r.expect("canceling, close, canceled, out: lost")
	})
}

// TestCrowdedStateComesFirst has a state behind another one whose snapshot takes long.
func TestCrowdedStateComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, crowded := 3, false
		var r *rig
		long := func() operator.Operator {
			return &probe{state: &stubborn{log: r.told, step: func(int64, statebackend.Writer) (bool, error) {
				r.told.add("slice of the long one")
				left--
				return left == 0, nil
			}}}
		}
		short := func() operator.Operator {
			s := &stubborn{log: r.told, crowded: func() bool { return crowded }}
			s.step = func(int64, statebackend.Writer) (bool, error) {
				r.told.add("slice of the crowded one")
				crowded = false
				return true, nil
			}
			return &probe{state: s, each: func(*operator.Runtime, *element.Batch[row]) error {
				crowded = left > 0
				return nil
			}}
		}
		r = newRig(t, long, short)
		r.put(1, ended)
		r.put(0, barrier(1))
		r.put(0, nothing, 1)
		r.start()
		defer r.close()
		r.expect("initializing, running, state begins 1, state begins 1, slice of the long one, slice of the crowded one, " +
			"slice of the long one, slice of the long one, acknowledged 1, out: barrier 1, out: 1 rows")
	})
}

// valve lets files be written only as often as the test says.
type valve struct {
	snapshots.Files
	open chan struct{}
}

func (v valve) NewStateFile(ctx context.Context, name string) (storage.Writer, error) {
	w, err := v.Files.NewStateFile(ctx, name)
	return valveFile{w, v.open}, err
}

type valveFile struct {
	storage.Writer
	open chan struct{}
}

func (f valveFile) Write(b []byte) (int, error) {
	<-f.open
	return f.Writer.Write(b)
}

const (
	pacedRows    = 4000
	pacedReserve = 16 << 10
)

// paced is a rig whose only step keeps a table of pacedRows rows, and with each batch changes those of a sixteenth of the
// keys. What the table may hold back is much less than it holds.
type paced struct {
	*rig
	table *heap.Table[int64, [8]int64]
	// most is what the table held at most.
	most  int64
	valve valve
	files *snapshots.Storage
	acked *task.Acknowledgement
}

func newPaced(t *testing.T) *paced {
	t.Helper()
	p := &paced{}
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	p.table, err = heap.NewTable[int64, [8]int64](heap.Config{
		Name: "rows", Groups: statebackend.KeyGroupRange{Last: 127}, MaxParallelism: 128, ReserveBytes: pacedReserve,
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(from, by int64) {
		for k := from; k < pacedRows; k += by {
			row, _ := p.table.Row(hash(&k), &k)
			row[0]++
		}
		p.most = max(p.most, p.table.Size().Bytes)
	}
	write(0, 1)
	p.rig = newRig(t, func() operator.Operator {
		return &dam{probe{log: p.told, state: p.table, each: func(_ *operator.Runtime, b *element.Batch[row]) error {
			p.told.add("batch %d", b.Rows()[0].Key)
			write(b.Rows()[0].Key, 16)
			return nil
		}}}
	})
	p.put(1, ended)
	run := newRun(t)
	p.valve = valve{run.Run, make(chan struct{})}
	p.files = snapshots.New(t.Context(), snapshots.Config{
		Files: p.valve, Vertex: p.vertex, Attempt: 3,
		Options: statefile.Options{Buffers: 2, BufferBytes: 4 << 10, InlineBytes: -1},
	})
	p.state = p.files
	p.acknowledged = func(a task.Acknowledgement) { p.acked = &a }
	return p
}

// dam is a probe that lets no batch through: nobody reads its output.
type dam struct{ probe }

func (d *dam) Port(int) operator.Port              { return operator.PortOf[row](d) }
func (d *dam) Process(b *element.Batch[row]) error { return d.each(d.rt, b) }

// batches puts a batch for each sixteenth of the keys into the channel, as the task takes them.
func (p *paced) batches() {
	var wg sync.WaitGroup
	wg.Go(func() {
		for k := range int64(16) {
			b := element.NewBatch[row](8)
			b.Append().Key = k
			if p.in[0].Send(b, nothing) != nil {
				return // the task was canceled
			}
		}
	})
	p.t.Cleanup(wg.Wait)
	synctest.Wait()
}

func (p *paced) taken() int { return strings.Count(strings.Join(p.told.lines(), ","), "batch") }

// TestSlowStorageSetsThePace has records come that change all rows while the storage is stopped. The task takes what it can
// hold back, then nothing; as the storage goes on so does the task, and the snapshot is that of the barrier.
func TestSlowStorageSetsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t)
		size := p.table.Size().Bytes
		p.start()
		defer p.close()
		p.send(0, barrier(1))
		p.batches()
		before := p.taken()
		if before == 0 || before > 4 {
			t.Errorf("%d of 16 batches were taken while the storage was stopped", before)
		}
		for range 12 {
			p.valve.open <- struct{}{}
			synctest.Wait()
		}
		if after := p.taken(); after <= before || after == 16 || p.acked != nil {
			t.Errorf("%d batches were taken as a part was written, %d before; acknowledged %v", after, before, p.acked)
		}
		close(p.valve.open)
		synctest.Wait()
		if p.taken() != 16 || p.acked == nil {
			t.Fatalf("%d batches, acknowledged %v", p.taken(), p.acked)
		}
		// A batch is 250 rows of 72 bytes; the scan holds a few back, too.
		if held := p.most - size; held > 2*pacedReserve+20<<10 {
			t.Errorf("%d bytes were held back", held)
		}
		p.restored(t)
	})
}

// restored wants the rows as they were at the barrier.
func (p *paced) restored(t *testing.T) {
	t.Helper()
	states, err := checkpoint.DecodeTaskState(p.acked.State)
	if err != nil {
		t.Fatal(err)
	}
	meta := &checkpoint.Metadata{ID: 1, Operators: []checkpoint.Operator{{
		ID: states[0].Operator, Parallelism: 1, MaxParallelism: 128, Subtasks: []checkpoint.Subtask{{State: states[0].State}},
	}}}
	r, err := snapshots.New(t.Context(), snapshots.Config{Files: p.valve, Restore: meta, Vertex: p.vertex}).
		Restored(string(states[0].Operator), 0, 1, 128)
	if err != nil {
		t.Fatal(err)
	}
	table, err := heap.NewTable[int64, [8]int64](heap.Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: 127}, MaxParallelism: 128})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Restore(r); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for k, row := range table.All() {
		rows++
		if row[0] != 1 {
			t.Fatalf("row %d is %d, not as at the barrier", *k, row[0])
		}
	}
	if rows != pacedRows {
		t.Errorf("%d rows, want %d", rows, pacedRows)
	}
}

// TestStalledStorage aborts the checkpoint, as when it times out, and cancels the task, while a write of the file does not
// return: records flow again, nothing is held back any more, and the end of the task is reported.
func TestStalledStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t)
		size := p.table.Size().Bytes
		p.start()
		defer p.close()
		p.send(0, barrier(1))
		p.batches()
		if p.table.Size().Bytes <= size {
			t.Fatal("nothing is held back")
		}
		p.task.Aborted(1)
		synctest.Wait()
		if got := p.taken(); got != 16 {
			t.Errorf("%d batches were taken after the abort", got)
		}
		if held := p.table.Size().Bytes - size; held != 0 {
			t.Errorf("%d bytes are held back after the abort", held)
		}
		p.send(0, barrier(2))
		p.batches()
		p.task.Cancel()
		synctest.Wait()
		if lines := strings.Join(p.told.lines(), ", "); !strings.HasSuffix(lines, "canceling, close, canceled") || p.acked != nil {
			t.Errorf("canceled: %v, acknowledged %v", lines, p.acked)
		}
		<-p.task.Done()
		close(p.valve.open)
		p.files.Wait()
	})
}
