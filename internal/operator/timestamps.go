// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/watermark"
)

// TimestampsAndWatermarks sets event times and makes watermarks where that is not done by the source: one generator a
// subtask. Watermarks and idleness from upstream are not passed on, but for the end of time.
func TimestampsAndWatermarks[T any](w watermark.Strategy[T]) Step {
	return stateless(func() Operator { return &timestamps[T]{strategy: w} })
}

type timestamps[T any] struct {
	base[T]
	strategy watermark.Strategy[T]
	keeper   *timekeeper[T]
	batch    *element.Batch[T]
	spare    []int64
	// woken is the time that Tick was last asked for; zero where it was not.
	woken time.Time
}

var _ Operator = (*timestamps[int])(nil)

// Port is the one input.
func (s *timestamps[T]) Port(int) Port { return PortOf[T](upstream[T]{s}) }

// Open begins to wait for the first record.
func (s *timestamps[T]) Open(ctx context.Context, rt *Runtime) error {
	if err := s.base.Open(ctx, rt); err != nil {
		return err
	}
	s.batch = element.NewBatch[T](rowsFor[T](rt))
	s.keeper = newTimekeeper(&s.base, s.strategy)
	s.keeper.add("")
	return s.advance(rt.Now())
}

// Process sets the times of a batch.
func (s *timestamps[T]) Process(b *element.Batch[T]) (err error) {
	defer guard(&s.rt.Info, &err)
	s.received(b.Len())
	if b.Shared() {
		b = s.copyOf(b)
	}
	if err := s.keeper.send("", b); err != nil {
		return err
	}
	return s.advance(s.rt.Now())
}

func (s *timestamps[T]) advance(now time.Time) error {
	if err := s.keeper.advance(now, false); err != nil {
		return err
	}
	if at, ok := s.keeper.wake(); ok && (s.woken.IsZero() || at.Before(s.woken)) {
		s.woken = at
		s.rt.WakeAt(at)
	}
	return nil
}

// copyOf makes a batch of our own of one that is shared.
func (s *timestamps[T]) copyOf(b *element.Batch[T]) *element.Batch[T] {
	copy(blank(s.batch, b.Len(), &s.spare), b.Rows())
	moveTimes(b, s.batch, &s.spare)
	return s.batch
}

// Tick sends the watermark that was not due before, or goes idle.
func (s *timestamps[T]) Tick(now time.Time) (err error) {
	defer guard(&s.rt.Info, &err)
	s.woken = time.Time{}
	return s.advance(now)
}

// upstream is what the step makes of the control that it receives; its own control comes from the timekeeper.
type upstream[T any] struct{ s *timestamps[T] }

// Process handles a batch.
func (u upstream[T]) Process(b *element.Batch[T]) error { return u.s.Process(b) }

// Watermark passes on the end of time only.
func (u upstream[T]) Watermark(at int64) error {
	if at != element.MaxWatermark {
		return nil
	}
	return u.s.keeper.endOfTime()
}

// Status is not passed on.
func (u upstream[T]) Status(bool) error { return nil }

// End sends the last watermark first.
func (u upstream[T]) End() (err error) {
	defer guard(&u.s.rt.Info, &err)
	if err := u.s.keeper.advance(u.s.rt.Now(), true); err != nil {
		return err
	}
	return u.s.End()
}
