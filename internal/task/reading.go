// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task/splits"
)

// reading is the part of a task in the end of its input and, if it has one, in its source.
type reading struct {
	// ended is set once all input has ended and the end was passed on; told once InputsEnded was reported.
	ended, told bool
	// terminal is the checkpoint with which the job is to stop, after its barrier: the source is not read until it is
	// known to be committed or aborted. drained tells that the end of time went before it.
	terminal int64
	drained  bool
	// asked is set while the reader waits for the splits that it asked for, noMore once it was told that none follow.
	asked, noMore bool
	ready         int64
	progress      atomic.Pointer[Progress]
}

// poll reads a batch, unless the source has ended or waits for the checkpoint that it stops with.
func (t *subtask) poll() (bool, error) {
	if t.ended || t.terminal != 0 {
		return false, nil
	}
	found, err := t.source.Poll()
	if err != nil {
		return false, err
	}
	if found == operator.Ended {
		t.inputEnded()
		return true, nil
	}
	if found == operator.Some {
		t.batches.Add(1)
	}
	t.askForSplits()
	return found == operator.Some, nil
}

// askForSplits asks when the reader has none left, once for each answer.
func (t *subtask) askForSplits() {
	if t.asked || t.noMore || t.source.Splits() > 0 {
		return
	}
	t.asked = true
	t.ready++
	t.config.Reporter.ReaderReady(t.config.Attempt, t.ready)
	t.publishProgress()
}

// inputEnded takes note that the end of all input has been passed on.
func (t *subtask) inputEnded() { t.ended = true }

// complete reports whether the task has nothing to wait for any more. Else, if that is only the commit of its last
// output, it says so: a final checkpoint follows.
func (t *subtask) complete() bool {
	if !t.ended || t.scan != nil || t.writing > 0 {
		return false
	}
	if !t.uncommitted() {
		return true
	}
	if !t.told {
		t.told = true
		t.config.Reporter.InputsEnded(t.config.Attempt)
	}
	return false
}

// trigger starts a checkpoint at this task: at a source behind the splits that the enumerator has assigned, elsewhere
// once all channels have ended.
func (t *subtask) trigger(tr splits.Trigger, now time.Time) error {
	if t.ledger != nil {
		return t.do(t.ledger.Trigger(tr))
	}
	return t.decide(-1, t.aligner.Trigger(tr.Barrier, now))
}

// do does what the ledger says.
func (t *subtask) do(steps []splits.Step) error {
	for _, s := range steps {
		switch s.Kind {
		case splits.Apply:
			if err := t.apply(s.Assignment); err != nil {
				return err
			}
		case splits.Take:
			if err := t.takeAtSource(s.Trigger.Barrier); err != nil {
				return err
			}
		case splits.Decline:
			t.decline(s.Trigger.Barrier.ID, s.Reason)
		case splits.Ask:
			t.config.Reporter.MissingAssignments(t.config.Attempt, s.From)
		}
	}
	return nil
}

func (t *subtask) apply(a splits.Assignment) error {
	if t.ended {
		t.publishProgress() // a source that was stopped reads nothing more
		return nil
	}
	if len(a.Splits) > 0 {
		if err := t.source.AddSplits(a.Splits); err != nil {
			return err
		}
	}
	t.asked = false
	if a.NoMore {
		t.noMore = true
		if err := t.source.NoMoreSplits(); err != nil {
			return err
		}
	}
	t.publishProgress()
	return nil
}

// takeAtSource takes a triggered checkpoint. A terminal one is the last thing that the source does for now; the end of
// time, if the job is drained, comes before it.
func (t *subtask) takeAtSource(b element.CheckpointBarrier) error {
	terminal := b.Flags.Has(element.Terminal) && !t.ended
	if terminal && b.Flags.Has(element.Drain) && !t.drained {
		t.drained = true
		if err := t.source.Drain(); err != nil {
			return err
		}
	}
	if terminal {
		t.terminal = b.ID
	}
	return t.take(b, 0)
}

// terminate ends the source when the checkpoint that it stops with is committed. A newer one that is tells that it was
// aborted.
func (t *subtask) terminate(committed int64) error {
	switch {
	case t.terminal == 0 || committed < t.terminal:
		return nil
	case committed > t.terminal:
		return t.resume(t.terminal)
	}
	return t.stop()
}

// stop ends the input without an end of time.
func (t *subtask) stop() error {
	if err := t.source.Stop(); err != nil {
		return err
	}
	t.terminal = 0
	t.inputEnded()
	return nil
}

// resume lets the source go on after the checkpoint that it was to stop with was aborted. After the end of time there is
// nothing to go on with: the input ends.
func (t *subtask) resume(aborted int64) error {
	switch {
	case t.terminal == 0 || t.terminal != aborted:
		return nil
	case t.drained:
		return t.stop()
	}
	t.terminal = 0
	return nil
}

// publishProgress makes what the reader has come to known to other goroutines. It is called whenever it changes.
func (t *subtask) publishProgress() {
	t.progress.Store(&Progress{Assigned: t.ledger.Applied(), Ready: t.ready, Waiting: t.asked && !t.noMore})
}

// Progress returns what the reader has come to.
func (t *subtask) Progress() Progress {
	if p := t.progress.Load(); p != nil {
		return *p
	}
	return Progress{Assigned: t.config.ReaderNumber}
}
