// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
)

type word struct {
	text string
	n    int
}

func numbers() *operatortest.Feed[int] {
	return operatortest.NewFeed[int]().At(1, 1).At(2, 2, 3).Watermark(2).At(3, 4).Row(5).Idle().Active().At(6, 6).End()
}

func one(in ...operatortest.Input) []operatortest.Input { return in }

func want(w ...operatortest.Want) []operatortest.Want { return w }

func TestStateless(t *testing.T) {
	words := operatortest.Expect(word{"1", 10}, word{"2", 20}, word{"3", 30}, word{"4", 40}, word{"5", 50}, word{"6", 60}).
		At(1, 2, 2, 3, element.NoTime, 6)
	toWord := func(n *int) word { return word{string(rune('0' + *n)), *n * 10} }
	odd := operatortest.Expect(1, 3, 5).At(1, 2, element.NoTime)
	repeated := operatortest.Expect(1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6).
		At(1, 2, 2, 2, 2, 2, 3, 3, 3, 3, element.NoTime, element.NoTime, element.NoTime, element.NoTime, element.NoTime,
			6, 6, 6, 6, 6, 6)
	for _, c := range []struct {
		name string
		step operator.Step
		want operatortest.Want
	}{
		{"Map", operator.Map(toWord), words},
		{"Map in place", operator.Map(func(n *int) int { return *n * *n }), operatortest.Expect(1, 4, 9, 16, 25, 36)},
		{"MapE", operator.MapE(func(n *int) (word, error) { return toWord(n), nil }), words},
		{"MapTo", operator.MapTo(func(n *int, w *word) {
			w.text = string(rune('0' + *n))
			w.n += *n * 10
		}), words},
		{"MapToE", operator.MapToE(func(n *int, w *word) error {
			w.n += *n * 10
			w.text += string(rune('0' + *n))
			return nil
		}), words},
		{"MapBatch", operator.MapBatch(func(in []int, out []word) error {
			for i := range in {
				out[i].text += string(rune('0' + in[i]))
				out[i].n += in[i] * 10
			}
			return nil
		}), words},
		{"Filter", operator.Filter(func(n *int) bool { return *n%2 == 1 }), odd},
		{"FilterE", operator.FilterE(func(n *int) (bool, error) { return *n%2 == 1, nil }), odd},
		{"FlatMap", operator.FlatMap(func(n *int, out *element.Out[int]) {
			for range *n {
				out.Emit(*n)
			}
		}), repeated},
		{"FlatMapE", operator.FlatMapE(func(n *int, out *element.Out[int]) error {
			for range *n {
				*out.Next() = *n
			}
			return nil
		}), repeated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			operatortest.Run(t, operatortest.Case{Step: c.step, Inputs: one(numbers()), Want: want(c.want)})
		})
	}
}

// plain is the context that an API would make.
type plain struct{ *operator.Context }

func bind(c *operator.Context) *plain { return &plain{c} }

func TestProcessSeesTimeAndSideOutputs(t *testing.T) {
	funcs := func() operator.Funcs[int, int, plain] {
		return operator.Funcs[int, int, plain]{
			Process: func(c *plain, in *int, out *element.Out[int]) error {
				switch {
				case c.Time() == element.NoTime:
					c.Output("untimed", word{"untimed", *in})
				case *in%2 == 0:
					c.Output("even", *in)
					c.Output("nobody reads it", *in)
				default:
					out.EmitAt(*in, time.Unix(0, c.Time()+100))
				}
				return nil
			},
		}
	}
	operatortest.Run(t, operatortest.Case{
		Step:   operator.Process(bind, funcs),
		Inputs: one(numbers()),
		Want: want(
			operatortest.Expect(1, 3).At(101, 102),
			operatortest.ExpectSide("even", 2, 4, 6).At(2, 3, 6),
			operatortest.ExpectSide("untimed", word{"untimed", 5}),
		),
	})
}

func TestCoProcess(t *testing.T) {
	step := operator.CoProcess(bind, func() operator.CoFuncs[int, string, string, plain] {
		return operator.CoFuncs[int, string, string, plain]{
			Process1: func(_ *plain, n *int, out *element.Out[string]) error {
				out.Emit(strings.Repeat("i", *n))
				return nil
			},
			Process2: func(_ *plain, s *string, out *element.Out[string]) error {
				out.Emit(*s)
				return nil
			},
		}
	})
	if step.Inputs != 2 {
		t.Fatalf("%d inputs", step.Inputs)
	}
	operatortest.Run(t, operatortest.Case{
		Step: step,
		Inputs: one(
			operatortest.NewFeed[int]().At(1, 1).Watermark(5).At(6, 2).Idle(),
			operatortest.NewFeed[string]().At(3, "x").Idle().Active().Watermark(7).At(9, "y").Watermark(9).End(),
		),
		Want: want(operatortest.Expect("i", "ii", "x", "y").At(1, 6, 3, 9)),
	})
}

func TestChain(t *testing.T) {
	double := func(n *int) int { return *n * 2 }
	sum, err := operator.Aggregate(func(n *int) int { return *n % 4 }, aggregate.Sum(func(n *int) int { return *n }))
	if err != nil {
		t.Fatal(err)
	}
	operatortest.Run(t, operatortest.Case{
		Step: operatortest.Chain(
			operator.Map(double),
			operator.MapTo(func(n, out *int) { *out += *n + 1 }),                        // 3 5 7 9 11 13
			operator.Filter(func(n *int) bool { return *n%5 != 0 }),                     // 3 7 9 11 13
			operator.FlatMap(func(n *int, out *element.Out[int]) { out.Emit(*n * 10) }), // 30 70 90 110 130
			operator.FilterE(func(n *int) (bool, error) { return *n != 110, nil }),
			operator.Map(func(n *int) int { return *n + 1 }),
			sum, // by remainder, all of which is 3
			operator.MapTo(func(n *int, w *word) { w.n = *n }),
		),
		Inputs:     one(numbers()),
		Want:       want(operatortest.Expect(word{"", 31}, word{"", 102}, word{"", 193}, word{"", 324}).At(1, 2, 3, 6)),
		OneSubtask: true, // records are hashed behind the first step only
	})
}
