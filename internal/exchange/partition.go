// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// Partition is what one attempt of a subtask produces for one out edge: a channel to each consumer. The producing task
// sends; consumers attach when they come, and what is sent before waits within the credit of its channel.
//
//	running --Finish--> finished --all taken--> released
//	   +-----------------Release------------------^
type Partition struct {
	id      PartitionID
	serde   Serde
	credits uint32
	// forget takes the partition out of the registry; called once, without a lock.
	forget func(*Partition)
	subs   []subpartition
	// wake is how whoever gives credit, or ends the partition, reaches the producer that waits for it.
	wake     chan struct{}
	released atomic.Bool
	// bytes counts what went out, as frames; sizing knows about how large those are that are never made.
	bytes  atomic.Int64
	sizing sizing

	mu struct {
		sync.Mutex
		// slab holds what no consumer has taken.
		slab     slab
		finished bool
		released bool
		// open counts the channels whose end no consumer was given yet.
		open int
		// lost says why consumers left that did not do so in good order.
		lost map[*subpartition]error
	}
}

// subpartition is the producing end of a channel. It is in one of three modes, and leaves the first for good: nobody
// attached, attached to a gate of this process, attached to a stream of a connection.
type subpartition struct {
	p *Partition
	// gate is set while p.mu is held and read without.
	gate    atomic.Pointer[Gate]
	channel int32
	// stream and queue are guarded by p.mu; queue is used until gate is set.
	stream *outStream
	queue  queue
	// sent is the number of batches sent, ended tells that the end was: the producer alone writes them.
	sent atomic.Uint32
	// given is the number of batches that the consumer has released. Invariant: 0 <= sent-given <= credits.
	given   atomic.Uint32
	waiting atomic.Bool
	ended   bool
	// left is set when the consumer is gone.
	left atomic.Bool
	// opened, guarded by p.mu, is set while the channel counts in p.mu.open.
	opened bool
}

var (
	_ Sender = (*subpartition)(nil)
	_ origin = (*subpartition)(nil)
)

func newPartition(id PartitionID, consumers int, serde Serde, credits int, forget func(*Partition)) *Partition {
	p := &Partition{id: id, serde: serde, credits: uint32(credits), forget: forget, wake: make(chan struct{}, 1)}
	p.sizing.serde = serde
	p.subs = make([]subpartition, consumers)
	for i := range p.subs {
		p.subs[i].p = p
		p.subs[i].opened = true
	}
	p.mu.open = consumers
	return p
}

// ID is the name by which consumers find the partition.
func (p *Partition) ID() PartitionID { return p.id }

// Senders returns the channels, in the order of the consumers.
func (p *Partition) Senders() []Sender {
	senders := make([]Sender, len(p.subs))
	for i := range p.subs {
		senders[i] = &p.subs[i]
	}
	return senders
}

// Finish is called by the producing task after it has sent the end of input on every channel: nothing follows, and the
// partition goes once the last consumer has come and been given what waits for it. Without the end of a channel it is
// Release.
func (p *Partition) Finish() {
	for i := range p.subs {
		if !p.subs[i].ended {
			p.Release()
			return
		}
	}
	p.mu.Lock()
	p.mu.finished = true
	done := p.mu.open == 0
	p.mu.Unlock()
	if done {
		p.Release()
	}
}

// Release ends the partition now, from any goroutine: senders return ErrClosed, what waits is dropped, and consumers
// that were not given the end of their channel hear that the producer is lost. It is idempotent.
func (p *Partition) Release() {
	p.mu.Lock()
	if p.mu.released {
		p.mu.Unlock()
		return
	}
	p.mu.released = true
	p.released.Store(true)
	var batches []element.Any
	var streams []*outStream
	for i := range p.subs {
		s := &p.subs[i]
		batches = append(batches, p.mu.slab.drop(&s.queue)...)
		if s.stream != nil && s.opened {
			streams = append(streams, s.stream)
		}
	}
	p.mu.Unlock()
	p.poke()
	p.forget(p)
	for _, b := range batches {
		b.Release()
	}
	err := fmt.Errorf("producer of partition %v ended without the end of its output: %w", p.id, ErrLost)
	for _, o := range streams {
		o.fail(err)
	}
	for i := range p.subs { // nobody attaches to a released partition; a gate knows which of its channels have ended
		if g := p.subs[i].gate.Load(); g != nil {
			g.fail(int(p.subs[i].channel), err)
		}
	}
}

