// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package window has the windows of windowed streams.
//
//	Tumbling(1h)            |-----|-----|-----|
//	Sliding(1h, 20m)        |-----|
//	                          |-----|
//	                            |-----|
//
// Windows are aligned to the Unix epoch; Offset shifts them. The time of a record alone decides which windows it is in.
package window

import "time"

// Window is [Start, End).
type Window struct{ Start, End time.Time }

// Assigner puts records into windows by their time alone. The zero Assigner is an error of build.
type Assigner struct{ size, slide, offset time.Duration }

// Tumbling windows follow each other without overlap.
func Tumbling(size time.Duration) Assigner { return Assigner{size: size, slide: size} }

// Sliding windows of size start every slide; the cost of a record does not depend on size/slide.
func Sliding(size, slide time.Duration) Assigner { return Assigner{size: size, slide: slide} }

// Offset shifts the windows, for days of a time zone.
func (a Assigner) Offset(d time.Duration) Assigner {
	a.offset = d
	return a
}

// Size is the length of a window.
func (a Assigner) Size() time.Duration { return a.size }

// Slide is the distance between the starts of two windows.
func (a Assigner) Slide() time.Duration { return a.slide }

// Shift is the distance of a window's start from the alignment to the epoch, in [0, Slide).
func (a Assigner) Shift() time.Duration {
	if a.slide <= 0 {
		return 0
	}
	return ((a.offset % a.slide) + a.slide) % a.slide
}
