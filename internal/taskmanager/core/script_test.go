// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/weir-stream/weir/internal/rpc/rpctest"
)

// TestScripts tells stories: `receive from=NAME [job=ID] [epoch=N] [seq=N]` takes a message, `tick d=DURATION` lets time
// pass, `drain` ends the giving of slots, `connected` tells that the ResourceManager is reached. The table follows the actions where it changed.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		now := time.Unix(0, 0)
		config := Config{
			ID: "tm", Incarnation: "x", DataAddress: "addr", ResourceManager: "rm", Slots: 2,
			Heartbeat: time.Second, OfferTimeout: 10 * time.Second, JobMasterTimeout: 30 * time.Second,
		}
		s := NewSlots(config, now)
		table := fmt.Sprint(names(s))
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			var b strings.Builder
			switch d.Cmd {
			case "receive":
				e, err := rpctest.Parse(d.Input)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				for name, to := range map[string]any{"from": &e.From, "job": &e.JobId, "epoch": &e.Epoch, "seq": &e.Sequence} {
					d.MaybeScanArgs(t, name, to)
				}
				switch {
				case e.GetAllocateSlots() != nil:
					s.Allocate(e, now)
				case !s.Admit(e):
					b.WriteString("refused\n")
				case e.GetAnswerSlots() != nil:
					s.Answer(e, now)
				case e.GetJobMasterHeartbeat() != nil:
					s.Heartbeat(e, now)
				default:
					for _, task := range e.GetDeployTasks().GetTasks() {
						fmt.Fprintf(&b, "use %s: %v\n", task.GetAllocationId(), s.Use(e, task.GetAllocationId(), now))
					}
					if e.GetDeployTasks() == nil {
						s.Refuse(e)
					}
				}
			case "processes": // executors are processes: a new table
				config.DataAddress = ""
				s = NewSlots(config, now)
			case "reported": // reported job=NAME to=NAME: by its executor
				var job, to string
				d.ScanArgs(t, "job", &job)
				d.ScanArgs(t, "to", &to)
				s.Reported(job, to, now)
			case "drain":
				s.Drain()
			case "connected":
				s.Connected(now)
			case "tick":
				var text string
				d.ScanArgs(t, "d", &text)
				by, err := time.ParseDuration(text)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				now = now.Add(by)
				s.Tick(now)
			default:
				d.Fatalf(t, "unknown command")
			}
			for _, a := range s.Take() {
				switch a := a.(type) {
				case Send:
					fmt.Fprintf(&b, "-> %s: %s\n", a.To, rpctest.Format(a.Message))
				case EndJob:
					fmt.Fprintf(&b, "end of job %s\n", a.Job)
				}
			}
			if after := fmt.Sprint(names(s)); after != table {
				table = after
				b.WriteString("slots: " + table + "\n")
			}
			return b.String()
		})
	})
}

// names shows the table in few words.
func names(s *Slots) []string {
	var all []string
	for _, x := range s.Slots() {
		switch x.State {
		case Free:
			all = append(all, "free")
		case Offered:
			all = append(all, "offered "+x.Allocation)
		case Active:
			all = append(all, fmt.Sprintf("active %s of epoch %d", x.Allocation, x.Epoch))
		}
	}
	return all
}
