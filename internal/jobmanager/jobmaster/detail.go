// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// entered is when the job entered each status last, zero where it has not.
type entered [core.JobSuspended + 1]time.Time

// detailOf is the state of a job as a message; path tells where a completed checkpoint lies.
func detailOf(d *core.JobDetails, g *graph.JobGraph, at entered, path func(id int64) string) *weirpb.JobDetail {
	w := &weirpb.JobDetail{
		JobId: d.JobID, Name: d.Name, Epoch: d.Epoch, State: d.Status.String(), Timestamps: map[string]int64{},
		Start: millis(at[core.JobInitializing]), SlotsNeeded: int32(d.Slots), SlotsMissing: int32(d.MissingSlots),
		Restarts: d.Restarts, Config: configOf(g),
	}
	for s, t := range at {
		if !t.IsZero() {
			w.Timestamps[core.JobStatus(s).String()] = millis(t)
		}
	}
	if d.Status.Ended() {
		w.End = millis(at[d.Status])
	}
	w.Plan = planOf(g, d.JobID)
	for i := range d.Vertices {
		v := vertexOf(&d.Vertices[i], g.Vertices[i])
		w.MaxParallelism = max(w.MaxParallelism, v.GetMaxParallelism())
		w.Vertices = append(w.Vertices, v)
	}
	for i := range d.Failures {
		w.Failures = append(w.Failures, failureOf(&d.Failures[i]))
	}
	w.Cause = failureOf(d.Cause)
	w.Checkpoints = checkpointsOf(&d.Checkpoints, g, path)
	w.Checkpoints.Committed = d.Committed
	return w
}

// summaryOf is what a list of jobs shows.
func summaryOf(d *core.JobDetails, at entered) *weirpb.JobSummary {
	w := &weirpb.JobSummary{
		JobId: d.JobID, Name: d.Name, State: d.Status.String(), StartUnixMillis: millis(at[core.JobInitializing]),
		Tasks: map[string]int32{}, Epoch: d.Epoch, SlotsNeeded: int32(d.Slots), SlotsMissing: int32(d.MissingSlots),
	}
	for _, t := range at {
		w.ModifiedUnixMillis = max(w.GetModifiedUnixMillis(), millis(t))
	}
	if d.Status.Ended() {
		w.EndUnixMillis = millis(at[d.Status])
	}
	for i := range d.Vertices {
		for k := range d.Vertices[i].Subtasks {
			w.Tasks[d.Vertices[i].Subtasks[k].State.String()]++
		}
	}
	return w
}

// planOf is the plan in Flink's form.
func planOf(g *graph.JobGraph, jobID string) []byte {
	plan, err := json.Marshal(graph.PlanOf(g, jobID))
	if err != nil {
		return nil // a plan has nothing that JSON can't have
	}
	return plan
}

func configOf(g *graph.JobGraph) *weirpb.JobConfig {
	c := g.Stream.Checkpoints.WithDefaults()
	w := &weirpb.JobConfig{
		RestartStrategy: strategyOf(g.Stream.Restart.WithDefaults()), Mode: "EXACTLY_ONCE",
		IntervalMillis: c.Interval.Milliseconds(), TimeoutMillis: c.Timeout.Milliseconds(),
		MinPauseMillis: c.MinPause.Milliseconds(), Concurrent: int32(c.Concurrent),
		TolerableFailures: int32(c.TolerableFailures), RetainOnCancellation: c.KeepAfterCancel, CheckpointDir: c.Dir,
	}
	if c.AtLeastOnce {
		w.Mode = "AT_LEAST_ONCE"
	}
	for _, v := range g.Vertices {
		w.Parallelism = max(w.Parallelism, int32(v.Parallelism))
	}
	for _, f := range g.Stream.Flags {
		w.Arguments = append(w.Arguments, "--"+f.Name+"="+f.Value)
	}
	return w
}

