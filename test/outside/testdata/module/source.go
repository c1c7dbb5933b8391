// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package outside

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Readings is a source of some sensors with some readings each: a split a sensor, fetched by a blocking function.
type Readings struct{ Sensors, Each int }

// SensorSplit is the readings of a sensor from Next on.
type SensorSplit struct{ Sensor, Next int }

// SplitID names the sensor.
func (s SensorSplit) SplitID() string { return name(s.Sensor) }

func name(sensor int) string { return fmt.Sprintf("sensor-%d", sensor) }

func reading(sensor, i int) Reading {
	return Reading{name(sensor), float64(sensor + i), time.Unix(int64(i), 0).UTC()}
}

// Unread are the splits that no reader has been given.
type Unread struct{ Splits []SensorSplit }

func (r Readings) Boundedness() connector.Boundedness { return connector.Bounded }

func (r Readings) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[SensorSplit], restored *Unread,
) (connector.Enumerator[SensorSplit, Unread], error) {
	e := &enumerator{rt: rt}
	if restored != nil {
		e.unread = *restored
		return e, nil
	}
	for i := range r.Sensors {
		e.unread.Splits = append(e.unread.Splits, SensorSplit{Sensor: i})
	}
	return e, nil
}

func (r Readings) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[Reading, SensorSplit], error) {
	return connector.Threaded(rt, func(_ context.Context, s *SensorSplit, b *element.Batch[Reading]) error {
		for ; s.Next < r.Each && !b.Full(); s.Next++ {
			*b.Append() = reading(s.Sensor, s.Next)
		}
		if s.Next == r.Each {
			return io.EOF
		}
		return nil
	}), nil
}

type enumerator struct {
	rt     connector.EnumeratorContext[SensorSplit]
	unread Unread
}

func (e *enumerator) ReaderReady(reader int) error {
	if len(e.unread.Splits) == 0 {
		e.rt.NoMoreSplits(reader)
		return nil
	}
	next := e.unread.Splits[0]
	e.unread.Splits = e.unread.Splits[1:]
	e.rt.Assign(reader, next)
	return nil
}

// Assigned forgets what living readers hold.
func (e *enumerator) Assigned(_ int, splits []SensorSplit) error {
	var left []SensorSplit
	for _, s := range e.unread.Splits {
		held := false
		for _, h := range splits {
			held = held || h.Sensor == s.Sensor
		}
		if !held {
			left = append(left, s)
		}
	}
	e.unread.Splits = left
	return nil
}

func (e *enumerator) AddBack(splits []SensorSplit, _ int) error {
	e.unread.Splits = append(e.unread.Splits, splits...)
	return nil
}

func (e *enumerator) Start(context.Context) error { return nil }
func (e *enumerator) Close() error                { return nil }

func (e *enumerator) Snapshot(int64) (Unread, error) {
	return Unread{append([]SensorSplit(nil), e.unread.Splits...)}, nil
}
