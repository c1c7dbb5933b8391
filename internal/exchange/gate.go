// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// Gate is the input of one subtask: all its channels, of all its inputs. Many producers put into it; the task alone takes
// out, blocks channels and releases. Each channel keeps its order, control included; channels take turns, an event each.
type Gate struct {
	signal   func()
	announce func(channel int, barrier element.CheckpointBarrier)
	// taken counts the batches that the task was handed and has not released.
	taken atomic.Int64

	mu struct {
		sync.Mutex
		inlets []inlet
		slab   slab
		// first and last are the ends of the list of ready channels, plus one. Invariant: a channel that is neither blocked
		// nor empty is in it. Blocked ones may be, and leave it when their turn comes.
		first, last int32
		// queued counts the batches in the slab, bytes what has come in batches so far.
		queued int
		bytes  int64
		// parked is set while the task knows the gate as empty: the next event calls signal.
		parked bool
		closed bool
		// failure is the first loss of a producer, which overtakes all that is queued.
		failure *Event
	}
}

// inlet is the receiving end of a channel.
type inlet struct {
	queue queue
	// next is the channel behind this one in the list of ready channels, plus one.
	next  int32
	input int32
	// listed: in the list of ready channels; ended: nothing comes any more, and no loss matters.
	listed, blocked, ended bool
	// from is set when the channel is connected, and changes only before its first event.
	from origin
}

// origin is the other end of a channel, as a gate sees it.
type origin interface {
	// released gives the credit of one batch back; called by the task.
	released()
	// gone tells that the gate was closed.
	gone()
}

// GateOptions are the hooks of a Gate. The zero value has none.
type GateOptions struct {
	// Announce, if set, hears of each barrier when it comes in, before its turn. It is called by a goroutine that sends,
	// and must not block.
	Announce func(channel int, barrier element.CheckpointBarrier)
}

// NewGate makes a gate with one channel for each element of inputs, which says what input of the operator the channel
// belongs to. signal is called, without a lock and from any goroutine, when an event is there for a task that was told
// by Next that there is none; it must not block.
func NewGate(inputs []int, signal func(), o GateOptions) *Gate {
	g := &Gate{signal: signal, announce: o.Announce}
	g.mu.inlets = make([]inlet, len(inputs))
	for i, input := range inputs {
		g.mu.inlets[i].input = int32(input)
	}
	g.mu.parked = true
	return g
}

// Channels is the number of channels, and Input the input that one of them belongs to.
func (g *Gate) Channels() int { return len(g.mu.inlets) }

// Input returns the input of the operator that a channel belongs to.
func (g *Gate) Input(channel int) int { return int(g.mu.inlets[channel].input) }

// Next returns the next event of a channel that is not blocked, or false when there is none: then signal will be called.
// It never waits. A batch must be given back by Release.
func (g *Gate) Next() (Event, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.mu.failure; e != nil && !g.mu.closed {
		g.mu.failure = nil
		return *e, true
	}
	for g.mu.first != 0 {
		at := g.mu.first
		in := &g.mu.inlets[at-1]
		g.mu.first, in.next, in.listed = in.next, 0, false
		if g.mu.first == 0 {
			g.mu.last = 0
		}
		if in.blocked || in.queue.empty() {
			continue
		}
		b, c := g.mu.slab.pop(&in.queue)
		if !in.queue.empty() {
			g.listLocked(at, in)
		}
		if b != nil {
			g.mu.queued--
			g.taken.Add(1)
		}
		return Event{Channel: int(at - 1), Input: int(in.input), Batch: b, Control: c}, true
	}
	g.mu.parked = true
	return Event{}, false
}

// Release gives the batch of an event back, and with it the credit to its sender. It does nothing for control alone.
func (g *Gate) Release(e Event) {
	if e.Batch == nil {
		return
	}
	e.Batch.Release()
	g.taken.Add(-1)
	// No lock: from was set before the batch came in, and stays.
	g.mu.inlets[e.Channel].from.released()
}

// Block withholds the events of a channel until Unblock or UnblockAll; they stay in order.
func (g *Gate) Block(channel int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.inlets[channel].blocked = true
}

// Unblock lets the events of a channel through again.
func (g *Gate) Unblock(channel int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unblockLocked(int32(channel + 1))
}

// UnblockAll lets the events of all channels through again.
func (g *Gate) UnblockAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.mu.inlets {
		g.unblockLocked(int32(i + 1))
	}
}

func (g *Gate) unblockLocked(at int32) {
	in := &g.mu.inlets[at-1]
	if !in.blocked {
		return
	}
	in.blocked = false
	if !in.queue.empty() {
		g.listLocked(at, in)
	}
}

// listLocked puts a channel at the end of the list of ready ones.
func (g *Gate) listLocked(at int32, in *inlet) {
	if in.listed {
		return
	}
	in.listed = true
	if g.mu.last == 0 {
		g.mu.first = at
	} else {
		g.mu.inlets[g.mu.last-1].next = at
	}
	g.mu.last = at
}

