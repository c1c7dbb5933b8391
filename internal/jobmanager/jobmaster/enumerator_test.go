// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// calls is an enumerator whose methods do what the test says.
type calls struct {
	rt       graph.EnumeratorRuntime
	snapshot func(rt graph.EnumeratorRuntime) ([]byte, error)
	ready    func(rt graph.EnumeratorRuntime) error
	closed   func()
}

func (c *calls) Assigned(int, []byte) error     { return nil }
func (c *calls) Start(context.Context) error    { return nil }
func (c *calls) ReaderReady(int) error          { return c.ready(c.rt) }
func (c *calls) AddBack([]byte, int) error      { return nil }
func (c *calls) Snapshot(int64) ([]byte, error) { return c.snapshot(c.rt) }
func (c *calls) Close() error {
	if c.closed != nil {
		c.closed()
	}
	return nil
}

// log collects events as text, in their order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *log) start(t *testing.T, c *calls, predecessor *enumerator) *enumerator {
	t.Helper()
	source := &graph.StreamNode{UID: "in", Source: &graph.SourceSpec{
		NewEnumerator: func(_ context.Context, rt graph.EnumeratorRuntime, restored []byte) (graph.Enumerator, error) {
			c.rt = rt
			l.add("new from %q", restored)
			return c, nil
		},
	}}
	return startEnumerator(t.Context(), source, 2, core.StartEnumerator{Restored: []byte("state")}, predecessor, slog.New(slog.DiscardHandler), enumeratorEvents{
		started:  func() { l.add("started") },
		failed:   func(err error) { l.add("failed: %s", strings.SplitN(err.Error(), "\n", 2)[0]) },
		assigned: func(reader int, splits []byte, noMore bool) { l.add("assigned %d %q %v", reader, splits, noMore) },
		snapshot: func(id int64, state []byte, err error) { l.add("snapshot %d %q %v", id, state, err) },
	})
}

func (l *log) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(l.lines, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestSnapshotIsTakenAgain: a snapshot during which splits were assigned does not count.
func TestSnapshotIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		var l log
		e := l.start(t, &calls{snapshot: func(rt graph.EnumeratorRuntime) ([]byte, error) {
			if tries++; tries < 3 {
				rt.Assign(1, []byte{byte('a' + tries)})
			}
			return fmt.Append(nil, tries), nil
		}}, nil)
		e.snapshot(7)
		l.expect(t, `new from "state"`, "started", `assigned 1 "b" false`, `assigned 1 "c" false`, `snapshot 7 "3" <nil>`)
		e.stop()
		e.wait()
	})
}

// TestSnapshotGivesUp: an enumerator that never stops assigning declines, and lives on.
func TestSnapshotGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		e := l.start(t, &calls{
			snapshot: func(rt graph.EnumeratorRuntime) ([]byte, error) {
				rt.NoMoreSplits(0)
				return nil, nil
			},
			ready: func(rt graph.EnumeratorRuntime) error { rt.Assign(1, []byte("x")); return nil },
		}, nil)
		e.snapshot(7)
		e.call(func(en graph.Enumerator) error { return en.ReaderReady(1) })
		want := []string{`new from "state"`, "started"}
		for range snapshotTries {
			want = append(want, `assigned 0 "" true`)
		}
		want = append(want, `snapshot 7 "" the enumerator assigned splits during each of 16 snapshots`, `assigned 1 "x" false`)
		l.expect(t, want...)
		e.stop()
		e.wait()
	})
}

func TestEnumeratorFails(t *testing.T) {
	for name, ready := range map[string]func(graph.EnumeratorRuntime) error{
		"error": func(graph.EnumeratorRuntime) error { return errors.New("boom") },
		"panic": func(graph.EnumeratorRuntime) error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l log
				e := l.start(t, &calls{ready: ready, closed: func() { l.add("closed") }}, nil)
				e.call(func(en graph.Enumerator) error { return en.ReaderReady(1) })
				text := map[string]string{"error": "failed: boom", "panic": "failed: panic: boom"}[name]
				l.expect(t, `new from "state"`, "started", "closed", text)
				e.stop()
				e.wait()
			})
		})
	}
}

// TestSuccessorWaits: the next enumerator of a source starts when the one before has closed, and that is not heard any
// more.
func TestSuccessorWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		leave := make(chan struct{})
		first := &calls{closed: func() { <-leave; l.add("closed") }}
		e := l.start(t, first, nil)
		l.expect(t, `new from "state"`, "started")
		e.stop()
		first.rt.Assign(0, []byte("late"))
		next := l.start(t, &calls{}, e)
		l.expect(t, `new from "state"`, "started")
		close(leave)
		l.expect(t, `new from "state"`, "started", "closed", `new from "state"`, "started")
		next.stop()
		next.wait()
	})
}
