// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package window_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// Sale is of an item at a time.
type Sale struct{ At time.Time }

func (s *Sale) time() time.Time { return s.At }

// count prints how many sales there are in each window.
func count(windows window.Assigner, sales ...Sale) {
	out := collect.New[string]()
	job, err := weir.Run(context.Background(), "sales", func(env *stream.Env) error {
		env.From("sales", generator.Slice(sales...)).
			Watermarks(watermark.BoundedOutOfOrderness(24*time.Hour, (*Sale).time)).
			WindowAll(windows).
			AggregateProcess("count", aggregate.Count[Sale](),
				func(ctx *stream.WindowCtx[stream.None], n *int64, out *stream.Out[string]) error {
					w := ctx.Window()
					out.Emit(fmt.Sprintf("%s to %s: %d", w.Start.Format("Jan 2 15:04"), w.End.Format("Jan 2 15:04"), *n))
					return nil
				}).
			To("out", out.Sink())
		return nil
	}, weir.Options{})
	if err == nil {
		err = job.Wait()
	}
	if err != nil {
		fmt.Println(err)
	}
	for _, line := range slices.Sorted(slices.Values(out.Rows())) {
		fmt.Println(line)
	}
}

func at(hour, minute int) Sale { return Sale{time.Date(2026, 5, 1, hour, minute, 0, 0, time.UTC)} }

// Every record is in one window, which begins at a multiple of the size.
func ExampleTumbling() {
	count(window.Tumbling(time.Hour), at(9, 0), at(9, 59), at(10, 0))
	// Output:
	// May 1 09:00 to May 1 10:00: 2
	// May 1 10:00 to May 1 11:00: 1
}

// Every record is in size/slide windows: what happened in the last hour, told every half hour.
func ExampleSliding() {
	count(window.Sliding(time.Hour, 30*time.Minute), at(9, 10), at(9, 40))
	// Output:
	// May 1 08:30 to May 1 09:30: 1
	// May 1 09:00 to May 1 10:00: 2
	// May 1 09:30 to May 1 10:30: 1
}

// A session goes on for as long as there is a sale within half an hour of the one before; exactly half an hour is still one.
func ExampleSession() {
	count(window.Session(30*time.Minute), at(9, 0), at(10, 30), at(9, 20), at(9, 50))
	// Output:
	// May 1 09:00 to May 1 10:20: 3
	// May 1 10:30 to May 1 11:00: 1
}

// Days of a time zone that is eight hours ahead of UTC: they begin eight hours earlier.
func ExampleAssigner_Offset() {
	count(window.Tumbling(24*time.Hour).Offset(-8*time.Hour), at(15, 59), at(16, 0))
	// Output:
	// Apr 30 16:00 to May 1 16:00: 1
	// May 1 16:00 to May 2 16:00: 1
}
