// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package splits decides in which order a reader applies the numbered assignments of its splits, and takes its barriers.
// It is a pure core: the task that reads drives one.
//
//	enumerator:  1  2  3 |snapshot: 3|  4  5        what it assigned up to its snapshot is no longer in its state,
//	reader:      1  2  3 |barrier|  4  5            so it has to be in that of the reader
//
// Messages may be lost, doubled and reordered. An assignment waits for those before it, doubles are ignored, gaps are
// asked for. A trigger that names a number waits until all assignments up to it were applied; those beyond it wait until
// the barrier is out.
//
// Non-obvious: a trigger can come after an assignment beyond its number was applied. That can't be taken back, and the
// split would be in both states, so the checkpoint is declined.
package splits

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-stream/weir/element"
)

// heldMax bounds the assignments that wait for others. What does not fit is asked for again.
const heldMax = 1024

// Assignment is one message of the enumerator's side.
type Assignment struct {
	// Number counts per reader, from one.
	Number int64
	// Splits are encoded; empty where only NoMore is said.
	Splits []byte
	NoMore bool
}

// Trigger asks for a checkpoint behind the assignments up to Number.
type Trigger struct {
	Barrier element.CheckpointBarrier
	Number  int64
}

// Kind tells steps apart.
type Kind uint8

const (
	// Apply hands Assignment to the reader.
	Apply Kind = iota
	// Take takes the checkpoint of Trigger.
	Take
	// Decline refuses it, for Reason.
	Decline
	// Ask asks for assignments from From on.
	Ask
)

// Step is one thing to be done.
type Step struct {
	Kind       Kind
	Assignment Assignment
	Trigger    Trigger
	Reason     error
	From       int64
}

// Ledger keeps what waits.
type Ledger struct {
	// applied is the number of the last assignment that was applied; all before it were, too.
	applied int64
	// held are assignments that wait, by number. Invariant: all above applied.
	held map[int64]Assignment
	// waiting are triggers that wait for assignments, by rising checkpoint.
	waiting []Trigger
	// asked is the number that was asked for last, known the highest that is known to exist.
	asked, known int64
}

// New makes the ledger of a reader whose state contains the assignments up to a number.
func New(applied int64) *Ledger {
	return &Ledger{applied: applied, known: applied, held: map[int64]Assignment{}}
}

// Applied is the number of the last assignment that was applied.
func (l *Ledger) Applied() int64 { return l.applied }

// Missing reports whether assignments are known to exist that did not come, and the first of them: to ask again after a
// while, as the question may be lost too.
func (l *Ledger) Missing() (from int64, missing bool) {
	if _, here := l.held[l.applied+1]; here || l.known <= l.applied {
		return 0, false
	}
	return l.applied + 1, true
}

// Assign takes an assignment.
func (l *Ledger) Assign(a Assignment) []Step {
	if a.Number <= l.applied {
		return nil
	}
	l.known = max(l.known, a.Number)
	if _, twice := l.held[a.Number]; !twice && (len(l.held) < heldMax || a.Number == l.applied+1) {
		l.held[a.Number] = a
	}
	return l.settle()
}

// Trigger takes the trigger of a checkpoint.
func (l *Ledger) Trigger(t Trigger) []Step {
	i, twice := slices.BinarySearchFunc(l.waiting, t.Barrier.ID, func(w Trigger, id int64) int {
		return cmp.Compare(w.Barrier.ID, id)
	})
	if twice {
		return nil
	}
	l.waiting = slices.Insert(l.waiting, i, t)
	l.known = max(l.known, t.Number)
	return l.settle()
}

// Abort forgets the trigger of a checkpoint that will not complete.
func (l *Ledger) Abort(checkpoint int64) []Step {
	l.waiting = slices.DeleteFunc(l.waiting, func(t Trigger) bool { return t.Barrier.ID == checkpoint })
	return l.settle()
}

// AbortBelow forgets the triggers of all checkpoints below an id.
func (l *Ledger) AbortBelow(id int64) []Step {
	l.waiting = slices.DeleteFunc(l.waiting, func(t Trigger) bool { return t.Barrier.ID < id })
	return l.settle()
}

// settle does what is possible now, in order.
func (l *Ledger) settle() []Step {
	var steps []Step
	for {
		if len(l.waiting) > 0 && l.waiting[0].Number <= l.applied {
			steps = append(steps, l.decide(l.waiting[0]))
			l.waiting = slices.Delete(l.waiting, 0, 1)
			continue
		}
		next, ok := l.held[l.applied+1]
		if !ok {
			break
		}
		delete(l.held, next.Number)
		l.applied = next.Number
		steps = append(steps, Step{Kind: Apply, Assignment: next})
	}
	if from, missing := l.Missing(); missing && from != l.asked {
		l.asked = from
		steps = append(steps, Step{Kind: Ask, From: from})
	}
	return steps
}

func (l *Ledger) decide(t Trigger) Step {
	if t.Number < l.applied {
		return Step{Kind: Decline, Trigger: t, Reason: fmt.Errorf(
			"assignment %d of splits was applied already, the enumerator's snapshot ends with %d", l.applied, t.Number)}
	}
	return Step{Kind: Take, Trigger: t}
}
