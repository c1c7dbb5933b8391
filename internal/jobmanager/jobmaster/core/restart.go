// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// restarts decides whether and when a job goes on after a failure.
type restarts struct {
	settings graph.Restart
	// random draws from [0, 1), for the jitter; nil for none.
	random func() float64
	// count is the number of restarts granted: in all by FixedDelay, in a row by ExponentialDelay.
	count int
	// granted counts all restarts, for people.
	granted int64
	// recent are the failures within the interval of FailureRate.
	recent []time.Time
	// last is when the last restart that was granted begins.
	last time.Time
}

// next takes a failure at now and returns the delay before the restart, or false if there is to be none.
func (r *restarts) next(now time.Time) (time.Duration, bool) {
	delay, ok := r.decide(now)
	if ok {
		r.granted++
	}
	return delay, ok
}

func (r *restarts) decide(now time.Time) (time.Duration, bool) {
	s := r.settings.WithDefaults()
	switch s.Kind {
	case graph.NoRestart:
		return 0, false
	case graph.FixedDelay:
		r.count++
		return s.Delay, r.count <= s.Attempts
	case graph.FailureRate:
		kept := r.recent[:0]
		for _, at := range r.recent {
			if now.Sub(at) < s.Interval {
				kept = append(kept, at)
			}
		}
		r.recent = append(kept, now)
		return s.Delay, len(r.recent) <= s.Failures
	case graph.ExponentialDelay:
		return r.exponential(now, s), true
	}
	return 0, false
}

// exponential is nothing for the first failure, then Delay, multiplied each time up to DelayMax, until the job was quiet for
// Reset; each but the first a little longer or shorter.
func (r *restarts) exponential(now time.Time, s graph.Restart) time.Duration {
	if r.count > 0 && now.Sub(r.last) >= s.Reset {
		r.count = 0
	}
	var delay time.Duration
	if r.count > 0 {
		grown := float64(s.Delay)
		for i := 1; i < r.count && grown < float64(s.DelayMax) && s.Multiplier > 1; i++ {
			grown *= s.Multiplier
		}
		grown = min(grown, float64(s.DelayMax))
		if r.random != nil {
			grown += s.Jitter * grown * (2*r.random() - 1)
		}
		delay = min(time.Duration(grown), s.DelayMax)
	}
	r.count++
	r.last = now.Add(delay)
	return delay
}
