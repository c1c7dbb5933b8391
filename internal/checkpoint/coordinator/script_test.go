// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// TestScripts tells stories. A script begins with `new SETTING=VALUE...` and the vertices, one a line:
//
//	NAME p=PARALLELISM [source] [from=NAME,...] [forward=NAME,...]
//
// Each further command is an event; what follows are the actions. VERTEX/SUBTASK names a task.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				s = newScript(t, d)
				return ""
			}
			return s.run(t, d)
		})
	})
}

type script struct {
	c     *Coordinator
	now   time.Time
	names []string
	tasks []graph.SubtaskID
	// open holds the last checkpoint whose Trigger was seen, for `all`.
	expected map[int64][]graph.SubtaskID
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	t.Helper()
	s := &script{now: time.Unix(0, 0), expected: map[int64][]graph.SubtaskID{}}
	c := Config{JobID: "job", Epoch: 1, IDs: IDsReserved{First: 1, Count: 16}}
	for _, a := range d.CmdArgs {
		duration := func() time.Duration {
			v, err := time.ParseDuration(a.Vals[0])
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return v
		}
		number := func() int {
			n, err := strconv.Atoi(a.Vals[0])
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return n
		}
		switch a.Key {
		case "interval":
			c.Settings.Interval = duration()
		case "timeout":
			c.Settings.Timeout = duration()
		case "pause":
			c.Settings.MinPause = duration()
		case "concurrent":
			c.Settings.Concurrent = number()
		case "tolerable":
			c.Settings.TolerableFailures = number()
		case "retained":
			c.Settings.Retained = number()
		case "at-least-once":
			c.Settings.AtLeastOnce = true
		case "first":
			c.IDs.First = int64(number())
		case "count":
			c.IDs.Count = number()
		case "found": // id:file,file
			for _, v := range a.Vals {
				id, files, _ := strings.Cut(v, ":")
				n, _ := strconv.ParseInt(id, 10, 64)
				c.Retained = append(c.Retained, Retained{ID: n, Files: strings.Split(files, "+")})
			}
		default:
			d.Fatalf(t, "unknown setting %s", a.Key)
		}
	}
	for line := range strings.SplitSeq(d.Input, "\n") {
		f := strings.Fields(line)
		v := Vertex{MaxParallelism: 128}
		op := Operator{ID: checkpoint.OperatorID(f[0]), UID: f[0], Name: f[0]}
		for _, x := range f[1:] {
			key, val, _ := strings.Cut(x, "=")
			switch key {
			case "p":
				v.Parallelism, _ = strconv.Atoi(val)
			case "source":
				op.Source = true
			case "from", "forward":
				for name := range strings.SplitSeq(val, ",") {
					v.Inputs = append(v.Inputs, Input{Vertex: s.vertex(t, d, name), Forward: key == "forward"})
				}
			}
		}
		v.Operators = []Operator{op}
		for i := range v.Parallelism {
			s.tasks = append(s.tasks, graph.SubtaskID{Vertex: len(s.names), Subtask: i})
		}
		s.names = append(s.names, f[0])
		c.Vertices = append(c.Vertices, v)
	}
	s.c = New(c)
	return s
}

func (s *script) vertex(t *testing.T, d *datadriven.TestData, name string) int {
	t.Helper()
	i := slices.Index(s.names, name)
	if i < 0 {
		d.Fatalf(t, "no vertex %q", name)
	}
	return i
}

// args splits the arguments of a command into tasks, numbers and settings.
type args struct {
	id    int64
	tasks []graph.SubtaskID
	words []string
	set   map[string][]string
}

func (s *script) args(t *testing.T, d *datadriven.TestData) args {
	t.Helper()
	x := args{set: map[string][]string{}}
	for _, a := range d.CmdArgs {
		name, sub, isTask := strings.Cut(a.Key, "/")
		n, err := strconv.ParseInt(a.Key, 10, 64)
		switch {
		case a.Vals != nil:
			x.set[a.Key] = a.Vals
		case err == nil:
			x.id = n
		case a.Key == "all":
			x.tasks = append(x.tasks, s.tasks...)
		case isTask:
			i, _ := strconv.Atoi(sub)
			x.tasks = append(x.tasks, graph.SubtaskID{Vertex: s.vertex(t, d, name), Subtask: i})
		default:
			x.words = append(x.words, a.Key)
		}
	}
	return x
}

