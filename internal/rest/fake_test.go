// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Ids of the fake.
const (
	jobRunning   = "a0000000000000000000000000000001"
	jobFinished  = "a0000000000000000000000000000002"
	jobCanceled  = "a0000000000000000000000000000003"
	jobFailed    = "a0000000000000000000000000000004"
	jobUnknown   = "a00000000000000000000000000000ff"
	vertexSource = "c0000000000000000000000000000001"
	vertexSink   = "c0000000000000000000000000000002"
	triggerDone  = "d0000000000000000000000000000001"
	triggerOpen  = "d0000000000000000000000000000002"
	triggerBad   = "d0000000000000000000000000000003"
	triggerCheck = "d0000000000000000000000000000004"
	checkOpen    = "d0000000000000000000000000000005"
	checkBad     = "d0000000000000000000000000000006"
	dropDone     = "d0000000000000000000000000000007"
	dropOpen     = "d0000000000000000000000000000008"
	dropBad      = "d0000000000000000000000000000009"
	worker1      = "tm-1"
	begin        = int64(1_700_000_000_000)
	// secret is what no answer may contain.
	secret = "hunter2-hunter2"
)

// fakeCluster is a cluster of four jobs, two Workers and one program. It records what it is asked to do.
type fakeCluster struct {
	mu       sync.Mutex
	asked    []string
	runs     []Run
	uploaded map[string][]byte
	jobs     map[string]*weirpb.JobDetail
	logs     map[string][]byte
	// block, if set, holds Detail back until its context ends.
	block bool
	crash bool
	// silent leaves summaries only.
	silent bool
}

func newFake() *fakeCluster {
	f := &fakeCluster{uploaded: map[string][]byte{}, jobs: map[string]*weirpb.JobDetail{}}
	for id, state := range map[string]string{
		jobRunning: "RUNNING", jobFinished: "FINISHED", jobCanceled: "CANCELED", jobFailed: "FAILED",
	} {
		f.jobs[id] = fakeJob(id, state)
	}
	f.logs = map[string][]byte{
		JobManagerLog: []byte("the log\n"), JobManagerOut: []byte("printed\n"), TaskManagerLog: []byte("worker\n"),
		jobRunning + "/jobmaster.log": []byte(strings.Repeat("0123456789", 100_000)),
	}
	return f
}

func (f *fakeCluster) cluster() Cluster {
	return Cluster{Jobs: fakeJobs{f}, Programs: fakePrograms{f}, Workers: fakeWorkers{f}, Self: fakeSelf{f}}
}

func (f *fakeCluster) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fakeCluster) noted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

func fakeJob(id, state string) *weirpb.JobDetail {
	d := &weirpb.JobDetail{
		JobId: id, Name: "flights", Epoch: 1, State: state, Start: begin, MaxParallelism: 128,
		Timestamps:  map[string]int64{"INITIALIZING": begin, "CREATED": begin + 5, "RUNNING": begin + 10},
		SlotsNeeded: 2, Restarts: 1, Plan: fakePlan(id), Checkpoints: fakeCheckpoints(),
		Config: &weirpb.JobConfig{
			Parallelism: 2, RestartStrategy: "exponential-delay", Mode: "EXACTLY_ONCE", IntervalMillis: 1000,
			TimeoutMillis: 600_000, Concurrent: 1, CheckpointDir: "/data/checkpoints", Arguments: []string{"--rate", "2000", "--api-key=" + secret},
			Settings: map[string]string{"parallelism.default": "2", "store.password": secret},
		},
		Failures: []*weirpb.FailureDetail{
			{
				At: begin + 100, Task: "source (1/2)", Vertex: vertexSource, TaskManager: worker1, Endpoint: "host:1234",
				Text: "step fares: panic: no fare\n\tstack", Kind: weirpb.FailureKind_FAILURE_KIND_USER,
			},
			{
				At: begin + 120, Task: "sink (1/2)", Vertex: vertexSink, TaskManager: worker1, Endpoint: "host:1234",
				Text: "the producer is gone", Kind: weirpb.FailureKind_FAILURE_KIND_WORLD,
			},
			{At: begin + 5000, Text: "a commit failed", Kind: weirpb.FailureKind_FAILURE_KIND_WORLD},
		},
	}
	task := "RUNNING"
	if state != "RUNNING" {
		task, d.End = state, begin+60_000
		d.Timestamps[state] = d.End
	}
	if state == "FAILED" {
		d.Cause = d.Failures[0]
	}
	for i, v := range []string{vertexSource, vertexSink} {
		vertex := &weirpb.VertexDetail{
			Id: v, Name: []string{"source", "sink"}[i], Parallelism: 2, MaxParallelism: 128, State: task,
			Operators: []string{"op"},
		}
		for s := range int32(2) {
			vertex.Subtasks = append(vertex.Subtasks, &weirpb.SubtaskDetail{
				Index: s, Current: fakeAttempt(i, s, 1, task), Past: []*weirpb.AttemptDetail{fakeAttempt(i, s, 0, "FAILED")},
			})
		}
		d.Vertices = append(d.Vertices, vertex)
	}
	return d
}

