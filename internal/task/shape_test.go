// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task"
)

// TestSplitsOverBadLine loses, doubles and reorders assignments, while checkpoints are taken and restored: no split is
// read twice or never.
func TestSplitsOverBadLine(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			j := newJob(t, &numbers{spans: 40, spanSize: 15, pace: time.Millisecond})
			var last *checkpointed
			for run := range 3 {
				m := j.start(1+rnd.IntN(3), last)
				type late struct {
					to     task.Task
					number int64
					a      assigned
				}
				var held []late
				m.deliver = func(to task.Task, number int64, a assigned) {
					held = append(held, late{to, number, a})
					for len(held) > 0 && rnd.IntN(3) > 0 {
						i := rnd.IntN(len(held))
						l := held[i]
						if rnd.IntN(4) > 0 {
							held = slices.Delete(held, i, i+1)
						}
						if rnd.IntN(4) > 0 {
							l.to.Assign(l.number, l.a.splits, l.a.noMore)
						}
					}
				}
				m.heartbeat = time.Second
				m.running()
				if run == 2 {
					m.finish()
					m.close()
					break
				}
				for range 3 {
					m.pass(time.Duration(rnd.IntN(30)) * time.Millisecond)
					if c := m.checkpoint(0); c.completed {
						last = c
					}
				}
				m.close()
			}
			j.expectRows(600)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// TestMissingAssignmentsAreAskedForAgain loses the first answer, too.
func TestMissingAssignmentsAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 1, spanSize: 10})
		m := j.start(1, nil)
		defer m.close()
		deliver := m.deliver
		m.deliver = func(task.Task, int64, assigned) { m.deliver = deliver } // the first is lost,
		m.mute = 2                                                           // and so are two questions
		m.until("the first assignment", func() bool { return len(m.assigned[0]) > 0 })
		c := m.trigger(0)
		m.until("acknowledgements", func() bool { return m.acknowledged(c) })
		m.decide(c)
		m.finish()
		j.expectRows(10)
		if m.asked < 3 {
			t.Errorf("asked %d times", m.asked)
		}
	})
}

// TestProgress looks at what a JobMaster that takes over is told of a living reader.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 2, spanSize: 100, pace: time.Millisecond})
		m := j.start(1, nil)
		defer m.close()
		m.running()
		source := m.tasks[m.sources[0]]
		m.pass(5 * time.Millisecond)
		p := source.Progress()
		if p != (task.Progress{Assigned: 1, Ready: 1}) {
			t.Errorf("got %+v", p)
		}
		m.until("second split", func() bool { return m.ready[m.sources[0]] == 2 })
		m.pass(time.Millisecond)
		if p = source.Progress(); p != (task.Progress{Assigned: 2, Ready: 2}) {
			t.Errorf("got %+v", p)
		}
	})
}

// TestBackpressureReachesTheSource holds the sinks: readers stop, the time is accounted for, a checkpoint waits; then all
// goes on.
func TestBackpressureReachesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 2, spanSize: 10000})
		j.credits, j.rowsMax = 1, 4
		j.world.hold = make(chan struct{})
		m := j.start(2, nil)
		defer m.close()
		m.running()
		c := m.trigger(0)
		m.pass(10 * time.Second)
		read := m.records()
		if read == 0 || read > 1000 {
			t.Errorf("%d records were read by readers that are held", read)
		}
		for a, x := range m.tasks {
			f := x.Metrics()
			if slices.Contains(m.sources, a) && (f.Backpressured < 9*time.Second || f.Idle > time.Second || f.Busy > time.Second) {
				t.Errorf("task %d: %+v", a, f)
			}
		}
		close(j.world.hold)
		m.until("acknowledgements", func() bool { return m.acknowledged(c) })
		m.decide(c)
		m.finish()
		j.expectRows(20000)
		var sent, received int64
		for _, x := range m.tasks {
			f := x.Metrics()
			sent, received = sent+f.BytesOut, received+f.BytesIn
		}
		if received < 20000 || received != sent {
			t.Errorf("%d bytes were sent, %d received", sent, received)
		}
	})
}

