// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
)

type tx struct {
	Card   string
	Amount int64
}

type alert struct {
	Card string
	Sum  int64
}

var refused = stream.NewTag[tx]("refused")

// spent alerts when a card spends more than 100 within a minute of event time, and forgets it after an hour of
// processing time.
type spent struct {
	Recent state.List[int64]
	Sum    int64
}

func (s *spent) score(ctx *stream.Ctx[string], in *tx, out *stream.Out[alert]) error {
	if in.Amount <= 0 {
		ctx.Output(refused, *in)
		return nil
	}
	s.Recent.Append(in.Amount)
	if s.Sum += in.Amount; s.Sum > 100 {
		out.Emit(alert{in.Card, s.Sum})
	}
	at, _ := ctx.Time()
	ctx.EventTimer(at.Add(time.Minute))
	ctx.ProcessingTimer(ctx.Now().Add(time.Hour))
	return nil
}

func (s *spent) expire(ctx *stream.Ctx[string], t stream.Timer, _ *stream.Out[alert]) error {
	if t.Processing {
		ctx.Delete()
		return nil
	}
	if s.Recent.Len() == 0 { // the row was deleted; its timers survive
		ctx.Delete()
		return nil
	}
	s.Sum -= *s.Recent.At(0)
	first := true
	s.Recent.DeleteFunc(func(*int64) bool {
		drop := first
		first = false
		return drop
	})
	return nil
}

func alerts(txs stream.Stream[tx]) stream.Stream[alert] {
	return txs.
		Filter(func(t *tx) bool { return t.Card != "test" }).
		KeyBy(func(t *tx) string { return t.Card }).
		ProcessTimed("alerts", (*spent).score, (*spent).expire)
}

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestHarness(t *testing.T) {
	h := streamtest.New(t, alerts)
	h.Push(t0, tx{"a", 70}, tx{"b", 70}, tx{"a", -1}, tx{"test", 1000})
	if got := h.Take(); len(got) != 0 {
		t.Errorf("alerts %v before the limit", got)
	}
	h.Restart(3)
	h.Push(t0.Add(time.Second), tx{"a", 40})
	if got, want := h.Take(), []alert{{"a", 110}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := h.Side(refused), []tx{{"a", -1}}; !slices.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
	if row, ok := h.State[spent]("alerts", "a"); !ok || row.Recent.Len() != 2 || row.Sum != 110 {
		t.Errorf("state of a: %+v, %v", row, ok)
	}
	h.Watermark(t0.Add(time.Minute))
	if row, _ := h.State[spent]("alerts", "a"); row.Sum != 40 {
		t.Errorf("sum of a after a minute is %d, want 40", row.Sum)
	}
	h.Restart(2)
	h.Sleep(time.Hour)
	if row, ok := h.State[spent]("alerts", "a"); ok {
		t.Errorf("a is not forgotten after an hour: %+v", row)
	}
	h.End()
	if got := h.Take(); len(got) != 0 {
		t.Errorf("alerts %v at the end", got)
	}
}
