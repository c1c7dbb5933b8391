// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var (
	seedFlag    = flag.Uint64("sim.seed", 0, "replay this seed, with a trace")
	runsFlag    = flag.Uint64("sim.runs", 2000, "number of seeds")
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
	var seen [parts]map[string]int
	t.Run("seeds", func(t *testing.T) {
		for part := range uint64(parts) {
			seen[part] = map[string]int{}
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for seed := *firstFlag + part; seed < *firstFlag+*runsFlag; seed += parts {
					for what, n := range play(t, seed, false) {
						seen[part][what] += n
					}
				}
			})
		}
	})
	all := map[string]int{}
	for _, s := range seen {
		for what, n := range s {
			all[what] += n
		}
	}
	t.Log(all)
	for _, what := range happenings {
		if *runsFlag >= 1000 && all[what] < 20 {
			t.Errorf("%s: only %d times in %d runs, so they prove little", what, all[what], *runsFlag)
		}
	}
}

// TestReplay plays seeds twice, event by event the same.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		var traces [2]string
		for i := range traces {
			s, err := newSimulation(seed)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			s.w.messages = func(e *weirpb.Envelope) {
				raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				b.Write(raw)
			}
			s.w.trace = func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
			if err := s.play(); err != nil {
				t.Fatal(err)
			}
			traces[i] = b.String()
		}
		if traces[0] != traces[1] || len(traces[0]) < 1000 {
			t.Errorf("seed %d: two runs of %d and %d bytes differ", seed, len(traces[0]), len(traces[1]))
		}
	}
}

func play(t *testing.T, seed uint64, trace bool) map[string]int {
	t.Helper()
	s, err := newSimulation(seed)
	if err != nil {
		t.Fatal(err)
	}
	if *verboseFlag {
		s.w.messages = func(e *weirpb.Envelope) { s.w.trace("%v", e) }
	}
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
	return s.seen
}