// TestIdleTaskSleeps lets a day pass over a source with nothing to read.
func TestIdleTaskSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 1, spanSize: 100})
		told := &log{}
		j.extra = probeStep(func() *probe { return &probe{log: told, state: &stubborn{}} })
		m := j.start(1, nil)
		defer m.close()
		m.deliver = func(task.Task, int64, assigned) {} // nothing is assigned
		m.running()
		m.pass(2 * time.Second)
		before := j.source.polls.Load()
		m.pass(24 * time.Hour)
		if n := j.source.polls.Load() - before; n != 0 {
			t.Errorf("%d polls in an idle day", n)
		}
		f := m.tasks[m.sources[0]].Metrics()
		if f.Idle < 24*time.Hour || f.Busy > time.Second || f.BatchesIn != 0 {
			t.Errorf("got %+v", f)
		}
		if size := f.Operators[1].State; size.Rows != 3 || size.Bytes != 40 {
			t.Errorf("state of %+v", size)
		}
	})
}

// TestWakeAt ticks an operator when it wants it, and no more.
func TestWakeAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 1, spanSize: 100})
		told := &log{}
		began := time.Now()
		j.extra = probeStep(func() *probe {
			p := &probe{log: told}
			p.opened = func(rt *operator.Runtime) error {
				rt.WakeAt(rt.Now().Add(time.Hour))
				return nil
			}
			p.ticked = func(now time.Time) {
				told.add("tick after %v", now.Sub(began))
				if now.Sub(began) < 2*time.Hour {
					p.rt.WakeAt(began.Add(2 * time.Hour))
				} else {
					go p.rt.Wake()
					p.ticked = func(time.Time) { told.add("woken") }
				}
			}
			return p
		})
		m := j.start(1, nil)
		defer m.close()
		m.deliver = func(task.Task, int64, assigned) {}
		m.running()
		m.pass(10 * time.Hour)
		if got := strings.Join(told.lines(), ", "); got != "tick after 1h0m0s, tick after 2h0m0s, woken" {
			t.Errorf("got %s", got)
		}
	})
}

// TestUnionAndSideOutput runs two sources into one input, which sends what it gets to two tasks.
func TestUnionAndSideOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJob(t, &numbers{spans: 4, spanSize: 100, pace: time.Millisecond})
		control := &log{}
		union := probeStep(func() *probe { return &probe{log: control} })
		src := func(id int, uid string) *graph.StreamNode {
			n := &graph.StreamNode{ID: id, UID: uid, Name: uid, New: j.sourceStep.New, States: j.sourceStep.States}
			n.Source = &graph.SourceSpec{Bounded: true, NewEnumerator: j.sourceStep.NewEnumerator}
			return n
		}
		sinkNode := func(id int, uid string) *graph.StreamNode {
			return &graph.StreamNode{ID: id, UID: uid, Name: uid, Inputs: 1, New: j.sinkStep.New, Sink: &graph.SinkSpec{}}
		}
		g, err := graph.Build(&graph.StreamGraph{
			Name: "union", Parallelism: 2, MaxParallelism: 16,
			Nodes: []*graph.StreamNode{
				src(0, "a"), src(1, "b"),
				{ID: 2, Name: "union", Inputs: 1, New: union.New},
				sinkNode(3, "all"), sinkNode(4, "again"),
			},
			Edges: []*graph.StreamEdge{
				edge(0, 2, exchange.Rebalance), edge(1, 2, exchange.Rebalance),
				edge(2, 3, exchange.Shuffle), edge(2, 4, exchange.Broadcast),
			},
		}, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := j.startGraph(g, nil)
		defer m.close()
		m.running()
		m.pass(10 * time.Millisecond)
		if c := m.checkpoint(0); !c.completed {
			t.Fatal(c.declined)
		}
		m.finish()
		// One sink gets each row once, the other in each of its two subtasks.
		n := 0
		for _, times := range j.world.counted() {
			n += times
		}
		if n != 400*3 {
			t.Errorf("%d rows are committed, want %d", n, 400*3)
		}
		ends := 0
		for _, l := range control.lines() {
			if l == "end of time" {
				ends++
			}
		}
		if ends != 2 {
			t.Errorf("the end of time came %d times to two subtasks", ends)
		}
	})
}

