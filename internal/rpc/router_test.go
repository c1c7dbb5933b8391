// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// inbox is an endpoint of a Router that notes what comes, as "sequence", or as "lost NAMES: REASON".
type inbox struct {
	mu  sync.Mutex
	got []string
}

func (b *inbox) deliver(e *weirpb.Envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := e.GetPeerLost(); l != nil {
		b.got = append(b.got, fmt.Sprintf("lost %s: %s", strings.Join(l.GetNames(), " "), l.GetReason()))
		return
	}
	b.got = append(b.got, fmt.Sprint(e.GetSequence()))
}

func (b *inbox) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.got, ", ")
	b.got = nil
	return s
}

func bind(t *testing.T, r *Router, name string) (*inbox, func()) {
	t.Helper()
	b := &inbox{}
	unbind, err := r.Bind(name, b.deliver)
	if err != nil {
		t.Fatal(err)
	}
	return b, unbind
}

// join connects two Routers as a parent and its child are; leave ends the connection.
func join(child, parent *Router) (leave func()) {
	up, down := net.Pipe()
	// A link may receive before it is attached.
	var atChild, atParent *Attachment
	ready := make(chan struct{})
	c := NewLink(up, func(f *weirpb.Frame) { <-ready; atChild.Receive(f) })
	p := NewLink(down, func(f *weirpb.Frame) { <-ready; atParent.Receive(f) })
	atChild, atParent = child.Attach(c, true), parent.Attach(p, false)
	close(ready)
	return func() {
		_ = c.Close()
		_ = p.Close()
		atChild.Detach("the parent is gone")
		atParent.Detach("the child is gone")
		atParent.Detach("again")
	}
}

func router() *Router { return NewRouter(slog.New(slog.DiscardHandler)) }

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s got %q, want %q", what, got, want)
	}
}

// TestRouterTree has the processes of a cluster: a JobManager, a JobMaster, two TaskManagers and an executor.
func TestRouterTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jm, master, tm1, tm2, executor := router(), router(), router(), router(), router()
		dispatcher, _ := bind(t, jm, "dispatcher")
		job, _ := bind(t, master, "jobmaster/j/1")
		one, _ := bind(t, tm1, "tm1")
		two, _ := bind(t, tm2, "tm2")
		leaveExecutor := join(executor, tm1) // before its TaskManager is connected
		task, unbind := bind(t, executor, "executor/j/tm1")
		leaveMaster, leave1, leave2 := join(master, jm), join(tm1, jm), join(tm2, jm)
		synctest.Wait()

		executor.Send(envelope("dispatcher", 1))
		jm.Send(envelope("executor/j/tm1", 2))
		master.Send(envelope("executor/j/tm1", 3))
		executor.Send(envelope("jobmaster/j/1", 4))
		executor.Send(envelope("tm1", 5))
		tm2.Send(envelope("nobody", 6))
		tm2.Send(envelope("tm2", 7))
		jm.Send(envelope("nobody", 8))
		synctest.Wait()
		check(t, "dispatcher", dispatcher.take(), "1")
		check(t, "executor", sorted(task.take()), "2, 3")
		check(t, "JobMaster", job.take(), "4")
		check(t, "tm1", one.take(), "5")
		check(t, "tm2", two.take(), "7")

		executor.Send(envelope(Everyone, 9))
		synctest.Wait()
		check(t, "executor", task.take(), "9") // its Router has other names than the sender
		all := []*inbox{dispatcher, job, one, two}
		for i, b := range all {
			check(t, fmt.Sprintf("inbox %d of a broadcast", i), b.take(), "9")
		}

		unbind()
		synctest.Wait()
		jm.Send(envelope("executor/j/tm1", 10))
		synctest.Wait()
		check(t, "a name that is free", task.take(), "")
		task, _ = bind(t, executor, "executor/j/tm1")
		synctest.Wait()

		leaveExecutor()
		synctest.Wait()
		check(t, "executor", task.take(), "lost *: the parent is gone")
		for i, b := range all {
			check(t, fmt.Sprintf("inbox %d", i), b.take(), "lost executor/j/tm1: the child is gone")
		}
		leave1()
		synctest.Wait()
		check(t, "tm1", one.take(), "lost *: the parent is gone")
		check(t, "tm2", two.take(), "lost tm1: the child is gone")
		check(t, "JobMaster", job.take(), "lost tm1: the child is gone")
		leaveMaster()
		leave2()
	})
}

