// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// TestOrderOfCalls tells the story of a task from its start to its end.
func TestOrderOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		step := func(name string) func() operator.Operator {
			return func() operator.Operator {
				return &probe{
					log:    r.told,
					opened: func(*operator.Runtime) error { r.told.add("open %s", name); return nil },
					each: func(_ *operator.Runtime, b *element.Batch[row]) error {
						r.told.add("%s: %d", name, b.Rows()[0].Key)
						return nil
					},
					closed: func() error { r.told.add("(%s)", name); return nil },
				}
			}
		}
		r = newRig(t, step("a"), step("b"))
		r.start()
		defer r.close()
		r.expect("initializing, open b, open a, running")

		r.send(0, nothing, 1)
		r.expect("a: 1, b: 1, out: 1 rows")

		// Channel 0 is blocked behind its barrier; what it brings waits for that of channel 1.
		r.send(0, barrier(1), 2)
		r.put(0, nothing, 3)
		r.send(1, nothing, 4)
		r.expect("a: 2, b: 2, a: 4, b: 4, out: 1 rows, out: 1 rows")
		r.send(1, barrier(1), 5)
		r.expect("a: 5, b: 5, barrier 1, barrier 1, acknowledged 1, a: 3, b: 3, out: 1 rows, out: barrier 1, out: 1 rows")

		// A notice is passed on once, and only for a checkpoint that was taken.
		r.task.Completed(1)
		r.task.Completed(1)
		r.task.Completed(7)
		r.task.Aborted(1)
		r.expect("completed 1, completed 1")

		// An abort frees the blocked channel; the barrier that comes all the same means nothing.
		r.send(0, barrier(2))
		r.put(0, nothing, 6)
		r.expect("")
		r.task.Aborted(2)
		r.expect("a: 6, b: 6, out: 1 rows")
		r.send(1, barrier(2))
		r.expect("")

		// A newer barrier cancels the older one.
		r.send(0, barrier(3))
		r.send(1, barrier(4))
		r.expect("declined 3")
		r.send(0, barrier(4))
		r.expect("barrier 4, barrier 4, acknowledged 4, out: barrier 4")

		// Completion subsumes what is older.
		r.send(0, barrier(5))
		r.send(1, barrier(5))
		r.expect("barrier 5, barrier 5, acknowledged 5, out: barrier 5")
		r.task.Completed(5)
		r.task.Aborted(4)
		r.expect("aborted 4, aborted 4, completed 5, completed 5")

		// The end of the last channel completes the checkpoint that waits for it, before the end goes on.
		r.send(0, barrier(6))
		r.send(1, ended)
		r.expect("barrier 6, barrier 6, acknowledged 6, out: barrier 6")
		r.task.Trigger(7, 0, 0)
		r.expect("")
		r.send(0, ended)
		r.expect("barrier 7, barrier 7, acknowledged 7, end, end, close, (a), close, (b), finished, out: barrier 7, out: end-of-input")
	})
}

// TestWatermarksOfChannels merges those of the two channels.
func TestWatermarksOfChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		r = newRig(t, func() operator.Operator { return &probe{log: r.told} })
		r.start()
		defer r.close()
		r.expect("initializing, running")
		at := func(n int64) element.Control { return element.Control{Kind: element.Watermark, At: n} }
		r.send(0, at(10))
		r.expect("")
		r.send(1, at(5))
		r.expect("watermark 5, out: watermark")
		r.send(1, element.Control{Kind: element.Idle})
		r.expect("watermark 10, out: watermark")
		r.send(0, element.Control{Kind: element.Idle})
		r.expect("idle true, out: idle")
		r.send(0, element.Control{Kind: element.Active})
		r.expect("idle false, out: active")
		r.send(0, at(element.MaxWatermark))
		r.send(0, ended)
		r.send(1, element.Control{Kind: element.Active})
		r.send(1, at(element.MaxWatermark))
		r.send(1, ended)
		r.expect("idle true, idle false, end of time, end, close, finished, out: active, out: watermark, out: end-of-input")
	})
}

// stateful makes a rig of one step with a state whose snapshot takes that many slices.
func stateful(t *testing.T, slices int) *rig {
	t.Helper()
	var r *rig
	r = newRig(t, func() operator.Operator {
		left := 0
		s := &stubborn{log: r.told}
		s.step = func(id int64, _ statebackend.Writer) (bool, error) {
			if left == 0 {
				left = slices
			}
			left--
			r.told.add("slice of %d", id)
			return left == 0, nil
		}
		return &probe{log: r.told, state: s, each: func(_ *operator.Runtime, b *element.Batch[row]) error {
			r.told.add("batch %d", b.Rows()[0].Key)
			return nil
		}}
	})
	return r
}

