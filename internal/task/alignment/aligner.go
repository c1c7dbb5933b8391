// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package alignment

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
)

// abortedMax bounds the aborted checkpoints that are remembered because their barriers may still come. Of more, the
// oldest is forgotten: should its barrier come, it is aligned until a newer one cancels it.
const abortedMax = 64

// Decision is what an event leads to. The task acts in the order of the fields.
type Decision struct {
	// Canceled are checkpoints that can't be aligned any more, oldest first. They are declined.
	Canceled []int64
	// Unblock says that all channels are let through, Block that the channel of the event is not.
	Unblock, Block bool
	// Complete are the checkpoints whose barriers have all come, oldest first.
	Complete []Complete
}

// Complete is a checkpoint to be taken now.
type Complete struct {
	Barrier element.CheckpointBarrier
	// Align is the time since its first barrier came in.
	Align time.Duration
}

// Aligner counts the barriers of one task.
type Aligner struct {
	ended []bool
	// live is the number of channels that have not ended.
	live int
	// pending are the checkpoints that barriers are missing of, by rising id. Invariant: each misses at least one, and at
	// most one of them blocks channels.
	pending []pending
	// seen is the highest checkpoint of which anything came. Lower ones that are not pending are over: a channel has
	// passed them by.
	seen int64
	// aborted are checkpoints above seen whose barriers are ignored, by rising id.
	aborted []int64
	// heard is the newest checkpoint that was announced, and when.
	heard struct {
		id int64
		at time.Time
	}
}

type pending struct {
	barrier element.CheckpointBarrier
	// came has the channels that brought the barrier; missing counts those that neither did nor ended.
	came    []bool
	missing int
	since   time.Time
}

func (p *pending) blocks() bool { return !p.barrier.Flags.Has(element.AtLeastOnce) }

// New makes the aligner of a task with that many channels.
func New(channels int) *Aligner { return &Aligner{ended: make([]bool, channels), live: channels} }

// Ended reports whether all channels have ended.
func (a *Aligner) Ended() bool { return a.live == 0 }

// Announce takes note that a barrier is on its way in a channel: alignment is timed from the first announcement. It
// decides nothing: it is there for checkpoints whose barriers overtake records.
func (a *Aligner) Announce(id int64, now time.Time) {
	if id > a.heard.id && id > a.seen {
		a.heard.id, a.heard.at = id, now
	}
}

// Barrier takes the barrier that a channel brought.
func (a *Aligner) Barrier(channel int, b element.CheckpointBarrier, now time.Time) Decision {
	invariants.Check(!a.ended[channel], "barrier %d of channel %d after its end", b.ID, channel)
	var d Decision
	a.passBy(channel, b.ID, &d)
	p := a.begin(b, now)
	if p == nil || p.came[channel] {
		return d
	}
	p.came[channel] = true
	p.missing--
	if p.missing > 0 {
		d.Block = p.blocks()
		return d
	}
	a.complete(now, &d)
	return d
}

// Trigger starts a checkpoint at the task itself: it is complete when all channels have ended, or brought its barrier.
func (a *Aligner) Trigger(b element.CheckpointBarrier, now time.Time) Decision {
	var d Decision
	a.begin(b, now)
	a.complete(now, &d)
	return d
}

// End takes the end of a channel, which stands for all barriers that it has not brought.
func (a *Aligner) End(channel int, now time.Time) Decision {
	invariants.Check(!a.ended[channel], "second end of channel %d", channel)
	a.ended[channel] = true
	a.live--
	for i := range a.pending {
		if p := &a.pending[i]; !p.came[channel] {
			p.missing--
		}
	}
	var d Decision
	a.complete(now, &d)
	return d
}

// Abort takes the notice that a checkpoint will not complete. It is not declined: who sent the notice knows.
func (a *Aligner) Abort(id int64) Decision {
	var d Decision
	if i := slices.IndexFunc(a.pending, func(p pending) bool { return p.barrier.ID == id }); i >= 0 {
		a.drop(i, &d)
		return d
	}
	if i, found := slices.BinarySearch(a.aborted, id); id > a.seen && !found {
		a.aborted = slices.Insert(a.aborted, i, id)
		if len(a.aborted) > abortedMax {
			a.aborted = slices.Delete(a.aborted, 0, 1)
		}
	}
	return d
}

// AbortBelow takes the notice that no checkpoint below an id will complete that has not by now.
func (a *Aligner) AbortBelow(id int64) Decision {
	var d Decision
	for i := 0; i < len(a.pending); {
		if a.pending[i].barrier.ID < id {
			a.drop(i, &d)
			continue
		}
		i++
	}
	a.seen = max(a.seen, id-1)
	a.aborted = slices.DeleteFunc(a.aborted, func(x int64) bool { return x < id })
	return d
}

// begin returns the pending checkpoint of a barrier, which is made by the first one; nil if it is over or aborted.
func (a *Aligner) begin(b element.CheckpointBarrier, now time.Time) *pending {
	if i := slices.IndexFunc(a.pending, func(p pending) bool { return p.barrier.ID == b.ID }); i >= 0 {
		return &a.pending[i]
	}
	if b.ID <= a.seen {
		return nil
	}
	a.seen = b.ID
	n, aborted := slices.BinarySearch(a.aborted, b.ID)
	if aborted {
		n++
	}
	a.aborted = slices.Delete(a.aborted, 0, n)
	if aborted {
		return nil
	}
	since := now
	if a.heard.id == b.ID {
		since = a.heard.at
	}
	a.pending = append(a.pending, pending{
		barrier: b, came: make([]bool, len(a.ended)), missing: a.live, since: since,
	})
	return &a.pending[len(a.pending)-1]
}

// passBy cancels the older checkpoints whose barrier the channel has not brought.
func (a *Aligner) passBy(channel int, id int64, d *Decision) {
	for i := 0; i < len(a.pending); {
		p := &a.pending[i]
		if p.barrier.ID >= id || p.came[channel] {
			i++
			continue
		}
		d.Canceled = append(d.Canceled, p.barrier.ID)
		a.drop(i, d)
	}
}

// complete takes out the checkpoints that miss nothing any more.
func (a *Aligner) complete(now time.Time, d *Decision) {
	for i := 0; i < len(a.pending); {
		p := &a.pending[i]
		if p.missing > 0 {
			i++
			continue
		}
		d.Complete = append(d.Complete, Complete{Barrier: p.barrier, Align: now.Sub(p.since)})
		a.drop(i, d)
	}
}

// drop takes a checkpoint out of those that are pending, and frees the channels that it blocked.
func (a *Aligner) drop(i int, d *Decision) {
	p := &a.pending[i]
	if p.blocks() && slices.Contains(p.came, true) {
		d.Unblock = true
	}
	a.pending = slices.Delete(a.pending, i, i+1)
}
