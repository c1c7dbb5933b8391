// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// operation waits until an operation is done.
func (w *world) operation(d *Dispatcher, job, trigger string) rest.Operation {
	w.t.Helper()
	for range 100_000 {
		op, err := d.Operation(w.t.Context(), job, trigger)
		must(w.t, err)
		if op.Done {
			return op
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatalf("operation %s is never done", trigger)
	return rest.Operation{}
}

func TestSavepoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		take := &weirpb.TakeSavepoint{Dir: "/savepoints"}
		for range 2 { // the second time, the trigger id is known
			must(t, d.Savepoint(t.Context(), id, "t1", take))
		}
		r := m.request()
		if r.GetSavepoint().GetDir() != "/savepoints" || r.GetSavepoint().GetStop() {
			t.Errorf("asked %v", r)
		}
		synctest.Wait()
		if op, err := d.Operation(t.Context(), id, "t1"); err != nil || op.Done || len(m.requests) > 0 {
			t.Errorf("under way: %+v, %v, and %d more requests", op, err, len(m.requests))
		}
		m.reply(&weirpb.JobReply{Number: r.GetNumber(), Location: "/savepoints/1"})
		if op := w.operation(d, id, "t1"); op.Location != "/savepoints/1" || op.Failure != "" || op.Kind != rest.OperationSavepoint {
			t.Errorf("done: %+v", op)
		}
		must(t, d.Checkpoint(t.Context(), id, "t2", true))
		r = m.request()
		m.reply(&weirpb.JobReply{Number: r.GetNumber(), Checkpoint: 17})
		if op := w.operation(d, id, "t2"); op.Checkpoint != 17 || !r.GetCheckpoint().GetFull() {
			t.Errorf("done: %+v, asked %v", op, r)
		}
		must(t, d.Checkpoint(t.Context(), id, "t3", false))
		m.reply(&weirpb.JobReply{Number: m.request().GetNumber(), Error: "too many"})
		if op := w.operation(d, id, "t3"); op.Failure != "too many" {
			t.Errorf("failed: %+v", op)
		}
		if _, err := d.Operation(t.Context(), id, "t4"); !errors.Is(err, rest.ErrNotFound) {
			t.Errorf("unknown trigger id: %v", err)
		}
		for _, dir := range []string{"", "relative"} {
			if err := d.Savepoint(t.Context(), id, "t5", &weirpb.TakeSavepoint{Dir: dir}); !errors.Is(err, rest.ErrInvalid) {
				t.Errorf("directory %q: %v", dir, err)
			}
		}
		m.finish(&weirpb.JobResult{State: stateFinished})
		w.await(d, id, stateFinished)
		if err := d.Savepoint(t.Context(), id, "t6", take); !errors.Is(err, rest.ErrConflict) {
			t.Errorf("savepoint of a job that has ended: %v", err)
		}
		must(t, d.Close(false))
	})
}

// TestSavepointMeetsRestart kills the JobMaster before it is asked, and while it works.
func TestSavepointMeetsRestart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		w.ready(d, id)
		m.crash()
		synctest.Wait()
		must(t, d.Savepoint(t.Context(), id, "t1", &weirpb.TakeSavepoint{Dir: "/s"}))
		m = w.master()
		m.reply(&weirpb.JobReply{Number: m.request().GetNumber(), Location: "/s/1"})
		if op := w.operation(d, id, "t1"); op.Location != "/s/1" {
			t.Errorf("asked while there was no JobMaster: %+v", op)
		}
		must(t, d.Savepoint(t.Context(), id, "t2", &weirpb.TakeSavepoint{Dir: "/s"}))
		m.request()
		m.crash()
		if op := w.operation(d, id, "t2"); !strings.Contains(op.Failure, "ask again") {
			t.Errorf("the JobMaster died: %+v", op)
		}
		m = w.master()
		w.ready(d, id)
		must(t, d.Savepoint(t.Context(), id, "t3", &weirpb.TakeSavepoint{Dir: "/s", Stop: true}))
		m.request()
		// The answer is lost, but not the end.
		m.finish(&weirpb.JobResult{State: stateFinished, Savepoint: "/s/3"})
		if op := w.operation(d, id, "t3"); op.Location != "/s/3" || op.Failure != "" {
			t.Errorf("stopped: %+v", op)
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

// TestOperationsAreBounded fills both limits.
func TestOperationsAreBounded(t *testing.T) {
	t.Parallel()
	o := newOperations()
	key := func(n int) operationKey { return operationKey{"job", fmt.Sprint(n)} }
	for n := range operationsMax {
		if known, err := o.begin(key(n), rest.OperationSavepoint); known || err != nil {
			t.Fatal(n, known, err)
		}
	}
	if _, err := o.begin(key(operationsMax), rest.OperationSavepoint); !errors.Is(err, rest.ErrUnavailable) {
		t.Errorf("one too many: %v", err)
	}
	if known, err := o.begin(key(0), rest.OperationSavepoint); !known || err != nil {
		t.Errorf("a known one: %v, %v", known, err)
	}
	for n := range operationsMax {
		o.end(key(n), rest.Operation{})
	}
	for n := operationsMax; n < operationsKeptMax+10; n++ {
		if _, err := o.begin(key(n), rest.OperationSavepoint); err != nil {
			t.Fatal(err)
		}
		o.end(key(n), rest.Operation{})
	}
	if len(o.byKey) != operationsKeptMax || o.byKey[key(operationsKeptMax+9)].Done != true {
		t.Errorf("%d are kept", len(o.byKey))
	}
	if _, ok := o.byKey[key(0)]; ok {
		t.Error("the oldest is kept")
	}
}

func TestDispose(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		dir := t.TempDir()
		at := filepath.Join(dir, "savepoint")
		outside := filepath.Join(dir, "outside")
		must(t, os.WriteFile(outside, nil, 0o600))
		meta := func() *checkpoint.Metadata {
			return &checkpoint.Metadata{ID: 3, JobID: jobA, Epoch: 1, Kind: checkpoint.Savepoint}
		}
		_, err := storage.WriteSavepoint(t.Context(), storage.Files(storage.OS(), at), meta())
		must(t, err)
		must(t, d.Dispose(t.Context(), "t1", at))
		if op := w.operation(d, "", "t1"); op.Failure != "" || op.Kind != rest.OperationDispose {
			t.Errorf("disposed: %+v", op)
		}
		if _, err := os.Stat(at); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the savepoint is still there: %v", err)
		}
		for i, path := range []string{at, dir, outside} {
			trigger := fmt.Sprint("again", i)
			must(t, d.Dispose(t.Context(), trigger, path))
			if op := w.operation(d, "", trigger); op.Failure == "" {
				t.Errorf("dispose of %s, which is no savepoint: %+v", path, op)
			}
		}
		if _, err := os.Stat(outside); err != nil {
			t.Error(err)
		}
		if err := d.Dispose(t.Context(), "t9", "relative"); !errors.Is(err, rest.ErrInvalid) {
			t.Errorf("a relative path: %v", err)
		}
		must(t, d.Close(false))
	})
}