func fakeAttempt(vertex int, subtask, number int32, state string) *weirpb.AttemptDetail {
	at := &weirpb.AttemptDetail{
		Number: number, Id: int64(vertex)*100 + int64(subtask)*10 + int64(number) + 1, State: state,
		Timestamps: map[string]int64{
			"CREATED": begin, "SCHEDULED": begin + 10, "DEPLOYING": begin + 20, "INITIALIZING": begin + 30,
			"RUNNING": begin + 50,
		},
		TaskManager: worker1, Host: "host", Endpoint: "host:1234",
		Metrics: &weirpb.TaskMetrics{
			BusyNanos: 2e9, IdleNanos: 1e9, BackpressuredNanos: 7e9, BatchesIn: 10, BytesIn: 300, BytesOut: 4000,
			Operators: []*weirpb.OperatorMetrics{
				{
					Uid: "read", Name: "Source: read", RecordsIn: 0, RecordsOut: 1000, Watermark: (begin + 900) * 1e6, Holder: "split-7",
				},
				{
					Uid: "map", Name: "map", RecordsIn: 1000, RecordsOut: 900 + int64(subtask)*100, Watermark: (begin + 1000) * 1e6,
					Counters: map[string]int64{"dropped": 3}, Gauges: map[string]float64{"load": 0.5},
				},
			},
		},
	}
	if endedTask(state) {
		at.Timestamps[state] = begin + 60_000
	}
	if state == "FAILED" {
		at.Failure = "no fare"
	}
	return at
}

func fakePlan(id string) []byte {
	plan, err := json.Marshal(map[string]any{
		"jid": id, "name": "flights", "type": "STREAMING",
		"nodes": []any{
			map[string]any{
				"id": vertexSink, "parallelism": 2, "operator": "", "operator_strategy": "", "description": "sink",
				"optimizer_properties": map[string]any{},
				"inputs": []any{map[string]any{
					"num": 0, "id": vertexSource, "ship_strategy": "HASH", "exchange": "pipelined_bounded",
				}},
			},
			map[string]any{
				"id": vertexSource, "parallelism": 2, "operator": "", "operator_strategy": "", "description": "source",
				"optimizer_properties": map[string]any{},
			},
		},
	})
	if err != nil {
		panic(err)
	}
	return plan
}

