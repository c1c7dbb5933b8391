// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task/alignment"
)

// undecidedMax bounds the checkpoints of which a task waits to hear. Of more, the oldest is taken for aborted.
const undecidedMax = 64

var (
	errPassedBy = errors.New("a barrier of a newer checkpoint came first")
	errTooSlow  = errors.New("the storage takes no more while a newer checkpoint waits")
)

// checkpoints is the part of a task in them.
//
//	barrier from all inputs --> operators' Barrier --> Begin of states --> barrier to outputs
//	                                                        |
//	                                   slices between batches: Step --> file ends --> acknowledged
//	                                                                                       |
//	                                            notice: Completed or Aborted, then Committed
type checkpoints struct {
	// undecided are those that were taken and whose outcome is not known, oldest first.
	undecided []undecided
	// scan is the snapshot whose states are being written; nil for none.
	scan *scan
	// writing counts the files that were finished but have not ended, by the mails that tell of it; files likewise, for
	// those who wait. over is set when nothing is to be told of them any more.
	writing int
	files   sync.WaitGroup
	over    atomic.Bool
	// lastCommitted is the newest checkpoint that is known to be committed.
	lastCommitted int64
}

type undecided struct {
	cp statebackend.Checkpoint
	// file is set until it has ended; nil for a task without state.
	file Snapshot
}

// lasting reports whether the completion of the checkpoint means something to operators: that of a savepoint does not,
// as the job never recovers from it, unless the job ends with it.
func lasting(cp statebackend.Checkpoint) bool {
	return !cp.Savepoint() || cp.Flags.Has(element.Terminal)
}

// decide does what the aligner says of an event of a channel.
func (t *subtask) decide(channel int, d alignment.Decision) error {
	for _, id := range d.Canceled {
		t.decline(id, errPassedBy)
	}
	if d.Unblock {
		t.gate.UnblockAll()
	}
	if d.Block {
		t.gate.Block(channel)
	}
	for _, c := range d.Complete {
		if err := t.take(c.Barrier, c.Align); err != nil {
			return err
		}
	}
	return nil
}

