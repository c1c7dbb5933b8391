// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/rpctest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// TestScripts tells stories of a job that reads, counts and writes. `new p=N [chained] [restart=none]` makes it; the other
// commands are events, and what follows are the actions, heartbeats and what is said again left out; `show-needs` and
// `show-heartbeats` show them, too.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			if d.Cmd == "new" {
				s = newScript(t, d)
			} else {
				s.run(t, d)
			}
			return s.actions()
		})
	})
}

type script struct {
	m        *Master
	now      time.Time
	sequence map[string]int64
	metadata map[int64]*checkpoint.Metadata // that was to be stored
	commits  []Commit
	told     bool // needs are shown
	beats    bool // heartbeats are shown
	// holds tells that the script answers RecordHosts, which is else done at once.
	holds bool
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	t.Helper()
	p := int(number(t, d, "p"))
	sg := &graph.StreamGraph{Name: "job", MaxParallelism: 128, Restart: graph.Restart{}}
	if d.HasArg("norestart") {
		sg.Restart.Kind = graph.NoRestart
	}
	sg.Checkpoints = graph.Checkpoints{Interval: 10 * time.Second}
	sg.Nodes = []*graph.StreamNode{
		{ID: 0, UID: "in", Name: "in", Parallelism: p, Source: &graph.SourceSpec{Bounded: true}},
		{ID: 1, UID: "out", Name: "out", Inputs: 1, Parallelism: p, Sink: &graph.SinkSpec{}},
	}
	e := &graph.StreamEdge{From: 0, To: 1, Partitioning: exchange.Hash}
	if d.HasArg("chained") {
		e.Partitioning = exchange.Forward
	}
	sg.Edges = []*graph.StreamEdge{e}
	g, err := graph.Build(sg, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{now: time.Unix(0, 0), sequence: map[string]int64{}, metadata: map[int64]*checkpoint.Metadata{}}
	g.Fingerprint = 7
	epoch := max(1, number(t, d, "epoch"))
	c := Config{
		JobID: "j", Epoch: epoch, Name: "jm", ResourceManager: "rm", Graph: g, CheckpointDir: "/run",
		Heartbeat: time.Second, HeartbeatTimeout: 5 * time.Second, SlotTimeout: time.Minute, CancelTimeout: 30 * time.Second,
		IDs: coordinator.IDsReserved{First: epoch*16 - 15, Count: 16}, Newest: number(t, d, "newest"),
	}
	if epoch > 1 {
		c.ReconcileTimeout = 3 * time.Second
	}
	c.FormerKnown = d.HasArg("former")
	for _, id := range argument(d, "former") {
		c.Former = append(c.Former, Host{id, "x"})
	}
	s.m = NewMaster(c, s.now)
	s.m.Start(s.now)
	return s
}

// checkpoint makes one that an earlier JobMaster completed.
func (s *script) checkpoint(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	md := &checkpoint.Metadata{JobID: "j", ID: number(t, d, "id"), Kind: checkpoint.Periodic}
	if d.HasArg("suspend") {
		md.Kind = checkpoint.Suspend
	}
	for _, v := range s.m.config.Graph.Vertices {
		for _, n := range v.Nodes {
			op := checkpoint.Operator{ID: operatorID(n), UID: n.UID, Subtasks: make([]checkpoint.Subtask, v.Parallelism)}
			if n.Source != nil {
				op.Enumerator = &checkpoint.Enumerator{State: []byte("left")}
				for _, a := range argument(d, "assigned") {
					number, err := strconv.ParseInt(a, 10, 64)
					if err != nil {
						d.Fatalf(t, "%v", err)
					}
					op.Enumerator.Assigned = append(op.Enumerator.Assigned, number)
				}
			} else {
				op.Subtasks[0].Committables = []byte("old")
			}
			md.Operators = append(md.Operators, op)
		}
	}
	s.metadata[md.ID] = md
}

func number(t *testing.T, d *datadriven.TestData, name string) (n int64) {
	t.Helper()
	d.MaybeScanArgs(t, name, &n)
	return n
}

func text(t *testing.T, d *datadriven.TestData, name string) (v string) {
	t.Helper()
	d.MaybeScanArgs(t, name, &v)
	return v
}

// execution finds "out/1" by vertex and subtask.
func (s *script) execution(t *testing.T, d *datadriven.TestData, name string) *execution {
	t.Helper()
	vertex, index, _ := strings.Cut(name, "/")
	for v, of := range s.m.graph.current {
		for i, e := range of {
			if strings.HasPrefix(s.m.config.Graph.Vertices[v].Name, vertex) && fmt.Sprint(i) == index {
				return e
			}
		}
	}
	d.Fatalf(t, "no task %q", name)
	return nil
}

func (s *script) receive(from string, e *weirpb.Envelope) {
	s.sequence[from]++
	e.From, e.JobId, e.Epoch, e.Sequence = from, "j", s.m.config.Epoch, s.sequence[from]
	s.m.Receive(e, s.now)
}

func (s *script) run(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	m, now := s.m, s.now
	switch d.Cmd {
	case "offer": // offer tm=NAME slots=(A,B) [silent]
		tm := text(t, d, "tm")
		o := &weirpb.OfferSlots{TaskManager: tm, Incarnation: "x" + text(t, d, "start"), DataAddress: tm}
		if d.HasArg("silent") {
			o.DataAddress = "" // its executors tell theirs
		}
		for _, a := range argument(d, "slots") {
			o.Allocations = append(o.Allocations, &weirpb.Allocation{AllocationId: a, JobId: "j"})
		}
		s.receive(tm, &weirpb.Envelope{Body: &weirpb.Envelope_OfferSlots{OfferSlots: o}})
	case "receive": // receive from=NAME, and a message
		e, err := rpctest.Parse(d.Input)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.receive(text(t, d, "from"), e)
	case "checkpoint": // checkpoint id=N [suspend] assigned=(N,N)
		s.checkpoint(t, d)
	case "show-heartbeats":
		s.beats = true
	case "restored": // restored [id=N]
		md := s.metadata[number(t, d, "id")]
		var encoded []byte
		if md != nil {
			encoded = []byte(fmt.Sprintf("checkpoint %d", md.ID))
		}
		m.Restored(md, encoded, "", now)
	case "restore-failed":
		m.RestoreFailed(errors.New("disk"), World, now)
	case "enumerator-started":
		m.EnumeratorStarted(0, m.sources[0].instance, now)
	case "enumerator-failed":
		m.EnumeratorFailed(0, m.sources[0].instance, errors.New("boom"), User, now)
	case "assigned": // assigned reader=N splits=TEXT | nomore
		m.SplitsAssigned(0, m.sources[0].instance, int(number(t, d, "reader")), []byte(text(t, d, "splits")), d.HasArg("nomore"))
	case "enumerator-snapshot":
		m.EnumeratorSnapshot(0, m.sources[0].instance, number(t, d, "id"), []byte("left"), nil, now)
	case "state": // state to=NAME TASK...
		for _, a := range d.CmdArgs {
			if len(a.Vals) == 0 && a.Key != "fatal" {
				s.report(t, d, s.execution(t, d, a.Key), text(t, d, "to"))
			}
		}
	case "ack": // ack id=N TASK...
		for _, a := range d.CmdArgs {
			if len(a.Vals) > 0 {
				continue
			}
			e := s.execution(t, d, a.Key)
			k := &weirpb.AcknowledgeCheckpoint{Checkpoint: number(t, d, "id"), Attempt: e.attempt}
			if strings.HasSuffix(m.config.Graph.Vertices[e.vertex].Name, "out") {
				k.Prepared = []*weirpb.Prepared{{Operator: graph.OperatorIDOf("out"), Committables: []byte("c" + a.Key)}}
			}
			s.receive(e.taskManager, &weirpb.Envelope{Body: &weirpb.Envelope_AcknowledgeCheckpoint{AcknowledgeCheckpoint: k}})
		}
	case "empty-report": // empty-report tm=NAME slots=(...)
		tm := text(t, d, "tm")
		s.receive(tm, &weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: &weirpb.ExecutorReport{
			TaskManager: tm, Incarnation: "x", Allocations: argument(d, "slots"),
		}}})
	case "address": // address tm=NAME process=NAME: the first report of an executor process
		tm := text(t, d, "tm")
		s.receive("executor of "+tm, &weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: &weirpb.ExecutorReport{
			TaskManager: tm, Incarnation: "x", Process: text(t, d, "process"), DataAddress: tm + "/" + text(t, d, "process"),
		}}})
	case "executor-lost": // executor-lost tm=NAME [kind=fatal] TASK...
		x := &weirpb.ExecutorLost{TaskManager: text(t, d, "tm"), Incarnation: "x", Reason: "signal: killed", Kind: World}
		if d.HasArg("kind") {
			x.Kind, x.Reason = Fatal, "no job program"
		}
		for _, a := range d.CmdArgs {
			if len(a.Vals) == 0 {
				x.Attempts = append(x.Attempts, s.execution(t, d, a.Key).attempt)
			}
		}
		s.receive(x.GetTaskManager(), &weirpb.Envelope{Body: &weirpb.Envelope_ExecutorLost{ExecutorLost: x}})
	case "peer-lost": // peer-lost names=(A,B)
		m.Receive(&weirpb.Envelope{Body: &weirpb.Envelope_PeerLost{PeerLost: &weirpb.PeerLost{
			Names: argument(d, "names"), Reason: "reset",
		}}}, now)
	case "written":
		m.Stored(coordinator.MetadataWritten{ID: number(t, d, "id")}, now)
	case "claimed":
		m.Stored(coordinator.Claimed{ID: number(t, d, "id")}, now)
	case "committed":
		m.Committed(s.commits[0], nil, false, now)
	case "commit-failed":
		m.Committed(s.commits[0], errors.New("no"), d.HasArg("permanent"), now)
	case "cancel":
		m.Cancel(now)
	case "recorded":
		m.Recorded(now)
	case "suspend":
		m.Suspend(now)
	case "tick":
		s.tick(t, d)
	case "show-needs":
		s.told = true
	case "hold-hosts": // from now on they are recorded when the script says so
		s.holds = true
	case "hosts-recorded":
		m.HostsRecorded(nil, now)
	case "hosts-failed":
		m.HostsRecorded(errors.New("disk full"), now)
	default:
		d.Fatalf(t, "unknown command")
	}
}

