// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/internal/statebackend"
)

const (
	// scanStep is how long a slice of a snapshot is to take: batches wait that much longer.
	scanStep = 300 * time.Microsecond

	scanRowsFirst = 512
	scanRowsMin   = 32
	scanRowsMax   = 1 << 16
)

// scan is a snapshot whose states are written slice by slice, as fast as the storage takes them. Only the task's
// goroutine knows it.
type scan struct {
	ack  Acknowledgement
	file Snapshot
	// parts are the states; left of them are not written yet.
	parts []part
	left  int
	// began is when the states were fixed.
	began time.Time
	// rows is the size of the next slice.
	rows int
	// next slice not before: a busy task gives the snapshot no more than half of its time.
	notBefore time.Time
	// full is set when the storage has no room, until a mail tells that it has.
	full bool
}

// part is one state of one step.
type part struct {
	*step
	state statebackend.State
	// written is set when all of it is, with info of what was written.
	written bool
	info    StateInfo
}

// due is the state of which a slice comes next: one that is crowded, or the first that is not written. It is nil if all are.
func (sc *scan) due() (next *part, crowded bool) {
	for i := range sc.parts {
		p := &sc.parts[i]
		if p.written {
			continue
		}
		if p.state.Crowded() {
			return p, true
		}
		if next == nil {
			next = p
		}
	}
	return next, false
}

// scanDue reports whether a busy task is to take a slice now.
func (t *subtask) scanDue(now time.Time) bool {
	return t.scan != nil && !t.scan.full && !now.Before(t.scan.notBefore)
}

// crowded reports whether the snapshot has to go on before anything changes a row again.
func (t *subtask) crowded() bool {
	if t.scan == nil {
		return false
	}
	_, crowded := t.scan.due()
	return crowded
}

// giveWay is the turn of a crowded task: it writes, or waits for the storage, without taking records or firing timers. So
// the storage sets the pace of a task that changes rows faster than they can be written; mails are read all the same.
func (t *subtask) giveWay(now time.Time) error {
	t.look(now)
	if t.stepScan() {
		return t.capBuffers(now)
	}
	if err := t.flush(); err != nil {
		return err
	}
	t.sleep()
	return nil
}

// stepScan writes a slice, or ends the scan. It reports whether there was progress; without, a mail comes when there is
// room.
func (t *subtask) stepScan() bool {
	sc := t.scan
	if sc.left == 0 {
		t.endScan()
		return true
	}
	if sc.full {
		return false
	}
	p, _ := sc.due()
	w := sc.file.Operator(p.node.OperatorID)
	if sc.full = !w.Room(); sc.full {
		return false
	}
	start := t.clock.Now()
	done, err := p.state.Step(w, sc.rows)
	if err != nil {
		t.giveUp(sc.ack.Checkpoint, fmt.Errorf("state %q of step %q: %w", p.state.Name(), p.node.Name, err))
		return true
	}
	end := t.clock.Now()
	took := end.Sub(start)
	sc.rows = adapt(sc.rows, took)
	sc.notBefore = end.Add(took)
	if done {
		p.written = true
		p.info = StateInfo{Name: p.state.Name(), Schema: p.state.Schema(), Base: p.state.Base()}
		sc.left--
	}
	return true
}

// roomy takes the news that the file of a checkpoint has room again.
func (t *subtask) roomy(checkpoint int64) {
	if t.scan != nil && t.scan.ack.Checkpoint == checkpoint {
		t.scan.full = false
	}
}

// adapt brings the size of slices to where they take scanStep, by halves and doubles.
func adapt(rows int, took time.Duration) int {
	switch {
	case took > scanStep:
		return max(scanRowsMin, rows/2)
	case took < scanStep/3:
		return min(scanRowsMax, rows*2)
	default:
		return rows
	}
}

// states is what the snapshot says of the states, by step.
func (sc *scan) states() []OperatorStates {
	var all []OperatorStates
	for i := range sc.parts {
		p := &sc.parts[i]
		id := p.node.OperatorID
		if n := len(all); n == 0 || all[n-1].OperatorID != id {
			all = append(all, OperatorStates{OperatorID: id})
		}
		of := &all[len(all)-1]
		of.States = append(of.States, p.info)
	}
	return all
}

// endScan ends the file. The acknowledgement is sent from wherever it ended.
func (t *subtask) endScan() {
	sc := t.scan
	t.scan = nil
	t.writing++
	t.files.Add(1)
	sc.file.Finish(sc.states(), func(state []byte, bytes int64, err error) {
		defer t.files.Done()
		id := sc.ack.Checkpoint
		switch {
		case t.over.Load():
		case err != nil:
			t.config.Reporter.Decline(t.config.Attempt, id, err)
		default:
			sc.ack.State, sc.ack.Bytes, sc.ack.Async = state, bytes, t.clock.Now().Sub(sc.began)
			t.config.Reporter.Acknowledge(t.config.Attempt, sc.ack)
		}
		t.mail.post(mail{kind: mailWritten, checkpoint: id, err: err})
	})
}

// finishScan ends the running snapshot at once, as another one is about to begin: one is written at a time. If the
// storage does not take it, the older one gives way.
func (t *subtask) finishScan() {
	if t.scan != nil {
		t.scan.full = false // there may be room by now
	}
	for t.scan != nil {
		t.scan.rows = scanRowsMax
		if !t.stepScan() {
			t.giveUp(t.scan.ack.Checkpoint, errTooSlow)
		}
	}
}
