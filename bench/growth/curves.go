// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// someKeys is the number of keys where it is not what grows.
const someKeys = 100_000

// counting counts records by key.
func counting(subtasks int) func(*stream.Env, *feed, *tally[int64]) {
	return func(env *stream.Env, in *feed, out *tally[int64]) {
		env.Parallelism(subtasks)
		env.From("records", in).KeyBy(keyOf).Process("count", count).To("out", out)
	}
}

// measureSubtasks spreads the same work over more and more subtasks of each step.
func measureSubtasks(ctx context.Context, o *options) error {
	var points []*point
	for _, n := range o.subtasks {
		points = append(points, &point{
			name: strconv.Itoa(n), fill: o.records, round: o.records, readers: int64(n),
			in: &feed{fill: numbered(someKeys)}, describe: counting(n),
		})
	}
	if err := curve(ctx, o, points); err != nil {
		return err
	}
	show(o, "Subtasks: records of 16 bytes counted by 1e5 keys, by as many subtasks of the source and of the count", "Subtasks", points)
	return nil
}

// measureKeys counts by more and more keys, all of which have been seen before.
func measureKeys(ctx context.Context, o *options) error {
	var points []*point
	for n := int64(1000); n <= o.keysMax; n *= 10 {
		points = append(points, &point{
			name: fmt.Sprintf("%.0e", float64(n)), fill: n, round: o.records, readers: 1,
			in: &feed{fill: eachThenAny(n)}, describe: counting(1),
		})
	}
	if err := curve(ctx, o, points); err != nil {
		return err
	}
	show(o, "Keys: records counted by key, rows of 16 bytes, one subtask a step", "Keys", points)
	return nil
}

// eachThenAny makes a record of each key, then of keys without pattern.
func eachThenAny(keys int64) func(int64, *record) {
	return func(i int64, out *record) {
		out.Key, out.At = i, i
		if i >= keys {
			out.Key = scramble(i, keys)
		}
	}
}

const (
	// windowKeys come windowRepeats times in each second of event time.
	windowKeys    = 1000
	windowRepeats = 20
	perSecond     = windowKeys * windowRepeats
)

// measureWindows counts by key in windows of more and more panes: a result for each key and second.
func measureWindows(ctx context.Context, o *options) error {
	round := max(1, o.records/perSecond) * perSecond
	var points []*point
	for n := 1; n <= o.panesMax; n *= 10 {
		points = append(points, &point{
			name: strconv.Itoa(n), fill: int64(n+1)*perSecond + 1, round: round, readers: 1,
			// What fires at the end of a second does so with the first record of the next.
			results: func(sent int64) int64 { return (sent - 1) / perSecond * windowKeys },
			in: &feed{fill: func(i int64, out *record) {
				out.Key, out.At = i*7919%windowKeys, i*int64(time.Second)/perSecond
			}},
			describe: func(env *stream.Env, in *feed, out *tally[int64]) {
				env.Parallelism(1)
				env.From("records", in).Watermarks(watermark.Ascending(timeOf)).KeyBy(keyOf).
					Window(window.Sliding(time.Duration(n)*time.Second, time.Second)).
					Aggregate("count", aggregate.Count[record]()).To("out", out)
			},
		})
	}
	if err := curve(ctx, o, points); err != nil {
		return err
	}
	show(o, "Windows: counted by 1,000 keys in windows of so many seconds every second, 20 records of each key a second", "Panes a window", points)
	return nil
}

//go:noinline
func timeOf(in *record) time.Time { return time.Unix(0, in.At) }
