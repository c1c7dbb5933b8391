// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
)

// checkedEvents are out of order, no two at the same time, and over two days.
func checkedEvents(tb testing.TB) *Generator {
	tb.Helper()
	return newGenerator(tb, Config{
		Events: 3000, EventsPerSecond: 75, OutOfOrder: 30, Seed: 3, Base: time.Date(2026, 3, 1, 23, 59, 30, 0, time.UTC),
	})
}

// check is a query with what it must compute.
type check struct {
	name string
	run  func(t *testing.T, g *Generator, events []Event, readsRows bool, opts ...streamtest.Option)
}

// checkRows compares all rows that a query appends.
func checkRows[T any](name string, q func(stream.Stream[Event]) stream.Stream[T], want func([]Event) []T) check {
	return check{name, func(t *testing.T, g *Generator, events []Event, readsRows bool, opts ...streamtest.Option) {
		t.Helper()
		if readsRows {
			opts = append(opts, streamtest.Source("events", events...))
		}
		got := collect.New[T]()
		streamtest.Run(t, func(env *stream.Env) error {
			q(eventsOf(env, g)).To("out", got.Sink())
			return nil
		}, opts...)
		compareCounts(t, countsOf(got.Rows()), countsOf(want(events)))
	}}
}

// countsOf is how often each row is there.
func countsOf[T any](rows []T) map[string]int {
	counts := map[string]int{}
	for _, r := range rows {
		counts[fmt.Sprintf("%+v", r)]++
	}
	return counts
}

func compareCounts(t *testing.T, got, want map[string]int) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("nothing to compare")
	}
	for row, n := range want {
		if got[row] != n {
			t.Fatalf("got %s %d times, want %d", row, got[row], n)
		}
	}
	for row, n := range got {
		if want[row] == 0 {
			t.Fatalf("got %s %d times, want none", row, n)
		}
	}
}

func checks() []check {
	return []check{
		checkRows("q0", q0, wantQ0),
		checkRows("q1", q1, wantQ1),
		checkRows("q2", q2, wantQ2),
	}
}

// TestQueries runs each query beside its reference: with the generator as its source, and with rows of which half wait
// until a task has failed.
func TestQueries(t *testing.T) {
	g := checkedEvents(t)
	events := g.all()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Run("generated", func(t *testing.T) { c.run(t, g, events, false, streamtest.Parallelism(2)) })
			for _, p := range []int{1, 2, 5} {
				t.Run(fmt.Sprintf("killed at parallelism %d", p), func(t *testing.T) {
					c.run(t, g, events, true, streamtest.Parallelism(p), streamtest.Kill("out", 1))
				})
			}
		})
	}
}

// TestEachQueryIsChecked finds queries that no reference is written for.
func TestEachQueryIsChecked(t *testing.T) {
	checked := map[string]bool{}
	for _, c := range checks() {
		checked[c.name] = true
	}
	for _, q := range queries() {
		if !checked[q.name] {
			t.Errorf("%s is not checked", q.name)
		}
		delete(checked, q.name)
	}
	if len(checked) > 0 {
		t.Errorf("%v are checked and not run", slices.Collect(maps.Keys(checked)))
	}
}

// TestHandLoops compares how many rows the loops make with the references.
func TestHandLoops(t *testing.T) {
	c := checkedEvents(t).Config
	c.OutOfOrder = 1 // the loops know nothing of watermarks
	g := newGenerator(t, c)
	events := g.all()
	for name, want := range map[string]int{
		"q0": len(wantQ0(events)), "q1": len(wantQ1(events)), "q2": len(wantQ2(events)),
	} {
		q, ok := queryNamed(name)
		if !ok {
			t.Fatalf("no query is called %s", name)
		}
		if got := q.hand(g); got != int64(want) {
			t.Errorf("the loop of %s makes %d rows, want %d", name, got, want)
		}
	}
}
