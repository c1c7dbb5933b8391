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
func place(t testing.TB, g *graph.JobGraph) []*weirpb.DeployTasks {
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
	return deployed
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
	deployed := place(t, g)
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
