// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
)

// checkedEvents are n events out of order, no two at the same time, over two days; 3000 are over several windows of each query.
func checkedEvents(tb testing.TB, n int64) *Generator {
	tb.Helper()
	return newGenerator(tb, Config{
		Events: n, EventsPerSecond: 75, OutOfOrder: 30, Seed: 3, Base: time.Date(2026, 3, 1, 23, 59, 30, 0, time.UTC),
	})
}

// check is a query with what it must compute.
type check struct {
	name string
	run  func(t *testing.T, g *Generator, events []Event, readsRows bool, opts ...streamtest.Option)
}

// checkRows compares all rows that a query appends.
func checkRows[T any](name string, q func(stream.Stream[Event]) stream.Stream[T], want func([]Event) []T) check {
	return checkView(name, q, want, func(row *T) any { return fmt.Sprintf("%+v", *row) })
}

// checkView compares what upserts amount to: the last row of each key.
func checkView[T any](name string, q func(stream.Stream[Event]) stream.Stream[T], want func([]Event) []T, key func(*T) any) check {
	return check{name, func(t *testing.T, g *Generator, events []Event, readsRows bool, opts ...streamtest.Option) {
		t.Helper()
		if readsRows {
			opts = append(opts, streamtest.Source("events", events...))
		}
		got := collect.New[T]()
		streamtest.Run(t, func(env *stream.Env) error {
			q(eventsOf(env, Source{Generator: g})).To("out", got.Sink())
			return nil
		}, opts...)
		compareViews(t, viewOf(got.Rows(), key), viewOf(want(events), key))
	}}
}

// checkLog compares the files of q10, each with the directory that it is in.
func checkLog(t *testing.T, g *Generator, events []Event, readsRows bool, opts ...streamtest.Option) {
	t.Helper()
	if readsRows {
		opts = append(opts, streamtest.Source("events", events...))
	}
	dir := t.TempDir()
	streamtest.Run(t, func(env *stream.Env) error {
		bids, log := q10(eventsOf(env, Source{Generator: g}), dir)
		bids.To("out", log)
		return nil
	}, opts...)
	got, err := logIn(dir, "*.csv", 1)
	if err != nil {
		t.Fatal(err)
	}
	want := view{}
	for _, o := range wantQ0(events) {
		day, minute, _ := strings.Cut(o.At.Time().Format("2006-01-02 15:04"), " ")
		want.add(textOf(day, minute, o.Auction, o.Bidder, o.Price, o.At, o.Extra), 1)
	}
	compareViews(t, got, want)
}

// viewOf has the last row of each key. Where the key is the row itself it has them all, for then nothing may come twice.
func viewOf[T any](rows []T, key func(*T) any) view {
	all, last := view{}, map[any]string{}
	for i := range rows {
		k, row := key(&rows[i]), fmt.Sprintf("%+v", rows[i])
		if k != any(row) && last[k] != "" {
			all.add(last[k], -1)
		}
		all.add(row, 1)
		last[k] = row
	}
	return all
}

func compareViews(t *testing.T, got, want view) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("nothing to compare")
	}
	if differ := differences(got, want, shownMax); len(differ) > 0 {
		t.Fatalf("got what is here, want what is there:\n%s", strings.Join(differ, "\n"))
	}
}

func checks() []check {
	return []check{
		checkRows("q0", q0, wantQ0),
		checkRows("q1", q1, wantQ1),
		checkRows("q2", q2, wantQ2),
		checkRows("q3", q3, wantQ3),
		checkView("q4", q4, wantQ4, func(r *CategoryPrice) any { return r.Category }),
		checkRows("q5", q5, wantQ5),
		checkRows("q6", q6, wantQ6),
		checkRows("q7", q7, wantQ7),
		checkRows("q8", q8, wantQ8),
		checkView("q9", q9, wantQ9, func(r *WinningBid) any { return r.Auction.ID }),
		{"q10", checkLog},
		checkRows("q11", q11, wantQ11),
		checkRows("q13", q13, wantQ13),
		checkRows("q14", q14, wantQ14),
		checkView("q15", q15, wantQ15, func(r *DayStatistics) any { return r.Day }),
		checkView("q16", q16, wantQ16, func(r *ChannelStatistics) any { return channelDay{r.Channel, r.Day} }),
		checkView("q17", q17, wantQ17, func(r *AuctionStatistics) any { return dayOf{r.Auction, r.Day} }),
		checkView("q18", q18, wantQ18, func(r *Bid) any { return pair{r.Bidder, r.Auction} }),
		checkView("q19", q19, wantQ19, func(r *RankedBid) any { return pair{r.Rank, r.Auction} }),
		checkRows("q20", q20, wantQ20),
		checkRows("q21", q21, wantQ21),
		checkRows("q22", q22, wantQ22),
		checkRows("q23", q23, wantQ23),
	}
}