// InFlight returns the batches that are queued on a channel ahead of the barrier of a checkpoint, or all where it has not
// come. The caller gets a hold on each, so that they are not changed, and releases them.
func (g *Gate) InFlight(channel int, checkpoint int64) []element.Any {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batches []element.Any
	g.mu.slab.before(&g.mu.inlets[channel].queue, checkpoint, func(b element.Any) {
		b.Hold()
		batches = append(batches, b)
	})
	return batches
}

// Queued is the number of batches that wait for the task, and InUse that number and the batches that it works on: what
// is used of Channels times the credit of a channel. They may be called from any goroutine.
func (g *Gate) Queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.queued
}

// InUse is the number of batches that occupy credit of the channels.
func (g *Gate) InUse() int { return g.Queued() + int(g.taken.Load()) }

// Close releases what is queued and tells all producers that nobody takes any more. Next returns nothing afterwards;
// batches handed out before are released as ever.
func (g *Gate) Close() {
	g.mu.Lock()
	if g.mu.closed {
		g.mu.Unlock()
		return
	}
	g.mu.closed = true
	var batches []element.Any
	var origins []origin
	for i := range g.mu.inlets {
		in := &g.mu.inlets[i]
		batches = append(batches, g.mu.slab.drop(&in.queue)...)
		if in.from != nil {
			origins = append(origins, in.from)
		}
	}
	g.mu.first, g.mu.last, g.mu.queued = 0, 0, 0
	g.mu.Unlock()
	for _, b := range batches {
		b.Release()
	}
	for _, o := range origins {
		o.gone()
	}
}

// Bytes is how many bytes have come in batches, as Partition.Bytes counts them. It may be called from any goroutine.
func (g *Gate) Bytes() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.bytes
}

// push puts a batch, of a number of bytes, a control or both into a channel. It takes over one hold on b, whatever it
// returns.
func (g *Gate) push(channel int, b element.Any, c element.Control, bytes int64) error {
	g.mu.Lock()
	if g.mu.closed {
		g.mu.Unlock()
		if b != nil {
			b.Release()
		}
		return ErrClosed
	}
	wake := g.pushLocked(channel, b, c, bytes)
	g.mu.Unlock()
	g.tell(channel, c, wake)
	return nil
}

// pushLocked reports whether the task has to be signalled.
func (g *Gate) pushLocked(channel int, b element.Any, c element.Control, bytes int64) bool {
	in := &g.mu.inlets[channel]
	g.mu.slab.push(&in.queue, b, c)
	if b != nil {
		g.mu.queued++
		g.mu.bytes += bytes
	}
	if c.Kind == element.EndOfInput {
		in.ended = true
	}
	if in.blocked || in.queue.empty() {
		return false
	}
	g.listLocked(int32(channel+1), in)
	return g.unparkLocked()
}

func (g *Gate) unparkLocked() bool {
	was := g.mu.parked
	g.mu.parked = false
	return was
}

// tell calls the hooks that what was pushed asks for.
func (g *Gate) tell(channel int, c element.Control, wake bool) {
	if c.Kind == element.Barrier && g.announce != nil {
		g.announce(channel, c.Checkpoint)
	}
	if wake {
		g.signal()
	}
}

// bind sets the other end of a channel, and reports whether the gate is open.
func (g *Gate) bind(channel int, from origin) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return false
	}
	g.mu.inlets[channel].from = from
	return true
}

// adopt is bind for the end of a partition, which may have something queued already that moves into the gate. What it returns
// is called once no lock is held; it is nil when the gate is closed.
func (g *Gate) adopt(channel int, from *subpartition) (tell func()) {
	s, q := &from.p.mu.slab, &from.queue
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return nil
	}
	g.mu.inlets[channel].from = from
	if q.empty() {
		return func() {}
	}
	wake := false
	var barriers []element.Control
	for !q.empty() {
		b, c := s.pop(q)
		var bytes int64
		if b != nil {
			bytes = from.p.sizing.estimate(b)
			from.p.bytes.Add(bytes)
		}
		if g.pushLocked(channel, b, c, bytes) {
			wake = true
		}
		if c.Kind == element.Barrier {
			barriers = append(barriers, c)
		}
	}
	return func() {
		for _, c := range barriers {
			g.tell(channel, c, false)
		}
		g.tell(channel, element.Control{}, wake)
	}
}

// fail makes the loss of a producer the next event, unless the channel has ended.
func (g *Gate) fail(channel int, err error) {
	g.mu.Lock()
	in := &g.mu.inlets[channel]
	if g.mu.closed || in.ended {
		g.mu.Unlock()
		return
	}
	in.ended = true
	if g.mu.failure == nil {
		g.mu.failure = &Event{Channel: channel, Input: int(in.input), Err: err}
	}
	wake := g.unparkLocked()
	g.mu.Unlock()
	if wake {
		g.signal()
	}
}
