// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var start = time.UnixMilli(1_700_000_000_000)

// jobAt is a job of one task of two operators, as it is some time after its start.
func jobAt(passed time.Duration, records int64) *weirpb.JobDetail {
	return &weirpb.JobDetail{
		JobId: "a1", Name: "flights", State: "RUNNING", Restarts: 2,
		Timestamps: map[string]int64{"RUNNING": start.UnixMilli()},
		Checkpoints: &weirpb.CheckpointsDetail{
			Total: 9, Completed: 7, Failed: 1, InProgress: 1,
			LatestCompleted: &weirpb.CheckpointDetail{
				Id: 8, Trigger: 100, End: 130, StateBytes: 4000, AddedBytes: 40, Location: "/data/chk-8",
			},
		},
		Vertices: []*weirpb.VertexDetail{{
			Id: "v1", Name: "read -> map", Subtasks: []*weirpb.SubtaskDetail{{
				Index: 3, Current: &weirpb.AttemptDetail{
					Number: 1, Id: 17, State: "RUNNING", TaskManager: "tm-1", Host: "host",
					Timestamps: map[string]int64{"INITIALIZING": start.UnixMilli()},
					Metrics: &weirpb.TaskMetrics{
						BusyNanos: int64(passed) / 4, IdleNanos: int64(passed) / 2, BackpressuredNanos: int64(passed) / 4,
						BytesIn: 20 * records, BytesOut: 10 * records,
						Operators: []*weirpb.OperatorMetrics{
							{Uid: "read", Name: "Source: read", RecordsOut: records, Watermark: 5_999_999},
							{
								Uid: "map", Name: "map", RecordsIn: records, RecordsOut: records / 2, Watermark: 4e6, LateDropped: 6,
								Counters: map[string]int64{"drops": 3}, Gauges: map[string]float64{"load": 0.5},
							},
						},
					},
				},
			}},
		}},
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	r := NewRates()
	// Nobody has asked before: the rate is over the life of the attempt.
	got := r.Observe(start.Add(10*time.Second), jobAt(10*time.Second, 1000))[17]
	if got.Busy != 250 || got.Idle != 500 || got.Backpressured != 250 || got.Out[0] != 100 || got.In[1] != 100 {
		t.Errorf("over the life: %+v", got)
	}
	// Then over the time since a reading that is old enough; 400 records in the 4 s after it.
	r.Observe(start.Add(16*time.Second), jobAt(16*time.Second, 1000))
	got = r.Observe(start.Add(20*time.Second), jobAt(20*time.Second, 2000))[17]
	if got.Out[0] != 100 || got.Out[1] != 50 {
		t.Errorf("since the reading of 10 s before: %+v, want 100 and 50", got)
	}
	// A job that starts anew has totals that are lower: no rate is negative.
	got = r.Observe(start.Add(21*time.Second), jobAt(time.Second, 0))[17]
	if got.Out[0] != 0 || got.Busy != 0 {
		t.Errorf("after totals went down: %+v", got)
	}
}

func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	r := NewRates()
	for i := range rateJobsMax + 10 {
		d := jobAt(time.Second, 1)
		d.JobId = strconv.Itoa(i)
		r.Observe(start.Add(time.Duration(i)*time.Second), d)
	}
	if len(r.jobs) != rateJobsMax || r.jobs["0"] != nil {
		t.Errorf("%d jobs are remembered, the oldest among them: %t", len(r.jobs), r.jobs["0"] != nil)
	}
}

func named(values []Value) map[string]Value {
	m := map[string]Value{}
	for _, v := range values {
		m[v.Name] = v
	}
	return m
}

