// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestJobFromSubmissionToEnd(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		ends := make(chan End, 1)
		d := w.lead(1, func(c *Config) { c.Ended = func(e End) { ends <- e } })
		id, m := w.run(d)
		if m.spec.GetJobMaster().GetResume() || m.spec.GetName() != "the flights" || m.spec.GetJobId() != id ||
			m.spec.GetJobMaster().GetDescribed().GetFingerprint() != 7 {
			t.Errorf("the first JobMaster is told %v", m.spec)
		}
		w.await(d, id, "RUNNING")
		m.finish(&weirpb.JobResult{State: stateFinished, Savepoint: "/s"})
		s := w.await(d, id, stateFinished)
		if s.GetResult().GetSavepoint() != "/s" || s.GetTasks()["FINISHED"] != 4 || s.GetEndUnixMillis() == 0 {
			t.Errorf("last summary %v", s)
		}
		if e := <-ends; e.Application.ID != id || e.Application.Status != stateFinished || len(e.Jobs) != 1 {
			t.Errorf("told of the end: %+v", e)
		}
		synctest.Wait()
		w.quiet()
		for epoch := int64(2); ; epoch++ {
			detail, err := d.Detail(t.Context(), id)
			if err != nil || detail.GetState() != stateFinished || detail.GetEpoch() != 1 {
				t.Errorf("detail of the job that has ended, leader %d: %v, %v", epoch-1, detail, err)
			}
			if err := d.Cancel(t.Context(), id); !errors.Is(err, rest.ErrConflict) {
				t.Errorf("cancel of a job that has ended: %v", err)
			}
			must(t, d.Close(true))
			if epoch > 2 {
				return
			}
			d = w.lead(epoch)
			if s := w.await(d, id, stateFinished); s.GetName() != "the flights" || s.GetEpoch() != 1 {
				t.Errorf("the next leader remembers %v", s)
			}
		}
	})
}

// TestJobMasterIsReplaced kills JobMasters of a job: each time another goes on, later and later, and the job never fails
// for it.
func TestJobMasterIsReplaced(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		j, err := d.job(id)
		must(t, err)
		var waits []time.Duration
		for range 12 {
			w.ready(d, id)
			died := time.Now()
			m.crash()
			s := w.await(d, id, "RUNNING")
			if s.GetResult() != nil {
				t.Errorf("while there is no JobMaster: %v", s)
			}
			if s.GetStartUnixMillis() != j.record.Submitted.UnixMilli() {
				t.Errorf("the job was submitted at %v, and begins at %v", j.record.Submitted, time.UnixMilli(s.GetStartUnixMillis()))
			}
			m = w.master()
			waits = append(waits, time.Since(died))
			if !m.spec.GetJobMaster().GetResume() {
				t.Error("a later JobMaster is not told to go on")
			}
			synctest.Wait()
		}
		if waits[0] > time.Second || slices.Max(waits) > 11*time.Second || waits[11] < 9*time.Second {
			t.Errorf("waited %v before restarts", waits)
		}
		w.ready(d, id)
		time.Sleep(time.Minute)
		died := time.Now()
		m.crash()
		m = w.master()
		w.ready(d, id)
		if waited := time.Since(died); waited > time.Second {
			t.Errorf("after a minute of calm: waited %v", waited)
		}
		m.finish(&weirpb.JobResult{State: stateCanceled})
		w.await(d, id, stateCanceled)
		must(t, d.Close(false))
		w.quiet()
	})
}

// TestStuckJobMaster has one say nothing any more: it is killed, and another goes on.
func TestStuckJobMaster(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		w.ready(d, id)
		time.Sleep(time.Minute)
		select {
		case <-m.Done():
			t.Fatal("a JobMaster that is well was killed")
		default:
		}
		m.hung.Store(true)
		silent := time.Now()
		<-m.Done()
		if took := time.Since(silent); took < 9*time.Second || took > 15*time.Second {
			t.Errorf("killed after %v", took)
		}
		if m := w.master(); !m.spec.GetJobMaster().GetResume() {
			t.Error("the next one is not told to go on")
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

func TestProgramThatBecomesNoJobMaster(t *testing.T) {
	t.Parallel()
	crashed := fmt.Errorf("%w: exit code 2", process.ErrCrashed)
	tests := []struct {
		name   string
		err    error
		starts int64
	}{
		{"crashes", crashed, core.StartsMax},
		{"is silent", process.ErrNoAnswer, core.StartsMax},
		{"is refused for now", &process.Refused{Text: "disk", Kind: weirpb.FailureKind_FAILURE_KIND_WORLD}, core.StartsMax},
		{"describes another graph", &process.Refused{Text: "graph", Kind: weirpb.FailureKind_FAILURE_KIND_FATAL}, 1},
		{"build fails", &process.Refused{Text: "build", Kind: weirpb.FailureKind_FAILURE_KIND_USER}, 1},
		{"is no job", process.ErrNotWeir, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				t.Helper()
				w.start = func(*weirpb.RoleSpec) error { return tt.err }
				d := w.lead(1)
				p := w.program(d, "flights")
				id, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID})
				must(t, err)
				s := w.await(d, id, stateFailed)
				if !strings.Contains(s.GetResult().GetError(), tt.err.Error()) || w.starts.Load() != tt.starts {
					t.Errorf("%d starts, then %q", w.starts.Load(), s.GetResult().GetError())
				}
				detail, err := d.Detail(t.Context(), id)
				if err != nil || detail.GetState() != stateFailed || !strings.Contains(detail.GetCause().GetText(), tt.err.Error()) {
					t.Errorf("detail %v, %v", detail, err)
				}
				must(t, d.Close(false))
				w.quiet()
			})
		})
	}
}

