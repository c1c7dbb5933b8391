// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package outside is a job with connectors of its own, in a module of its own.
package outside

import (
	"time"

	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// Reading is what a sensor measured.
type Reading struct {
	Sensor  string
	Celsius float64
	At      time.Time
}

// Alarm is a sensor that rose by more than ten degrees from one reading to the next.
type Alarm struct {
	Sensor string
	Rise   float64
	At     time.Time
}

type sensor struct{ Last state.Value[float64] }

func (s *sensor) read(_ *stream.Ctx[string], in *Reading, out *stream.Out[Alarm]) error {
	if last, ok := s.Last.Get(); ok && in.Celsius-last > 10 {
		out.Emit(Alarm{in.Sensor, in.Celsius - last, in.At})
	}
	s.Last.Set(in.Celsius)
	return nil
}

func alarms(readings stream.Stream[Reading]) stream.Stream[Alarm] {
	return readings.KeyBy(func(r *Reading) string { return r.Sensor }).Process("alarms", (*sensor).read)
}

func build(env *stream.Env) error {
	readings := env.From("readings", Readings{}).
		Watermarks(watermark.Ascending(func(r *Reading) time.Time { return r.At }))
	alarms(readings).To("journal", &Journal[Alarm]{})
	return nil
}
