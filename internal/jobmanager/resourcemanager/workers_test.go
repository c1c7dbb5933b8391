// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package resourcemanager

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// worker answers requests as a TaskManager does, unless it is mute.
type worker struct {
	endpoint *rpc.Endpoint
	mute     bool
}

func (w *worker) Receive(e *weirpb.Envelope) {
	q := e.GetWorkerRequest()
	if q == nil || w.mute {
		return
	}
	a := &weirpb.WorkerReply{Number: q.GetNumber()}
	switch {
	case q.GetReadLog() != nil:
		a.NotFound, a.Error = true, "no log "+q.GetReadLog().GetName()
	case q.GetThreadDump() != nil:
		a.Data = []byte("goroutine 1")
	}
	w.endpoint.Send(e.GetFrom(), &weirpb.Envelope{Body: &weirpb.Envelope_WorkerReply{WorkerReply: a}})
}

func (w *worker) Tick(time.Time)  {}
func (w *worker) Next() time.Time { return time.Time{} }

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpc.NewLocal(slog.New(slog.DiscardHandler))
		r, err := Start(core.Config{Incarnation: "a", Epoch: 1, Heartbeat: time.Second, HeartbeatTimeout: 5 * time.Second}, network)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		w := &worker{endpoint: rpc.NewEndpoint("tm", network)}
		if err := w.endpoint.Start(w); err != nil {
			t.Fatal(err)
		}
		defer w.endpoint.Stop()
		dump := &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ThreadDump{ThreadDump: &weirpb.ThreadDump{}}}
		if _, err := r.Ask(t.Context(), "tm", dump); !errors.Is(err, ErrUnknown) {
			t.Errorf("before it is registered: %v", err)
		}
		w.endpoint.Post(func() {
			w.endpoint.Send(Name, &weirpb.Envelope{Body: &weirpb.Envelope_TaskManagerReport{
				TaskManagerReport: &weirpb.TaskManagerReport{Id: "tm", Incarnation: "1", Host: "here"},
			}})
		})
		synctest.Wait()
		if all, err := r.TaskManagers(t.Context()); err != nil || len(all) != 1 || all[0].Report.GetHost() != "here" {
			t.Errorf("list %v, %v", all, err)
		}
		if a, err := r.Ask(t.Context(), "tm", dump); err != nil || string(a.GetData()) != "goroutine 1" {
			t.Errorf("answer %v, %v", a, err)
		}
		log := &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ReadLog{ReadLog: &weirpb.ReadLog{Name: "x"}}}
		if _, err := r.Ask(t.Context(), "tm", log); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such log: %v", err)
		}
		w.mute = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Ask(ctx, "tm", dump); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("a mute one: %v", err)
		}
		time.Sleep(10 * time.Second)
		if all, err := r.TaskManagers(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("a silent one is listed: %v, %v", all, err)
		}
	})
}
