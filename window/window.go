// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package window has the windows of windowed streams.
//
//	Tumbling(1h)            |-----|-----|-----|
//	Sliding(1h, 20m)        |-----|
//	                          |-----|
//	                            |-----|
//	Session(20m)            |--------|    |---|       of a key: from its first record to 20 minutes after its last
//
// Tumbling and sliding windows are aligned to the Unix epoch; Offset shifts them. The time of a record alone decides which
// of them it is in. Sessions begin with a record.
package window

import "time"

// Window is [Start, End).
type Window struct{ Start, End time.Time }

// Assigner puts records into windows by their time alone. The zero Assigner is an error of build.
type Assigner struct {
	size, slide, offset time.Duration
	gap                 time.Duration
	session             bool
}

// Tumbling windows follow each other without overlap.
func Tumbling(size time.Duration) Assigner { return Assigner{size: size, slide: size} }

// Sliding windows of size start every slide; the cost of a record does not depend on size/slide.
func Sliding(size, slide time.Duration) Assigner { return Assigner{size: size, slide: slide} }

// Session windows end after gap without a record of the key. A record opens a window from its time until gap later;
// windows that overlap or touch become one. So one that comes late may make one session of two.
func Session(gap time.Duration) Assigner { return Assigner{gap: gap, session: true} }

// Offset shifts the windows, for days of a time zone. Sessions can't be shifted.
func (a Assigner) Offset(d time.Duration) Assigner {
	a.offset = d
	return a
}

// Gap is that of sessions; ok is false for other windows.
func (a Assigner) Gap() (gap time.Duration, ok bool) { return a.gap, a.session }

// Size is the length of a window; zero for sessions.
func (a Assigner) Size() time.Duration { return a.size }

// Slide is the distance between the starts of two windows.
func (a Assigner) Slide() time.Duration { return a.slide }

// Shift is the distance of a window's start from the alignment to the epoch, in [0, Slide). Where nothing is aligned, it
// is the offset as it was given.
func (a Assigner) Shift() time.Duration {
	if a.slide <= 0 {
		return a.offset
	}
	return ((a.offset % a.slide) + a.slide) % a.slide
}

// AssignerFor puts records of T into windows by looking at them too. The zero AssignerFor is an error of build.
type AssignerFor[T any] struct{ gap func(in *T) time.Duration }

// SessionBy is Session with a gap that the record chooses. A gap that is not positive fails the job.
func SessionBy[T any](gap func(in *T) time.Duration) AssignerFor[T] { return AssignerFor[T]{gap} }

// Gap is the gap that a record chooses.
func (a AssignerFor[T]) Gap() func(in *T) time.Duration { return a.gap }
