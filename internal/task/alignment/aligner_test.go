// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package alignment_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/task/alignment"
)

// item is one thing in a channel: a barrier, a record, or the end.
type item struct {
	kind element.Kind // None is a record
	id   int64
}

// pipes are the channels of a task, and the plain truth about them: what was taken of each.
type pipes struct {
	queues  [][]item
	taken   []int
	blocked []bool
}

// draw fills the channels: all have the barriers 1 to n in order, but each may have given up some of them, and may end
// early.
func draw(t *rapid.T) (*pipes, int64) {
	channels := rapid.IntRange(1, 4).Draw(t, "channels")
	n := int64(rapid.IntRange(1, 5).Draw(t, "barriers"))
	p := &pipes{taken: make([]int, channels), blocked: make([]bool, channels)}
	for range channels {
		var q []item
		last := rapid.Int64Range(0, n).Draw(t, "last barrier")
		for id := int64(1); id <= last; id++ {
			for range rapid.IntRange(0, 2).Draw(t, "records") {
				q = append(q, item{})
			}
			if rapid.IntRange(0, 5).Draw(t, "gives up") > 0 {
				q = append(q, item{element.Barrier, id})
			}
		}
		p.queues = append(p.queues, append(q, item{kind: element.EndOfInput}))
	}
	return p, n
}

// at is the place of the barrier in a channel, or of its end.
func (p *pipes) at(channel int, id int64) (place int, brought bool) {
	i := slices.Index(p.queues[channel], item{element.Barrier, id})
	if i < 0 {
		return len(p.queues[channel]) - 1, false
	}
	return i, true
}

// passedBy reports whether a newer barrier, but not this one, is in a channel.
func (p *pipes) passedBy(id int64) bool {
	for c, q := range p.queues {
		_, brought := p.at(c, id)
		newer := slices.ContainsFunc(q, func(x item) bool { return x.kind == element.Barrier && x.id > id })
		if !brought && newer {
			return true
		}
	}
	return false
}

// nobody reports whether no channel brings the barrier.
func (p *pipes) nobody(id int64) bool {
	for c := range p.queues {
		if _, brought := p.at(c, id); brought {
			return false
		}
	}
	return true
}

// TestCuts lets channels move in any order that blocking allows. Every checkpoint that is taken must be a clean cut: of
// each channel all before the barrier was taken and, exactly once, nothing behind it. Those that no channel passed by
// must be taken, the others declined or never seen, each once, and nothing is blocked in the end.
func TestCuts(t *testing.T) {
	for _, flags := range []element.BarrierFlags{0, element.AtLeastOnce} {
		rapid.Check(t, func(t *rapid.T) {
			p, n := draw(t)
			a := alignment.New(len(p.queues))
			taken, declined := map[int64]int{}, map[int64]int{}
			act := func(channel int, d alignment.Decision) {
				for _, id := range d.Canceled {
					declined[id]++
				}
				if d.Unblock {
					clear(p.blocked)
				}
				if d.Block {
					p.blocked[channel] = true
				}
				for _, c := range d.Complete {
					taken[c.Barrier.ID]++
					p.checkCut(t, c.Barrier)
				}
			}
			for p.left() {
				c := rapid.SampledFrom(p.movable(t)).Draw(t, "channel")
				x := p.queues[c][p.taken[c]]
				p.taken[c]++
				switch x.kind {
				case element.Barrier:
					act(c, a.Barrier(c, element.CheckpointBarrier{ID: x.id, Flags: flags}, time.Time{}))
				case element.EndOfInput:
					act(c, a.End(c, time.Time{}))
				default: // a record
				}
			}
			if !a.Ended() {
				t.Fatal("not ended")
			}
			for id := int64(1); id <= n; id++ {
				wantTaken := !p.passedBy(id) && !p.nobody(id)
				if taken[id] > 1 || declined[id] > 1 || taken[id] == 1 != wantTaken || taken[id]+declined[id] > 1 {
					t.Fatalf("checkpoint %d was taken %d and declined %d times; passed by: %v, in no channel: %v",
						id, taken[id], declined[id], p.passedBy(id), p.nobody(id))
				}
			}
		})
	}
}

func (p *pipes) left() bool {
	for c := range p.queues {
		if p.taken[c] < len(p.queues[c]) {
			return true
		}
	}
	return false
}

// movable are the channels that bring something; there must be one.
func (p *pipes) movable(t *rapid.T) []int {
	var all []int
	for c := range p.queues {
		if !p.blocked[c] && p.taken[c] < len(p.queues[c]) {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		t.Fatalf("all channels are blocked: %v, taken %v", p.blocked, p.taken)
	}
	return all
}

func (p *pipes) checkCut(t *rapid.T, b element.CheckpointBarrier) {
	for c := range p.queues {
		at, _ := p.at(c, b.ID)
		exact := p.taken[c] == at+1
		if !exact && (!b.Flags.Has(element.AtLeastOnce) || p.taken[c] <= at) {
			t.Fatalf("checkpoint %d: channel %d was taken up to %d, its barrier or end is %d", b.ID, c, p.taken[c], at)
		}
	}
}

func TestAbortedAreForgottenBeyondBound(t *testing.T) {
	a := alignment.New(1)
	for id := range int64(1000) {
		a.Abort(id + 1)
	}
	var b element.CheckpointBarrier
	if b.ID = 1000; len(a.Barrier(0, b, time.Time{}).Complete) != 0 {
		t.Error("a checkpoint that was aborted lately is taken")
	}
	if b.ID = 1001; len(a.Barrier(0, b, time.Time{}).Complete) != 1 {
		t.Error("the next checkpoint is not taken")
	}
}
