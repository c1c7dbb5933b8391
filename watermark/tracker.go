// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"errors"
	"math"
	"time"

	"github.com/weir-stream/weir/element"
)

// The range of seconds whose nanoseconds an int64 can hold.
const (
	firstSecond = math.MinInt64/1_000_000_000 + 1
	lastSecond  = math.MaxInt64/1_000_000_000 - 1
)

// Nanos returns t in Unix nanoseconds. Times before those that an int64 can hold, the zero time among them, are NoTime;
// times beyond are the last instant before the end of time.
func Nanos(t time.Time) int64 {
	s := t.Unix()
	if s < firstSecond || s > lastSecond {
		return outside(s)
	}
	return s*int64(time.Second) + int64(t.Nanosecond())
}

func outside(second int64) int64 {
	if second < firstSecond {
		return element.NoTime
	}
	return element.MaxWatermark - 1
}

// Validate reports what is wrong with the settings of a strategy.
func (s Strategy[T]) Validate() error {
	switch {
	case s.bound < 0:
		return errors.New("watermark: the bound of out-of-orderness is negative")
	case s.idle < 0:
		return errors.New("watermark: the time to idleness is negative")
	}
	return nil
}

// IdleAfter is how long a split may be silent before it leaves the minimum; zero is for ever.
func (s Strategy[T]) IdleAfter() time.Duration { return s.idle }

// Tracker follows one split, for the engine: it sets the event times of batches and knows the watermark behind them.
type Tracker[T any] struct {
	fill      fill[T]
	bound     int64
	latest    int64
	generator Generator[T]
	out       Output
}

// Track makes the tracker of one split.
func (s Strategy[T]) Track() *Tracker[T] {
	t := &Tracker[T]{
		fill: s.fill, bound: int64(s.bound), latest: element.MinWatermark, out: Output{at: element.MinWatermark},
	}
	if s.generator != nil {
		t.generator = s.generator()
	}
	return t
}

// Batch sets the event times of b and takes them into account. b must not be shared.
func (t *Tracker[T]) Batch(b *element.Batch[T]) {
	if t.fill == nil {
		t.see(b.Rows(), b.Times())
		return
	}
	rows, times := b.Rows(), b.Timed()
	t.latest = t.fill(rows, times, t.latest)
	if t.generator != nil {
		t.see(rows, times)
	}
}

// fill sets the event times of rows and returns the latest of them and of latest. The loop over the rows is in it, so that it
// is one of that kind of instant.
type fill[T any] func(rows []T, times []int64, latest int64) int64

// fillBy is nil where at is: then the times are those that the source attached.
func fillBy[T any, I Instant](at func(*T) I) fill[T] {
	if at == nil {
		return nil
	}
	switch at := any(at).(type) {
	case func(*T) UnixNano:
		return func(rows []T, times []int64, latest int64) int64 {
			times = times[:len(rows)]
			for i := range rows {
				// The end of time is not for records.
				times[i] = min(int64(at(&rows[i])), element.MaxWatermark-1)
				latest = max(latest, times[i])
			}
			return latest
		}
	case func(*T) time.Time:
		return func(rows []T, times []int64, latest int64) int64 {
			times = times[:len(rows)]
			for i := range rows {
				times[i] = Nanos(at(&rows[i]))
				latest = max(latest, times[i])
			}
			return latest
		}
	}
	return nil
}

func (t *Tracker[T]) see(rows []T, times []int64) {
	if t.generator == nil {
		latest := t.latest
		for _, at := range times {
			latest = max(latest, at)
		}
		t.latest = latest
		return
	}
	for i := range rows {
		var at time.Time
		if times != nil && times[i] != element.NoTime {
			at = time.Unix(0, times[i]).UTC()
		}
		t.generator.OnRecord(&rows[i], at, &t.out)
	}
}

// Period tells the generator that now is the time for a periodic watermark.
func (t *Tracker[T]) Period() {
	if t.generator != nil {
		t.generator.OnPeriod(&t.out)
	}
}

// Watermark returns the watermark behind the last batch in Unix nanoseconds, MinWatermark before the first.
func (t *Tracker[T]) Watermark() int64 {
	if t.generator != nil {
		return t.out.at
	}
	at := t.latest - t.bound - 1
	if t.latest == element.MinWatermark || at > t.latest {
		return element.MinWatermark
	}
	return at
}