func sorted(s string) string {
	parts := strings.Split(s, ", ")
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// sink is a peer that keeps frames, until it is full.
type sink struct {
	frames
	full bool
}

func (s *sink) Send(f *weirpb.Frame) bool {
	if s.full {
		return false
	}
	s.receive(f)
	return true
}

// text is what came since the last call.
func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	for _, f := range s.got {
		if n := f.GetNames(); n != nil {
			parts = append(parts, "names "+strings.Join(n.GetNames(), " "))
			continue
		}
		e := f.GetEnvelope()
		if l := e.GetPeerLost(); l != nil {
			parts = append(parts, e.GetTo()+" lost "+strings.Join(l.GetNames(), " "))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d", e.GetTo(), e.GetSequence()))
	}
	s.got = nil
	return strings.Join(parts, ", ")
}

func TestRouterAnnounces(t *testing.T) {
	r := router()
	_, unbind := bind(t, r, "b")
	peer := &sink{}
	child := r.Attach(peer, false)
	child.Receive(namesFrame("c", "b"))
	var up sink
	uplink := r.Attach(&up, true)
	check(t, "uplink", up.text(), "names b c")
	unbind() // a child has the name still
	check(t, "uplink", up.text(), "")
	child.Receive(namesFrame("c"))
	_, _ = bind(t, r, "a")
	check(t, "uplink", up.text(), "names c, names a c")
	uplink.Receive(namesFrame("z")) // an uplink has no names
	check(t, "child", peer.text(), "")
	child.Detach("gone")
	check(t, "uplink", up.text(), "names a, * lost c")

	var second sink
	next := r.Attach(&second, true)
	check(t, "second uplink", second.text(), "names a")
	a, _ := bind(t, r, "inbox")
	uplink.Detach("replaced") // nobody misses it
	check(t, "inbox", a.take(), "")
	r.Send(envelope("far", 1))
	check(t, "second uplink", second.text(), "names a inbox, far 1")
	next.Receive(frameOf(envelope("nobody", 2))) // doesn't go back where it came from
	check(t, "second uplink", second.text(), "")
	next.Detach("cut")
	check(t, "inbox", a.take(), "lost *: cut")
	next.Receive(frameOf(envelope("inbox", 3)))
	check(t, "inbox after the end of the connection", a.take(), "")
}

// TestRouterReconnect: a process that comes back keeps its names when the connection before is found dead.
func TestRouterReconnect(t *testing.T) {
	r := router()
	watcher, _ := bind(t, r, "watcher")
	var before, after sink
	old := r.Attach(&before, false)
	old.Receive(namesFrame("tm", "executor"))
	fresh := r.Attach(&after, false)
	fresh.Receive(namesFrame("tm"))
	old.Receive(namesFrame("tm", "executor")) // late
	r.Send(envelope("tm", 1))
	r.Send(envelope("executor", 2))
	check(t, "new connection", after.text(), "tm 1")
	check(t, "old connection", before.text(), "executor 2")
	old.Detach("cut")
	check(t, "watcher", watcher.take(), "lost executor: cut")
	r.Send(envelope("tm", 3))
	check(t, "new connection", after.text(), "* lost executor, tm 3")
	old.Receive(namesFrame("tm")) // of a connection that is gone
	fresh.Detach("cut")
	check(t, "watcher", watcher.take(), "lost tm: cut")

	// The newer of two that have a name gives it up: the older has it again.
	old, fresh = r.Attach(&before, false), r.Attach(&after, false)
	old.Receive(namesFrame("tm"))
	fresh.Receive(namesFrame("tm"))
	fresh.Detach("cut")
	check(t, "watcher", watcher.take(), "")
	r.Send(envelope("tm", 4))
	check(t, "old connection", before.text(), "tm 4")
	old.Receive(namesFrame())
	r.Send(envelope("tm", 5))
	check(t, "old connection", before.text(), "")
}

func TestRouterRefusesAndDrops(t *testing.T) {
	var log strings.Builder
	r := NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	_, _ = bind(t, r, "a")
	for _, name := range []string{"a", "", Everyone} {
		if _, err := r.Bind(name, nil); err == nil {
			t.Errorf("bound %q", name)
		}
	}
	p := &sink{full: true}
	a := r.Attach(p, false)
	a.Receive(namesFrame("b"))
	a.Receive(namesFrame(slices.Repeat([]string{"x"}, PeerNamesMax+1)...))
	r.Send(envelope("b", 1))
	large := envelope("b", 2)
	large.JobId = strings.Repeat("j", FrameBytesMax)
	r.Send(large)
	broken := envelope("b", 3)
	broken.JobId = "\xff"
	r.Send(broken)
	for _, want := range []string{"too many names", "too long", "can't be encoded"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log doesn't say %q:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines logged:\n%s", n, log.String())
	}
}

// TestRouterConcurrent binds, attaches and sends from many goroutines; the uplink ends with the right names.
func TestRouterConcurrent(t *testing.T) {
	r := router()
	var up sink
	r.Attach(&up, true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 50 {
				name := fmt.Sprint("n", i)
				unbind, err := r.Bind(name, func(*weirpb.Envelope) {})
				if err != nil {
					t.Error(err)
					return
				}
				a := r.Attach(&sink{}, false)
				a.Receive(namesFrame(fmt.Sprint("p", i, k)))
				r.Send(envelope(Everyone, 1))
				a.Detach("done")
				if k < 49 {
					unbind()
				}
			}
		})
	}
	wg.Wait()
	last := ""
	for part := range strings.SplitSeq(up.text(), ", ") {
		if strings.HasPrefix(part, "names") {
			last = part
		}
	}
	check(t, "uplink at last", last, "names n0 n1 n2 n3 n4 n5 n6 n7")
}
