// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

func minute(m float64) time.Time { return t0.Add(time.Duration(m * float64(time.Minute))) }

// TestSessionsOfHarness takes sessions through a change of parallelism.
func TestSessionsOfHarness(t *testing.T) {
	late := stream.NewTag[payment]("late")
	h := streamtest.New(t, func(in stream.Stream[payment]) stream.Stream[payment] {
		return in.KeyBy((*payment).card).Window(window.Session(10*time.Minute)).
			AllowedLateness(5*time.Minute).LateOutput(late).Sum("sums", (*payment).amount)
	})
	pay := func(card string, m float64, amount int64) { h.Push(minute(m), payment{card, amount, minute(m)}) }
	pay("a", 0, 1)
	pay("a", 15, 2)
	pay("b", 0, 4)
	h.Restart(3)
	pay("a", 8, 8) // makes one of two
	h.Watermark(minute(12))
	if got, want := h.Take(), []payment{{"b", 4, t0}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	h.Restart(2)
	pay("b", 9, 16) // revives the session that has fired
	pay("b", 1, 32)
	pay("c", -4, 64) // too late for a session of its own
	h.Watermark(minute(40))
	got := h.Take()
	slices.SortFunc(got, func(a, b payment) int { return int(a.Amount - b.Amount) })
	if want := []payment{{"a", 11, t0}, {"b", 52, t0}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := h.Side(late); len(got) != 1 || got[0].Card != "c" {
		t.Errorf("late %v", got)
	}
}

// visits are sessions of five minutes, of a card that pays once a minute for ten minutes, and not for ten.
func visits(env *stream.Env) error {
	env.From("payments", file.JSON[payment]("payments/*.json")).
		Watermarks(watermark.BoundedOutOfOrderness(time.Minute, (*payment).time)).
		Filter(func(p *payment) bool { return p.At.Sub(t0)/(10*time.Minute)%2 == 0 }).
		KeyBy((*payment).card).
		Window(window.Session(5*time.Minute)).
		Sum("visits", (*payment).amount).
		To("out", file.JSONSink[payment]("visits/"))
	return nil
}

// TestSessionsSurviveFailures kills steps after checkpoints: each payment counts once.
func TestSessionsSurviveFailures(t *testing.T) {
	const cards, days = 3, 2000
	var rows, want []payment
	for m := range days {
		for c := range cards {
			rows = append(rows, payment{string(rune('a' + c)), 1, minute(float64(m))})
		}
		if m%20 == 0 {
			for c := range cards {
				want = append(want, payment{string(rune('a' + c)), 10, minute(float64(m))})
			}
		}
	}
	for _, opts := range [][]streamtest.Option{
		{streamtest.Parallelism(1)},
		{streamtest.Parallelism(3), streamtest.Kill("visits", 1), streamtest.Kill("out", 3)},
	} {
		out := streamtest.Collect[payment]("out")
		streamtest.Run(t, visits, append(opts, streamtest.Source("payments", rows...), out)...)
		got := out.Rows()
		slices.SortFunc(got, func(a, b payment) int {
			if c := a.At.Compare(b.At); c != 0 {
				return c
			}
			return int(a.Card[0]) - int(b.Card[0])
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d sessions of %d payments, want %d of %d", len(got), sum(got), len(want), sum(want))
		}
	}
}
