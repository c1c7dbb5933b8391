// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"time"

	"github.com/weir-stream/weir/element"
)

// Sample is how a job is doing at one moment.
type Sample struct {
	At     time.Time
	Status string
	Steps  []Step
	// Checkpoint is the last completed one; its ID is zero before the first.
	Checkpoint Checkpoint
	// Failures counts those that were seen, and Failure is the last.
	Failures int
	Failure  string
}

// Step is the sum of the subtasks of one step.
type Step struct {
	Name                string
	Source, Sink        bool
	In, Out, Late       int64
	Counters            map[string]int64
	Watermark           int64
	Holder              string
	Busy, Backpressured float64
}

// Checkpoint is a completed checkpoint.
type Checkpoint struct {
	ID        int64
	Completed time.Time
	Duration  time.Duration
	Bytes     int64
}

// in counts the records that sources have read, out those that sinks were given.
func (s *Sample) in() (n int64) {
	for i := range s.Steps {
		if s.Steps[i].Source {
			n += s.Steps[i].Out
		}
	}
	return n
}

func (s *Sample) out() (n int64) {
	for i := range s.Steps {
		if s.Steps[i].Sink {
			n += s.Steps[i].In
		}
	}
	return n
}

// watermark is the least of the sources, and the split that has it. A source without one yet is at MinWatermark; one that
// sent the end of time holds nothing back.
func (s *Sample) watermark() (at int64, holder string) {
	at = element.MaxWatermark
	found := false
	for i := range s.Steps {
		step := &s.Steps[i]
		if !step.Source {
			continue
		}
		found = true
		if step.Watermark < at {
			at, holder = step.Watermark, step.Holder
		}
	}
	if !found {
		return element.MinWatermark, ""
	}
	return at, holder
}