// take takes a checkpoint, between two batches. What the operators or an output return fails the task; a state or the
// storage that can't declines the checkpoint, whose barrier goes on all the same: those behind will hear of the abort.
func (t *subtask) take(b element.CheckpointBarrier, align time.Duration) error {
	t.finishScan()
	start := t.clock.Now()
	cp := statebackend.Checkpoint{ID: b.ID, Flags: b.Flags}
	for _, s := range t.steps {
		if err := s.op.Barrier(cp); err != nil {
			return err
		}
	}
	prepared, err := t.prepared(b.ID)
	if err != nil {
		return err
	}
	sc := &scan{rows: scanRowsFirst, ack: Acknowledgement{
		Checkpoint: b.ID, Prepared: prepared, Align: align, Started: start.Add(-align),
	}}
	t.begin(cp, sc)
	sc.began = t.clock.Now()
	sc.ack.Sync = sc.began.Sub(start)
	if !t.ended {
		for _, o := range t.outputs {
			if err := o.Barrier(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepared collects the committables of the sinks.
func (t *subtask) prepared(checkpoint int64) (map[string][]byte, error) {
	if len(t.sinks) == 0 {
		return nil, nil
	}
	all := make(map[string][]byte, len(t.sinks))
	for _, s := range t.sinks {
		data, err := s.sink.Prepared(checkpoint)
		if err != nil {
			return nil, err
		}
		all[s.node.OperatorID] = data
	}
	return all, nil
}

// begin fixes the states. A task without any acknowledges at once.
func (t *subtask) begin(cp statebackend.Checkpoint, sc *scan) {
	if err := t.remember(cp); err != nil {
		t.logger.Warn("forget a checkpoint", "error", err)
	}
	for _, s := range t.steps {
		for _, state := range s.states {
			sc.parts = append(sc.parts, part{step: s, state: state})
		}
	}
	sc.left = len(sc.parts)
	if len(sc.parts) == 0 {
		t.config.Reporter.Acknowledge(t.config.Attempt, sc.ack)
		return
	}
	file, err := t.config.State.Begin(cp, func() { t.mail.post(mail{kind: mailRoom, checkpoint: cp.ID}) })
	if err != nil {
		t.giveUp(cp.ID, fmt.Errorf("begin a snapshot: %w", err))
		return
	}
	t.undecided[len(t.undecided)-1].file = file
	sc.file = file
	for _, p := range sc.parts {
		if err := p.state.Begin(cp); err != nil {
			t.giveUp(cp.ID, fmt.Errorf("state %q of step %q: %w", p.state.Name(), p.node.Name, err))
			return
		}
	}
	t.scan = sc
}

func (t *subtask) remember(cp statebackend.Checkpoint) error {
	var err error
	if len(t.undecided) == undecidedMax {
		err = t.drop(t.undecided[0].cp.ID)
	}
	t.undecided = append(t.undecided, undecided{cp: cp})
	return err
}

// forget takes a checkpoint out of the undecided ones.
func (t *subtask) forget(id int64) (undecided, bool) {
	i := slices.IndexFunc(t.undecided, func(o undecided) bool { return o.cp.ID == id })
	if i < 0 {
		return undecided{}, false
	}
	o := t.undecided[i]
	t.undecided = slices.Delete(t.undecided, i, i+1)
	return o, true
}

// giveUp declines a checkpoint that was begun.
func (t *subtask) giveUp(id int64, reason error) {
	if err := t.drop(id); err != nil {
		reason = errors.Join(reason, err)
	}
	t.decline(id, reason)
}

func (t *subtask) decline(id int64, reason error) {
	t.logger.Info("decline a checkpoint", "checkpoint", id, "reason", reason)
	t.config.Reporter.Decline(t.config.Attempt, id, reason)
}

// drop ends an undecided checkpoint as aborted: its file, and the share of states and operators in it.
func (t *subtask) drop(id int64) error {
	o, ok := t.forget(id)
	if !ok {
		return nil
	}
	if t.scan != nil && t.scan.ack.Checkpoint == id {
		t.scan = nil
	}
	if o.file != nil {
		o.file.Abort()
	}
	var errs []error
	for _, s := range t.steps {
		for _, state := range s.states {
			errs = append(errs, state.Aborted(id))
		}
		errs = append(errs, s.op.Aborted(id))
	}
	return errors.Join(errs...)
}

// aborted takes the notice that a checkpoint will not complete, wherever it is.
func (t *subtask) aborted(id int64) error {
	if err := t.decide(-1, t.aligner.Abort(id)); err != nil {
		return err
	}
	if t.ledger != nil {
		if err := t.do(t.ledger.Abort(id)); err != nil {
			return err
		}
	}
	if err := t.drop(id); err != nil {
		return err
	}
	return t.resume(id)
}

// decidedBelow takes the notice that all checkpoints below an id are decided: whoever triggered them is gone. Those that are
// open here, wherever they are, are aborted; of the completed one, notice came before.
func (t *subtask) decidedBelow(id int64) error {
	if err := t.decide(-1, t.aligner.AbortBelow(id)); err != nil {
		return err
	}
	if t.ledger != nil {
		if err := t.do(t.ledger.AbortBelow(id)); err != nil {
			return err
		}
	}
	for len(t.undecided) > 0 && t.undecided[0].cp.ID < id {
		if err := t.drop(t.undecided[0].cp.ID); err != nil {
			return err
		}
	}
	if t.terminal != 0 && t.terminal < id {
		return t.resume(t.terminal)
	}
	return nil
}

// completed takes the notice that a checkpoint completed. Older ones are subsumed: they are as good as aborted, but for
// savepoints, which someone asked for.
func (t *subtask) completed(id int64) error {
	o, ok := t.forget(id)
	if !ok {
		return nil
	}
	for len(t.undecided) > 0 && t.undecided[0].cp.ID < id && lasting(o.cp) && lasting(t.undecided[0].cp) {
		if err := t.drop(t.undecided[0].cp.ID); err != nil {
			return err
		}
	}
	for _, s := range t.steps {
		for _, state := range s.states {
			if err := state.Completed(id); err != nil {
				return err
			}
		}
		if !lasting(o.cp) {
			continue
		}
		if err := s.op.Completed(id); err != nil {
			return err
		}
	}
	return nil
}

// committed takes the notice that the committables of a checkpoint, and of those before it, are committed.
func (t *subtask) committed(id int64) error {
	if id <= t.lastCommitted {
		return nil
	}
	t.lastCommitted = id
	for _, s := range t.sinks {
		if err := s.sink.Committed(id); err != nil {
			return err
		}
	}
	return t.terminate(id)
}

// written takes the end of a file.
func (t *subtask) written(id int64, err error) error {
	t.writing--
	i := slices.IndexFunc(t.undecided, func(o undecided) bool { return o.cp.ID == id })
	if i < 0 {
		return nil
	}
	t.undecided[i].file = nil
	if err != nil {
		return t.drop(id) // declined by whoever told
	}
	return nil
}

// abandonSnapshots discards the files of a task that ends before they did: nobody will hear of them.
func (t *subtask) abandonSnapshots() {
	t.over.Store(true)
	t.scan = nil
	for _, o := range t.undecided {
		if o.file != nil {
			o.file.Abort()
		}
	}
}