// TestSnapshotIsTakenBetweenBatches has batches queued when the barrier comes.
func TestSnapshotIsTakenBetweenBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stateful(t, 3)
		r.put(1, ended)
		r.put(0, barrier(1), 1)
		r.put(0, nothing, 2)
		r.put(0, nothing, 3)
		r.start()
		defer r.close()
		r.expect("initializing, running, batch 1, barrier 1, state begins 1, slice of 1, batch 2, slice of 1, batch 3, slice of 1, " +
			"acknowledged 1, out: 1 rows, out: barrier 1, out: 2 rows")
	})
}

// TestNewerSnapshotFinishesOlder takes two checkpoints in a row.
func TestNewerSnapshotFinishesOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stateful(t, 4)
		r.unacknowledged = true // the files end in any order
		r.put(1, ended)
		r.put(0, barrier(1), 1)
		r.put(0, barrier(2), 2)
		r.start()
		defer r.close()
		r.expect("initializing, running, batch 1, barrier 1, state begins 1, slice of 1, batch 2, slice of 1, slice of 1, slice of 1, " +
			"barrier 2, state begins 2, slice of 2, slice of 2, slice of 2, slice of 2, " +
			"out: 1 rows, out: barrier 1, out: 1 rows, out: barrier 2")
	})
}

// TestEndWaitsForSnapshot ends the input while the storage takes nothing, and then while the file does not end.
func TestEndWaitsForSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room atomic.Bool
		written := make(chan struct{})
		r := stateful(t, 1)
		r.storage.Room = func(int64) bool { return room.Load() }
		r.storage.Fault = func(int64, int) error { <-written; return nil }
		r.put(1, ended)
		r.put(0, barrier(1))
		r.put(0, ended)
		r.start()
		defer r.close()
		r.expect("initializing, running, barrier 1, state begins 1, end, out: barrier 1, out: end-of-input")
		room.Store(true)
		r.storage.Roomy()
		r.expect("slice of 1")
		close(written)
		r.expect("acknowledged 1, close, finished")
	})
}

// TestFailureAbandonsFile cancels a task whose file is being ended: nobody hears of the file, and Done waits for it.
func TestFailureAbandonsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan struct{})
		r := stateful(t, 1)
		r.storage.Fault = func(int64, int) error { <-written; return nil }
		r.put(1, ended)
		r.put(0, barrier(1))
		r.start()
		defer r.close()
		r.task.Cancel()
		synctest.Wait()
		select {
		case <-r.task.Done():
			t.Error("done while the file is being written")
		default:
		}
		close(written)
		r.expect("initializing, running, barrier 1, state begins 1, slice of 1, canceling, close, canceled, out: lost, out: barrier 1")
	})
}

// TestTriggerOfEndedTaskIsDropped triggers a task while it is being closed. Declining would count as a failure of the
// checkpoint; that the task finished tells the JobMaster to begin it anew.
func TestTriggerOfEndedTaskIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closing := make(chan struct{})
		r := newRig(t, func() operator.Operator { return &probe{closed: func() error { <-closing; return nil }} })
		r.start()
		defer r.close()
		r.send(0, ended)
		r.send(1, ended)
		r.task.Trigger(1, 0, 0)
		close(closing)
		r.expect("initializing, running, finished, out: end-of-input")
		r.task.Trigger(2, 0, 0)
		r.expect("")
	})
}

// TestFailureIsReportedBeforeChannelsBreak looks at the consumer's channel when the failure is reported.
func TestFailureIsReportedBeforeChannelsBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func() operator.Operator {
			return &probe{each: func(*operator.Runtime, *element.Batch[row]) error { return errTest }}
		})
		r.start()
		defer r.close()
		r.send(0, nothing, 1)
		r.expect("initializing, running, failed, out: lost")
	})
}

// keeper is a sink that keeps a committable of each checkpoint until it is told.
type keeper struct {
	probe
	kept []int64
}

func (k *keeper) Prepared(id int64) ([]byte, error) {
	k.kept = append(k.kept, id)
	return nil, nil
}

func (k *keeper) Committed(id int64) error {
	k.log.add("committed %d", id)
	for len(k.kept) > 0 && k.kept[0] <= id {
		k.kept = k.kept[1:]
	}
	return nil
}

func (k *keeper) Uncommitted() bool { return len(k.kept) > 0 }

// TestSinkWaitsForCommit ends the input of a sink that has something to commit.
func TestSinkWaitsForCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		r = newRig(t, func() operator.Operator { return &keeper{probe: probe{log: r.told}} })
		r.put(1, ended)
		r.start()
		defer r.close()
		r.send(0, barrier(1))
		r.send(0, barrier(2))
		r.task.Completed(2)
		r.task.Committed(1)
		r.task.Committed(1)
		r.expect("initializing, running, barrier 1, acknowledged 1, barrier 2, acknowledged 2, aborted 1, completed 2, committed 1, " +
			"out: barrier 1, out: barrier 2")
		r.send(0, ended)
		r.expect("end, inputs ended, out: end-of-input")
		r.task.Trigger(3, 0, 0)
		r.expect("barrier 3, acknowledged 3")
		r.task.Committed(3)
		r.task.Committed(2)
		r.expect("committed 3, close, finished")
	})
}