func TestNames(t *testing.T) {
	t.Parallel()
	now := start.Add(10 * time.Second)
	d := jobAt(10*time.Second, 1000)
	rates := NewRates().Observe(now, d)[17]
	m := d.Vertices[0].Subtasks[0].Current.Metrics
	job, task, second := named(OfJob(d, now)), named(OfTask(m, rates)), named(OfOperator(m, rates, 1))
	for _, c := range []struct {
		in   map[string]Value
		name string
		want float64
	}{
		{job, "numRestarts", 2},
		{job, "runningState", 1},
		{job, "runningTime", 10_000},
		{job, "restartingTime", 0},
		{job, "lastCheckpointDuration", 30},
		{job, "lastCheckpointSize", 40},
		{job, "lastCheckpointFullSize", 4000},
		{job, "lastCompletedCheckpointId", 8},
		{job, "numberOfFailedCheckpoints", 1},
		{job, "totalNumberOfCheckpoints", 9},
		{job, "lastCheckpointRestoreTimestamp", -1},
		{task, "busyTimeMsPerSecond", 250},
		{task, "backPressuredTimeMsPerSecond", 250},
		{task, "numRecordsOut", 500},
		{task, "numRecordsOutPerSecond", 50},
		{task, "numBytesIn", 20_000},
		{task, "numBytesInPerSecond", 2000},
		{task, "numBytesOut", 10_000},
		{task, "numBytesOutPerSecond", 1000},
		{task, "numLateRecordsDropped", 6},
		{task, "currentInputWatermark", 5},
		{second, "numRecordsIn", 1000},
		{second, "numRecordsInPerSecond", 100},
		{second, "drops", 3},
		{second, "load", 0.5},
	} {
		if v, ok := c.in[c.name]; !ok || v.Value != c.want {
			t.Errorf("%s = %v, want %v", c.name, v.Value, c.want)
		}
	}
	if v := job["lastCheckpointExternalPath"]; v.Text != "/data/chk-8" {
		t.Errorf("lastCheckpointExternalPath = %q", v.Text)
	}
	if got := OperatorName(m.Operators[0]); got != "Source__read" {
		t.Errorf("the name of the operator is %q", got)
	}
	if got := OfJob(&weirpb.JobDetail{JobId: "b", State: "CREATED"}, now); named(got)["lastCheckpointSize"].Value != -1 {
		t.Error("a job without checkpoints has a size of the last one")
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	var p Process
	first := p.Read(start)
	if first["Status.JVM.Memory.Heap.Used"] <= 0 || first["Status.JVM.Threads.Count"] < 1 {
		t.Errorf("the process has no heap or no goroutine: %v", first)
	}
	if first["Status.JVM.CPU.Load"] != 0 {
		t.Errorf("a load after one reading: %v", first["Status.JVM.CPU.Load"])
	}
	runtime.GC()
	// The clock is given: the processor time of this test within a second.
	second := p.Read(start.Add(time.Second))
	if load := second["Status.JVM.CPU.Load"]; load <= 0 || math.IsNaN(load) {
		t.Errorf("the load is %v", load)
	}
	if second["Status.JVM.GarbageCollector.All.Count"] <= first["Status.JVM.GarbageCollector.All.Count"] {
		t.Error("a collection was not counted")
	}
	if again := p.Read(start.Add(time.Second + time.Millisecond)); again["Status.JVM.CPU.Load"] != second["Status.JVM.CPU.Load"] {
		t.Error("a reading right after another has a load of its own")
	}
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	now := start.Add(10 * time.Second)
	d := jobAt(10*time.Second, 1000)
	operator := d.Vertices[0].Subtasks[0].Current.Metrics.Operators[1]
	operator.Counters["weird name-ü"] = 1
	operator.Counters["numRecordsIn"] = 99 // the engine's own comes first
	source := func(context.Context) []Group {
		groups := Groups(d, NewRates().Observe(now, d), "jm", now)
		return append(groups, Group{
			Scope: "jobmanager", Labels: Labels{"host", "jm"},
			Values: OfNames(map[string]float64{"taskSlotsTotal": 4, "Status.JVM.CPU.Load": 0.5}),
		})
	}
	w := httptest.NewRecorder()
	Handler(source, slog.New(slog.DiscardHandler)).ServeHTTP(w,
		httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := w.Body.String()
	const task = `host="host",job_id="a1",job_name="flights",`
	const rest = `subtask_index="3",task_attempt_id="17",task_attempt_num="1",task_id="v1",task_name="read -> map",tm_id="tm-1"} `
	for _, line := range []string{
		`flink_jobmanager_taskSlotsTotal{host="jm"} 4`,
		`flink_jobmanager_Status_JVM_CPU_Load{host="jm"} 0.5`,
		`flink_jobmanager_job_numRestarts{host="jm",job_id="a1",job_name="flights"} 2`,
		"# TYPE flink_taskmanager_job_task_numRecordsOut counter",
		"# TYPE flink_taskmanager_job_task_busyTimeMsPerSecond gauge",
		`flink_taskmanager_job_task_numRecordsOut{` + task + rest + "500",
		`flink_taskmanager_job_task_operator_numRecordsIn{` + task + `operator_id="map",operator_name="map",` + rest + "1000",
		`flink_taskmanager_job_task_operator_drops{`,
		`flink_taskmanager_job_task_operator_weird_name__{`,
	} {
		if w.Code != http.StatusOK || !strings.Contains(text, line) {
			t.Errorf("status %d, and there is no line %s in\n%s", w.Code, line, text)
		}
	}
	if strings.Contains(text, "lastCheckpointExternalPath") || strings.Contains(text, " 99") {
		t.Error("a text or a second value of a name is shown")
	}
}

func TestWatermarkMillis(t *testing.T) {
	t.Parallel()
	for nanos, want := range map[int64]int64{
		0: 0, 1_999_999: 1, -1: -1, -1_000_000: -1, -1_000_001: -2, math.MinInt64: math.MinInt64, math.MaxInt64: math.MaxInt64,
	} {
		if got := WatermarkMillis(&weirpb.OperatorMetrics{Watermark: nanos}); got != want {
			t.Errorf("%d ns: %d ms, want %d", nanos, got, want)
		}
	}
}
