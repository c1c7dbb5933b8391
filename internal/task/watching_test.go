// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task"
)

// TestTimesOfACheckpoint lets the second barrier come three seconds after the first.
func TestTimesOfACheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func() operator.Operator { return &probe{log: &log{}} })
		acks := make(chan task.Acknowledgement, 1)
		r.acknowledged = func(a task.Acknowledgement) { acks <- a }
		r.start()
		defer r.close()
		time.Sleep(time.Minute)
		first := time.Now()
		r.send(0, barrier(1))
		time.Sleep(3 * time.Second)
		r.send(1, barrier(1))
		if a := <-acks; !a.Started.Equal(first) || a.Align != 3*time.Second {
			t.Errorf("started at %v, aligned for %v; the first barrier came at %v", a.Started, a.Align, first)
		}
	})
}

// TestLogsNameWhoLogs reads what the code of a step logs.
func TestLogsNameWhoLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func() operator.Operator {
			return &probe{opened: func(rt *operator.Runtime) error {
				rt.Logger.Info("hello")
				return nil
			}}
		})
		var out bytes.Buffer
		r.logger = slog.New(slog.NewJSONHandler(&out, nil))
		r.start()
		r.close()
		line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
		var got struct {
			Msg, Job, UID, Step string
			Subtask, Attempt    int
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		want := got
		want.Msg, want.Job, want.UID, want.Step, want.Subtask, want.Attempt = "hello", "job", "a", "step", 0, 3
		if got != want {
			t.Errorf("got %s", line)
		}
	})
}