// channel returns the producing end of a channel.
func (p *Partition) channel(subpartition int) (*subpartition, error) {
	if subpartition < 0 || subpartition >= len(p.subs) {
		return nil, fmt.Errorf("partition %v has no channel %d: %w", p.id, subpartition, ErrLost)
	}
	return &p.subs[subpartition], nil
}

// attachGate connects a channel to a gate of this process.
func (p *Partition) attachGate(subpartition int, g *Gate, channel int) error {
	s, err := p.channel(subpartition)
	if err != nil {
		return err
	}
	return s.attachGate(g, channel)
}

// InUse is the number of batches that occupy credit: what is used of the number of channels times the credit of one. It
// may be called from any goroutine.
func (p *Partition) InUse() int {
	n := 0
	for i := range p.subs {
		given := p.subs[i].given.Load() // first: it never overtakes sent
		n += int(p.subs[i].sent.Load() - given)
	}
	return n
}

// Bytes is how many bytes went out in batches: those of frames that were sent, and those that batches for gates of this
// process would take as frames, by an estimate. It may be called from any goroutine.
func (p *Partition) Bytes() int64 { return p.bytes.Load() }

// Queued is the number of entries that wait for consumers; those in gates of this process don't.
func (p *Partition) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.slab.used
}

// poke wakes the producer if it waits for credit; it looks for itself what has changed.
func (p *Partition) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Ready reports whether a batch could be sent without waiting.
func (s *subpartition) Ready() bool { return s.sent.Load()-s.given.Load() < s.p.credits }

// Send passes on a batch, a control, or both.
func (s *subpartition) Send(b element.Any, c element.Control) error {
	if b != nil {
		if !s.Ready() {
			s.await()
		}
		s.sent.Add(1)
	}
	if s.p.released.Load() || s.left.Load() {
		if b != nil {
			b.Release()
		}
		return s.reason()
	}
	if c.Kind == element.EndOfInput {
		s.ended = true
	}
	if g := s.gate.Load(); g != nil {
		return s.hand(g, b, c)
	}
	return s.store(b, c)
}

// hand gives what was sent to a gate of this process.
func (s *subpartition) hand(g *Gate, b element.Any, c element.Control) error {
	var bytes int64
	if b != nil {
		bytes = s.p.sizing.count(b)
		s.p.bytes.Add(bytes)
	}
	return g.push(int(s.channel), b, c, bytes)
}

// await returns when there is credit or the channel has ended.
//
// No wake-up is lost: waiting is set before the credit is read again, and whoever gives credit does so before it reads
// waiting; a token in wake that nobody waited for costs one more round.
func (s *subpartition) await() {
	s.waiting.Store(true)
	for !s.Ready() && !s.p.released.Load() && !s.left.Load() {
		<-s.p.wake
	}
	s.waiting.Store(false)
}

// store keeps what was sent until the consumer comes, or until the connection takes it.
func (s *subpartition) store(b element.Any, c element.Control) error {
	p := s.p
	if b != nil && p.sizing.rows == 0 {
		p.sizing.measure(b) // a gate that comes later counts what waits here
	}
	p.mu.Lock()
	if g := s.gate.Load(); g != nil {
		p.mu.Unlock()
		return s.hand(g, b, c)
	}
	if p.mu.released || s.left.Load() {
		p.mu.Unlock()
		if b != nil {
			b.Release()
		}
		return s.reason()
	}
	p.mu.slab.push(&s.queue, b, c)
	stream := s.stream
	enqueue := stream != nil && !stream.listed
	if enqueue {
		stream.listed = true
	}
	p.mu.Unlock()
	if enqueue {
		stream.enqueue()
	}
	return nil
}

