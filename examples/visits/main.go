// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command visits turns clicks into visits: all clicks of a user with less than half an hour between them. It shows state
// of one's own with timers.
//
//	echo '{"User":"ann","Page":"/","At":"2026-01-01T12:00:00Z"}' > clicks.json
//	go run ./examples/visits --in clicks.json
package main

import (
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// Click is a row of the input.
type Click struct {
	User, Page string
	At         time.Time
}

func (c *Click) user() string { return c.User }

// Visit is a row of the result.
type Visit struct {
	User   string
	Clicks int64
	Pages  int
	From   time.Time
}

// quietTime ends a visit.
const quietTime = 30 * time.Minute

func main() { weir.Main("visits", build) }

func build(env *stream.Env) error {
	in := env.Flag("in", "clicks/*.json", "files of clicks, a JSON object a line")
	clicks := env.From("clicks", file.JSON[Click](in)).
		Watermarks(watermark.BoundedOutOfOrderness(time.Minute, func(c *Click) time.Time { return c.At }))
	visitsOf(clicks).To("out", file.CSVSink[Visit](env.Flag("out", "visits", "directory of the results")))
	return nil
}

// README: state.
type visits struct {
	Clicks int64
	Last   state.Value[time.Time]
	From   time.Time
	Pages  state.Map[string, int64] `weir:"pages,ttl=24h"`
}

func (v *visits) click(ctx *stream.Ctx[string], in *Click, _ *stream.Out[Visit]) error {
	if ctx.New() {
		v.From = in.At
	}
	v.Clicks++
	*v.Pages.At(in.Page)++
	if last, ok := v.Last.Get(); !ok || in.At.After(last) {
		v.Last.Set(in.At)
		ctx.EventTimer(in.At.Add(quietTime))
	}
	return nil
}

func (v *visits) quiet(ctx *stream.Ctx[string], t stream.Timer, out *stream.Out[Visit]) error {
	if last, _ := v.Last.Get(); last.Add(quietTime).After(t.At) {
		return nil // there was another click
	}
	if v.Clicks > 0 {
		out.Emit(Visit{ctx.Key(), v.Clicks, v.Pages.Len(), v.From})
	}
	ctx.Delete()
	return nil
}

func visitsOf(clicks stream.Stream[Click]) stream.Stream[Visit] {
	return clicks.KeyBy((*Click).user).ProcessTimed("visits", (*visits).click, (*visits).quiet)
}

// README: end.
