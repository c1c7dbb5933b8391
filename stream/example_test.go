// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// Click is what the examples are about.
type Click struct {
	User, Page string
	At         time.Time
}

func (c *Click) user() string    { return c.User }
func (c *Click) time() time.Time { return c.At }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// clicks are some, out of order by less than a minute.
func clicks(env *stream.Env) stream.Stream[Click] {
	minute := func(m float64) time.Time { return noon.Add(time.Duration(m * float64(time.Minute))) }
	return env.From("clicks", generator.Slice(
		Click{"ann", "/", minute(0)}, Click{"bob", "/", minute(1)}, Click{"ann", "/cart", minute(0.5)},
		Click{"ann", "/pay", minute(2)}, Click{"bob", "/help", minute(20)},
	)).Watermarks(watermark.BoundedOutOfOrderness(time.Minute, (*Click).time))
}

// show runs a job to its end and prints what came out, sorted.
func show[T any](build func(env *stream.Env) stream.Stream[T]) {
	out := collect.New[T]()
	job, err := weir.Run(context.Background(), "example", func(env *stream.Env) error {
		build(env).To("out", out.Sink())
		return nil
	}, weir.Options{})
	if err == nil {
		err = job.Wait()
	}
	if err != nil {
		fmt.Println(err)
	}
	var lines []string
	for _, r := range out.Rows() {
		lines = append(lines, fmt.Sprintf("%v", r))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Println(l)
	}
}

func ExampleStream_Map() {
	show(func(env *stream.Env) stream.Stream[string] {
		return clicks(env).
			Filter(func(c *Click) bool { return c.Page != "/" }).
			Map(func(c *Click) string { return c.User + " saw " + c.Page })
	})
	// Output:
	// ann saw /cart
	// ann saw /pay
	// bob saw /help
}

// Visit is how many pages a user saw before half an hour without a click.
type Visit struct {
	User  string
	Pages int
}

// visit is the state of a user: the methods that are its handlers read and change it.
type visit struct {
	Pages state.List[string]
	Last  int64
}

const quiet = 30 * time.Minute

func (v *visit) click(ctx *stream.Ctx[string], in *Click, _ *stream.Out[Visit]) error {
	v.Pages.Append(in.Page)
	v.Last = max(v.Last, in.At.UnixNano())
	ctx.EventTimer(in.At.Add(quiet))
	return nil
}

func (v *visit) over(ctx *stream.Ctx[string], t stream.Timer, out *stream.Out[Visit]) error {
	if t.At.Before(time.Unix(0, v.Last).Add(quiet)) {
		return nil // there was a click since
	}
	out.Emit(Visit{ctx.Key(), v.Pages.Len()})
	ctx.Delete()
	return nil
}

// A keyed process function with state and timers.
func ExampleKeyed_ProcessTimed() {
	show(func(env *stream.Env) stream.Stream[Visit] {
		return clicks(env).KeyBy((*Click).user).ProcessTimed("visits", (*visit).click, (*visit).over)
	})
	// Output:
	// {ann 3}
	// {bob 2}
}

// Busy is how many clicks there were in ten minutes.
type Busy struct {
	From   string
	Clicks int64
}

// Windows, with what comes too late for them in an output of its own.
func ExampleKeyed_Window() {
	late := stream.NewTag[Click]("late")
	show(func(env *stream.Env) stream.Stream[Busy] {
		counts := clicks(env).
			WindowAll(window.Tumbling(10*time.Minute)).
			LateOutput(late).
			AggregateProcess("count", aggregate.Count[Click](),
				func(ctx *stream.WindowCtx[stream.None], n *int64, out *stream.Out[Busy]) error {
					out.Emit(Busy{ctx.Window().Start.Format(time.TimeOnly), *n})
					return nil
				})
		tooLate := counts.SideOutput(late).Map(func(c *Click) Busy { return Busy{"late: " + c.Page, 1} })
		return counts.Union(tooLate)
	})
	// Output:
	// {12:00:00 4}
	// {12:20:00 1}
}

// Pages that nobody is meant to see go to a side output.
func ExampleStream_SideOutput() {
	secret := stream.NewTag[string]("secret")
	show(func(env *stream.Env) stream.Stream[string] {
		pages := clicks(env).Process(func(ctx *stream.PlainCtx, c *Click, out *stream.Out[string]) error {
			if c.Page == "/pay" {
				ctx.Output(secret, "not to be seen")
				return nil
			}
			out.Emit(c.Page)
			return nil
		})
		return pages.SideOutput(secret)
	})
	// Output: not to be seen
}

