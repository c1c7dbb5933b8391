// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// Hour is a row of the result: the departures of an hour from an airport, and its weather.
type Hour struct {
	Hour         time.Time
	Origin       string
	Flights      int64
	Cancelled    int64
	Late         int64
	MeanDelayMin string
	Sky
}

// lateMin is the delay in minutes above which a departure counts as late.
const lateMin = 15

// tally is the accumulator of an hour.
type tally struct {
	Flights, Cancelled, Late int64
	Delay                    mean
}

func (t *tally) add(f *Flight) {
	t.Flights++
	if f.Cancelled {
		t.Cancelled++
		return
	}
	if f.DepDelayMin == nil {
		return
	}
	t.Delay.add(*f.DepDelayMin)
	if *f.DepDelayMin > lateMin {
		t.Late++
	}
}

func (t *tally) merge(o *tally) {
	t.Flights += o.Flights
	t.Cancelled += o.Cancelled
	t.Late += o.Late
	t.Delay.merge(&o.Delay)
}

func (t *tally) hour() Hour {
	return Hour{Flights: t.Flights, Cancelled: t.Cancelled, Late: t.Late, MeanDelayMin: t.Delay.String()}
}

// place is an airport in an hour.
type place struct {
	Origin string
	Hour   int64
}

func placeOf(origin string, at time.Time) place { return place{origin, at.Truncate(time.Hour).Unix()} }

// hourly counts the departures of each hour at each airport, and joins them with the weather.
func hourly(flights stream.Stream[Flight], weather stream.Stream[Weather]) stream.Stream[Hour] {
	hours := flights.
		KeyBy(func(f *Flight) string { return f.Origin }).
		Window(window.Tumbling(time.Hour)).
		AggregateProcess("hours", aggregate.Of((*tally).add, (*tally).merge, (*tally).hour),
			func(ctx *stream.WindowCtx[string], in *Hour, out *stream.Out[Hour]) error {
				h := out.Next()
				*h = *in
				h.Origin, h.Hour = ctx.Key(), ctx.Window().Start
				return nil
			})
	return hours.KeyBy(func(h *Hour) place { return placeOf(h.Origin, h.Hour) }).
		Connect(weather.KeyBy(func(w *Weather) place { return placeOf(w.Origin, w.Observed) })).
		ProcessTimed("weather-join", (*joined).hour, (*joined).weather, (*joined).emit)
}

// joined is the left join of an hour's departures with its weather. It waits until the watermark of both inputs says
// that the weather would be here.
type joined struct {
	Hour    state.Value[Hour]
	Weather state.Value[Weather]
}

func (j *joined) hour(ctx *stream.Ctx[place], in *Hour, _ *stream.Out[Hour]) error {
	j.Hour.Set(*in)
	ctx.EventTimer(over(ctx))
	return nil
}

func (j *joined) weather(ctx *stream.Ctx[place], in *Weather, _ *stream.Out[Hour]) error {
	if !ctx.Watermark().Before(over(ctx)) {
		ctx.Runtime().Counter(lateCounter).Add(1)
		ctx.Delete()
		return nil
	}
	if w, ok := j.Weather.Get(); !ok || !in.Observed.Before(w.Observed) {
		j.Weather.Set(*in)
	}
	ctx.EventTimer(over(ctx))
	return nil
}

func (j *joined) emit(ctx *stream.Ctx[place], _ stream.Timer, out *stream.Out[Hour]) error {
	if h, ok := j.Hour.Get(); ok {
		w, _ := j.Weather.Get()
		h.Sky = w.Sky
		out.Emit(h)
	}
	ctx.Delete()
	return nil
}

// over is the last moment of the hour: no flight of it follows once the watermark has reached that.
func over(ctx *stream.Ctx[place]) time.Time {
	return time.Unix(ctx.Key().Hour, 0).Add(time.Hour - time.Nanosecond)
}