// TestJoinSeesStreamsInTime joins the records of a source with one in seven of them, which fill a batch seven times as
// slowly: they come with the others all the same.
func TestJoinSeesStreamsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rowsMax = 64
		j := newJob(t, &numbers{spans: 1, spanSize: 20 * rowsMax * keyCount})
		j.rowsMax = rowsMax
		var all, some, behind int64
		join := operator.CoProcess(func(c *operator.Context) *operator.Context { return c },
			func() operator.CoFuncs[row, row, row, operator.Context] {
				return operator.CoFuncs[row, row, row, operator.Context]{
					Process1: func(*operator.Context, *row, *element.Out[row]) error {
						behind = max(behind, all/keyCount-some)
						all++
						return nil
					},
					Process2: func(*operator.Context, *row, *element.Out[row]) error { some++; return nil },
				}
			})
		filter := operator.Filter(func(r *row) bool { return r.Key == 0 })
		node := func(id int, uid string, s operator.Step) *graph.StreamNode {
			return &graph.StreamNode{ID: id, UID: uid, Name: uid, Inputs: s.Inputs, New: s.New}
		}
		src, out := node(0, "numbers", j.sourceStep.Step), node(3, "out", j.sinkStep.Step)
		src.Source = &graph.SourceSpec{Bounded: true, NewEnumerator: j.sourceStep.NewEnumerator}
		out.Sink = &graph.SinkSpec{NewCommitter: j.sinkStep.NewCommitter}
		second := edge(1, 2, exchange.Hash)
		second.Input = 1
		g, err := graph.Build(&graph.StreamGraph{
			Name: "join", Parallelism: 1, MaxParallelism: 16,
			Nodes: []*graph.StreamNode{src, node(1, "some", filter), node(2, "join", join), out},
			Edges: []*graph.StreamEdge{
				edge(0, 2, exchange.Hash), edge(0, 1, exchange.Forward), second, edge(2, 3, exchange.Forward),
			},
		}, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := j.startGraph(g, nil)
		defer m.close()
		m.running()
		m.finish()
		if want := int64(20 * rowsMax); all != want*keyCount || some != want {
			t.Errorf("the join saw %d and %d records", all, some)
		}
		if behind > rowsMax/keyCount+2 {
			t.Errorf("%d records came behind those that were read after them", behind)
		}
	})
}

// skip is a clock that moves by a step each time somebody looks, so that a busy task sees time pass.
type skip struct {
	task.SystemClock
	now  time.Time
	step time.Duration
}

func (s *skip) Now() time.Time {
	s.now = s.now.Add(s.step)
	return s.now
}

// TestBufferTimeout reads without a pause, a record at a time: batches that are far from full are flushed all the same.
func TestBufferTimeout(t *testing.T) {
	for _, timeout := range []time.Duration{10 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			j := newJob(t, &numbers{spans: 1, spanSize: 3000, rows: 1})
			j.bufferTimeout = timeout
			j.clock = func() task.Clock { return &skip{now: time.Now(), step: time.Millisecond} }
			m := j.start(1, nil)
			defer m.close()
			m.running()
			m.finish()
			j.expectRows(3000)
			if wide := j.world.widest.Load() > 200; wide != (timeout > time.Second) {
				t.Errorf("timeout %v: the widest batch had %d rows", timeout, j.world.widest.Load())
			}
		})
	}
}
