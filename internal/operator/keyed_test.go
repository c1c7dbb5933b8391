// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/state"
)

// sale is a record of a shop.
type sale struct {
	Shop   string
	Amount int64
	Item   string
}

func shop(s *sale) string   { return s.Shop }
func amount(s *sale) *int64 { return &s.Amount }
func price(s *sale) int64   { return s.Amount }

var (
	a1, b1, a2 = sale{"a", 5, "x"}, sale{"b", 7, "y"}, sale{"a", 3, "z"}
	a3, c1, b2 = sale{"a", 5, "v"}, sale{"c", 1, "w"}, sale{"b", 9, "u"}
)

func sales() *operatortest.Feed[sale] {
	return operatortest.NewFeed[sale]().KeyBy(shop).
		At(1, a1).At(2, b1, a2).Watermark(2).At(3, a3).Row(c1).Idle().Active().At(4, b2).End()
}

func must(t *testing.T) func(s operator.Step, err error) operator.Step {
	t.Helper()
	return func(s operator.Step, err error) operator.Step {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestRolling(t *testing.T) {
	m := must(t)
	result := func(rows ...sale) operatortest.Want {
		return operatortest.Expect(rows...).At(1, 2, 2, 3, element.NoTime, 4).InOrder(shop)
	}
	for _, c := range []struct {
		name string
		step operator.Step
		want operatortest.Want
	}{
		{
			"Reduce", m(operator.Reduce(shop, func(acc, in *sale) { acc.Item += in.Item })),
			result(a1, b1, sale{"a", 5, "xz"}, sale{"a", 5, "xzv"}, c1, sale{"b", 7, "yu"}),
		},
		{
			"Sum", m(operator.Sum(shop, amount)),
			result(a1, b1, sale{"a", 8, "x"}, sale{"a", 13, "x"}, c1, sale{"b", 16, "y"}),
		},
		{"Min", m(operator.Min(shop, amount)), result(a1, b1, sale{"a", 3, "x"}, sale{"a", 3, "x"}, c1, b1)},
		{"Max", m(operator.Max(shop, amount)), result(a1, b1, a1, a1, c1, sale{"b", 9, "y"})},
		{"MinBy", m(operator.MinBy(shop, price)), result(a1, b1, a2, a2, c1, b1)},
		{"MaxBy", m(operator.MaxBy(shop, price)), result(a1, b1, a1, a1, c1, b2)},
		{
			"Aggregate", m(operator.Aggregate(shop, aggregate.Avg(price))),
			operatortest.Expect(5.0, 7, 4, 13.0/3, 1, 8).At(1, 2, 2, 3, element.NoTime, 4),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			operatortest.Run(t, operatortest.Case{Step: c.step, Inputs: one(sales()), Want: want(c.want)})
		})
	}
}

// keyed is the context that an API would make.
type keyed struct{ *operator.KeyedContext[string] }

func bindKeyed(c *operator.KeyedContext[string]) *keyed { return &keyed{c} }

// visits is a state with fields of each kind.
type visits struct {
	Count int64 `weir:"count"`
	Last  state.Value[string]
	All   state.List[int64]
}

func TestKeyedProcessKeepsRows(t *testing.T) {
	step := must(t)(operator.KeyedProcess(shop, bindKeyed, func() operator.KeyedFuncs[visits, sale, string, keyed] {
		return operator.KeyedFuncs[visits, sale, string, keyed]{
			Process: func(st *visits, c *keyed, in *sale, out *element.Out[string]) error {
				last, ok := st.Last.Get()
				var sum int64
				st.All.Append(in.Amount)
				for n := range st.All.All() {
					sum += *n
				}
				st.Count++
				st.Last.Set(in.Item)
				out.Emit(fmt.Sprint(c.Key(), " ", st.Count, " ", last, " ", ok, " ", c.New(), " ", sum))
				if st.Count == 2 {
					c.Output("twice", *in)
					c.Delete()
				}
				return nil
			},
		}
	}))
	operatortest.Run(t, operatortest.Case{
		Step: step, Inputs: one(sales()),
		Want: want(
			operatortest.Expect("a 1  false true 5", "b 1  false true 7", "a 2 x true false 8", "a 1  false true 5",
				"c 1  false true 1", "b 2 y true false 16").InOrder(func(s *string) byte { return (*s)[0] }),
			operatortest.ExpectSide("twice", a2, b2).At(2, 4),
		),
	})
}

// timing emits what it sees of timers: each record registers timers that its item says.
func timing(at time.Time) func() operator.KeyedFuncs[visits, sale, string, keyed] {
	return func() operator.KeyedFuncs[visits, sale, string, keyed] {
		return operator.KeyedFuncs[visits, sale, string, keyed]{
			Process: func(st *visits, c *keyed, in *sale, _ *element.Out[string]) error {
				st.Count += in.Amount
				switch in.Item {
				case "event":
					c.EventTimer(time.Unix(0, c.Time()+10))
					c.EventTimer(time.Unix(0, c.Time()+10))
				case "cancel":
					c.DeleteEventTimer(time.Unix(0, c.Time()+10))
				case "clock":
					c.ProcessingTimer(at.Add(time.Duration(in.Amount) * time.Second))
				case "cancel clock":
					c.DeleteProcessingTimer(at.Add(time.Duration(in.Amount) * time.Second))
				case "delete":
					c.EventTimer(time.Unix(0, c.Time()+10))
					c.Delete()
				}
				return nil
			},
			OnTimer: func(st *visits, c *keyed, timer operator.Timer, out *element.Out[string]) error {
				if timer.Processing {
					out.Emit(fmt.Sprint(c.Key(), " ", st.Count, " clock ", timer.At.Sub(at), " ", c.New(), " ", c.Time() == element.NoTime))
					return nil
				}
				out.Emit(fmt.Sprint(c.Key(), " ", st.Count, " event ", timer.At.UnixNano(), " ", c.New()))
				if !c.New() && timer.At.UnixNano() < 30 {
					c.EventTimer(timer.At.Add(7)) // due in the same round, or later
				}
				if timer.At.UnixNano() >= 30 {
					c.Delete()
				}
				return nil
			},
		}
	}
}

func key0(s *string) byte { return (*s)[0] }

func TestTimers(t *testing.T) {
	begin := operatortest.Start()
	step := must(t)(operator.KeyedProcess(shop, bindKeyed, timing(begin)))
	feed := operatortest.NewFeed[sale]().KeyBy(shop).
		At(5, sale{"a", 1, "event"}, sale{"b", 10, "event"}, sale{"c", 100, "event"}).
		At(5, sale{"c", 100, "cancel"}).
		Watermark(14).
		At(9, sale{"a", 2, "event"}, sale{"d", 9, "delete"}).
		Row(sale{"e", 3, "clock"}, sale{"e", 2, "clock"}, sale{"e", 4, "clock"}, sale{"e", 4, "cancel clock"}).
		Watermark(15).
		Clock(time.Second).Clock(time.Second).
		Watermark(100).
		Clock(time.Minute).
		End()
	operatortest.Run(t, operatortest.Case{
		Step: step, Inputs: one(feed),
		Want: want(operatortest.Expect(
			"a 3 event 15 false", "a 3 event 19 false", "a 3 event 22 false", "a 3 event 26 false", "a 3 event 29 false",
			"a 3 event 33 false", "a 0 event 36 true",
			"b 10 event 15 false", "b 10 event 22 false", "b 10 event 29 false", "b 10 event 36 false",
			"d 0 event 19 true",
			"e 13 clock 2s false true", "e 13 clock 3s false true",
		).InOrder(key0)),
	})
}

func TestTimersLeaveNoEmptyRows(t *testing.T) {
	step := must(t)(operator.KeyedProcess(shop, bindKeyed, timing(time.Unix(0, 0))))
	op := step.New()
	if err := op.Open(t.Context(), runtime("timers")); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[sale](2)
	*b.AppendNanos(1) = sale{"a", 1, "delete"}
	if err := errors.Join(op.Port(0).Deliver(b), op.Port(0).Watermark(100)); err != nil {
		t.Fatal(err)
	}
	for _, s := range op.States()[:2] {
		if n := s.Size().Rows; n != 0 {
			t.Errorf("state %q has %d rows after the timer of a deleted one", s.Name(), n)
		}
	}
}

func TestTimersFireByTimeThenKey(t *testing.T) {
	step := must(t)(operator.KeyedProcess(shop, bindKeyed, timing(time.Unix(0, 0))))
	end := &tape[string]{}
	op := step.New()
	if err := op.Connect("", operator.PortOf[string](end)); err != nil {
		t.Fatal(err)
	}
	if err := op.Open(t.Context(), runtime("timers")); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[sale](8)
	for i, name := range []string{"a", "b", "c", "d"} {
		*b.AppendNanos(int64(40 - i/2*5)) = sale{name, 1, "event"}
	}
	if err := op.Port(0).Deliver(b); err != nil {
		t.Fatal(err)
	}
	if err := op.Port(0).Watermark(100); err != nil {
		t.Fatal(err)
	}
	got := end.take()
	if i, j := strings.Index(got, "event 45"), strings.Index(got, "event 50"); i < 0 || j < i || !strings.HasSuffix(got, ", wm 100") {
		t.Errorf("fired %s", got)
	}
}

func TestWatermarkOfCallsAfterRestore(t *testing.T) {
	late := must(t)(operator.KeyedProcess(shop, bindKeyed, func() operator.KeyedFuncs[struct{}, sale, sale, keyed] {
		return operator.KeyedFuncs[struct{}, sale, sale, keyed]{
			Process: func(_ *struct{}, c *keyed, in *sale, out *element.Out[sale]) error {
				if c.Time() > c.Watermark() {
					out.Emit(*in)
				}
				return nil
			},
		}
	}))
	operatortest.Run(t, operatortest.Case{
		Step: late,
		Inputs: one(operatortest.NewFeed[sale]().KeyBy(shop).
			At(5, a1, b1).Watermark(7).At(6, a2).At(7, b2).At(8, a3).Watermark(9).At(8, c1).At(10, c1).End()),
		Want: want(operatortest.Expect(a1, b1, a3, c1).At(5, 5, 8, 10)),
	})
}

// refund is the other side of a connected stream.
type refund struct {
	Shop   string
	Amount int64
}

func TestKeyedCoProcess(t *testing.T) {
	type account struct {
		Sold, Back int64
		Timed      bool
	}
	step := must(t)(operator.KeyedCoProcess(shop, func(r *refund) string { return r.Shop }, bindKeyed,
		func() operator.KeyedCoFuncs[account, sale, refund, string, keyed] {
			once := func(st *account, c *keyed) {
				if !st.Timed {
					st.Timed = true
					c.EventTimer(time.Unix(0, 50))
				}
			}
			return operator.KeyedCoFuncs[account, sale, refund, string, keyed]{
				Process1: func(st *account, c *keyed, in *sale, _ *element.Out[string]) error {
					st.Sold += in.Amount
					once(st, c)
					return nil
				},
				Process2: func(st *account, c *keyed, in *refund, _ *element.Out[string]) error {
					st.Back += in.Amount
					once(st, c)
					return nil
				},
				OnTimer: func(st *account, c *keyed, _ operator.Timer, out *element.Out[string]) error {
					out.Emit(fmt.Sprint(c.Key(), " ", st.Sold, " ", st.Back))
					c.Delete()
					return nil
				},
			}
		}))
	refunds := operatortest.NewFeed[refund]().KeyBy(func(r *refund) string { return r.Shop }).
		At(1, refund{"b", 2}, refund{"a", 1}).Watermark(20).At(30, refund{"a", 1}, refund{"d", 4}).Idle()
	operatortest.Run(t, operatortest.Case{
		Step: step, Inputs: one(sales(), refunds.Active().End()),
		Want: want(operatortest.Expect("a 13 2", "b 16 2", "c 1 0", "d 0 4").At(50, 50, 50, 50)),
	})
}

// hourly is a state whose fields expire.
type hourly struct {
	Recent state.List[int64] `weir:"recent,ttl=1h"`
}

func TestTimeToLive(t *testing.T) {
	step := must(t)(operator.KeyedProcess(shop, bindKeyed, func() operator.KeyedFuncs[hourly, sale, int, keyed] {
		return operator.KeyedFuncs[hourly, sale, int, keyed]{
			Process: func(st *hourly, _ *keyed, in *sale, out *element.Out[int]) error {
				st.Recent.Append(in.Amount)
				out.Emit(st.Recent.Len())
				return nil
			},
		}
	}))
	operatortest.Run(t, operatortest.Case{
		Step: step,
		Inputs: one(operatortest.NewFeed[sale]().KeyBy(shop).
			Row(a1).Clock(30*time.Minute).Row(a2).Clock(31*time.Minute).Row(a3, b1).Clock(2 * time.Hour).Row(a1).End()),
		Want: want(operatortest.Expect(1, 2, 2, 1, 1)),
	})
}

func TestKeyedFaults(t *testing.T) {
	open := func(f operator.KeyedFuncs[int64, sale, string, keyed], change func(*operator.Runtime)) (operator.Operator, error) {
		t.Helper()
		op := must(t)(operator.KeyedProcess(shop, bindKeyed, func() operator.KeyedFuncs[int64, sale, string, keyed] { return f })).New()
		rt := runtime("keyed")
		rt.UID = "k"
		change(rt)
		return op, op.Open(t.Context(), rt)
	}
	deliver := func(f operator.KeyedFuncs[int64, sale, string, keyed], change func(*operator.Runtime)) error {
		t.Helper()
		op, err := open(f, change)
		if err != nil {
			t.Fatal(err)
		}
		b := element.NewBatch[sale](1)
		*b.Append() = a1
		return op.Port(0).Deliver(b)
	}
	process := func(f func(c *keyed) error) operator.KeyedFuncs[int64, sale, string, keyed] {
		return operator.KeyedFuncs[int64, sale, string, keyed]{
			Process: func(_ *int64, c *keyed, _ *sale, _ *element.Out[string]) error { return f(c) },
		}
	}
	same := func(*operator.Runtime) {}
	wrong := func(rt *operator.Runtime) { rt.Parallelism, rt.MaxParallelism, rt.Subtask = 128, 128, 3 }
	oops := errors.New("oops")
	var user *operator.UserError
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"returned", deliver(process(func(*keyed) error { return oops }), same), `user code failed: step "keyed" (uid "k"): oops`},
		{"panic", deliver(process(func(*keyed) error { panic(oops) }), same), `user code failed: step "keyed" (uid "k"): panic: oops`},
		{"timer", deliver(process(func(c *keyed) error { c.EventTimer(time.Now()); return nil }), same), `user code failed: step "keyed" (uid "k"): a timer needs OnTimer`},
		{"wrong place", deliver(process(func(*keyed) error { return nil }), wrong), `step "keyed": key a belongs to key group`},
	} {
		if c.err == nil || !strings.HasPrefix(c.err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, c.err)
		}
		if is := errors.As(c.err, &user); is != (c.name != "wrong place") {
			t.Errorf("%s: user's fault: %v", c.name, is)
		}
	}

	closed := 0
	f := process(nil)
	f.Open = func(context.Context, *operator.Runtime) error { return oops }
	f.Close = func() error { closed++; return nil }
	op, err := open(f, same)
	if !errors.Is(err, oops) || op.Close() != nil || closed != 1 {
		t.Errorf("open: %v, closed %d times", err, closed)
	}
}

func TestUnstorableTypesAreErrorsOfTheBuild(t *testing.T) {
	type bad struct{ F func() }
	nothing := func() operator.KeyedFuncs[bad, sale, string, keyed] {
		return operator.KeyedFuncs[bad, sale, string, keyed]{}
	}
	if _, err := operator.KeyedProcess(shop, bindKeyed, nothing); err == nil || !strings.Contains(err.Error(), "F") {
		t.Errorf("state: %v", err)
	}
	if _, err := operator.Reduce(func(s *sale) float64 { return 1 }, func(acc, in *sale) {}); err == nil {
		t.Error("a float is a key")
	}
	if _, err := operator.Aggregate(shop, aggregate.Of(func(*bad, *sale) {}, func(_, _ *bad) {}, func(*bad) int { return 0 })); err == nil {
		t.Error("an accumulator with a function passes")
	}
}