func fakeCheckpoints() *weirpb.CheckpointsDetail {
	of := func(id int64, status, kind string) *weirpb.CheckpointDetail {
		c := &weirpb.CheckpointDetail{
			Id: id, Status: status, Type: kind, Trigger: begin + id*1000, StateBytes: 5000 * id, AddedBytes: 100 * id,
		}
		for _, v := range []string{vertexSource, vertexSink} {
			cv := &weirpb.CheckpointVertex{Vertex: v}
			for s := range int32(2) {
				sub := &weirpb.CheckpointSubtask{Index: s, Ack: c.Trigger + 20 + int64(s), StateBytes: 1250 * id, AddedBytes: 25 * id, AlignMillis: 3, SyncMillis: 1, AsyncMillis: 10, StartDelayMillis: 2}
				if status != checkpointCompleted && s == 1 {
					sub = &weirpb.CheckpointSubtask{Index: s}
				} else {
					cv.Acknowledged++
					c.LatestAck = max(c.LatestAck, sub.Ack)
				}
				cv.Subtasks = append(cv.Subtasks, sub)
			}
			c.Vertices = append(c.Vertices, cv)
		}
		switch status {
		case checkpointCompleted:
			c.End, c.Location = c.LatestAck+5, fmt.Sprintf("/data/checkpoints/chk-%d", id)
		case checkpointFailed:
			c.End, c.Failure = c.Trigger+600, "a task did not acknowledge in time"
		}
		return c
	}
	d := &weirpb.CheckpointsDetail{
		Restored: 1, Total: 5, InProgress: 1, Completed: 3, Failed: 1, Committed: 4,
		History: []*weirpb.CheckpointDetail{
			of(5, "IN_PROGRESS", "CHECKPOINT"), of(4, checkpointCompleted, "CHECKPOINT"),
			of(3, checkpointFailed, "CHECKPOINT"), of(2, checkpointCompleted, "SAVEPOINT"),
			of(1, checkpointCompleted, "SYNC_SAVEPOINT"),
		},
		LatestRestored: &weirpb.RestoreDetail{Id: 1, At: begin, Savepoint: true, Location: "/data/savepoints/1"},
	}
	d.LatestCompleted, d.LatestFailed, d.LatestSavepoint = d.History[1], d.History[2], d.History[4]
	return d
}

type fakeJobs struct{ *fakeCluster }

func (f fakeJobs) Summaries(context.Context) ([]*weirpb.JobSummary, error) {
	list := make([]*weirpb.JobSummary, 0, len(f.jobs))
	for _, d := range f.jobs {
		s := &weirpb.JobSummary{
			JobId: d.JobId, Name: d.Name, State: d.State, StartUnixMillis: d.Start, EndUnixMillis: d.End,
			ModifiedUnixMillis: d.Start + 50, Tasks: map[string]int32{}, Epoch: d.Epoch, SlotsNeeded: 2,
		}
		for _, v := range d.Vertices {
			s.Tasks[v.State] += int32(len(v.Subtasks))
		}
		if ended(d.State) {
			s.Result = &weirpb.JobResult{State: d.State, Error: d.Cause.GetText()}
		}
		list = append(list, s)
	}
	return list, nil
}

func (f fakeJobs) Summary(ctx context.Context, job string) (*weirpb.JobSummary, error) {
	list, err := f.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.JobId == job {
			return s, nil
		}
	}
	return nil, fmt.Errorf("job %s: %w", job, ErrNotFound)
}

func (f fakeJobs) Detail(ctx context.Context, job string) (*weirpb.JobDetail, error) {
	if f.crash {
		panic("a secret of the inside")
	}
	if f.block {
		<-ctx.Done()
		return nil, fmt.Errorf("job %s: %w", job, ErrUnavailable)
	}
	if d := f.jobs[job]; d != nil {
		if f.silent {
			return nil, fmt.Errorf("job %s: %w", job, ErrUnavailable)
		}
		return d, nil
	}
	return nil, fmt.Errorf("job %s: %w", job, ErrNotFound)
}

func (f fakeJobs) must(job string) error {
	d := f.jobs[job]
	if d == nil {
		return fmt.Errorf("job %s: %w", job, ErrNotFound)
	}
	if ended(d.State) {
		return fmt.Errorf("job %s has ended as %s: %w", job, d.State, ErrConflict)
	}
	return nil
}