func argument(d *datadriven.TestData, name string) []string {
	for _, a := range d.CmdArgs {
		if a.Key == name {
			return a.Vals
		}
	}
	return nil
}

// tick lets time pass. The TaskManagers that are not said to be silent show that they live.
func (s *script) tick(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	by, err := time.ParseDuration(text(t, d, "d"))
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	for by > 0 {
		step := by
		if d.HasArg("silent") { // else it looks as if the JobMaster had been stopped, and all are excused
			step = min(by, s.m.config.Heartbeat)
		}
		by -= step
		s.now = s.now.Add(step)
		for _, tm := range s.m.slots.order {
			if tm != text(t, d, "silent") {
				s.m.slots.managers[tm].heard = s.now
			}
		}
		s.m.Tick(s.now)
	}
}

func (s *script) report(t *testing.T, d *datadriven.TestData, e *execution, state string) {
	t.Helper()
	status := &weirpb.TaskStatus{Attempt: e.attempt, State: weirpb.TaskState(weirpb.TaskState_value["TASK_STATE_"+state])}
	if state == "FAILED" {
		status.Error, status.Kind = "boom", User
		if d.HasArg("fatal") {
			status.Kind = Fatal
		}
	}
	if state == "ENDED" {
		status.State, status.InputsEnded = weirpb.TaskState_TASK_STATE_RUNNING, true
	}
	s.receive(e.taskManager, &weirpb.Envelope{Body: &weirpb.Envelope_TaskStateChanged{
		TaskStateChanged: &weirpb.TaskStateChanged{Status: status},
	}})
}