// strategyOf describes a restart strategy for people.
func strategyOf(r graph.Restart) string {
	switch r.Kind {
	case graph.NoRestart:
		return "no restart"
	case graph.FixedDelay:
		return fmt.Sprintf("fixed delay: %d restarts, each after %v", r.Attempts, r.Delay)
	case graph.FailureRate:
		return fmt.Sprintf("failure rate: up to %d failures within %v, restarts after %v", r.Failures, r.Interval, r.Delay)
	case graph.ExponentialDelay:
	}
	text := fmt.Sprintf("exponential delay: at once, then from %v up to %v, times %v each time", r.Delay, r.DelayMax, r.Multiplier)
	if r.Jitter > 0 {
		text += fmt.Sprintf(", give or take %v %%", 100*r.Jitter)
	}
	return text
}

func vertexOf(d *core.VertexDetails, v *graph.JobVertex) *weirpb.VertexDetail {
	w := &weirpb.VertexDetail{
		Id: d.ID, Name: d.Name, Parallelism: int32(d.Parallelism), MaxParallelism: int32(v.MaxParallelism),
	}
	for _, n := range v.Nodes {
		name := n.UID
		if name == "" {
			name = n.Name
		}
		w.Operators = append(w.Operators, name)
	}
	var count [core.Failed + 1]int
	for i := range d.Subtasks {
		s := &d.Subtasks[i]
		count[s.State]++
		sub := &weirpb.SubtaskDetail{Index: int32(i), Current: attemptOf(&s.AttemptDetails)}
		for k := range s.Past {
			sub.Past = append(sub.Past, attemptOf(&s.Past[k]))
		}
		w.Subtasks = append(w.Subtasks, sub)
	}
	w.State = aggregate(count, len(d.Subtasks)).String()
	return w
}

// aggregate is the state of a vertex as Flink derives it from those of its subtasks: the worst where one has gone wrong,
// and else that of those furthest on, FINISHED once all are.
func aggregate(count [core.Failed + 1]int, subtasks int) core.ExecutionState {
	for _, s := range []core.ExecutionState{core.Failed, core.Canceling, core.Canceled} {
		if count[s] > 0 {
			return s
		}
	}
	if count[core.Finished] == subtasks {
		return core.Finished
	}
	for _, s := range []core.ExecutionState{core.Running, core.Initializing, core.Deploying, core.Scheduled} {
		if count[s] > 0 {
			return s
		}
	}
	if count[core.Finished] > 0 {
		return core.Running
	}
	return core.Created
}

func attemptOf(a *core.AttemptDetails) *weirpb.AttemptDetail {
	w := &weirpb.AttemptDetail{
		Number: int32(a.Number), Id: a.Attempt, State: a.State.String(), Timestamps: map[string]int64{},
		TaskManager: a.TaskManager, Host: hostOf(a.Endpoint), Endpoint: endpointOf(a.Endpoint), Metrics: a.Metrics,
	}
	for s, t := range a.Entered {
		if !t.IsZero() {
			w.Timestamps[core.ExecutionState(s).String()] = millis(t)
		}
	}
	if a.Cause != nil {
		w.Failure = a.Cause.Text
	}
	return w
}

// endpointOf is how people know the exchange of an executor: host and port of its address, or the address where it has none.
func endpointOf(address string) string {
	if _, tcp, both := strings.CutLast(address, tcpPart); both { // it names a socket and a port
		return tcp
	}
	return strings.TrimPrefix(address, "tcp:")
}

// tcpPart stands before host and port in addresses that name a socket, too.
const tcpPart = ",tcp="

// hostOf is the host of an address, empty where that names none, as the path of a socket and an environment within the process
// do.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(endpointOf(address))
	if err != nil || host == "unix" || host == "local" {
		return ""
	}
	return host
}

func failureOf(f *core.Failure) *weirpb.FailureDetail {
	if f == nil {
		return nil
	}
	return &weirpb.FailureDetail{
		At: millis(f.At), Task: f.Task, Vertex: f.Vertex, Subtask: int32(f.Subtask), Attempt: int32(f.Attempt),
		TaskManager: f.TaskManager, Endpoint: endpointOf(f.Endpoint), Text: f.Text, Kind: f.Kind,
	}
}

// millis is a time in Unix milliseconds, zero for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
