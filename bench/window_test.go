// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

const (
	windowKeys = 100_000
	// rowsPerSecond is of event time.
	rowsPerSecond = 1_000_000
	windowSeconds = 60
)

// event is a record of a key at a time.
type event struct{ Key, At int64 }

// fillEvent makes windowKeys keys, each as often in each second, in an order without pattern in memory.
//
//go:noinline
func fillEvent(i int64, out *event) {
	out.Key = i * 7919 % windowKeys
	out.At = i * int64(time.Second) / rowsPerSecond
}

//go:noinline
func eventKey(in *event) int64 { return in.Key }

//go:noinline
func eventAt(in *event) time.Time { return time.Unix(0, in.At) }

// BenchmarkWindows counts by key in sliding windows of a minute every second, beside tumbling windows of a second. Both
// give a result for each key and second. A round is a second of event time; the first minute fills the sliding windows.
func BenchmarkWindows(b *testing.B) {
	job := func(a window.Assigner) *live[event, int64] {
		return start(b, newFeed(fillEvent), newTally(value), weir.Options{},
			func(env *stream.Env, in feed[event], out *tally[int64]) {
				env.From("events", in).Watermarks(watermark.Ascending(eventAt)).KeyBy(eventKey).
					Window(a).Aggregate("count", aggregate.Count[event]()).To("out", out)
			})
	}
	sliding := job(window.Sliding(windowSeconds*time.Second, time.Second))
	tumbling := job(window.Tumbling(time.Second))
	// What fires at the end of a second does so with the first record of the next.
	for _, l := range []*live[event, int64]{sliding, tumbling} {
		l.round(rowsPerSecond+1, windowKeys)
	}
	for range windowSeconds {
		sliding.round(rowsPerSecond, windowKeys)
	}
	compare(b, rowsPerSecond,
		&side{name: "sliding", run: func() { sliding.round(rowsPerSecond, windowKeys) }},
		&side{name: "tumbling", run: func() { tumbling.round(rowsPerSecond, windowKeys) }},
	)
	sliding.stop()
	tumbling.stop()
	if got, want := sliding.out.sum, slidingSum(sliding.out.rows/windowKeys); got != want {
		b.Errorf("sliding windows count %d records, want %d", got, want)
	}
	if got, want := tumbling.out.sum, tumbling.out.rows/windowKeys*rowsPerSecond; got != want {
		b.Errorf("tumbling windows count %d records, want %d", got, want)
	}
}

// slidingSum is what windows that ended in the first n seconds count in all.
func slidingSum(n int64) int64 {
	sum := int64(0)
	for s := range n {
		sum += min(s+1, windowSeconds) * rowsPerSecond
	}
	return sum
}