// actions describes what the Master wants.
func (s *script) actions() string {
	var b strings.Builder
	for all := s.m.Take(); len(all) > 0; all = s.m.Take() {
		for _, a := range all {
			if line := s.describe(a); line != "" {
				b.WriteString(line + "\n")
			}
			if _, ok := a.(RecordHosts); ok && !s.holds {
				s.m.HostsRecorded(nil, s.now)
			}
		}
	}
	return b.String()
}

func (s *script) describe(a Action) string {
	switch a := a.(type) {
	case Send:
		if n := a.Message.GetDeclareNeeds(); n != nil && s.told {
			return "-> " + a.To + ": " + rpctest.Format(a.Message)
		}
		if a.Message.GetDeclareNeeds() != nil || a.Message.GetJobMasterHeartbeat() != nil && !s.beats {
			return ""
		}
		if r := a.Message.GetDeployTasks(); r != nil {
			r.Fingerprint, r.KeyGroups = 0, nil
			for _, task := range r.GetTasks() {
				task.Entered = nil
			}
		}
		return "-> " + a.To + ": " + rpctest.Format(a.Message)
	case Transition:
		return fmt.Sprintf("job %v -> %v", a.From, a.To)
	case FailureSeen:
		return "failure " + a.Failure.Error()
	case Commit:
		s.commits = []Commit{a}
		return fmt.Sprintf("commit %d: %q", a.Checkpoint, a.Prepared)
	case Store:
		if w, ok := a.Action.(coordinator.WriteMetadata); ok {
			s.metadata[w.ID] = w.Metadata
			return fmt.Sprintf("store metadata of %d (%v)", w.ID, w.Metadata.Kind)
		}
		return fmt.Sprintf("store %T %v", a.Action, a.Action)
	case RecordHosts:
		if !s.holds {
			return ""
		}
		return fmt.Sprintf("record hosts %v", a.Hosts)
	case StartEnumerator:
		line := fmt.Sprintf("start enumerator %d of source %d from %q", a.Instance, a.Source, a.Restored)
		for _, r := range a.Assigned {
			line += fmt.Sprintf(", reader %d has %q", r.Reader, r.Splits)
		}
		return line
	case Reply:
		return fmt.Sprintf("reply %d: %v", a.Number, a.Err)
	case Ended:
		if a.Cause != nil {
			return fmt.Sprintf("ended %v: %s", a.Status, a.Cause.Error())
		}
		return fmt.Sprintf("ended %v", a.Status)
	default:
		return fmt.Sprintf("%T %+v", a, a)
	}
}
