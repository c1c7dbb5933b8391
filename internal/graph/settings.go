// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

import "time"

// Checkpoints are the settings of checkpoints of a job.
type Checkpoints struct {
	// Interval is the time between the triggers of two checkpoints; zero takes none, but savepoints on request.
	Interval time.Duration
	// Timeout aborts a checkpoint; 10 minutes by default.
	Timeout time.Duration
	// MinPause is the least time between the end of a checkpoint and the next trigger.
	MinPause time.Duration
	// Concurrent is how many may be under way; 1 by default.
	Concurrent int
	// TolerableFailures in a row don't fail the job.
	TolerableFailures int
	// Retained is how many completed checkpoints are kept; 1 by default.
	Retained        int
	AtLeastOnce     bool
	KeepAfterCancel bool
	// Dir is where they go; empty for the cluster's.
	Dir string
}

// WithDefaults fills in what is zero.
func (c Checkpoints) WithDefaults() Checkpoints {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.Concurrent == 0 {
		c.Concurrent = 1
	}
	if c.Retained == 0 {
		c.Retained = 1
	}
	return c
}

// RestartKind is the kind of a restart strategy.
type RestartKind uint8

const (
	// ExponentialDelay restarts at once, then after a delay that grows up to a limit; the default.
	ExponentialDelay RestartKind = iota
	// NoRestart fails the job at the first failure.
	NoRestart
	// FixedDelay restarts up to a number of times, each after the same delay.
	FixedDelay
	// FailureRate gives up after more than a number of failures within an interval.
	FailureRate
)

// Restart is a restart strategy with its settings; the zero value is the default.
type Restart struct {
	Kind RestartKind
	// Attempts bounds FixedDelay, Failures within Interval FailureRate.
	Attempts, Failures int
	Interval           time.Duration
	// Delay comes before a restart; of ExponentialDelay it is the second one, 1 s by default.
	Delay time.Duration
	// DelayMax limits ExponentialDelay, 1 minute by default; Reset, 1 hour, is the quiet time after which it begins anew.
	DelayMax, Reset time.Duration
	// Multiplier is by how much the delay of ExponentialDelay grows each time, 2 by default. Jitter is the share of it by which it
	// is made longer or shorter at random.
	Multiplier, Jitter float64
}

// WithDefaults fills in what is zero.
func (r Restart) WithDefaults() Restart {
	if r.Kind != ExponentialDelay {
		return r
	}
	if r.Delay == 0 {
		r.Delay = time.Second
	}
	if r.DelayMax == 0 {
		r.DelayMax = time.Minute
	}
	if r.Reset == 0 {
		r.Reset = time.Hour
	}
	if r.Multiplier == 0 {
		r.Multiplier = 2
	}
	return r
}
