// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest_test

import (
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// refund belongs to a payment of the card.
type refund struct {
	Card string
	Back int64
	At   time.Time
}

func (r *refund) card() string { return r.Card }

// balance is what came of both.
type balance struct {
	Card       string
	Paid, Back int64
}

func each(ctx *stream.WindowCtx[string], p *payment, r *refund, out *stream.Out[balance]) error {
	out.Emit(balance{ctx.Key(), p.Amount, r.Back})
	return nil
}

func total(ctx *stream.WindowCtx[string], ps iter.Seq[*payment], rs iter.Seq[*refund], out *stream.Out[balance]) error {
	b := balance{Card: ctx.Key()}
	for p := range ps {
		b.Paid += p.Amount
	}
	for r := range rs {
		b.Back += r.Back
	}
	out.Emit(b)
	return nil
}

func TestWindowJoinsOfHarness(t *testing.T) {
	type harness = *streamtest.Harness2[payment, refund, balance]
	hour := window.Tumbling(time.Hour)
	for name, test := range map[string]struct {
		build func(stream.Stream[payment], stream.Stream[refund]) stream.Stream[balance]
		want  []balance
	}{
		"join": {func(a stream.Stream[payment], b stream.Stream[refund]) stream.Stream[balance] {
			return a.KeyBy((*payment).card).Join(b.KeyBy((*refund).card), hour).Apply("join", each)
		}, []balance{{"a", 1, 10}, {"a", 2, 10}}},
		"co-group": {func(a stream.Stream[payment], b stream.Stream[refund]) stream.Stream[balance] {
			return a.KeyBy((*payment).card).CoGroup(b.KeyBy((*refund).card), hour).Apply("groups", total)
		}, []balance{{"a", 0, 20}, {"a", 3, 10}, {"b", 4, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var h harness = streamtest.New2(t, test.build)
			h.Push(minute(1), payment{"a", 1, minute(1)}, payment{"b", 4, minute(1)})
			h.Push2(minute(59), refund{"a", 10, minute(59)})
			h.Restart(3)
			h.Push(minute(0), payment{"a", 2, minute(0)})
			h.Push2(minute(60), refund{"a", 20, minute(60)})
			h.Restart(2)
			h.Watermark(minute(59))
			if got := h.Take(); len(got) > 0 {
				t.Errorf("got %v before the end", got)
			}
			h.End()
			got := h.Take()
			slices.SortFunc(got, func(a, b balance) int { return int(a.Paid + 1000*int64(a.Card[0]) - b.Paid - 1000*int64(b.Card[0])) })
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestIntervalJoinOfHarness(t *testing.T) {
	late1, late2 := stream.NewTag[payment]("late1"), stream.NewTag[refund]("late2")
	h := streamtest.New2(t, func(a stream.Stream[payment], b stream.Stream[refund]) stream.Stream[balance] {
		return a.KeyBy((*payment).card).
			IntervalJoin(b.KeyBy((*refund).card), stream.Between(0, 10*time.Minute).UpperExclusive()).
			LateOutput1(late1).LateOutput2(late2).
			Apply("near", func(ctx *stream.Ctx[string], p *payment, r *refund, out *stream.Out[balance]) error {
				out.Emit(balance{ctx.Key(), p.Amount, r.Back})
				return nil
			})
	})
	h.Push(minute(1), payment{"a", 1, minute(1)}, payment{"b", 2, minute(1)})
	h.Restart(3)
	h.Push2(minute(5), refund{"a", 10, minute(5)})
	h.Push(minute(3), payment{"a", 4, minute(3)})
	h.Push2(minute(11), refund{"a", 20, minute(11)}) // ten minutes after the first
	h.Restart(2)
	h.Watermark(minute(6))
	h.Push(minute(5), payment{"a", 8, minute(5)})
	h.Push2(minute(5), refund{"a", 40, minute(5)})
	if got, want := h.Take(), []balance{{"a", 1, 10}, {"a", 4, 10}, {"a", 4, 20}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if l1, l2 := h.Side(late1), h.Side(late2); len(l1) != 1 || l1[0].Amount != 8 || len(l2) != 1 || l2[0].Back != 40 {
		t.Errorf("late are %v and %v", l1, l2)
	}
}

// joins is a job with all joins of payments and refunds.
func joins(env *stream.Env) error {
	payments := env.From("payments", file.JSON[payment]("payments/*.json")).
		Watermarks(watermark.Ascending((*payment).time)).KeyBy((*payment).card)
	refunds := env.From("refunds", file.JSON[refund]("refunds/*.json")).
		Watermarks(watermark.Ascending(func(r *refund) time.Time { return r.At })).KeyBy((*refund).card)
	payments.Join(refunds, window.Tumbling(4*time.Minute)).Apply("join", each).
		To("pairs", file.JSONSink[balance]("pairs/"))
	payments.CoGroup(refunds, window.Sliding(10*time.Minute, 5*time.Minute)).Apply("groups", total).
		To("totals", file.JSONSink[balance]("totals/"))
	payments.IntervalJoin(refunds, stream.Between(-time.Minute, time.Minute)).
		Apply("near", func(ctx *stream.Ctx[string], p *payment, r *refund, out *stream.Out[balance]) error {
			out.Emit(balance{ctx.Key(), p.At.Unix(), r.At.Unix()})
			return nil
		}).
		To("neighbours", file.JSONSink[balance]("neighbours/"))
	return nil
}

// TestJoinsSurviveFailures kills steps after checkpoints: the same comes out, each pair once.
func TestJoinsSurviveFailures(t *testing.T) {
	var refunds []refund
	for m := range 1200 {
		refunds = append(refunds, refund{"card-1", 1, minute(float64(m))})
	}
	run := func(opts ...streamtest.Option) (pairs, totals, near []balance) {
		p, g, n := streamtest.Collect[balance]("pairs"), streamtest.Collect[balance]("totals"), streamtest.Collect[balance]("neighbours")
		streamtest.Run(t, joins, append(opts, p, g, n,
			streamtest.Source("payments", payments(1200, 2)...), streamtest.Source("refunds", refunds...))...)
		return p.Rows(), g.Rows(), n.Rows()
	}
	pairs, totals, near := run()
	// Of four minutes, the card has two payments and four refunds; of a minute around one, three, but at the end.
	if len(pairs) != 300*2*4 || len(totals) != 2*241 || len(near) != 600*3-1 {
		t.Fatalf("%d pairs, %d totals and %d near ones without a failure", len(pairs), len(totals), len(near))
	}
	p, g, n := run(streamtest.Parallelism(3),
		streamtest.Kill("join", 1), streamtest.Kill("groups", 2), streamtest.Kill("near", 3), streamtest.Kill("refunds", 4))
	if !slices.Equal(p, pairs) || !slices.Equal(g, totals) || !slices.Equal(n, near) {
		t.Errorf("%d pairs, %d totals and %d near ones, want %d, %d and %d",
			len(p), len(g), len(n), len(pairs), len(totals), len(near))
	}
}
