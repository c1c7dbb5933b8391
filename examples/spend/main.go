// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command spend is the job of the README: what each buyer spends in each hour.
package main

import (
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

type Order struct {
	Buyer  string
	Amount float64
	At     time.Time
}

type Spend struct {
	Buyer  string
	Hour   time.Time
	Amount float64
}

func main() { weir.Main("spend", build) }

func build(env *stream.Env) error {
	env.Checkpoint(stream.Checkpoints{Interval: 10 * time.Second})
	env.From("orders", file.JSON[Order]("orders/*.json")).
		Watermarks(watermark.BoundedOutOfOrderness(5*time.Second, func(o *Order) time.Time { return o.At })).
		KeyBy(func(o *Order) string { return o.Buyer }).
		Window(window.Tumbling(time.Hour)).
		AggregateProcess("spend", aggregate.Sum(func(o *Order) float64 { return o.Amount }),
			func(ctx *stream.WindowCtx[string], sum *float64, out *stream.Out[Spend]) error {
				out.Emit(Spend{ctx.Key(), ctx.Window().Start, *sum})
				return nil
			}).
		To("out", file.CSVSink[Spend]("spend/"))
	return nil
}