// TestQueries runs each query beside its reference: with the generator as its source, and with rows of which half wait
// until a task has failed.
func TestQueries(t *testing.T) {
	all, few := checkedEvents(t, 3000), checkedEvents(t, 1000)
	for _, c := range checks() {
		g := all
		if c.name == "q23" { // its rows grow with the square of the events
			g = few
		}
		events := g.all()
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Run("generated", func(t *testing.T) { c.run(t, g, events, false, streamtest.Parallelism(2)) })
			t.Run("object reuse", func(t *testing.T) {
				c.run(t, g, events, false, streamtest.Parallelism(2), streamtest.ObjectReuse())
			})
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
	checked := map[string]bool{"q12": true} // TestQ12
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

// TestHandLoops compares how many rows the loops make with the references, for what appends rows only.
func TestHandLoops(t *testing.T) {
	c := checkedEvents(t, 3000).Config
	c.OutOfOrder = 1 // the loops know nothing of watermarks
	g := newGenerator(t, c)
	events := g.all()
	for name, want := range map[string]int{
		"q0": len(wantQ0(events)), "q1": len(wantQ1(events)), "q2": len(wantQ2(events)), "q3": len(wantQ3(events)),
		"q5": len(wantQ5(events)), "q6": len(wantQ6(events)), "q7": len(wantQ7(events)), "q8": len(wantQ8(events)), "q10": len(wantQ0(events)), "q11": len(wantQ11(events)), "q13": len(wantQ13(events)),
		"q14": len(wantQ14(events)), "q20": len(wantQ20(events)), "q21": len(wantQ21(events)), "q22": len(wantQ22(events)),
		"q23": len(wantQ23(events)),
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

// TestQ12 counts by the clock: a bidder's window ends ten seconds after it began to be full, whatever comes.
func TestQ12(t *testing.T) {
	h := streamtest.New(t, q12)
	by := func(bidder int64) Event { return Event{Kind: KindBid, Bid: Bid{Bidder: bidder}} }
	epoch := time.Unix(0, 0).UTC()
	h.Push(epoch, by(1), by(2), by(1), Event{Kind: KindPerson})
	h.Restart(2)
	h.Sleep(9 * time.Second)
	h.Push(epoch, by(1))
	if got := h.Take(); len(got) != 0 {
		t.Errorf("got %v before the windows are over", got)
	}
	h.Sleep(time.Second)
	h.Push(epoch, by(2))
	h.Sleep(10 * time.Second)
	end := epoch.Add(countPeriod)
	compareViews(t,
		viewOf(h.Take(), func(r *BidderCount) any { return fmt.Sprint(*r) }),
		viewOf([]BidderCount{{1, 3, epoch, end}, {2, 1, epoch, end}, {2, 1, end, end.Add(countPeriod)}},
			func(r *BidderCount) any { return fmt.Sprint(*r) }))
}

func TestTimeType(t *testing.T) {
	for hour, want := range map[int]string{
		0: "nightTime", 6: "nightTime", 7: "otherTime", 8: "dayTime", 18: "dayTime", 19: "otherTime", 20: "nightTime",
	} {
		at := time.Date(2026, 3, 1, hour, 59, 59, 0, time.UTC)
		if got := timeType(Millis(at.UnixMilli())); got != want {
			t.Errorf("%d o'clock is %s, want %s", hour, got, want)
		}
	}
}
