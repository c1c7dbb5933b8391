// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

func TestDetail(t *testing.T) {
	g, err := graph.Build(&graph.StreamGraph{
		Name:  "job",
		Nodes: []*graph.StreamNode{{ID: 0, UID: "in", Name: "Source: in", Source: &graph.SourceSpec{}}},
		Flags: []graph.Flag{{Name: "rate", Value: "5"}},
	}, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	cause := &core.Failure{At: at(4), Task: "in (1/1)", Vertex: g.Vertices[0].ID, Attempt: 1, Text: "boom", Kind: core.User}
	sub := core.SubtaskDetails{AttemptDetails: core.AttemptDetails{State: core.Running, Attempt: 7, Number: 2, Endpoint: "10.0.0.1:77"}}
	sub.Entered[core.Running] = at(3)
	sub.Past = []core.AttemptDetails{{State: core.Failed, Attempt: 6, Number: 1, Endpoint: "/sock", Cause: cause}}
	completed := func(id int64, kind checkpoint.Kind) *coordinator.CheckpointStats {
		return &coordinator.CheckpointStats{ID: id, Kind: kind, Status: coordinator.Completed, Trigger: at(id), Vertices: []coordinator.VertexStats{
			{Acknowledged: 1, Subtasks: []coordinator.SubtaskStats{
				{Acked: at(id + 1), StateBytes: 9, StartDelay: 2 * time.Second},
			}},
		}}
	}
	d := core.JobDetails{
		JobID: "j", Name: "job", Status: core.JobRunning, Failures: []core.Failure{*cause}, Restarts: 1,
		Vertices: []core.VertexDetails{{ID: g.Vertices[0].ID, Name: "in", Parallelism: 1, Subtasks: []core.SubtaskDetails{sub}}},
		Checkpoints: coordinator.Stats{History: []*coordinator.CheckpointStats{
			completed(4, checkpoint.Savepoint), completed(3, checkpoint.Periodic), completed(2, checkpoint.Periodic),
		}},
	}
	w := detailOf(&d, g, entered{core.JobInitializing: at(1), core.JobRunning: at(2)}, func(id int64) string { return fmt.Sprint("at/", id) })
	if w.GetStart() != 1000 || w.GetTimestamps()["RUNNING"] != 2000 || len(w.GetTimestamps()) != 2 || w.GetEnd() != 0 || w.GetRestarts() != 1 {
		t.Errorf("times of the job: %v", w)
	}
	if !strings.Contains(string(w.GetPlan()), `"jid":"j"`) || w.GetConfig().GetArguments()[0] != "--rate=5" {
		t.Errorf("plan %s, config %v", w.GetPlan(), w.GetConfig())
	}
	v := w.GetVertices()[0]
	if v.GetState() != "RUNNING" || v.GetOperators()[0] != "in" || v.GetMaxParallelism() != 128 {
		t.Errorf("vertex: %v", v)
	}
	current, past := v.GetSubtasks()[0].GetCurrent(), v.GetSubtasks()[0].GetPast()[0]
	if current.GetHost() != "10.0.0.1" || current.GetTimestamps()["RUNNING"] != 3000 || current.GetNumber() != 2 ||
		past.GetFailure() != "boom" || past.GetHost() != "" || past.GetEndpoint() != "/sock" {
		t.Errorf("attempts: %v before %v", past, current)
	}
	if f := w.GetFailures()[0]; f.GetVertex() != v.GetId() || f.GetAttempt() != 1 || f.GetAt() != 4000 || w.GetCause() != nil {
		t.Errorf("failure: %v", f)
	}
	h := w.GetCheckpoints().GetHistory()
	if h[0].GetType() != "SAVEPOINT" || h[0].GetDiscarded() || h[1].GetDiscarded() || !h[2].GetDiscarded() {
		t.Errorf("the newest checkpoint and savepoints are kept: %v", h)
	}
	if h[0].GetLocation() != "" || h[1].GetLocation() != "at/3" {
		t.Errorf("places: %q of a savepoint, %q of a checkpoint", h[0].GetLocation(), h[1].GetLocation())
	}
	if s := h[1].GetVertices()[0].GetSubtasks()[0]; s.GetAck() != 4000 || s.GetStateBytes() != 9 || s.GetStartDelayMillis() != 2000 {
		t.Errorf("subtask of a checkpoint: %v", s)
	}
}

func TestAggregate(t *testing.T) {
	for want, states := range map[core.ExecutionState][]core.ExecutionState{
		core.Created:   {core.Created, core.Created},
		core.Running:   {core.Running, core.Scheduled},
		core.Finished:  {core.Finished, core.Finished},
		core.Failed:    {core.Failed, core.Running},
		core.Canceling: {core.Canceling, core.Canceled},
	} {
		var count [core.Failed + 1]int
		for _, s := range states {
			count[s]++
		}
		if got := aggregate(count, len(states)); got != want {
			t.Errorf("%v: %v, want %v", states, got, want)
		}
	}
	if got := aggregate([core.Failed + 1]int{core.Created: 1, core.Finished: 1}, 2); got != core.Running {
		t.Errorf("one finished, one created: %v", got)
	}
}

func TestEndpointOf(t *testing.T) {
	for address, want := range map[string][2]string{
		"weir1:0f3a,unix=/run/a,tcp=b/x.sock,tcp=10.0.0.7:4001": {"10.0.0.7:4001", "10.0.0.7"},
		"tcp:[::1]:4001": {"[::1]:4001", "::1"},
		"unix:/run/x":    {"unix:/run/x", ""},
		"":               {"", ""},
	} {
		if endpoint, host := endpointOf(address), hostOf(address); endpoint != want[0] || host != want[1] {
			t.Errorf("%q: endpoint %q on host %q, want %q", address, endpoint, host, want)
		}
	}
}
