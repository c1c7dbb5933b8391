// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"fmt"
	"iter"
	"time"

	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// Order is what a user ordered at a time.
type Order struct {
	User, Item string
	At         time.Time
}

func (o *Order) user() string { return o.User }

// orders are some, in the time of clicks.
func orders(env *stream.Env) stream.Stream[Order] {
	return env.From("orders", generator.Slice(
		Order{"ann", "tea", noon.Add(3 * time.Minute)}, Order{"cid", "cup", noon.Add(4 * time.Minute)},
		Order{"bob", "pot", noon.Add(25 * time.Minute)},
	)).Watermarks(watermark.Ascending(func(o *Order) time.Time { return o.At }))
}

// What users ordered, beside the pages that they saw in the same five minutes.
func ExampleKeyed_Join() {
	show(func(env *stream.Env) stream.Stream[string] {
		return orders(env).KeyBy((*Order).user).
			Join(clicks(env).KeyBy((*Click).user), window.Tumbling(5*time.Minute)).
			Apply("join", func(ctx *stream.WindowCtx[string], o *Order, c *Click, out *stream.Out[string]) error {
				out.Emit(fmt.Sprintf("%s ordered %s and saw %s", ctx.Key(), o.Item, c.Page))
				return nil
			})
	})
	// Output:
	// ann ordered tea and saw /
	// ann ordered tea and saw /cart
	// ann ordered tea and saw /pay
}

// An outer join: sessions of clicks and orders together, whichever of them there are.
func ExampleKeyed_CoGroup() {
	show(func(env *stream.Env) stream.Stream[string] {
		return clicks(env).KeyBy((*Click).user).
			CoGroup(orders(env).KeyBy((*Order).user), window.Session(10*time.Minute)).
			Apply("visits", func(
				ctx *stream.WindowCtx[string], clicks iter.Seq[*Click], orders iter.Seq[*Order], out *stream.Out[string],
			) error {
				pages, items := 0, 0
				for range clicks {
					pages++
				}
				for range orders {
					items++
				}
				out.Emit(fmt.Sprintf("%s at %s: %d pages, %d orders", ctx.Key(), ctx.Window().Start.Format("15:04"), pages, items))
				return nil
			})
	})
	// Output:
	// ann at 12:00: 3 pages, 1 orders
	// bob at 12:01: 1 pages, 0 orders
	// bob at 12:20: 1 pages, 1 orders
	// cid at 12:04: 0 pages, 1 orders
}

// Orders, each with the pages that its user saw in less than three minutes before.
func ExampleKeyed_IntervalJoin() {
	show(func(env *stream.Env) stream.Stream[string] {
		return orders(env).KeyBy((*Order).user).
			IntervalJoin(clicks(env).KeyBy((*Click).user), stream.Between(-3*time.Minute, 0).LowerExclusive()).
			Apply("before", func(ctx *stream.Ctx[string], o *Order, c *Click, out *stream.Out[string]) error {
				out.Emit(fmt.Sprintf("%s ordered %s %v after %s", ctx.Key(), o.Item, o.At.Sub(c.At), c.Page))
				return nil
			})
	})
	// Output:
	// ann ordered tea 1m0s after /pay
	// ann ordered tea 2m30s after /cart
}
