// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/watermerge"
)

// loop turns until the task has finished.
func (t *subtask) loop() error {
	t.timer = t.clock.NewTimer(time.Hour)
	defer t.timer.Stop()
	for {
		finished, err := t.turn()
		if err != nil || finished {
			return err
		}
	}
}

// turn does what is there, or waits.
func (t *subtask) turn() (finished bool, err error) {
	if t.canceled.Load() {
		return false, errCanceled
	}
	now := t.clock.Now()
	if t.mail.some.Load() {
		if err := t.readMails(now); err != nil {
			return false, err
		}
	}
	if t.crowded() {
		return false, t.giveWay(now)
	}
	if err := t.tick(now); err != nil {
		return false, err
	}
	worked, err := t.work(now)
	if err != nil {
		return false, err
	}
	if worked {
		if t.scanDue(now) {
			t.stepScan()
		}
		return false, t.capBuffers(now)
	}
	return t.idle()
}

// work takes one event of the gate, or polls the source; it reports whether there was something.
func (t *subtask) work(now time.Time) (bool, error) {
	if t.gate == nil {
		return t.poll()
	}
	e, ok := t.gate.Next()
	if !ok {
		return false, nil
	}
	return true, t.handle(e, now)
}

// handle takes an event: the batch first, as the control comes behind it.
func (t *subtask) handle(e exchange.Event, now time.Time) error {
	if e.Err != nil {
		return fmt.Errorf("input channel %d: %w", e.Channel, e.Err)
	}
	if e.Batch != nil {
		t.batches.Add(1)
		if t.loan != nil {
			t.loan.Begin(e.Batch.TakeFrame())
		}
		err := t.inputs[e.Input].port.Deliver(e.Batch)
		t.gate.Release(e)
		if err != nil {
			return err // which may speak of what is lent: so that isn't given back
		}
		if t.loan != nil {
			t.loan.End()
		}
	}
	in := t.inputs[e.Input]
	place := t.place[e.Channel]
	switch e.Control.Kind {
	case element.None:
		return nil
	case element.Watermark:
		return in.pass(in.merger.Watermark(place, e.Control.At))
	case element.Idle, element.Active:
		return in.pass(in.merger.Status(place, e.Control.Kind == element.Idle))
	case element.Barrier:
		return t.decide(e.Channel, t.aligner.Barrier(e.Channel, e.Control.Checkpoint, now))
	case element.EndOfInput:
		return t.endChannel(e.Channel, in, place, now)
	default:
		return fmt.Errorf("input channel %d: control %v", e.Channel, e.Control.Kind)
	}
}

// pass tells the operator what has become of its input.
func (in *input) pass(c watermerge.Change) error {
	if c.Active {
		if err := in.port.Status(false); err != nil {
			return err
		}
	}
	if c.Advanced {
		if err := in.port.Watermark(c.Watermark); err != nil {
			return err
		}
	}
	if c.Idle {
		if err := in.port.Status(true); err != nil {
			return err
		}
	}
	if c.Ended {
		return in.port.End()
	}
	return nil
}

// endChannel takes the end of a channel. A checkpoint that waited for this channel alone is taken before the end of the
// last channel goes on: the barrier must not come behind the end.
func (t *subtask) endChannel(channel int, in *input, place int, now time.Time) error {
	if err := t.decide(channel, t.aligner.End(channel, now)); err != nil {
		return err
	}
	if err := in.pass(in.merger.End(place)); err != nil {
		return err
	}
	if t.aligner.Ended() {
		t.inputEnded()
	}
	return nil
}

// idle makes use of the time when there is nothing to do: what is gathered goes out, the snapshot goes on. With neither
// left, the task ends or waits.
func (t *subtask) idle() (finished bool, err error) {
	if err := t.flush(); err != nil {
		return false, err
	}
	if t.scan != nil && t.stepScan() {
		return false, nil
	}
	if t.complete() {
		return true, nil
	}
	t.wait()
	return false, nil
}

// flush sends what is gathered.
func (t *subtask) flush() error {
	t.unsent = time.Time{}
	for _, o := range t.outputs {
		if !o.Pending() {
			continue
		}
		if err := o.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// capBuffers flushes what has been gathered for the buffer timeout, for a task that is never idle.
func (t *subtask) capBuffers(now time.Time) error {
	if !t.unsent.IsZero() {
		if now.Sub(t.unsent) >= t.config.BufferTimeout {
			return t.flush()
		}
		return nil
	}
	for _, o := range t.outputs {
		if o.Pending() {
			t.unsent = now
			return nil
		}
	}
	return nil
}

// tick calls the operators that want it, and looks.
func (t *subtask) tick(now time.Time) error {
	woken := t.mail.ticks.Load() && t.mail.ticks.Swap(false)
	for _, s := range t.steps {
		due := !s.wakeAt.IsZero() && !s.wakeAt.After(now)
		if due {
			s.wakeAt = time.Time{}
		}
		if woken && s.woken.Swap(false) || due {
			if err := s.op.Tick(now); err != nil {
				return err
			}
		}
	}
	t.look(now)
	return nil
}

// look looks after what is done about once a second.
func (t *subtask) look(now time.Time) {
	if now.Before(t.secondly) {
		return
	}
	t.secondly = now.Add(time.Second)
	t.publishSizes()
	if t.ledger == nil {
		return
	}
	if from, missing := t.ledger.Missing(); missing {
		t.config.Reporter.MissingAssignments(t.config.Attempt, from)
	}
}

// wait returns when something has come, or something is due. That time is idle.
func (t *subtask) wait() {
	t.beginIdle(t.clock.Now())
	t.sleep()
	t.endIdle(t.clock.Now())
}

func (t *subtask) sleep() {
	now := t.clock.Now() // the flush before may have waited for credit
	t.timer.Stop()
	var due <-chan time.Time
	if at := t.nextDue(); !at.IsZero() {
		t.timer.Reset(max(time.Millisecond, at.Sub(now)))
		due = t.timer.C()
	}
	select {
	case <-t.mail.wake:
	case <-due:
	}
}

// nextDue is when the task has to wake by itself; zero for never. What is looked after once a second waits as long as
// nothing changes: a task that is idle sleeps.
func (t *subtask) nextDue() time.Time {
	var next time.Time
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if !t.crowded() {
		for _, s := range t.steps {
			if !s.wakeAt.IsZero() {
				sooner(s.wakeAt)
			}
		}
	}
	if t.restless() {
		sooner(t.secondly)
	}
	return next
}
