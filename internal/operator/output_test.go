// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/watermark"
)

// receiver notes what it gets, and takes as much as it may: it changes the rows of a batch that is its own.
type receiver struct {
	tape[int]
	shared []bool
	fail   error
}

func (r *receiver) Process(b *element.Batch[int]) error {
	r.shared = append(r.shared, b.Shared())
	if err := r.tape.Process(b); err != nil {
		return err
	}
	if !b.Shared() {
		clear(b.Rows())
		b.Swap(element.NewBatch[int](0))
	}
	return r.fail
}

func TestFanOutSharesAllButTheLast(t *testing.T) {
	op := operator.Map(func(n *int) int { return *n * 2 }).New()
	to := []*receiver{{}, {}, {}}
	for _, r := range to {
		if err := op.Connect("", operator.PortOf[int](r)); err != nil {
			t.Fatal(err)
		}
	}
	rt := runtime("double")
	if err := op.Open(t.Context(), rt); err != nil {
		t.Fatal(err)
	}
	in := op.Port(0)
	for range 2 {
		b := element.NewBatch[int](4)
		*b.Append(), *b.Append() = 3, 4
		if err := in.Deliver(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{in.Watermark(7), in.Status(true), in.Status(false), in.End()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range to {
		expect(t, r.take(), "[6 8], [6 8], wm 7, idle, active, end")
		if want := i < 2; r.shared[0] != want || r.shared[1] != want {
			t.Errorf("receiver %d: shared %v", i, r.shared)
		}
	}
	if in, out := rt.Metrics.RecordsIn.Load(), rt.Metrics.RecordsOut.Load(); in != 4 || out != 4 {
		t.Errorf("%d records in, %d out", in, out)
	}
	if at := rt.Metrics.Watermark.Load(); at != 7 {
		t.Errorf("watermark %d", at)
	}
}

func TestFanOutEndsSharingOnErrors(t *testing.T) {
	op := operator.Map(func(n *int) int { return *n }).New()
	full := errors.New("full")
	first, second := &receiver{fail: full}, &receiver{}
	for _, r := range []*receiver{first, second} {
		if err := op.Connect("", operator.PortOf[int](r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := op.Open(t.Context(), runtime("same")); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[int](1)
	*b.Append() = 1
	if err := op.Port(0).Deliver(b); !errors.Is(err, full) || b.Shared() || len(second.lines) > 0 {
		t.Errorf("%v, shared %v, second got %v", err, b.Shared(), second.lines)
	}
}

func TestConnectChecksTypes(t *testing.T) {
	op := operator.Map(func(n *int) string { return "" }).New()
	if err := op.Connect("", operator.PortOf[int](&tape[int]{})); err == nil {
		t.Error("strings are sent to a receiver of ints")
	}
	op = operator.Process(bind, func() operator.Funcs[int, int, plain] {
		return operator.Funcs[int, int, plain]{Process: func(c *plain, in *int, _ *element.Out[int]) error {
			c.Output("tag", "text")
			return nil
		}}
	}).New()
	if err := op.Connect("tag", operator.PortOf[int](&tape[int]{})); err != nil {
		t.Fatal(err)
	}
	if err := op.Open(t.Context(), runtime("side")); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[int](1)
	b.Append()
	if err := op.Port(0).Deliver(b); err == nil || !strings.Contains(err.Error(), `side output "tag"`) {
		t.Errorf("text to a side output of ints: %v", err)
	}
}

// faulty is user code of a step in the middle of a chain.
//
//go:noinline
func faulty(n *int) int {
	return *n + 0/(*n-3)
}

func TestPanicIsOfTheStepWhoseCodeItWas(t *testing.T) {
	names := []string{"first", "second", "third"}
	steps := []operator.Step{
		operator.FlatMap(func(n *int, out *element.Out[int]) { out.Emit(*n) }),
		operator.Map(faulty),
		operator.MapE(func(n *int) (int, error) {
			if *n == 4 {
				return 0, errors.New("four is not allowed")
			}
			return *n, nil
		}),
	}
	open := func() operator.Port {
		var next operator.Port = operator.PortOf[int](&tape[int]{})
		for i := len(steps) - 1; i >= 0; i-- {
			op, rt := steps[i].New(), runtime(names[i])
			rt.RowsMax = 1 // each record is sent on from within the call that emits it
			if err := errors.Join(op.Connect("", next), op.Open(context.Background(), rt)); err != nil {
				t.Fatal(err)
			}
			next = op.Port(0)
		}
		return next
	}
	deliver := func(n int) error {
		b := element.NewBatch[int](2)
		*b.Append(), *b.Append() = n, 9
		return open().Deliver(b)
	}
	var user *operator.UserError
	if err := deliver(3); !errors.As(err, &user) || user.Name != "second" {
		t.Fatalf("panic: %v", err)
	}
	stack := string(user.Stack)
	if first, _, _ := strings.Cut(stack, "\n"); !strings.Contains(first, "faulty") {
		t.Errorf("stack begins with %q", first)
	}
	if !strings.Contains(user.Error(), "panic: runtime error: integer divide by zero") || !strings.Contains(user.Error(), stack) {
		t.Errorf("error: %v", user)
	}
	if err := deliver(4); !errors.As(err, &user) || user.Name != "third" || user.Stack != nil {
		t.Fatalf("returned: %v", err)
	}
	expect(t, user.Error(), `user code failed: step "third": four is not allowed`)
}

func TestRichFormsOpenAndClose(t *testing.T) {
	var calls []string
	made := 0
	step := operator.Process(bind, func() operator.Funcs[int, int, plain] {
		made++
		n := made
		return operator.Funcs[int, int, plain]{
			Open: func(_ context.Context, rt *operator.Runtime) error {
				calls = append(calls, fmt.Sprint("open ", n, " as ", rt.Subtask))
				return nil
			},
			Process: func(*plain, *int, *element.Out[int]) error { return nil },
			Close:   func() error { calls = append(calls, fmt.Sprint("close ", n)); return nil },
		}
	})
	never := step.New()
	for i := range 2 {
		op, rt := step.New(), runtime("rich")
		rt.Subtask = i
		if err := errors.Join(op.Open(t.Context(), rt), op.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := never.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, strings.Join(calls, ", "), "open 2 as 0, close 2, open 3 as 1, close 3")
}

func TestTimestampsAndWatermarks(t *testing.T) {
	at := func(n *int) time.Time { return time.Unix(0, int64(*n)) }
	operatortest.Run(t, operatortest.Case{
		Step: operator.TimestampsAndWatermarks(watermark.Ascending(at)),
		Inputs: one(operatortest.NewFeed[int]().
			At(1000, 10, 20).Watermark(2000).Idle().Active().Row(15).Clock(time.Second).Row(30).End()),
		Want: want(operatortest.Expect(10, 20, 15, 30).At(10, 20, 15, 30)),
	})
}

func TestTimestampsAndWatermarksInIntervals(t *testing.T) {
	at := func(n *int) time.Time { return time.Unix(0, int64(*n)) }
	op := operator.TimestampsAndWatermarks(watermark.BoundedOutOfOrderness(5, at).Idle(time.Minute)).New()
	out, rt := &tape[int]{}, runtime("times")
	start := time.Unix(50, 0)
	now, wakeAt := start, time.Time{}
	rt.Now = func() time.Time { return now }
	rt.WakeAt = func(at time.Time) { wakeAt = at }
	if err := errors.Join(op.Connect("", operator.PortOf[int](out)), op.Open(t.Context(), rt)); err != nil {
		t.Fatal(err)
	}
	in := op.Port(0)
	put := func(n int) {
		t.Helper()
		b := element.NewBatch[int](1)
		*b.Append() = n
		if err := in.Deliver(b); err != nil {
			t.Fatal(err)
		}
	}
	tick := func(after time.Duration) {
		t.Helper()
		now = start.Add(after)
		if err := op.Tick(now); err != nil {
			t.Fatal(err)
		}
	}
	put(100)
	expect(t, out.take(), "[100]")
	if !wakeAt.Equal(start.Add(5 * time.Millisecond)) {
		t.Errorf("wakes after %v", wakeAt.Sub(start))
	}
	tick(5 * time.Millisecond)
	expect(t, out.take(), "wm 94")
	if !wakeAt.Equal(start.Add(time.Minute)) {
		t.Errorf("then after %v", wakeAt.Sub(start))
	}
	tick(time.Minute)
	expect(t, out.take(), "idle")
	now = now.Add(time.Minute)
	put(90)
	put(200)
	expect(t, out.take(), "active, [90], [200]")
	for _, err := range []error{in.Watermark(500), in.Status(true), in.Watermark(element.MaxWatermark)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	expect(t, out.take(), "wm max")
	wakeAt = time.Time{}
	tick(time.Hour)
	if !wakeAt.IsZero() {
		t.Errorf("wakes after the end of time")
	}
	if err := in.End(); err != nil {
		t.Fatal(err)
	}
	expect(t, out.take(), "end")
}

func TestTimestampsAndWatermarksSendTheLastWatermark(t *testing.T) {
	at := func(n *int) time.Time { return time.Unix(0, int64(*n)) }
	op, out := operator.TimestampsAndWatermarks(watermark.Ascending(at)).New(), &tape[int]{}
	if err := errors.Join(op.Connect("", operator.PortOf[int](out)), op.Open(t.Context(), runtime("times"))); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[int](1)
	*b.Append() = 8
	if err := errors.Join(op.Port(0).Deliver(b), op.Port(0).End()); err != nil {
		t.Fatal(err)
	}
	expect(t, out.take(), "[8], wm 7, end")
}
