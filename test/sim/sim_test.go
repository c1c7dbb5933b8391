// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"testing"
)

var (
	seedFlag    = flag.Uint64("sim.seed", 0, "replay this seed, with a trace")
	runsFlag    = flag.Uint64("sim.runs", 1000, "number of seeds")
	verboseFlag = flag.Bool("sim.verbose", false, "trace messages too")
	firstFlag   = flag.Uint64("sim.first", 1, "first of the seeds")
)

// TestSim plays many seeds, or one that failed.
func TestSim(t *testing.T) {
	if *seedFlag != 0 {
		play(t, *seedFlag, true)
		return
	}
	const parts = 4
	for part := range uint64(parts) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := *firstFlag + part; seed < *firstFlag+*runsFlag; seed += parts {
				play(t, seed, false)
			}
		})
	}
}

func play(t *testing.T, seed uint64, trace bool) {
	t.Helper()
	s, err := newSimulation(seed)
	if err != nil {
		t.Fatal(err)
	}
	s.w.verbose = *verboseFlag
	if trace {
		t.Logf("%+v %+v", s.shape, s.w.faults)
		s.w.trace = func(format string, args ...any) {
			t.Logf("%12v  "+format, append([]any{s.w.elapsed()}, args...)...)
		}
	}
	if err := s.play(); err != nil {
		t.Errorf("seed %d: %v\nreplay: make sim SEED=%d", seed, err, seed)
	}
	if trace {
		t.Logf("%d events, %v", s.w.steps, s.w.elapsed())
	}
}
