// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// MailboxMessagesMax bounds the messages that wait at an endpoint; those that come when it is full are lost, and said
// again by their sender.
const MailboxMessagesMax = 16384

// ErrStopped is returned by Call when the endpoint has stopped.
var ErrStopped = errors.New("rpc: endpoint stopped")

// Handler is the state behind an endpoint. Its methods are called from the endpoint's goroutine only, and don't block.
type Handler interface {
	// Receive handles a message that it then owns.
	Receive(e *weirpb.Envelope)
	// Tick is called at or after the time that Next returned.
	Tick(now time.Time)
	// Next is asked after each event for the time of the next Tick; zero for none.
	Next() time.Time
}

// Endpoint is a named mailbox and the goroutine that empties it.
type Endpoint struct {
	name     string
	network  Network
	handler  Handler
	unbind   func()
	wake     chan struct{} // holds one token while the mailbox may have something
	stopping chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
	// sequence numbers what is sent; the endpoint's goroutine alone sends.
	sequence int64
	mu       struct {
		sync.Mutex
		queue    []event
		messages int // of the queue; Invariant: messages <= MailboxMessagesMax
		stopped  bool
	}
}

// event is a message or a function.
type event struct {
	message *weirpb.Envelope
	run     func()
}

// NewEndpoint makes an endpoint that is not started yet.
func NewEndpoint(name string, network Network) *Endpoint {
	return &Endpoint{
		name: name, network: network,
		wake: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
}

// Start binds the name and starts the goroutine that calls h until Stop.
func (e *Endpoint) Start(h Handler) error {
	e.handler = h
	unbind, err := e.network.Bind(e.name, e.deliver)
	if err != nil {
		return err
	}
	e.unbind = unbind
	e.wg.Go(e.loop)
	return nil
}

// Name is that of the endpoint.
func (e *Endpoint) Name() string { return e.name }

// Send passes a message on; only the body, job and epoch of m need be set. To be called from the endpoint's goroutine.
func (e *Endpoint) Send(to string, m *weirpb.Envelope) {
	e.sequence++
	m.Protocol, m.From, m.To, m.Sequence = Protocol, e.name, to, e.sequence
	e.network.Send(m)
}

// Post has the endpoint's goroutine call f, unless it has stopped. It never blocks.
func (e *Endpoint) Post(f func()) bool { return e.enqueue(event{run: f}) }

// Call has the endpoint's goroutine call f and waits for its result; to be called from any other goroutine. With ErrStopped
// f was not called, nor will be; when ctx ends first it may be called later still, so it shares nothing with the caller.
func (e *Endpoint) Call[T any](ctx context.Context, f func() T) (result T, err error) {
	answer := make(chan T, 1)
	if !e.Post(func() { answer <- f() }) {
		return result, ErrStopped
	}
	select {
	case result = <-answer:
		return result, nil
	case <-e.stopping:
		e.wg.Wait() // f may be at work
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
	select {
	case result = <-answer:
		return result, nil
	default:
		return result, ErrStopped
	}
}

// Stop unbinds the name, ends the goroutine after the event that it handles, and waits for it. What waits in the mailbox
// is dropped. Not to be called from the endpoint's goroutine.
func (e *Endpoint) Stop() {
	e.once.Do(func() {
		if e.unbind != nil {
			e.unbind()
		}
		e.mu.Lock()
		e.mu.stopped, e.mu.queue = true, nil
		e.mu.Unlock()
		close(e.stopping)
	})
	e.wg.Wait()
}

func (e *Endpoint) deliver(m *weirpb.Envelope) {
	if p := m.GetProtocol(); p >= ProtocolMin && p <= Protocol {
		e.enqueue(event{message: m})
	}
}

func (e *Endpoint) enqueue(v event) bool {
	e.mu.Lock()
	if e.mu.stopped || v.message != nil && e.mu.messages >= MailboxMessagesMax {
		e.mu.Unlock()
		return false
	}
	if v.message != nil {
		e.mu.messages++
	}
	e.mu.queue = append(e.mu.queue, v)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // there is a token
	}
	return true
}

// take empties the mailbox.
func (e *Endpoint) take() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.mu.queue
	e.mu.queue, e.mu.messages = nil, 0
	return q
}

func (e *Endpoint) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop()
		if next := e.handler.Next(); !next.IsZero() {
			timer.Reset(max(0, time.Until(next)))
		}
		select {
		case <-e.stopping:
			return
		case <-timer.C:
			e.handler.Tick(time.Now())
		case <-e.wake:
			if !e.handle(e.take()) {
				return
			}
		}
	}
}

// handle runs the events in order; false when the endpoint was stopped meanwhile.
func (e *Endpoint) handle(events []event) bool {
	for _, v := range events {
		select {
		case <-e.stopping:
			return false
		default:
		}
		if v.run != nil {
			v.run()
		} else {
			e.handler.Receive(v.message)
		}
	}
	// A flood of messages must not keep the handler from its time.
	if next := e.handler.Next(); !next.IsZero() && !next.After(time.Now()) {
		e.handler.Tick(time.Now())
	}
	return true
}