// TestJobMasterGivesUp lets one end with a reason after it had taken on its role.
func TestJobMasterGivesUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.lazy = true
		d := w.lead(1)
		id, m := w.run(d)
		synctest.Wait()
		run, err := storage.NewStore(storage.Files(storage.OS(), w.dir)).NewRun(t.Context(), storage.RunInfo{JobID: id})
		must(t, err)
		m.say(nil)
		w.await(d, id, "RUNNING")
		m.receive(&weirpb.Frame{Body: &weirpb.Frame_Failed{Failed: &weirpb.RoleFailed{
			Error: "savepoint does not fit", Kind: weirpb.FailureKind_FAILURE_KIND_FATAL,
		}}})
		m.crash()
		if s := w.await(d, id, stateFailed); !strings.Contains(s.GetResult().GetError(), "does not fit") {
			t.Errorf("result %v", s.GetResult())
		}
		if res, err := run.Result(t.Context()); err != nil || res == nil || res.Status != stateFailed || !strings.Contains(res.Error, "does not fit") {
			t.Errorf("the run has the result %v, %v", res, err)
		}
		must(t, d.Close(false))
	})
}

// TestNextLeaderGoesOn starts a second leader while the first still runs: the first is deposed with its next write, and
// ends all its processes.
func TestNextLeaderGoesOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		first := w.lead(1)
		id, m := w.run(first)
		other, m2 := w.run(first)
		m2.finish(&weirpb.JobResult{State: stateFinished})
		w.await(first, other, stateFinished)
		second := w.lead(2)
		if s, err := second.Summary(t.Context(), id); err != nil || s.GetState() != stateReconciling {
			t.Errorf("before there is a JobMaster: %v, %v", s, err)
		}
		next := w.master()
		if next.spec.GetJobId() != id || !next.spec.GetJobMaster().GetResume() || next.epoch != 2 {
			t.Errorf("the second leader starts %v", next.spec)
		}
		_, err := first.Programs().Run(t.Context(), rest.Run{Program: w.program(second, "flights").ID})
		if !errors.Is(err, rest.ErrUnavailable) || !errors.Is(err, ErrDeposed) {
			t.Errorf("submission to the first leader: %v", err)
		}
		<-first.Done()
		<-m.Done()
		if !errors.Is(first.Err(), ErrDeposed) {
			t.Errorf("the first leader ended with %v", first.Err())
		}
		if err := first.Close(true); !errors.Is(err, ErrDeposed) {
			t.Errorf("close of the first leader: %v", err)
		}
		select {
		case <-next.Done():
			t.Error("the second leader's JobMaster ended")
		default:
		}
		must(t, second.Close(false))
		w.quiet()
	})
}

// TestDeposedByResult has a JobMaster find out first that another leader is at work.
func TestDeposedByResult(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		first := w.lead(1)
		_, m := w.run(first)
		second := w.lead(2)
		w.master()
		m.finish(&weirpb.JobResult{State: stateFailed, Deposed: true})
		<-first.Done()
		if !errors.Is(first.Err(), ErrDeposed) {
			t.Errorf("the first leader ended with %v", first.Err())
		}
		must(t, second.Close(false))
		w.quiet()
	})
}

func TestCloseSuspends(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		silent, m2 := w.run(d)
		w.await(d, id, "RUNNING")
		w.await(d, silent, "RUNNING")
		closed := make(chan error)
		go func() { closed <- d.Close(true) }()
		r := m.request()
		if r.GetSuspend() == nil {
			t.Errorf("asked %v", r)
		}
		m2.request()
		if _, err := d.Programs().Run(t.Context(), rest.Run{Program: w.program2(d)}); err == nil {
			t.Error("a job is submitted to a Dispatcher that shuts down")
		}
		m.reply(&weirpb.JobReply{Number: r.GetNumber()})
		m.finish(&weirpb.JobResult{State: stateSuspended})
		if err := <-closed; err == nil || !strings.Contains(err.Error(), silent) || strings.Contains(err.Error(), id) {
			t.Errorf("one job was not suspended, and Close returns %v", err)
		}
		w.quiet()
		d = w.lead(2)
		if m := w.master(); !m.spec.GetJobMaster().GetResume() {
			t.Error("the next leader does not resume")
		}
		w.await(d, id, "RUNNING")
		must(t, d.Close(false))
		w.quiet()
	})
}

