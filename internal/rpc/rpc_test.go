// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probe notes what an endpoint's goroutine hands it.
type probe struct {
	got   []int64 // sequences of messages, and -1 for a tick
	every time.Duration
	next  time.Time
	block chan struct{} // Receive waits for it, if set
}

func (p *probe) Receive(e *weirpb.Envelope) {
	if p.block != nil {
		<-p.block
	}
	p.got = append(p.got, e.GetSequence())
}

func (p *probe) Tick(now time.Time) {
	p.got = append(p.got, -1)
	p.next = now.Add(p.every)
}

func (p *probe) Next() time.Time { return p.next }

func open(t *testing.T, n Network, name string, h Handler) *Endpoint {
	t.Helper()
	e := NewEndpoint(name, n)
	if err := e.Start(h); err != nil {
		t.Fatal(err)
	}
	return e
}

func message() *weirpb.Envelope {
	return &weirpb.Envelope{Body: &weirpb.Envelope_CancelTasks{CancelTasks: &weirpb.CancelTasks{Attempts: []int64{1}}}}
}

func TestEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewLocal(slog.New(slog.DiscardHandler))
		p := &probe{every: time.Second, next: time.Now().Add(time.Second)}
		a, b := open(t, n, "a", p), open(t, n, "b", &probe{})
		for range 3 {
			if _, err := b.Call(t.Context(), func() bool { b.Send("a", message()); return true }); err != nil {
				t.Fatal(err)
			}
		}
		b.Post(func() { b.Send("nobody", message()) }) // is lost
		synctest.Wait()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		a.Stop()
		a.Stop()
		want := []int64{1, 2, 3, -1, -1}
		if len(p.got) != len(want) {
			t.Fatalf("got %v, want %v", p.got, want)
		}
		for i := range want {
			if p.got[i] != want[i] {
				t.Errorf("got %v, want %v", p.got, want)
			}
		}
		if _, err := a.Call(t.Context(), func() bool { return true }); !errors.Is(err, ErrStopped) {
			t.Errorf("call of a stopped endpoint: %v", err)
		}
		if a.Post(func() {}) {
			t.Error("a stopped endpoint takes functions")
		}
		open(t, n, "a", &probe{}).Stop() // the name is free again
		b.Stop()
	})
}

// TestLocalCopies: what is sent can be changed afterwards.
func TestLocalCopies(t *testing.T) {
	n := NewLocal(slog.New(slog.DiscardHandler))
	var got *weirpb.Envelope
	unbind, err := n.Bind("x", func(e *weirpb.Envelope) { got = e })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Bind("x", nil); err == nil {
		t.Error("a name was bound twice")
	}
	m := message()
	m.To = "x"
	n.Send(m)
	m.GetCancelTasks().Attempts[0] = 2
	if a := got.GetCancelTasks().GetAttempts(); len(a) != 1 || a[0] != 1 {
		t.Errorf("got attempts %v", a)
	}
	unbind()
	got = nil
	n.Send(m)
	if got != nil {
		t.Error("delivered after unbind")
	}
}

// TestMailboxIsBounded floods an endpoint that does not keep up: messages are lost, functions are not.
func TestMailboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewLocal(slog.New(slog.DiscardHandler))
		p := &probe{block: make(chan struct{})}
		e := open(t, n, "a", p)
		m := message()
		m.To, m.Protocol = "a", Protocol
		n.Send(m)
		synctest.Wait() // the first is being handled
		for range MailboxMessagesMax + 100 {
			n.Send(m)
		}
		ran := false
		if !e.Post(func() { ran = true }) {
			t.Error("function refused")
		}
		close(p.block)
		synctest.Wait()
		e.Stop()
		if len(p.got) != MailboxMessagesMax+1 || !ran {
			t.Errorf("%d messages handled, want %d; function ran: %v", len(p.got), MailboxMessagesMax+1, ran)
		}
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewLocal(slog.New(slog.DiscardHandler))
		p := &probe{block: make(chan struct{})}
		e := open(t, n, "a", p)
		m := message()
		m.To, m.Protocol = "a", Protocol
		n.Send(m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.Call(ctx, func() bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		close(p.block)
		e.Stop()
	})
}

// TestCallAndStop stops an endpoint that is at work for a caller: the caller gets the result.
func TestCallAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, NewLocal(slog.New(slog.DiscardHandler)), "a", &probe{})
		release, answered := make(chan struct{}), make(chan int, 1)
		go func() { // Owner: the test, which receives from answered
			n, err := e.Call(t.Context(), func() int { <-release; return 7 })
			if err != nil {
				t.Error(err)
			}
			answered <- n
		}()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() { // Owner: the test, which waits for stopped
			e.Stop()
			close(stopped)
		}()
		synctest.Wait()
		close(release)
		if n := <-answered; n != 7 {
			t.Errorf("result %d", n)
		}
		<-stopped
	})
}

func TestFence(t *testing.T) {
	var f Fence
	for _, step := range []struct {
		job   string
		epoch int64
		admit bool
	}{{"a", 1, true}, {"a", 1, true}, {"a", 3, true}, {"a", 2, false}, {"b", 1, true}, {"a", 3, true}} {
		if got := f.Admit(step.job, step.epoch); got != step.admit {
			t.Errorf("admit %s/%d: %v, want %v", step.job, step.epoch, got, step.admit)
		}
	}
	if f.Epoch("a") != 3 || f.Epoch("c") != 0 {
		t.Errorf("epochs %d and %d", f.Epoch("a"), f.Epoch("c"))
	}
	f.Forget("a")
	if !f.Admit("a", 1) {
		t.Error("a forgotten job is fenced")
	}
}
