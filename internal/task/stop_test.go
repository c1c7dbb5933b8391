// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/task"
)

const stop = element.Savepoint | element.Terminal

func TestStopWithSavepoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		control := &log{}
		j.extra = probeStep(func() *probe { return &probe{log: control} })
		m := j.start(2, nil)
		m.running()
		m.pass(20 * time.Millisecond)
		c := m.checkpoint(stop)
		if !c.completed {
			t.Fatal(c.declined)
		}
		m.until("the job to stop", m.all(task.Finished))
		m.close()
		if n := len(j.world.counted()); n == 0 || n == 800 {
			t.Errorf("%d rows are committed at the stop, want some", n)
		}
		if lines := control.lines(); slices.Contains(lines, "end of time") || !slices.Contains(lines, "end") {
			t.Errorf("a stop without drain: %v", lines)
		}
		m = j.start(3, c)
		defer m.close()
		m.running()
		m.finish()
		j.expectRows(800)
	})
}

func TestDrainSendsEndOfTimeBeforeBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		control := &log{}
		j.extra = probeStep(func() *probe { return &probe{log: control} })
		m := j.start(1, nil)
		defer m.close()
		m.running()
		m.pass(20 * time.Millisecond)
		if c := m.checkpoint(stop | element.Drain); !c.completed {
			t.Fatal(c.declined)
		}
		m.until("the job to stop", m.all(task.Finished))
		if got := strings.Join(control.lines(), ", "); got != "end of time, barrier 1, completed 1, end, close" {
			t.Errorf("got %s", got)
		}
	})
}

func TestAbortedStopGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		m := j.start(2, nil)
		defer m.close()
		m.running()
		m.pass(20 * time.Millisecond)
		c := m.trigger(stop)
		m.until("acknowledgements", func() bool { return m.acknowledged(c) })
		reading := m.records()
		m.pass(time.Second)
		if now := m.records(); now != reading {
			t.Errorf("%d records were read while the stop was undecided", now-reading)
		}
		c.declined = errTest
		m.decide(c)
		m.finish()
		j.expectRows(800)
	})
}

// TestLostAbortOfStop commits a newer checkpoint: the stop must have been aborted.
func TestLostAbortOfStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		m := j.start(2, nil)
		defer m.close()
		m.running()
		m.pass(20 * time.Millisecond)
		c := m.trigger(stop)
		m.until("acknowledgements", func() bool { return m.acknowledged(c) })
		if c := m.checkpoint(0); !c.completed {
			t.Fatal(c.declined)
		}
		m.finish()
		j.expectRows(800)
	})
}

// TestAbortedDrainEnds aborts a stop whose end of time is out: there is nothing to go on with.
func TestAbortedDrainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		m := j.start(2, nil)
		defer m.close()
		m.running()
		m.pass(20 * time.Millisecond)
		c := m.trigger(stop | element.Drain)
		m.until("acknowledgements", func() bool { return m.acknowledged(c) })
		c.declined = errTest
		m.decide(c)
		m.finish()
		if n := len(j.world.counted()); n == 0 || n == 800 {
			t.Errorf("%d rows are committed, want some", n)
		}
	})
}

// TestSavepointCommitsNothing takes a savepoint: operators hear nothing of its completion, and what its sinks prepared
// comes again with the next checkpoint.
func TestSavepointCommitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 200, pace: time.Millisecond})
		control := &log{}
		j.extra = probeStep(func() *probe { return &probe{log: control} })
		m := j.start(1, nil)
		defer m.close()
		m.running()
		m.pass(20 * time.Millisecond)
		savepoint := m.checkpoint(element.Savepoint)
		if n := len(j.world.counted()); n != 0 {
			t.Errorf("%d rows are committed by a savepoint", n)
		}
		m.checkpoint(0)
		m.finish()
		j.expectRows(800)
		if lines := control.lines(); slices.Contains(lines, "completed 1") || !slices.Contains(lines, "completed 2") {
			t.Errorf("got %v", lines)
		}
		m.close()

		j.world.piles = map[string][]row{} // the savepoint begins a run of its own
		m = j.start(2, savepoint)
		defer m.close()
		m.running()
		m.finish()
		j.expectRows(800)
	})
}