// reason is why the channel takes nothing any more.
func (s *subpartition) reason() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if err := s.p.mu.lost[s]; err != nil && !s.p.mu.released {
		return err
	}
	return ErrClosed
}

// attachGate connects the channel to a gate of this process and moves what waits into it.
func (s *subpartition) attachGate(g *Gate, channel int) error {
	p := s.p
	p.mu.Lock()
	if err := s.attachableLocked(); err != nil {
		p.mu.Unlock()
		return err
	}
	s.channel = int32(channel)
	tell := g.adopt(channel, s)
	if tell == nil {
		p.mu.Unlock()
		s.leave(nil)
		return nil
	}
	s.gate.Store(g)
	done := s.doneLocked()
	p.mu.Unlock()
	tell()
	if done {
		p.Release()
	}
	return nil
}

// attachStream connects the channel to a stream of a connection, which takes what waits when its turn comes.
func (s *subpartition) attachStream(o *outStream) error {
	p := s.p
	p.mu.Lock()
	if err := s.attachableLocked(); err != nil {
		p.mu.Unlock()
		return err
	}
	s.stream = o
	o.sub.Store(s)
	o.listed = !s.queue.empty()
	enqueue := o.listed
	p.mu.Unlock()
	if enqueue {
		o.enqueue()
	}
	return nil
}

func (s *subpartition) attachableLocked() error {
	switch {
	case s.p.mu.released:
		return fmt.Errorf("partition %v was released: %w", s.p.id, ErrLost)
	case s.gate.Load() != nil || s.stream != nil || s.left.Load():
		return fmt.Errorf("channel of partition %v has a consumer already: %w", s.p.id, ErrLost)
	}
	return nil
}

// doneLocked takes the channel out of those that the partition is kept for, and reports whether it can go now.
func (s *subpartition) doneLocked() bool {
	if s.opened {
		s.opened = false
		s.p.mu.open--
	}
	return s.p.mu.finished && s.p.mu.open == 0
}

// take hands the oldest entry to the stream that asks, and reports whether more is there.
func (s *subpartition) take() (b element.Any, c element.Control, more bool) {
	p := s.p
	p.mu.Lock()
	if s.queue.empty() {
		s.stream.listed = false
		p.mu.Unlock()
		return nil, element.Control{}, false
	}
	b, c = p.mu.slab.pop(&s.queue)
	more = !s.queue.empty()
	s.stream.listed = more
	done := c.Kind == element.EndOfInput && s.doneLocked()
	p.mu.Unlock()
	if done {
		p.Release()
	}
	return b, c, more
}

// released gives back the credit of one batch.
func (s *subpartition) released() {
	s.given.Add(1)
	s.credited()
}

// credited wakes the producer once half of the credit is there, so that small batches don't change tasks one by one. The
// rest follows: the consumer releases all that it was handed.
func (s *subpartition) credited() {
	if s.waiting.Load() && s.sent.Load()-s.given.Load() <= s.p.credits/2 {
		s.p.poke()
	}
}

// gone tells that the gate was closed.
func (s *subpartition) gone() { s.leave(nil) }

// leave ends the channel because its consumer did; reason is nil if that was in good order.
func (s *subpartition) leave(reason error) {
	p := s.p
	p.mu.Lock()
	s.left.Store(true)
	if reason != nil && p.mu.lost[s] == nil {
		if p.mu.lost == nil {
			p.mu.lost = map[*subpartition]error{}
		}
		p.mu.lost[s] = reason
	}
	batches := p.mu.slab.drop(&s.queue)
	done := s.doneLocked()
	p.mu.Unlock()
	p.poke()
	for _, b := range batches {
		b.Release()
	}
	if done {
		p.Release()
	}
}
