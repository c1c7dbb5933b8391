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
	// scanRetry is when an idle task looks again whether the storage takes more.
	scanRetry = 2 * time.Millisecond

	scanRowsFirst = 512
	scanRowsMin   = 32
	scanRowsMax   = 1 << 16
)

// scan is a snapshot whose states are written slice by slice. Only the task's goroutine knows it.
type scan struct {
	ack  Acknowledgement
	file Snapshot
	// parts are the states; those before next are written.
	parts []part
	next  int
	// states is what was written, by step.
	states []OperatorStates
	// began is when the states were fixed.
	began time.Time
	// rows is the size of the next slice.
	rows int
	// next slice not before: a busy task gives the snapshot no more than half of its time.
	notBefore time.Time
	// retry is when an idle task tries again; zero, long past, unless the storage was full.
	retry time.Time
}

// part is one state of one step.
type part struct {
	*step
	state statebackend.State
}

// scanDue reports whether a busy task is to take a slice now.
func (t *subtask) scanDue(now time.Time) bool { return t.scan != nil && !now.Before(t.scan.notBefore) }

// stepScan writes a slice, or ends the scan. It reports whether there was progress.
func (t *subtask) stepScan() bool {
	sc := t.scan
	if sc.next == len(sc.parts) {
		t.endScan()
		return true
	}
	p := sc.parts[sc.next]
	w := sc.file.Operator(p.node.OperatorID)
	start := t.clock.Now()
	if !w.Room() {
		sc.retry = start.Add(scanRetry)
		sc.notBefore = sc.retry
		return false
	}
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
		sc.written(p)
		sc.next++
	}
	return true
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

// written takes note of what the snapshot says of a state.
func (sc *scan) written(p part) {
	id := p.node.OperatorID
	if n := len(sc.states); n == 0 || sc.states[n-1].OperatorID != id {
		sc.states = append(sc.states, OperatorStates{OperatorID: id})
	}
	of := &sc.states[len(sc.states)-1]
	of.States = append(of.States, StateInfo{Name: p.state.Name(), Schema: p.state.Schema(), Base: p.state.Base()})
}

// endScan ends the file. The acknowledgement is sent from wherever it ended.
func (t *subtask) endScan() {
	sc := t.scan
	t.scan = nil
	t.writing++
	t.files.Add(1)
	sc.file.Finish(sc.states, func(state []byte, bytes int64, err error) {
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
	for t.scan != nil {
		t.scan.rows = scanRowsMax
		if !t.stepScan() {
			t.giveUp(t.scan.ack.Checkpoint, errTooSlow)
		}
	}
}