func (f fakeJobs) Cancel(_ context.Context, job string) error {
	f.note("cancel %s", job)
	return f.must(job)
}

func (f fakeJobs) Savepoint(_ context.Context, job, trigger string, take *weirpb.TakeSavepoint) error {
	f.note("savepoint %s %s dir=%s stop=%t drain=%t cancel=%t", job, trigger, take.Dir, take.Stop, take.Drain, take.Cancel)
	return f.must(job)
}

func (f fakeJobs) Checkpoint(_ context.Context, job, trigger string, full bool) error {
	f.note("checkpoint %s %s full=%t", job, trigger, full)
	return f.must(job)
}

func (f fakeJobs) Dispose(_ context.Context, trigger, savepoint string) error {
	f.note("dispose %s %s", trigger, savepoint)
	return nil
}

func (f fakeJobs) Operation(_ context.Context, job, trigger string) (Operation, error) {
	type key struct{ job, trigger string }
	op, ok := map[key]Operation{
		{jobRunning, triggerDone}:  {Kind: OperationSavepoint, Done: true, Location: "/data/savepoints/2"},
		{jobRunning, triggerOpen}:  {Kind: OperationSavepoint},
		{jobRunning, triggerBad}:   {Kind: OperationSavepoint, Done: true, Failure: "the disk is full"},
		{jobRunning, triggerCheck}: {Kind: OperationCheckpoint, Done: true, Checkpoint: 7},
		{jobRunning, checkOpen}:    {Kind: OperationCheckpoint},
		{jobRunning, checkBad}:     {Kind: OperationCheckpoint, Done: true, Failure: "it was declined"},
		{"", dropDone}:             {Kind: OperationDispose, Done: true},
		{"", dropOpen}:             {Kind: OperationDispose},
		{"", dropBad}:              {Kind: OperationDispose, Done: true, Failure: "no savepoint is there"},
	}[key{job, trigger}]
	if !ok {
		return op, ErrNotFound
	}
	return op, nil
}

func (f fakeJobs) ClientHeartbeat(_ context.Context, job string, until time.Time) error {
	f.note("heartbeat %s %d", job, until.UnixMilli())
	return f.must(job)
}

func (f fakeJobs) Applications(ctx context.Context) ([]Application, error) {
	list, err := f.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	apps := make([]Application, 0, len(list))
	for _, s := range list {
		apps = append(apps, ApplicationOf(s))
	}
	return apps, nil
}

func (f fakeJobs) CancelApplication(_ context.Context, id string) error {
	f.note("cancel application %s", id)
	return f.must(id)
}

type fakePrograms struct{ *fakeCluster }

const programID1 = "0123_flights"

func (f fakePrograms) List(context.Context) ([]Program, error) {
	return []Program{{
		ID: programID1, Name: "flights", Uploaded: time.UnixMilli(begin), Size: 10, SHA256: strings.Repeat("ab", 32),
		Jobs: []string{"delays", "routes"},
	}}, nil
}

func (f fakePrograms) Upload(_ context.Context, name string, r io.Reader) (Program, error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return Program{}, fmt.Errorf("store %s: %w", name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded[name] = content
	return Program{ID: "0124_" + name, Name: name, SHA256: strings.Repeat("cd", 32)}, nil
}

func (f fakePrograms) Delete(_ context.Context, id string) error {
	f.note("delete %s", id)
	if id != programID1 {
		return fmt.Errorf("program %s: %w", id, ErrNotFound)
	}
	return nil
}

func (f fakePrograms) take(r Run) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs = append(f.runs, r)
	switch {
	case r.Program != programID1:
		return fmt.Errorf("program %s: %w", r.Program, ErrNotFound)
	case r.Job == "none":
		return fmt.Errorf("the program has no job none, it has delays, routes: %w", ErrInvalid)
	case r.Job == "broken":
		return fmt.Errorf("the program could not be started")
	}
	return nil
}

