// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/weir-stream/weir/internal/rpc/rpctest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// TestScripts tells stories. `receive [epoch=N] seq=N` takes a message of the JobMaster; the allocation "gone" is no slot
// of the job. `task ATTEMPT state=NAME`, `ended-input`, `ack checkpoint=N`, `ready n=N` are what a task reports, `tick`
// has a report sent.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		now := time.Unix(0, 0)
		x := NewExecutor(Config{JobID: "j", TaskManager: "tm", Incarnation: "x", Heartbeat: time.Second}, now)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			attempt := int64(1)<<32 | number(t, d, "task")
			switch d.Cmd {
			case "receive":
				e, err := rpctest.Parse(d.Input)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				e.From, e.Epoch, e.Sequence = "jm", max(1, number(t, d, "epoch")), number(t, d, "seq")
				e.From += fmt.Sprint(e.Epoch)
				x.Receive(e, func(a string) bool { return a != "gone" })
			case "state":
				var name string
				d.ScanArgs(t, "to", &name)
				x.Changed(attempt, weirpb.TaskState(weirpb.TaskState_value["TASK_STATE_"+name]), "", 0, now)
			case "inputs-ended":
				x.InputsEnded(attempt)
			case "ack":
				x.Acknowledged(&weirpb.AcknowledgeCheckpoint{Attempt: attempt, Checkpoint: number(t, d, "checkpoint")})
			case "ready":
				x.ReaderReady(attempt, number(t, d, "n"))
			case "observe": // observe task=N assigned=N ready=N in=N [waiting]: what the task has come to
				x.Observe(attempt, Observed{
					Assigned: number(t, d, "assigned"), Ready: number(t, d, "ready"), Waiting: d.HasArg("waiting"),
					Metrics: metrics(number(t, d, "in")),
				})
			case "missing":
				x.MissingAssignments(attempt, number(t, d, "from"))
			case "due": // sends the report if it is due now
				x.Tick(now, []string{"a"})
			case "tick": // tick [d=MILLISECONDS]: a second, or so long
				by := time.Second
				if d.HasArg("d") {
					by = time.Duration(number(t, d, "d")) * time.Millisecond
				}
				now = now.Add(by)
				x.Tick(now, []string{"a"})
			default:
				d.Fatalf(t, "unknown command")
			}
			var b strings.Builder
			for _, a := range x.Take() {
				b.WriteString(describe(a) + "\n")
			}
			return b.String()
		})
	})
}

// metrics are those of a task that has read batches; nil of one that has not.
func metrics(batches int64) *weirpb.TaskMetrics {
	if batches == 0 {
		return nil
	}
	return &weirpb.TaskMetrics{BatchesIn: batches}
}

func number(t *testing.T, d *datadriven.TestData, name string) (n int64) {
	t.Helper()
	d.MaybeScanArgs(t, name, &n)
	return n
}

func describe(a Action) string {
	name := func(attempt int64) string { return fmt.Sprintf("%d/%d", attempt>>32, attempt&0xffffffff) }
	switch a := a.(type) {
	case Send:
		return fmt.Sprintf("-> %s: %s", a.To, rpctest.Format(a.Message))
	case Start:
		return "start " + name(a.Task.GetAttempt())
	case Cancel:
		return "cancel " + name(a.Attempt)
	case Trigger:
		return fmt.Sprintf("trigger %s: checkpoint %d up to %d", name(a.Attempt), a.Checkpoint, a.Number)
	case Outcome:
		if a.Kind == Decided {
			return fmt.Sprintf("tell %s: all checkpoints below %d are decided", name(a.Attempt), a.Checkpoint)
		}
		return fmt.Sprintf("tell %s: checkpoint %d %s", name(a.Attempt), a.Checkpoint,
			[]string{"completed", "committed", "aborted"}[a.Kind])
	case Assign:
		return fmt.Sprintf("assign %s: number %d, %q, no more %v", name(a.Attempt), a.Number, a.Splits, a.NoMore)
	}
	return fmt.Sprintf("%T", a)
}