// program2 is a program that is listed.
func (w *world) program2(d *Dispatcher) string {
	w.t.Helper()
	all, err := d.Programs().List(w.t.Context())
	must(w.t, err)
	return all[0].ID
}

func TestCancel(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.lazy = true
		d := w.lead(1)
		id, m := w.run(d)
		must(t, d.Cancel(t.Context(), id))
		synctest.Wait()
		if len(m.requests) > 0 {
			t.Error("asked before it serves")
		}
		m.say(nil)
		for range 3 { // until it is done
			if r := m.request(); r.GetCancel() == nil {
				t.Errorf("asked %v", r)
			}
		}
		m.crash()
		m = w.master()
		m.say(nil)
		if r := m.request(); r.GetCancel() == nil {
			t.Errorf("the next one is asked %v", r)
		}
		m.finish(&weirpb.JobResult{State: stateCanceled})
		w.await(d, id, stateCanceled)
		if err := d.Cancel(t.Context(), strings.Repeat("0", 32)); !errors.Is(err, rest.ErrNotFound) {
			t.Errorf("cancel of no job: %v", err)
		}
		must(t, d.Close(false))
	})
}

// TestCancelWhatNeverRan cancels a job whose program does not start.
// TestCancelOutlivesItsLeader: who leads next has the job canceled, whose JobMaster knows nothing of that.
func TestCancelOutlivesItsLeader(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.lazy = true
		d := w.lead(1)
		id, m := w.run(d)
		m.say(nil)
		must(t, d.Cancel(t.Context(), id))
		must(t, d.Close(false)) // as if it had died: the job is not suspended
		d = w.lead(2)
		m = w.master()
		m.say(nil)
		if r := m.request(); r.GetCancel() == nil {
			t.Errorf("the JobMaster of the next leader is asked %v", r)
		}
		m.finish(&weirpb.JobResult{State: stateCanceled})
		w.await(d, id, stateCanceled)
		must(t, d.Close(false))
	})
}

func TestCancelWhatNeverRan(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.start = func(*weirpb.RoleSpec) error { return process.ErrCrashed }
		d := w.lead(1)
		p := w.program(d, "flights")
		id, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID})
		must(t, err)
		must(t, d.Cancel(t.Context(), id))
		w.await(d, id, stateCanceled)
		must(t, d.Close(false))
	})
}

// TestCancelWhatHangs cancels a job whose program does not come so far as to be a JobMaster.
func TestCancelWhatHangs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1, func(c *Config) { c.start = silent(c.start, weirpb.Role_ROLE_JOB_MASTER) })
		p := w.program(d, "flights")
		id, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID})
		must(t, err)
		synctest.Wait()
		asked := time.Now()
		must(t, d.Cancel(t.Context(), id))
		w.await(d, id, stateCanceled)
		if took := time.Since(asked); took > time.Second {
			t.Errorf("canceled after %v", took)
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

func TestClientThatLeaves(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		for range 5 {
			must(t, d.ClientHeartbeat(t.Context(), id, time.Now().Add(10*time.Second)))
			time.Sleep(5 * time.Second)
		}
		if len(m.requests) > 0 {
			t.Error("canceled while the client lives")
		}
		time.Sleep(10 * time.Second)
		if r := m.request(); r.GetCancel() == nil {
			t.Errorf("asked %v", r)
		}
		must(t, d.Close(false))
	})
}

func TestDetail(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.lazy = true
		d := w.lead(1)
		id, m := w.run(d)
		detail := func() *weirpb.JobDetail {
			t.Helper()
			got, err := d.Detail(t.Context(), id)
			must(t, err)
			return got
		}
		if got := detail(); got.GetState() != stateInitializing || string(got.GetPlan()) != "{}" {
			t.Errorf("before the JobMaster speaks: %v", got)
		}
		m.say(nil)
		synctest.Wait()
		a := detail()
		if j, err := d.job(id); err != nil || a.GetStart() != j.record.Submitted.UnixMilli() {
			t.Errorf("the job begins at %v: %v", time.UnixMilli(a.GetStart()), err)
		}
		if b := detail(); a.GetState() != "RUNNING" || a.GetRestarts() != b.GetRestarts() {
			t.Errorf("asked twice at once: %v, %v", a, b)
		}
		time.Sleep(detailAge + time.Millisecond)
		if c := detail(); c.GetRestarts() == a.GetRestarts() {
			t.Errorf("asked later: %v", c)
		}
		m.mu.Lock()
		m.mu.mute = true
		m.mu.Unlock()
		time.Sleep(time.Second)
		began := time.Now()
		if got := detail(); got.GetState() != "RUNNING" || time.Since(began) > detailTimeout {
			t.Errorf("the JobMaster is silent: %v after %v", got, time.Since(began))
		}
		if _, err := d.Detail(t.Context(), strings.Repeat("0", 32)); !errors.Is(err, rest.ErrNotFound) {
			t.Errorf("detail of no job: %v", err)
		}
		must(t, d.Close(false))
	})
}

