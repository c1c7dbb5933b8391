// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/watermark"
)

// watermarkInterval is the least time between two watermarks of a step that makes them while records flow.
const watermarkInterval = 5 * time.Millisecond

// timekeeper makes the watermarks of a step by a strategy, one generator a split: the least of the splits that are not
// idle. It sends the batches of the step too, to see how long that took: while the step waits for one behind it, no
// split is silent.
type timekeeper[T any] struct {
	step     *base[T]
	strategy watermark.Strategy[T]
	// idleAfter is how long a split may be silent; zero is for ever.
	idleAfter time.Duration
	// splits are in the order in which they were added; there are few. The one at hand, at place, is looked at first.
	splits  []*splitTime[T]
	current *splitTime[T]
	place   int

	// at and idle are what was sent last.
	at   int64
	idle bool
	// period is when the generators were last asked, active when there was last a split or a record.
	period, active time.Time
	// pending is set while there are records behind which no watermark was looked for.
	pending bool
	// blocked is the time spent in sending, which idleness does not count.
	blocked time.Duration
}

// splitTime is the event time of one split.
type splitTime[T any] struct {
	id    string
	track *watermark.Tracker[T]
	// active is when the split had its last record, less the time blocked before.
	active time.Time
	idle   bool
}

func newTimekeeper[T any](step *base[T], strategy watermark.Strategy[T]) *timekeeper[T] {
	now := step.rt.Now()
	return &timekeeper[T]{
		step: step, strategy: strategy, idleAfter: strategy.IdleAfter(), at: element.MinWatermark, active: now, period: now,
	}
}

// clock is processing time without that spent in sending.
func (k *timekeeper[T]) clock(now time.Time) time.Time { return now.Add(-k.blocked) }

// add begins to follow a split.
func (k *timekeeper[T]) add(id string) {
	k.splits = append(k.splits, &splitTime[T]{id: id, track: k.strategy.Track(), active: k.clock(k.step.rt.Now())})
}

// remove takes a split that ended out of the minimum.
func (k *timekeeper[T]) remove(id string) {
	k.splits = slices.DeleteFunc(k.splits, func(s *splitTime[T]) bool { return s.id == id })
	k.current = nil
	k.active = k.clock(k.step.rt.Now())
}

func (k *timekeeper[T]) find(id string) (*splitTime[T], error) {
	if k.current != nil && k.current.id == id {
		return k.current, nil
	}
	for n := range k.splits { // readers often go over their splits in turn
		i := (k.place + 1 + n) % len(k.splits)
		if s := k.splits[i]; s.id == id {
			k.current, k.place = s, i
			return s, nil
		}
	}
	return nil, fmt.Errorf("records of split %q, which the reader does not hold", id)
}

// send sets the times of a batch of one split and sends it on, behind Active if the step was idle.
func (k *timekeeper[T]) send(id string, b *element.Batch[T]) error {
	s, err := k.find(id)
	if err != nil {
		return err
	}
	s.track.Batch(b)
	k.pending = true
	if k.idle {
		k.idle = false
		if err := k.step.Status(false); err != nil {
			return err
		}
	}
	if k.idleAfter == 0 { // the clock is not read where nobody asks how long a split was silent
		return k.step.out.Process(b)
	}
	before := k.step.rt.Now()
	s.idle, s.active = false, k.clock(before)
	if err := k.step.out.Process(b); err != nil {
		return err
	}
	k.blocked += k.step.rt.Now().Sub(before)
	return nil
}

// advance sends what has become of the watermark, if it is time for one or the input ran idle.
func (k *timekeeper[T]) advance(now time.Time, ranIdle bool) error {
	if k.at == element.MaxWatermark || !ranIdle && now.Sub(k.period) < watermarkInterval {
		return nil
	}
	k.period, k.pending = now, false
	for _, s := range k.splits {
		s.track.Period()
	}
	at, holder, idle := k.least(now)
	k.step.rt.Metrics.hold(holder)
	if k.idle && !idle {
		k.idle = false
		if err := k.step.Status(false); err != nil {
			return err
		}
	}
	if at > k.at {
		k.at = at
		if err := k.step.Watermark(at); err != nil {
			return err
		}
	}
	if idle && !k.idle {
		k.idle = true
		return k.step.Status(true)
	}
	return nil
}

// least returns the least watermark of the splits that are not idle and who has it. A step without splits is idle after
// the same time.
func (k *timekeeper[T]) least(now time.Time) (at int64, holder string, idle bool) {
	after, clock := k.idleAfter, k.clock(now)
	if len(k.splits) == 0 {
		return element.MinWatermark, "", after > 0 && clock.Sub(k.active) >= after
	}
	at, idle = element.MaxWatermark, true
	for _, s := range k.splits {
		s.idle = after > 0 && clock.Sub(s.active) >= after
		if s.idle {
			continue
		}
		idle = false
		if w := s.track.Watermark(); w < at {
			at, holder = w, s.id
		}
	}
	if idle {
		at = element.MinWatermark
	}
	return at, holder, idle
}

// wake returns when advance has something to do next, if no record comes: a watermark held back by the interval is due,
// or the next split goes idle. ok is false where there is nothing.
func (k *timekeeper[T]) wake() (at time.Time, ok bool) {
	if k.at == element.MaxWatermark {
		return at, false
	}
	if k.pending {
		at, ok = k.period.Add(watermarkInterval), true
	}
	after := k.idleAfter
	if after == 0 {
		return at, ok
	}
	earlier := func(t time.Time) {
		if t = t.Add(after + k.blocked); !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if len(k.splits) == 0 && !k.idle {
		earlier(k.active)
	}
	for _, s := range k.splits {
		if !s.idle {
			earlier(s.active)
		}
	}
	return at, ok
}

// endOfTime sends the last watermark.
func (k *timekeeper[T]) endOfTime() error {
	if k.idle {
		k.idle = false
		if err := k.step.Status(false); err != nil {
			return err
		}
	}
	k.step.rt.Metrics.hold("")
	k.at = element.MaxWatermark
	return k.step.Watermark(element.MaxWatermark)
}