// greeting joins clicks with names: whichever comes first waits in the state for the other.
type greeting struct {
	Name    state.Value[string]
	Waiting state.List[string]
}

func (g *greeting) click(_ *stream.Ctx[string], c *Click, out *stream.Out[string]) error {
	if name, ok := g.Name.Get(); ok {
		out.Emit(name + " at " + c.Page)
	} else {
		g.Waiting.Append(c.Page)
	}
	return nil
}

func (g *greeting) name(_ *stream.Ctx[string], n *[2]string, out *stream.Out[string]) error {
	g.Name.Set(n[1])
	for page := range g.Waiting.All() {
		out.Emit(n[1] + " at " + *page)
	}
	g.Waiting.Clear()
	return nil
}

// Two streams by the same key share the state of a step.
func ExampleKeyed_Connect() {
	show(func(env *stream.Env) stream.Stream[string] {
		names := env.From("names", generator.Slice([2]string{"ann", "Ann Arbor"}))
		return clicks(env).KeyBy((*Click).user).
			Connect(names.KeyBy(func(n *[2]string) string { return n[0] })).
			Process("greet", (*greeting).click, (*greeting).name)
	})
	// Output:
	// Ann Arbor at /
	// Ann Arbor at /cart
	// Ann Arbor at /pay
}

// Sessions of which each record chooses the gap: whoever is at the checkout may take his time.
func ExampleKeyed_WindowBy() {
	patience := func(c *Click) time.Duration {
		if c.Page == "/cart" {
			return time.Hour
		}
		return time.Minute
	}
	show(func(env *stream.Env) stream.Stream[string] {
		return clicks(env).KeyBy((*Click).user).
			WindowBy(window.SessionBy(patience)).
			AggregateProcess("visits", aggregate.Count[Click](),
				func(ctx *stream.WindowCtx[string], n *int64, out *stream.Out[string]) error {
					w := ctx.Window()
					out.Emit(fmt.Sprintf("%s: %d clicks, until %s", ctx.Key(), *n, w.End.Format("15:04:05")))
					return nil
				})
	})
	// Output:
	// ann: 3 clicks, until 13:00:30
	// bob: 1 clicks, until 12:02:00
	// bob: 1 clicks, until 12:21:00
}

// Aggregates of all records so far, one result a record.
func ExampleKeyed_Aggregate() {
	show(func(env *stream.Env) stream.Stream[int64] {
		return clicks(env).KeyBy((*Click).user).Aggregate("count", aggregate.Count[Click]())
	})
	// Output:
	// 1
	// 1
	// 2
	// 2
	// 3
}

// ExampleKeyed_TopN follows the two pages of each user that come first in the alphabet.
func ExampleKeyed_TopN() {
	type first struct {
		User string
		Rank int
		Page string
	}
	show(func(env *stream.Env) stream.Stream[first] {
		return clicks(env).
			KeyBy((*Click).user).
			TopN("first", 2, func(a, b *Click) int { return strings.Compare(a.Page, b.Page) },
				func(rank int, c *Click, out *first) { *out = first{c.User, rank, c.Page} })
	})
	// Output:
	// {ann 1 /}
	// {ann 2 /cart}
	// {bob 1 /}
	// {bob 2 /help}
}

func ExampleKeyed_Deduplicate() {
	show(func(env *stream.Env) stream.Stream[string] {
		return clicks(env).
			KeyBy((*Click).user).
			Deduplicate("first").
			Map(func(c *Click) string { return c.User + " began at " + c.Page })
	})
	// Output:
	// ann began at /
	// bob began at /
}

// ExampleKeyed_LatestBy drops the click that comes behind a later one.
func ExampleKeyed_LatestBy() {
	show(func(env *stream.Env) stream.Stream[string] {
		return clicks(env).
			KeyBy((*Click).user).
			LatestBy("latest", func(c *Click) int64 { return c.At.Unix() }).
			Map(func(c *Click) string { return c.User + " is at " + c.Page })
	})
	// Output:
	// ann is at /
	// ann is at /cart
	// ann is at /pay
	// bob is at /
	// bob is at /help
}
