// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task"
)

// failed waits for the first failure, and returns it.
func (m *master) failed() error {
	m.t.Helper()
	m.until("a failure", func() bool { return len(m.failures) > 0 })
	return m.errs[m.failures[0]]
}

func TestFailures(t *testing.T) {
	user := func(r *row) row {
		if r.Key == 3 {
			panic("boom")
		}
		return *r
	}
	step := operator.Map(user)
	tests := []struct {
		name  string
		extra *operator.Step
		check func(t *testing.T, err error)
	}{
		{"user code panics", &step, func(t *testing.T, err error) {
			t.Helper()
			var u *operator.UserError
			if !errors.As(err, &u) || u.Name != "map" || u.Stack == nil || u.Err.Error() != "boom" {
				t.Errorf("got %v", err)
			}
		}},
		{"process fails", probeStep(func() *probe {
			return &probe{each: func(*operator.Runtime, *element.Batch[row]) error { return errTest }}
		}), isTheTests},
		{"the engine panics", probeStep(func() *probe {
			return &probe{opened: func(*operator.Runtime) error { panic("boom") }}
		}), func(t *testing.T, err error) {
			t.Helper()
			var u *operator.UserError
			if errors.As(err, &u) || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "failure_test.go") {
				t.Errorf("want a failure of the engine with its stack, got %v", err)
			}
		}},
		{"open fails", probeStep(func() *probe {
			return &probe{opened: func(*operator.Runtime) error { return errTest }}
		}), func(t *testing.T, err error) {
			t.Helper()
			isTheTests(t, err)
			if !strings.Contains(err.Error(), `open step "map"`) {
				t.Errorf("got %v", err)
			}
		}},
		{"close fails", probeStep(func() *probe { return &probe{closed: func() error { return errTest }} }), isTheTests},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJob(t, &numbers{spans: 3, spanSize: 100})
				j.extra = tt.extra
				m := j.start(2, nil)
				tt.check(t, m.failed())
				m.close()
				for a, s := range m.statuses {
					if last := s[len(s)-1]; last < task.Finished || slices.Contains(s[:len(s)-1], last) {
						t.Errorf("task %d went through %v", a, s)
					}
				}
			})
		})
	}
}

// TestBlame fails a task by a connector, by user code and by an operator of the engine.
func TestBlame(t *testing.T) {
	step := operator.MapE(func(*row) (row, error) { return row{}, errTest })
	for _, tt := range []struct {
		name  string
		fault error
		extra *operator.Step
		want  operator.Blame
	}{
		{"connector", errTest, nil, operator.OfConnector},
		{"function within a connector", &connector.FunctionError{Err: errTest}, nil, operator.OfUser},
		{"user code", nil, &step, operator.OfUser},
		{"engine", nil, probeStep(func() *probe {
			return &probe{each: func(*operator.Runtime, *element.Batch[row]) error { return errTest }}
		}), operator.OfEngine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJob(t, &numbers{spans: 3, spanSize: 100})
				j.world.fault, j.extra = tt.fault, tt.extra
				m := j.start(1, nil)
				err := m.failed()
				isTheTests(t, err)
				if got := operator.BlameFor(err); got != tt.want {
					t.Errorf("blame %d for %v, want %d", got, err, tt.want)
				}
				m.close()
			})
		})
	}
}

func isTheTests(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errTest) {
		t.Errorf("got %v", err)
	}
}

// TestCauseIsReportedFirst lets the last task of the chain fail: the producers whose consumer is gone don't report before
// it, and are canceled while they wait.
func TestCauseIsReportedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 3, spanSize: 100})
		j.credits, j.rowsMax = 1, 1
		j.world.fault = errTest
		m := j.start(2, nil)
		isTheTests(t, m.failed())
		m.pass(time.Second)
		for _, a := range m.failures {
			if !errors.Is(m.errs[a], errTest) {
				t.Errorf("task %d failed of %v", a, m.errs[a])
			}
		}
		m.close()
	})
}

// TestLeftAloneFails never cancels the producers of a failed task: they fail in the end.
func TestLeftAloneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 3, spanSize: 100})
		j.credits, j.rowsMax = 1, 1
		j.world.fault = errTest
		m := j.start(1, nil)
		defer m.close()
		m.until("all to fail", m.all(task.Failed))
		if err := m.errs[m.sources[0]]; !errors.Is(err, exchange.ErrClosed) {
			t.Errorf("the source failed of %v", err)
		}
	})
}

func TestCancelWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 3, spanSize: 100})
		j.credits, j.rowsMax = 1, 1
		j.world.hold = make(chan struct{})
		m := j.start(2, nil)
		m.running()
		m.pass(time.Millisecond) // the sinks are held, so all are blocked
		for _, a := range m.sources {
			m.tasks[a].Cancel()
			<-m.tasks[a].Done()
		}
		m.pass(time.Millisecond)
		for _, a := range m.sources {
			if got := m.statuses[a]; !slices.Equal(got, []task.Status{task.Initializing, task.Running, task.Canceling, task.Canceled}) {
				t.Errorf("task %d went through %v", a, got)
			}
		}
		close(j.world.hold)
		m.close()
	})
}

// TestUserCodeThatDoesNotReturn cancels a task that is stuck: Done stays open until it returns.
func TestUserCodeThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 1, spanSize: 100})
		stuck := make(chan struct{})
		j.extra = probeStep(func() *probe {
			return &probe{each: func(*operator.Runtime, *element.Batch[row]) error { <-stuck; return nil }}
		})
		m := j.start(1, nil)
		m.running()
		m.pass(time.Millisecond)
		source := m.tasks[m.sources[0]]
		source.Cancel()
		m.pass(time.Hour)
		select {
		case <-source.Done():
			t.Error("done while user code runs")
		default:
		}
		close(stuck)
		m.close()
	})
}

// TestSlowCloseDelaysReportForBoundedTime fails a task whose Close hangs: the failure is reported all the same.
func TestSlowCloseDelaysReportForBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 1, spanSize: 100})
		stuck := make(chan struct{})
		j.extra = probeStep(func() *probe {
			return &probe{
				each:   func(*operator.Runtime, *element.Batch[row]) error { return errTest },
				closed: func() error { <-stuck; return nil },
			}
		})
		m := j.start(1, nil)
		began := time.Now()
		isTheTests(t, m.failed())
		if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("reported after %v", took)
		}
		close(stuck)
		m.close()
	})
}

// TestFailedSnapshots declines checkpoints for faults of a state and of the storage; the job goes on, and the next
// checkpoint is good for a restore.
func TestFailedSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 6, spanSize: 100, pace: time.Millisecond})
		told := &log{}
		j.extra = probeStep(func() *probe {
			return &probe{log: told, state: &stubborn{log: told, step: func(id int64, _ statebackend.Writer) (bool, error) {
				if id == 2 {
					return false, errTest
				}
				return true, nil
			}}}
		})
		j.storage.Fault = func(id int64, _ int) error {
			if id == 3 {
				return errTest
			}
			return nil
		}
		m := j.start(1, nil)
		m.running()
		var last *checkpointed
		for id := int64(1); id <= 4; id++ {
			m.pass(3 * time.Millisecond)
			c := m.checkpoint(0)
			if bad := id == 2 || id == 3; c.completed == bad || bad && !errors.Is(c.declined, errTest) {
				t.Errorf("checkpoint %d: completed %v, %v", id, c.completed, c.declined)
			}
			if c.completed {
				last = c
			}
		}
		m.pass(3 * time.Millisecond)
		m.close()
		j.expectOrder(told, "barrier 2", "state begins 2", "state aborted 2", "aborted 2", "barrier 3", "state begins 3",
			"state aborted 3", "aborted 3", "barrier 4", "state begins 4", "state completed 4", "completed 4")
		m = j.start(2, last)
		defer m.close()
		m.running()
		m.finish()
		j.expectRows(600)
	})
}

// expectOrder wants the lines in that order, each once; others may be between them.
func (j *job) expectOrder(l *log, lines ...string) {
	j.t.Helper()
	rest := l.lines()
	for _, want := range lines {
		i := slices.Index(rest, want)
		if i < 0 {
			j.t.Errorf("no %q, or not in its place: %v", want, l.lines())
			return
		}
		rest = rest[i+1:]
		if slices.Contains(rest, want) {
			j.t.Errorf("%q twice: %v", want, l.lines())
		}
	}
}

// TestSlowStorageGivesWay takes a checkpoint while the storage is slow: the older one gives way.
func TestSlowStorageGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 6, spanSize: 100, pace: time.Millisecond})
		j.storage.Room = func(id int64) bool { return id != 1 }
		m := j.start(1, nil)
		defer m.close()
		m.running()
		slow := m.trigger(0)
		m.pass(20 * time.Millisecond)
		if m.acknowledged(slow) {
			t.Fatal("acknowledged without a file")
		}
		if m.records() < 100 {
			t.Errorf("%d records were read while the storage was full", m.records())
		}
		if c := m.checkpoint(0); !c.completed {
			t.Errorf("the newer checkpoint is declined: %v", c.declined)
		}
		if slow.declined == nil {
			t.Error("the older checkpoint is not declined")
		}
		m.finish()
		j.expectRows(600)
	})
}