func (x args) has(word string) bool {
	return slices.Contains(x.words, word)
}

func (x args) text(key string) string { return strings.Join(x.set[key], " ") }

func (x args) number(key string, def int64) int64 {
	if v := x.set[key]; len(v) > 0 {
		n, _ := strconv.ParseInt(v[0], 10, 64)
		return n
	}
	return def
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	x := s.args(t, d)
	var actions []Action
	for _, e := range s.events(t, d, x) {
		actions = append(actions, s.c.Step(s.now, e)...)
	}
	if d.Cmd == "stats" {
		return s.stats()
	}
	var b strings.Builder
	for _, a := range actions {
		b.WriteString(s.format(a))
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *script) events(t *testing.T, d *datadriven.TestData, x args) (events []Event) {
	t.Helper()
	err := errors.New(x.text("error"))
	states := map[string]TaskState{"absent": Absent, "running": Running, "ended": Ended, "finished": Finished}
	switch d.Cmd {
	case "absent", "running", "ended", "finished":
		var e TasksChanged
		for _, k := range x.tasks {
			attempt := x.number("attempt", max(1, s.c.tasks.at(k).attempt))
			e.Tasks = append(e.Tasks, TaskChange{Task: k, Attempt: attempt, State: states[d.Cmd]})
		}
		return []Event{e}
	case "tick":
		v, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.now = s.now.Add(v)
		return []Event{Tick{}}
	case "ids":
		return []Event{IDsReserved{First: x.id, Count: int(x.number("count", 16))}}
	case "ids-failed":
		return []Event{IDsFailed{err}}
	case "enumerators":
		e := EnumeratorsSnapshotted{ID: x.id}
		for i, name := range s.names {
			if v, ok := x.set[name]; ok {
				en := checkpoint.Enumerator{State: []byte("state of " + name)}
				for _, n := range v {
					a, _ := strconv.ParseInt(n, 10, 64)
					en.Assigned = append(en.Assigned, a)
				}
				e.Enumerators = append(e.Enumerators, EnumeratorState{Operator: checkpoint.OperatorID(s.names[i]), Enumerator: en})
			}
		}
		return []Event{e}
	case "enumerators-failed":
		return []Event{EnumeratorsFailed{x.id, err}}
	case "ack":
		for _, k := range x.tasks {
			events = append(events, s.ack(x, k))
		}
		return events
	case "decline":
		return []Event{Decline{Task: x.tasks[0], Attempt: x.number("attempt", 1), ID: x.id, Reason: x.text("reason")}}
	case "written":
		return []Event{MetadataWritten{ID: x.id, Bytes: 1}}
	case "write-failed":
		return []Event{MetadataFailed{x.id, err}}
	case "claimed":
		return []Event{Claimed{x.id}}
	case "claim-lost":
		return []Event{ClaimLost{x.id, x.text("by")}}
	case "claim-failed":
		return []Event{ClaimFailed{x.id, err}}
	case "committed":
		return []Event{Committed{x.id}}
	case "commit-failed":
		return []Event{CommitFailed{ID: x.id, Err: err, Permanent: x.has("permanent")}}
	case "checkpoint", "savepoint", "stop", "suspend":
		kinds := map[string]checkpoint.Kind{"checkpoint": checkpoint.Periodic, "savepoint": checkpoint.Savepoint, "stop": checkpoint.Terminal, "suspend": checkpoint.Suspend}
		return []Event{Request{Number: x.id, Kind: kinds[d.Cmd], Dir: "/sp", Drain: x.has("drain"), Full: x.has("full")}}
	case "abort":
		return []Event{Abort{x.text("reason")}}
	case "restored":
		kind := checkpoint.Periodic
		for k := checkpoint.Periodic; k <= checkpoint.Suspend; k++ {
			if x.has(k.String()) {
				kind = k
			}
		}
		return []Event{Restored{Metadata: &checkpoint.Metadata{ID: x.id, Kind: kind}, Foreign: x.has("foreign")}}
	case "job-ended":
		return []Event{JobEnded{Keep: x.has("keep")}}
	case "stats", "deadline":
		return nil
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return nil
}

// ack has state in the given files: name@id for one that an earlier checkpoint wrote.
func (s *script) ack(x args, k graph.SubtaskID) Ack {
	a := Ack{Task: k, Attempt: x.number("attempt", s.c.tasks.at(k).attempt), ID: x.id}
	op := checkpoint.OperatorID(s.names[k.Vertex])
	if len(x.set["operator"]) > 0 {
		op = checkpoint.OperatorID(x.set["operator"][0])
	}
	if files := x.set["files"]; len(files) > 0 {
		var h checkpoint.StateHandle
		for _, f := range files {
			name, at, old := strings.Cut(f, "@")
			seg := checkpoint.Segment{Checkpoint: x.id, Path: name, Bytes: 10}
			if old {
				seg.Checkpoint, _ = strconv.ParseInt(at, 10, 64)
			}
			h.Segments = append(h.Segments, seg)
		}
		a.State = []checkpoint.OperatorState{{Operator: op, State: h}}
	}
	if p := x.text("prepared"); p != "" {
		a.Prepared = []Prepared{{Operator: op, Committables: []byte(p)}}
	}
	return a
}

func (s *script) task(k graph.SubtaskID) string {
	return fmt.Sprintf("%s/%d", s.names[k.Vertex], k.Subtask)
}

var flagNames = []struct {
	flag element.BarrierFlags
	name string
}{{element.Savepoint, "savepoint"}, {element.AtLeastOnce, "at-least-once"}, {element.Terminal, "terminal"}, {element.Full, "full"}}

func (s *script) format(a Action) string {
	switch a := a.(type) {
	case Trigger:
		var b strings.Builder
		fmt.Fprintf(&b, "trigger %d", a.ID)
		for _, f := range flagNames {
			if a.Flags.Has(f.flag) {
				b.WriteString(" " + f.name)
			}
		}
		if a.Drain {
			b.WriteString(" drain")
		}
		b.WriteByte(':')
		for _, k := range a.Tasks {
			fmt.Fprintf(&b, " %s", s.task(k.Task))
			if k.Number != 0 {
				fmt.Fprintf(&b, " up to %d", k.Number)
			}
		}
		return b.String()
	case WriteMetadata:
		return s.formatMetadata(a)
	case NotifyAborted:
		if a.Savepoint {
			return fmt.Sprintf("notify savepoint %d done", a.ID)
		}
		return fmt.Sprintf("notify aborted %d (latest %d): %s", a.ID, a.Latest, a.Reason)
	case Commit:
		return fmt.Sprintf("commit %d", a.ID)
	case Claim:
		return fmt.Sprintf("claim %d %v", a.ID, a.Kind)
	case Reply:
		if a.Err != nil {
			return fmt.Sprintf("reply to %d: error: %v", a.Number, a.Err)
		}
		return fmt.Sprintf("reply to %d: checkpoint %d %s", a.Number, a.ID, a.Location)
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T %+v", a, a), "coordinator.")
	}
}

func (s *script) formatMetadata(a WriteMetadata) string {
	var b strings.Builder
	fmt.Fprintf(&b, "write metadata %d %v", a.ID, a.Metadata.Kind)
	if a.Location != "" {
		b.WriteString(" into " + a.Location)
	}
	for i := range a.Metadata.Operators {
		op := &a.Metadata.Operators[i]
		fmt.Fprintf(&b, "\n  %s:", op.ID)
		if e := op.Enumerator; e != nil {
			fmt.Fprintf(&b, " assigned %v", e.Assigned)
		}
		for _, st := range op.Subtasks {
			b.WriteString(" [")
			if st.Finished {
				b.WriteString("finished")
			}
			for _, seg := range st.State.Segments {
				b.WriteString(" " + seg.Path)
			}
			if len(st.Committables) > 0 {
				fmt.Fprintf(&b, " commit:%s", st.Committables)
			}
			b.WriteByte(']')
		}
	}
	return b.String()
}

func (s *script) stats() string {
	st := s.c.Stats()
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", st.Counts)
	for _, h := range st.History {
		fmt.Fprintf(&b, "%d %v status=%d took %v state %d added %d", h.ID, h.Kind, h.Status, h.Duration(), h.StateBytes, h.AddedBytes)
		for _, v := range h.Vertices {
			fmt.Fprintf(&b, " %d/%d", v.Acknowledged, len(v.Subtasks))
		}
		b.WriteString(" " + h.Failure + "\n")
	}
	return b.String()
}
