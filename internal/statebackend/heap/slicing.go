// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math"
	"time"

	"github.com/weir-stream/weir/internal/codec"
)

// Slicing cuts event time at the boundaries of windows of Size that start every Slide, Shift away from multiples of Slide:
// each window is a row of whole slices, and a record is in one slice.
//
//	windows     |-----------|          Size 12, Slide 5: a slice ends where a window starts, and where one ends
//	                 |-----------|
//	slices      |--|-|--|-|--|-|--|
//
// All times are Unix nanoseconds. Times are held to those at which no window around them leaves the range of int64.
type Slicing struct {
	Size, Slide, Shift int64
	// Lateness is how long a window is kept after the watermark has passed its end.
	Lateness int64
}

func (s Slicing) validate() error {
	if s.Size <= 0 || s.Slide <= 0 || s.Shift < 0 || s.Shift >= s.Slide || s.Lateness < 0 {
		return fmt.Errorf("windows of size %d, slide %d, shift %d, lateness %d", s.Size, s.Slide, s.Shift, s.Lateness)
	}
	return nil
}

// canRead returns why state of other windows can't be taken in: slices can't be cut.
func (s Slicing) canRead(was Slicing) error {
	if s.Slide == was.Slide && s.Shift == was.Shift && s.Size%s.Slide == was.Size%was.Slide {
		return nil
	}
	return fmt.Errorf("%w: state of %v has other slices than %v; windows may change in lateness, and in size by whole slides",
		codec.ErrIncompatible, was, s)
}

// String formats the windows for messages.
func (s Slicing) String() string {
	return fmt.Sprintf("windows of %v every %v from %v", time.Duration(s.Size), time.Duration(s.Slide), time.Duration(s.Shift))
}

// phase is how far t lies behind the last point that is shift away from a multiple of Slide.
func (s Slicing) phase(t, shift int64) int64 {
	p := (t%s.Slide - shift) % s.Slide
	if p < 0 {
		p += s.Slide
	}
	return p
}

// Contains reports whether windows around t have representable times.
func (s Slicing) Contains(t int64) bool {
	span := saturated(s.Size, s.Slide)
	return t >= saturated(math.MinInt64, span) && t <= saturated(math.MaxInt64, -span)
}

// Slice returns the slice [start, end) that t is in; covered tells whether any window has it: between windows that
// don't touch there are gaps.
func (s Slicing) Slice(t int64) (start, end int64, covered bool) {
	phase := s.phase(t, s.Shift)
	cut := s.Size % s.Slide
	start = t - phase
	switch {
	case cut == 0:
		return start, start + s.Slide, true
	case phase < cut:
		return start, start + cut, true
	default:
		return start + cut, start + s.Slide, s.Size > s.Slide
	}
}

// Start is the start of the window that ends at end.
func (s Slicing) Start(end int64) int64 { return saturated(end, -s.Size) }

// FirstEnd is the end of the first window that ends after t.
func (s Slicing) FirstEnd(t int64) int64 {
	return saturated(t, s.Slide-s.phase(t, s.phase(s.Size, -s.Shift)))
}

// LastEnd is the end of the last window that has the slice that starts at start.
func (s Slicing) LastEnd(start int64) int64 {
	return saturated(start-s.phase(start, s.Shift), s.Size)
}

// Gone reports whether a window that ends at end is cleaned up at a watermark: records for it are late.
func (s Slicing) Gone(end, watermark int64) bool { return saturated(end-1, s.Lateness) <= watermark }

// saturated is a+b, held to the range of int64.
func saturated(a, b int64) int64 {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}
