// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package watermark_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/watermark"
)

type reading struct {
	at    time.Time
	flush bool
}

func when(r *reading) time.Time { return r.at }

func batch(at ...int64) *element.Batch[reading] {
	b := element.NewBatch[reading](8)
	for _, t := range at {
		b.Append().at = time.Unix(0, t)
	}
	return b
}

func TestLatestLessBound(t *testing.T) {
	for _, c := range []struct {
		name     string
		strategy watermark.Strategy[reading]
		want     []int64
	}{
		{"ascending", watermark.Ascending(when), []int64{99, 199, 199}},
		{"bounded", watermark.BoundedOutOfOrderness(50, when), []int64{49, 149, 149}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			track := c.strategy.Track()
			if got := track.Watermark(); got != element.MinWatermark {
				t.Fatalf("before the first record: %d", got)
			}
			var got []int64
			for _, times := range [][]int64{{70, 100}, {200, 150}, {150}} {
				b := batch(times...)
				track.Batch(b)
				if !slices.Equal(b.Times(), times) {
					t.Fatalf("times %d, want %d", b.Times(), times)
				}
				got = append(got, track.Watermark())
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("watermarks %d, want %d", got, c.want)
			}
		})
	}
}

func TestFromSourceKeepsTimes(t *testing.T) {
	track := watermark.FromSource[reading]().Track()
	b := element.NewBatch[reading](4)
	b.Append()
	track.Batch(b)
	if b.Times() != nil || track.Watermark() != element.MinWatermark {
		t.Fatalf("untimed records: times %d, watermark %d", b.Times(), track.Watermark())
	}
	b.AppendNanos(30)
	track.Batch(b)
	if want := []int64{element.NoTime, 30}; !slices.Equal(b.Times(), want) || track.Watermark() != 29 {
		t.Fatalf("times %d, watermark %d", b.Times(), track.Watermark())
	}
}

// punctuated emits the time of records that say so, and an hour later in each period.
type punctuated struct{ last time.Time }

func (p *punctuated) OnRecord(in *reading, at time.Time, out *watermark.Output) {
	p.last = at
	if in.flush {
		out.Emit(at)
	}
}

func (p *punctuated) OnPeriod(out *watermark.Output) { out.Emit(p.last.Add(time.Hour)) }

func TestCustom(t *testing.T) {
	made := 0
	s := watermark.Custom(when, func() watermark.Generator[reading] {
		made++
		return &punctuated{}
	}).Idle(time.Minute)
	first, second := s.Track(), s.Track()
	if made != 2 || s.IdleAfter() != time.Minute {
		t.Fatalf("%d generators, idle after %v", made, s.IdleAfter())
	}
	b := batch(10, 20, 30)
	b.Rows()[1].flush = true
	first.Batch(b)
	if first.Watermark() != 20 || second.Watermark() != element.MinWatermark {
		t.Fatalf("watermarks %d, %d", first.Watermark(), second.Watermark())
	}
	first.Period()
	if want := 30 + int64(time.Hour); first.Watermark() != want {
		t.Fatalf("after a period %d, want %d", first.Watermark(), want)
	}
	first.Batch(func() *element.Batch[reading] { b := batch(5); b.Rows()[0].flush = true; return b }())
	if want := 30 + int64(time.Hour); first.Watermark() != want {
		t.Fatalf("went back to %d", first.Watermark())
	}
}

// TestCustomFromSource has a generator see the times that the source attached.
func TestCustomFromSource(t *testing.T) {
	var none func(*reading) time.Time
	track := watermark.Custom(none, func() watermark.Generator[reading] { return &punctuated{} }).Track()
	b := batch(10)
	b.Rows()[0].flush = true
	b.Timed()[0] = 30
	track.Batch(b)
	if track.Watermark() != 30 {
		t.Fatalf("watermark %d", track.Watermark())
	}
}

func TestTimesOutOfRange(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want int64
	}{
		{time.Time{}, element.NoTime},
		{time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), element.NoTime},
		{time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), element.MaxWatermark - 1},
		{time.Unix(0, -5), -5},
		{time.Unix(7, 9), 7_000_000_009},
	} {
		if got := watermark.Nanos(c.at); got != c.want {
			t.Errorf("%v: %d, want %d", c.at, got, c.want)
		}
	}
	track := watermark.BoundedOutOfOrderness(math.MaxInt64, when).Track()
	track.Batch(batch(-10))
	if got := track.Watermark(); got != element.MinWatermark {
		t.Errorf("bound beyond the beginning of time: %d", got)
	}
}

// TestUnixNano takes times as integers as TestLatestLessBound takes them as times, but for the two that are none.
func TestUnixNano(t *testing.T) {
	track := watermark.BoundedOutOfOrderness(50, func(at *int64) watermark.UnixNano { return watermark.UnixNano(*at) }).Track()
	b := element.NewBatch[int64](8)
	for _, at := range []int64{70, element.NoTime, 100, -5} {
		*b.Append() = at
	}
	track.Batch(b)
	if !slices.Equal(b.Times(), b.Rows()) || track.Watermark() != 49 {
		t.Fatalf("times %d, watermark %d", b.Times(), track.Watermark())
	}
	*b.Append() = element.MaxWatermark
	track.Batch(b)
	if want := int64(element.MaxWatermark - 1); b.Times()[4] != want || track.Watermark() != want-51 {
		t.Fatalf("at the end of time: times %d, watermark %d", b.Times(), track.Watermark())
	}
}

func TestValidate(t *testing.T) {
	if err := watermark.BoundedOutOfOrderness(-1, when).Validate(); err == nil {
		t.Error("a negative bound passes")
	}
	if err := watermark.Ascending(when).Idle(-1).Validate(); err == nil {
		t.Error("a negative idle time passes")
	}
	if err := watermark.Ascending(when).Idle(time.Second).Validate(); err != nil {
		t.Error(err)
	}
}
