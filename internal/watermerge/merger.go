// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package watermerge decides how far the event time of a step has come, from what its inputs say. It is a pure core: the
// task drives one over the channels of an input, an operator with several inputs one over those.
//
// A channel is live, idle, done (it sent the end of time) or ended. The watermark is the least of the live channels:
//
//	      Watermark                    Idle                  MaxWatermark          End
//	live ----------> live      live ---------> idle    any -------------> done    any -----> ended
//	                           live <--------- idle
//	                                 Active
//
// A channel that comes back from idleness behind the watermark does not hold it until it has caught up. When the last
// live channel goes idle, the result is idle too, and the watermark moves to the furthest of the idle channels, since
// none of them will move it. The end of time is passed on when every channel has sent it; a channel that ended without
// it, or is idle, never stands for it.
//
// Non-obvious: a done channel is out of the minimum, so that done and idle together are idle, not the end of time.
// Watermarks of an idle channel are dropped, but for the end of time. Channels move in step, so the minimum is looked
// for once a round, not once a watermark: only when no live channel stands at it any more.
package watermerge

import (
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
)

// Change is what an event has changed, in the order in which it is to be passed on.
type Change struct {
	// Active says that the result is idle no longer.
	Active bool
	// Advanced says that the watermark moved, to Watermark.
	Advanced  bool
	Watermark int64
	// Idle says that the result went idle.
	Idle bool
	// Ended says that all channels have ended.
	Ended bool
}

// Merger merges the event time of a fixed number of channels.
type Merger struct {
	channels []channel
	// at is the watermark that was passed on last; it never goes back.
	at   int64
	idle bool
	// live counts the channels in the minimum, holding those of them that stand at it.
	// Invariant: live > 0 implies holding > 0, between events.
	live, holding int
	done, ended   int
}

type channel struct {
	at                int64
	idle, done, ended bool
	// behind is set while the channel, back from idleness, has not caught up. Invariant: behind == (at < Merger.at)
	// for a channel that is neither idle, done nor ended.
	behind bool
}

func (c *channel) live() bool { return !c.idle && !c.done && !c.ended && !c.behind }

// New makes the merger of n channels, all of them live and without a watermark.
func New(n int) *Merger {
	m := &Merger{channels: make([]channel, n), at: element.MinWatermark, live: n, holding: n}
	for i := range m.channels {
		m.channels[i].at = element.MinWatermark
	}
	return m
}

// At returns the watermark that was passed on last.
func (m *Merger) At() int64 { return m.at }

// Idle reports whether all channels that could move the watermark are idle.
func (m *Merger) Idle() bool { return m.idle }

// Holder returns the first channel that holds the watermark back, or -1 if none does.
func (m *Merger) Holder() int {
	for i := range m.channels {
		if c := &m.channels[i]; c.live() && c.at == m.at {
			return i
		}
	}
	return -1
}

// Watermark advances a channel; one that goes back is ignored.
func (m *Merger) Watermark(ch int, at int64) Change {
	c := &m.channels[ch]
	invariants.Check(!c.ended, "watermark of channel %d after its end", ch)
	switch {
	case c.done || c.ended || at <= c.at:
		return Change{}
	case at == element.MaxWatermark:
		flush := m.leave(c)
		c.done, c.idle, c.behind = true, false, false
		m.done++
		return m.settle(flush)
	case c.idle:
		return Change{}
	case c.behind:
		c.at = at
		if c.behind = at < m.at; !c.behind {
			m.join(c)
		}
	default:
		if c.at == m.at {
			m.holding--
		}
		c.at = at
	}
	return m.settle(false)
}

// Status takes a channel out of the minimum, or back in.
func (m *Merger) Status(ch int, idle bool) Change {
	c := &m.channels[ch]
	if c.done || c.ended || c.idle == idle {
		return Change{}
	}
	if idle {
		flush := m.leave(c)
		c.idle, c.behind = true, false
		return m.settle(flush)
	}
	c.idle = false
	if c.behind = c.at < m.at; !c.behind {
		m.join(c)
	}
	return m.settle(false)
}

// End takes a channel out for good.
func (m *Merger) End(ch int) Change {
	c := &m.channels[ch]
	if c.ended {
		return Change{}
	}
	flush := m.leave(c)
	c.ended, c.idle, c.behind = true, false, false
	m.ended++
	return m.settle(flush)
}

// leave takes c out of the minimum, before its state says so, and reports whether it stood at it.
func (m *Merger) leave(c *channel) (held bool) {
	if !c.live() {
		return false
	}
	m.live--
	if c.at == m.at {
		m.holding--
		return true
	}
	return false
}

// join takes c into the minimum, after its state says so.
func (m *Merger) join(c *channel) {
	m.live++
	if c.at == m.at {
		m.holding++
	}
}

// settle finds out what is to be passed on. flush says that the channel that just left held the watermark.
func (m *Merger) settle(flush bool) Change {
	var ch Change
	idle := false
	switch {
	case m.live > 0:
		if m.holding == 0 {
			m.advance(&ch, m.least())
		}
	case m.done == len(m.channels):
		m.advance(&ch, element.MaxWatermark)
	default:
		var furthest int64
		idle, furthest = m.allIdle()
		if idle && flush {
			m.advance(&ch, furthest)
		}
	}
	ch.Ended = m.ended == len(m.channels)
	if ch.Ended {
		idle = m.idle && !ch.Advanced
	}
	if idle != m.idle {
		ch.Idle, ch.Active = idle, !idle
		m.idle = idle
	}
	return ch
}

// advance moves the watermark, if that is further.
func (m *Merger) advance(ch *Change, at int64) {
	if at <= m.at {
		return
	}
	ch.Advanced, ch.Watermark = true, at
	m.at = at
	m.holding = 0
	for i := range m.channels {
		c := &m.channels[i]
		if c.live() && c.at == at {
			m.holding++
		}
	}
}

// least returns the least watermark of the live channels.
func (m *Merger) least() int64 {
	least := int64(element.MaxWatermark)
	for i := range m.channels {
		if c := &m.channels[i]; c.live() {
			least = min(least, c.at)
		}
	}
	return least
}

// allIdle reports whether there are idle channels and no others that could move the watermark; furthest is the latest
// watermark of a channel that did not send the end of time.
func (m *Merger) allIdle() (idle bool, furthest int64) {
	furthest = element.MinWatermark
	for i := range m.channels {
		c := &m.channels[i]
		if c.behind {
			return false, furthest
		}
		idle = idle || c.idle
		if !c.done {
			furthest = max(furthest, c.at)
		}
	}
	return idle, furthest
}