func TestEndedJobsAreForgotten(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1, func(c *Config) { c.Retention = core.Retention{For: time.Hour, Max: 2} })
		var ids []string
		for range 3 {
			id, m := w.run(d)
			m.finish(&weirpb.JobResult{State: stateFinished})
			w.await(d, id, stateFinished)
			ids = append(ids, id)
			time.Sleep(time.Minute)
		}
		known := func() (n int) {
			t.Helper()
			for _, id := range ids {
				if _, err := d.Summary(t.Context(), id); err == nil {
					n++
				} else if !errors.Is(err, rest.ErrNotFound) {
					t.Error(err)
				}
			}
			return n
		}
		if n := known(); n != 2 {
			t.Errorf("%d jobs are remembered, want 2", n)
		}
		time.Sleep(58*time.Minute + 30*time.Second)
		if n := known(); n != 1 {
			t.Errorf("%d jobs are remembered after an hour, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		names, err := w.store.List(t.Context(), detailDir)
		must(t, err)
		if n := known(); n != 0 || len(names) != 0 {
			t.Errorf("%d jobs and the details of %q are left", n, names)
		}
		must(t, d.Close(false))
	})
}

// TestSweep lets a new leader find what earlier ones left that died on the way.
func TestSweep(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, _ := w.run(d)
		must(t, d.Close(false))
		stray, other := filepath.Join(w.dir, jobA), filepath.Join(w.dir, "jobmanager")
		for _, dir := range []string{stray, other} {
			must(t, os.Mkdir(dir, 0o700))
		}
		must(t, d.store.putDetail(t.Context(), jobA, &weirpb.JobDetail{}))
		hash, _, err := w.artifacts.Put(strings.NewReader("x"), 1)
		must(t, err)
		d = w.lead(2)
		for _, dir := range []string{other, filepath.Join(w.dir, id)} {
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("is needed: %v", err)
			}
		}
		if _, err := os.Stat(stray); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("logs of no job: %v", err)
		}
		if _, err := d.store.detail(t.Context(), jobA); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("detail of no job: %v", err)
		}
		if _, err := w.artifacts.Path(hash); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("a program that nothing needs: %v", err)
		}
		m := w.master()
		w.ready(d, id)
		m.crash() // the program is still there for the next
		w.master()
		must(t, d.Close(false))
	})
}

func TestSetup(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		w.await(d, id, "RUNNING")
		got := make(chan *weirpb.JobSetup, 1)
		unbind, err := d.config.Router.Bind("tm", func(e *weirpb.Envelope) { got <- e.GetJobSetup() })
		must(t, err)
		defer unbind()
		ask := func(id string) *weirpb.JobSetup {
			d.config.Router.Send(&weirpb.Envelope{Protocol: 1, From: "tm", To: Endpoint, Body: &weirpb.Envelope_JobSetupRequest{
				JobSetupRequest: &weirpb.JobSetupRequest{JobId: id},
			}})
			return <-got
		}
		s := ask(id)
		if s.GetArtifact() != w.program(d, "flights").SHA256 || s.GetSpec().GetJobId() != id || s.GetSpec().GetDir() != "/" ||
			s.GetSpec().GetExecutor().GetFingerprint() != 7 || s.GetSpec().GetRole() != weirpb.Role_ROLE_EXECUTOR {
			t.Errorf("setup %v", s)
		}
		if x := s.GetSpec().GetExecutor(); !x.GetBegins() || x.GetCheckpointDir() == "" {
			t.Errorf("no task has run: %v", x)
		}
		m.crash()
		m = w.master()
		w.ready(d, id)
		if x := ask(id).GetSpec().GetExecutor(); x.GetBegins() {
			t.Errorf("a job that may have run: %v", x)
		}
		m.finish(&weirpb.JobResult{State: stateFinished})
		w.await(d, id, stateFinished)
		for _, id := range []string{id, "nobody"} {
			if s := ask(id); s.GetError() == "" || s.GetSpec() != nil || s.GetJobId() != id {
				t.Errorf("setup of %s: %v", id, s)
			}
		}
		must(t, d.Close(false))
	})
}
