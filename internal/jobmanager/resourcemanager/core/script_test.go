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

// TestScripts tells stories: `new epoch=N` starts another leader, `receive from=NAME [epoch=N]` takes a message,
// `tick d=DURATION` lets time pass, `workers` asks what a cluster provider is to do.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		now := time.Unix(0, 0)
		config := Config{
			Incarnation: "a", Heartbeat: time.Second, HeartbeatTimeout: 3 * time.Second,
			WorkersMax: 4, WorkerSlots: 2, WorkerTimeout: 4 * time.Second,
		}
		m := NewSlotManager(config, now)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			switch d.Cmd {
			case "new":
				d.ScanArgs(t, "epoch", &config.Epoch)
				m = NewSlotManager(config, now)
			case "workers":
				w := m.Workers(now)
				return fmt.Sprintf("wanted %d, idle %v\n", w.Wanted, w.Idle)
			case "sought":
				return fmt.Sprintf("%v\n", m.Sought())
			case "ended": // ended names=(A,B): the provider says so
				var names []string
				for _, a := range d.CmdArgs {
					names = append(names, a.Vals...)
				}
				m.Ended(names)
			case "receive":
				e, err := rpctest.Parse(d.Input)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				d.ScanArgs(t, "from", &e.From)
				if d.HasArg("epoch") {
					d.ScanArgs(t, "epoch", &e.Epoch)
				}
				m.Receive(e, now)
			case "tick":
				var text string
				d.ScanArgs(t, "d", &text)
				by, err := time.ParseDuration(text)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				for end := now.Add(by); now.Before(end); m.Tick(now) {
					now = now.Add(min(time.Second, end.Sub(now)))
				}
			default:
				d.Fatalf(t, "unknown command")
			}
			var b strings.Builder
			for _, s := range m.Take() {
				fmt.Fprintf(&b, "-> %s: %s\n", s.To, rpctest.Format(s.Message))
			}
			return b.String()
		})
	})
}