func (f fakePrograms) Describe(_ context.Context, r Run) (*weirpb.JobDescription, error) {
	if err := f.take(r); err != nil {
		return nil, err
	}
	return &weirpb.JobDescription{Name: "flights", Plan: fakePlan("")}, nil
}

func (f fakePrograms) Run(_ context.Context, r Run) (string, error) {
	if err := f.take(r); err != nil {
		return "", err
	}
	return jobRunning, nil
}

func (f fakePrograms) RunApplication(ctx context.Context, r Run) (string, error) {
	return f.Run(ctx, r)
}

type fakeWorkers struct{ *fakeCluster }

func (f fakeWorkers) List(context.Context) ([]Worker, error) {
	var list []Worker
	for i, id := range []string{worker1, "tm-2"} {
		r := &weirpb.TaskManagerReport{
			Id: id, Host: "host", DataAddress: "host:1234", MemoryBytes: 4 << 30, MachineMemoryBytes: 16 << 30, Cores: 4,
			ProcessId: 42, Version: "0.2.0",
			Slots:   []*weirpb.Slot{{Index: 0}, {Index: 1}},
			Metrics: map[string]float64{"Status.JVM.CPU.Load": 0.25 * float64(i+1), "Status.JVM.Memory.Heap.Used": 1 << 20},
		}
		if id == worker1 {
			for s := range r.Slots {
				r.Slots[s] = &weirpb.Slot{Index: int32(s), AllocationId: fmt.Sprint("al-", s), JobId: jobRunning, JobEpoch: 1}
			}
		}
		list = append(list, Worker{Report: r, LastHeartbeat: time.UnixMilli(begin)})
	}
	return list, nil
}

func (f fakeWorkers) Logs(context.Context, string) ([]*weirpb.LogFile, error) {
	return f.logFiles(), nil
}

func (f *fakeCluster) logFiles() []*weirpb.LogFile {
	var files []*weirpb.LogFile
	for name, content := range f.logs {
		files = append(files, &weirpb.LogFile{Name: name, Size: int64(len(content)), ModifiedUnixMillis: begin})
	}
	return files
}

func (f *fakeCluster) readLog(r *weirpb.ReadLog) (LogPart, error) {
	f.note("read %s", r.Name)
	content, ok := f.logs[r.Name]
	if !ok {
		return LogPart{}, fmt.Errorf("log %s: %w", r.Name, ErrNotFound)
	}
	at := r.Offset
	if at < 0 {
		at = max(0, int64(len(content))+at)
	}
	at = min(at, int64(len(content)))
	end := min(at+int64(r.BytesMax), int64(len(content)))
	return LogPart{Data: content[at:end], Offset: at, Size: int64(len(content))}, nil
}

func (f fakeWorkers) ReadLog(_ context.Context, _ string, r *weirpb.ReadLog) (LogPart, error) {
	return f.readLog(r)
}

func (f fakeWorkers) ThreadDump(context.Context, string) ([]byte, error) {
	return []byte("goroutine 1 [running]:\nmain.main()\n\ngoroutine 2 [select]:\nother()\n"), nil
}

func (f fakeWorkers) Drain(_ context.Context, id string) error {
	f.note("drain %s", id)
	return nil
}

type fakeSelf struct{ *fakeCluster }

func (f fakeSelf) Info() Info {
	return Info{
		Version: "0.2.0", Commit: "abcdef0", Started: time.UnixMilli(begin), ClusterID: "cluster-1", LeaderEpoch: 3,
	}
}

func (f fakeSelf) Config() []Setting {
	return []Setting{{"parallelism.default", "2"}, {"rest.port", "8081"}}
}

func (f fakeSelf) Logs(context.Context) ([]*weirpb.LogFile, error) { return f.logFiles(), nil }

func (f fakeSelf) ReadLog(_ context.Context, r *weirpb.ReadLog) (LogPart, error) { return f.readLog(r) }

func (f fakeSelf) Shutdown(context.Context) error {
	f.note("shutdown")
	return nil
}
