// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

func TestRestartStrategies(t *testing.T) {
	const never = -1
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	tests := []struct {
		name     string
		settings graph.Restart
		at       []time.Duration // of the failures
		delays   []time.Duration
	}{
		{"none", graph.Restart{Kind: graph.NoRestart}, []time.Duration{0}, []time.Duration{never}},
		{
			"fixed delay",
			graph.Restart{Kind: graph.FixedDelay, Attempts: 2, Delay: s(3)},
			[]time.Duration{0, s(10), s(20)},
			[]time.Duration{s(3), s(3), never},
		},
		{
			"failure rate",
			graph.Restart{Kind: graph.FailureRate, Failures: 2, Interval: s(60), Delay: s(1)},
			[]time.Duration{0, s(30), s(70), s(80), s(89.5)},
			[]time.Duration{s(1), s(1), s(1), never, never},
		},
		{
			"exponential delay",
			graph.Restart{},
			[]time.Duration{0, s(1), s(2), s(4), s(8), s(16), s(32), s(64), s(128), s(200)},
			[]time.Duration{0, s(1), s(2), s(4), s(8), s(16), s(32), s(60), s(60), s(60)},
		},
		{
			"exponential delay by less",
			graph.Restart{Multiplier: 1.5, DelayMax: s(3)},
			[]time.Duration{0, s(1), s(2), s(4), s(8), s(16)},
			[]time.Duration{0, s(1), s(1.5), s(2.25), s(3), s(3)},
		},
		{
			"exponential delay that does not grow",
			graph.Restart{Multiplier: 1},
			[]time.Duration{0, s(1), s(2), s(4)},
			[]time.Duration{0, s(1), s(1), s(1)},
		},
		{
			"exponential delay with jitter", // by a tenth less, nothing, a tenth more, which the limit takes back
			graph.Restart{Jitter: 0.1, DelayMax: s(4)},
			[]time.Duration{0, s(1), s(2), s(4)},
			[]time.Duration{0, s(0.9), s(2), s(4)},
		},
		{
			"quiet for an hour",
			graph.Restart{},
			[]time.Duration{0, s(10), s(11 + 3599), s(11 + 3600 + 3602)},
			[]time.Duration{0, s(1), s(2), 0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			drawn := -0.5
			r := restarts{settings: tt.settings, random: func() float64 {
				drawn += 0.5
				return drawn
			}}
			for i, at := range tt.at {
				delay, ok := r.next(time.Unix(0, 0).Add(at))
				if !ok {
					delay = never
				}
				if delay != tt.delays[i] {
					t.Errorf("failure %d at %v: delay %v, want %v", i+1, at, delay, tt.delays[i])
				}
			}
		})
	}
}

// TestStatesOfJobs walks the table: nothing leads out of an end, and every other state can reach one.
func TestStatesOfJobs(t *testing.T) {
	for s := JobInitializing; s <= JobSuspended; s++ {
		if s.Ended() != (len(jobSuccessors[s]) == 0) {
			t.Errorf("%v: ended %v with successors %v", s, s.Ended(), jobSuccessors[s])
		}
		if ParseJobStatus(s.String()) != s {
			t.Errorf("%v is not parsed back", s)
		}
	}
	for s := Created; s <= Failed; s++ {
		if s.Terminal() != (len(executionSuccessors[s]) == 0) {
			t.Errorf("%v: terminal %v with successors %v", s, s.Terminal(), executionSuccessors[s])
		}
	}
}
