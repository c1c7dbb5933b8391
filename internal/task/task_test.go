// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/task"
)

// expectRows compares what was committed with what must have been.
func (j *job) expectRows(numbers int) {
	j.t.Helper()
	got, wanted := j.world.counted(), want(numbers)
	if maps.Equal(got, wanted) {
		return
	}
	for r, n := range wanted {
		if got[r] != n {
			j.t.Errorf("row %v was committed %d times, want %d", r, got[r], n)
		}
	}
	for r, n := range got {
		if wanted[r] == 0 {
			j.t.Errorf("row %v was committed %d times, want none", r, n)
		}
	}
}

func TestBoundedJobEndsWithFinalCheckpoint(t *testing.T) {
	for _, parallelism := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			j := newJob(t, &numbers{spans: 5, spanSize: 1000})
			m := j.start(parallelism, nil)
			defer m.close()
			m.running()
			m.finish()
			j.expectRows(5000)
			for a, s := range m.statuses {
				if len(s) != 3 || s[0] != task.Initializing || s[1] != task.Running || s[2] != task.Finished {
					t.Errorf("task %d went through %v", a, s)
				}
			}
		})
	}
}

// TestExactlyOnceAcrossRestores takes checkpoints at random moments, cancels at others, restores at another parallelism,
// and compares what was committed in the end.
func TestExactlyOnceAcrossRestores(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			j := newJob(t, &numbers{spans: 6, spanSize: 100, pace: time.Millisecond, rows: 1 + rnd.IntN(12)})
			j.rowsMax = []int{0, 1, 3}[rnd.IntN(3)]
			j.credits = []int{0, 1, 2}[rnd.IntN(3)]
			var last *checkpointed
			for range 4 {
				m := j.start(1+rnd.IntN(3), last)
				m.running()
				for range rnd.IntN(4) {
					m.pass(time.Duration(rnd.IntN(9000)) * time.Microsecond)
					if c := m.checkpoint(0); c.completed {
						last = c
					}
				}
				m.pass(time.Duration(rnd.IntN(9000)) * time.Microsecond)
				m.close()
			}
			m := j.start(1+rnd.IntN(3), last)
			defer m.close()
			m.running()
			m.finish()
			j.expectRows(600)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// TestAtLeastOnceLosesNothing restores checkpoints whose barriers blocked nothing.
func TestAtLeastOnceLosesNothing(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			j := newJob(t, &numbers{spans: 6, spanSize: 100, pace: time.Millisecond})
			j.atLeast, j.rowsMax, j.credits = true, 1, 1
			m := j.start(3, nil)
			m.running()
			m.pass(time.Duration(rnd.IntN(20000)) * time.Microsecond)
			c := m.checkpoint(0)
			m.pass(time.Duration(rnd.IntN(9000)) * time.Microsecond)
			m.close()
			m = j.start(2, c)
			defer m.close()
			m.running()
			m.finish()
			highest := map[int64]int64{}
			for r := range j.world.counted() {
				highest[r.Key] = max(highest[r.Key], r.N)
			}
			for r := range want(600) {
				if highest[r.Key] < r.N {
					t.Fatalf("seed %d: key %d was counted to %d, want %d", seed, r.Key, highest[r.Key], r.N)
				}
			}
		})
	}
}
