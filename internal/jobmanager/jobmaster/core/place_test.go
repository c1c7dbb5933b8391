// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// bothWays is a job of two vertices, each subtask of one connected to each of the other.
func bothWays(t testing.TB, parallelism int) *graph.JobGraph {
	t.Helper()
	sg := &graph.StreamGraph{Name: "wide", MaxParallelism: 32768}
	sg.Nodes = []*graph.StreamNode{
		{ID: 0, UID: "in", Name: "in", Parallelism: parallelism, Source: &graph.SourceSpec{Bounded: true}},
		{ID: 1, UID: "out", Name: "out", Inputs: 1, Parallelism: parallelism, Sink: &graph.SinkSpec{}},
	}
	sg.Edges = []*graph.StreamEdge{{From: 0, To: 1, Partitioning: exchange.Hash}}
	g, err := graph.Build(sg, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// place takes a job from its start to where all its tasks are deployed, on TaskManagers of 100 slots, and returns the
// messages that deploy them.
func place(t testing.TB, g *graph.JobGraph) (*Master, []*weirpb.DeployTasks) {
	t.Helper()
	now := time.Unix(0, 0)
	m := NewMaster(Config{
		JobID: "j", Epoch: 1, Name: "jm", ResourceManager: "rm", Graph: g, CheckpointDir: "/run",
		Heartbeat: time.Second, HeartbeatTimeout: 5 * time.Second, SlotTimeout: time.Minute, CancelTimeout: time.Minute,
		IDs: coordinator.IDsReserved{First: 1, Count: 16},
	}, now)
	m.Start(now)
	const slots = 100
	for i := range (g.SlotsNeeded() + slots - 1) / slots {
		tm := fmt.Sprintf("tm-%03d", i)
		o := &weirpb.OfferSlots{TaskManager: tm, Incarnation: "x", DataAddress: tm}
		for k := range slots {
			o.Allocations = append(o.Allocations, &weirpb.Allocation{AllocationId: fmt.Sprintf("%s/%d", tm, k), JobId: "j"})
		}
		m.Receive(&weirpb.Envelope{
			From: tm, JobId: "j", Epoch: 1, Sequence: 1, Body: &weirpb.Envelope_OfferSlots{OfferSlots: o},
		}, now)
	}
	m.Restored(nil, nil, "", now)
	m.EnumeratorStarted(0, 1, now)
	var deployed []*weirpb.DeployTasks
	for _, a := range m.Take() {
		if s, ok := a.(Send); ok && s.Message.GetDeployTasks() != nil {
			deployed = append(deployed, s.Message.GetDeployTasks())
		}
	}
	return m, deployed
}

// BenchmarkRunning lets the tasks of a placed job say one by one that they initialize and run.
func BenchmarkRunning(b *testing.B) {
	for _, parallelism := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("%dx%d", parallelism, parallelism), func(b *testing.B) {
			g := bothWays(b, parallelism)
			now := time.Unix(0, 0)
			for b.Loop() {
				b.StopTimer()
				m, deployed := place(b, g)
				b.StartTimer()
				reachRunning(m, deployed, now)
				if m.tallied(Running) != 2*parallelism {
					b.Fatalf("%d tasks run", m.tallied(Running))
				}
			}
		})
	}
}

// reachRunning has all tasks report that they run.
func reachRunning(m *Master, deployed []*weirpb.DeployTasks, now time.Time) {
	sequence := int64(1)
	for _, state := range []weirpb.TaskState{weirpb.TaskState_TASK_STATE_INITIALIZING, weirpb.TaskState_TASK_STATE_RUNNING} {
		for i, d := range deployed {
			for _, t := range d.GetTasks() {
				sequence++
				m.Receive(&weirpb.Envelope{
					From: fmt.Sprintf("tm-%03d", i), JobId: "j", Epoch: 1, Sequence: sequence,
					Body: &weirpb.Envelope_TaskStateChanged{TaskStateChanged: &weirpb.TaskStateChanged{
						Status: &weirpb.TaskStatus{Attempt: t.GetAttempt(), State: state},
					}},
				}, now)
				m.Next()
				m.Take()
			}
		}
	}
}

// tallied counts the executions in a state.
func (m *Master) tallied(state ExecutionState) int {
	n := 0
	m.graph.all(func(e *execution) {
		if e.state == state {
			n++
		}
	})
	return n
}

// BenchmarkPlace places 10,000 x 10,000 edges.
func BenchmarkPlace(b *testing.B) {
	g := bothWays(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		place(b, g)
	}
}

// TestPlaceIsSmall checks that nothing grows with the number of channels: all that is allocated to place 10,000 x 10,000
// edges is less than 100 MB, and what a TaskManager is sent is small.
func TestPlaceIsSmall(t *testing.T) {
	g := bothWays(t, 10000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, deployed := place(t, g)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
		t.Errorf("%d MB allocated", used>>20)
	}
	tasks := 0
	for _, d := range deployed {
		tasks += len(d.GetTasks())
		if n := len(d.GetEdges()[0].GetProducers()); n != len(deployed) {
			t.Fatalf("%d runs of producers for %d TaskManagers", n, len(deployed))
		}
	}
	if tasks != 20000 {
		t.Errorf("%d tasks deployed", tasks)
	}
}

// TestTallyIsRight: what is counted with each change is what is there.
func TestTallyIsRight(t *testing.T) {
	g := bothWays(t, 50)
	m, deployed := place(t, g)
	check := func(live, finished int) {
		t.Helper()
		if m.graph.tally.live != live || m.graph.tally.finished != finished {
			t.Errorf("%d live and %d finished, want %d and %d", m.graph.tally.live, m.graph.tally.finished, live, finished)
		}
	}
	check(100, 0)
	reachRunning(m, deployed, time.Unix(0, 0))
	check(100, 0)
	m.Receive(&weirpb.Envelope{
		From: "tm-000", JobId: "j", Epoch: 1, Sequence: 1000,
		Body: &weirpb.Envelope_TaskStateChanged{TaskStateChanged: &weirpb.TaskStateChanged{Status: &weirpb.TaskStatus{
			Attempt: deployed[0].GetTasks()[0].GetAttempt(), State: weirpb.TaskState_TASK_STATE_FINISHED,
		}}},
	}, time.Unix(0, 0))
	check(99, 1)
	m.Cancel(time.Unix(0, 0))
	check(99, 1)
}
