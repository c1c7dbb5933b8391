// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector

import (
	"math"
	"time"
)

const (
	// paceSlice is how much of its rate a reader hands out at once: timers are too coarse to pace single rows.
	paceSlice = 10 * time.Millisecond
	// paceBehind is how much a reader that was held up may catch up at once.
	paceBehind = 100 * time.Millisecond
)

// Pacer holds a reader to its share of the rate of a source, without waiting: it asks the task to call again when rows
// are due. It is used by the task's goroutine, apart from Slice. A nil Pacer lets everything pass.
type Pacer struct {
	rt   RuntimeContext
	rows float64
	// slice bounds the rows that are handed out at once.
	slice float64
	// every is the time between two rows, in nanoseconds.
	every float64
	// due is when the next row may go out; zero before the first.
	due time.Time
}

// NewPacer gives each reader an equal share of rows a second, until Share says otherwise; it returns nil, no limit, where
// rows is not positive.
func NewPacer(rt RuntimeContext, rows float64) *Pacer {
	if !(rows > 0) {
		return nil
	}
	p := &Pacer{rt: rt, rows: rows}
	p.Share(rt.Parallelism())
	p.slice = max(1, float64(paceSlice)/p.every)
	return p
}

// Share divides the rate among that many readers from now on: those that have something to read, where that is known.
func (p *Pacer) Share(readers int) {
	if p != nil {
		p.every = float64(time.Second) * float64(max(1, readers)) / p.rows
	}
}

// Slice bounds the size of a batch, so that rows come evenly. It may be called from any goroutine.
func (p *Pacer) Slice(rows int) int {
	if p == nil {
		return rows
	}
	return int(min(float64(rows), p.slice))
}

// Due returns how many rows may be handed out now. If none may, Poll returns ErrWait: the task will call again.
func (p *Pacer) Due() int {
	if p == nil {
		return math.MaxInt
	}
	now := p.rt.Now()
	if p.due.IsZero() {
		p.due = now
	}
	if oldest := now.Add(-paceBehind); p.due.Before(oldest) {
		p.due = oldest
	}
	if p.due.After(now) {
		wake := p.due
		if soonest := now.Add(paceSlice); p.every < float64(paceSlice) && wake.Before(soonest) {
			wake = soonest // a fast source is not woken for each batch; it makes up for the rest of the slice
		}
		p.rt.WakeAt(wake)
		return 0
	}
	behind := float64(now.Sub(p.due)) / p.every
	return p.Slice(math.MaxInt32) + int(min(behind, math.MaxInt32))
}

// Took counts rows that were handed out; more than were due are made up for by a longer wait.
func (p *Pacer) Took(rows int) {
	if p != nil && rows > 0 {
		p.due = p.due.Add(time.Duration(float64(rows) * p.every))
	}
}
