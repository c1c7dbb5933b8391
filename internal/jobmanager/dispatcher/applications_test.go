// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// find returns an application by its id.
func (w *world) find(d *Dispatcher, id string) rest.Application {
	w.t.Helper()
	all, err := d.Applications(w.t.Context())
	must(w.t, err)
	for _, a := range all {
		if a.ID == id {
			return a
		}
	}
	w.t.Fatalf("application %s is not listed", id)
	return rest.Application{}
}

func (w *world) two() {
	w.describe = func(*weirpb.RoleSpec) (*weirpb.Description, error) {
		return &weirpb.Description{Jobs: []*weirpb.JobDescription{described("a"), described("b")}}, nil
	}
}

func TestApplication(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.two()
		ends := make(chan End, 10)
		one := func(c *Config) { c.Mode, c.Ended = SingleApplication, func(e End) { ends <- e } }
		d := w.lead(1, one)
		p := w.program(d, "two")
		if _, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID, Job: "a"}); !errors.Is(err, rest.ErrConflict) {
			t.Errorf("a job alone: %v", err)
		}
		id, err := d.Programs().RunApplication(t.Context(), rest.Run{Program: p.ID, Dir: "/", JobID: appC})
		must(t, err)
		m1, m2 := w.master(), w.master()
		if id != appC || !m1.spec.GetRejectRelativePaths() || m1.spec.GetDir() != "" || m1.spec.GetJob() == m2.spec.GetJob() {
			t.Errorf("application %s starts %v and %v", id, m1.spec, m2.spec)
		}
		if _, err := d.Programs().RunApplication(t.Context(), rest.Run{Program: p.ID}); !errors.Is(err, rest.ErrConflict) {
			t.Errorf("a second application: %v", err)
		}
		if a := w.find(d, id); a.Status != applicationRunning || len(a.Jobs) != 2 || a.Name != "two" {
			t.Errorf("runs: %+v", a)
		}
		m1.finish(&weirpb.JobResult{State: stateFailed, Error: "x"})
		w.await(d, m1.spec.GetJobId(), stateFailed)
		must(t, d.Close(false))
		if len(ends) > 0 {
			t.Error("told of the end while a job runs")
		}
		d = w.lead(2, one)
		m2 = w.master()
		m2.finish(&weirpb.JobResult{State: stateFinished})
		e := <-ends
		if e.Application.Status != stateFailed || len(e.Jobs) != 2 || e.Application.End == 0 {
			t.Errorf("told of the end: %+v", e)
		}
		if err := d.CancelApplication(t.Context(), id); !errors.Is(err, rest.ErrConflict) {
			t.Errorf("cancel of an application that has ended: %v", err)
		}
		must(t, d.Close(false))
		d = w.lead(3, one)
		if e := <-ends; e.Application.ID != id || len(e.Jobs) != 2 {
			t.Errorf("the next leader tells %+v", e)
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

func TestApplicationWithoutJobs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		w.describe = func(*weirpb.RoleSpec) (*weirpb.Description, error) {
			return nil, &process.Refused{Text: "relative path out", Kind: weirpb.FailureKind_FAILURE_KIND_USER}
		}
		ends := make(chan End, 10)
		d := w.lead(1, func(c *Config) { c.Ended = func(e End) { ends <- e } })
		p := w.program(d, "two")
		id, err := d.Programs().RunApplication(t.Context(), rest.Run{Program: p.ID, Name: "mine"})
		must(t, err)
		if e := <-ends; e.Application.Status != stateFailed || len(e.Jobs) != 0 {
			t.Errorf("told of the end: %+v", e)
		}
		a := w.find(d, id)
		if len(a.Failures) != 1 || !strings.Contains(a.Failures[0].GetText(), "relative path out") || a.Name != "mine" {
			t.Errorf("failed: %+v", a)
		}
		must(t, d.Close(false))
	})
}

// TestApplicationAcrossLeaders has the leader go while the program describes its jobs.
func TestApplicationAcrossLeaders(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		hold := make(chan struct{})
		described := make(chan struct{}, 10)
		w.two()
		plain := w.describe
		w.describe = func(spec *weirpb.RoleSpec) (*weirpb.Description, error) {
			described <- struct{}{}
			<-hold
			return plain(spec)
		}
		d := w.lead(1)
		p := w.program(d, "two")
		id, err := d.Programs().RunApplication(t.Context(), rest.Run{Program: p.ID})
		must(t, err)
		<-described
		if a := w.find(d, id); a.Status != applicationCreated {
			t.Errorf("before it is described: %+v", a)
		}
		time.Sleep(5 * time.Second) // it is described once
		closed := make(chan error)
		go func() { closed <- d.Close(false) }()
		synctest.Wait()
		close(hold)
		must(t, <-closed)
		if len(described) != 0 || w.starts.Load() != 0 {
			t.Errorf("%d more descriptions, %d JobMasters", len(described), w.starts.Load())
		}
		d = w.lead(2)
		m1, m2 := w.master(), w.master()
		if err := d.CancelApplication(t.Context(), id); err != nil {
			t.Error(err)
		}
		if a := w.find(d, id); a.Status != applicationCanceling {
			t.Errorf("after the cancel: %+v", a)
		}
		for _, m := range []*fakeMaster{m1, m2} {
			if r := m.request(); r.GetCancel() == nil {
				t.Errorf("asked %v", r)
			}
			m.finish(&weirpb.JobResult{State: stateCanceled})
			w.await(d, m.spec.GetJobId(), stateCanceled)
		}
		if a := w.find(d, id); a.Status != stateCanceled {
			t.Errorf("canceled: %+v", a)
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

// TestCancelWhileDescribed cancels an application that has no jobs yet.
func TestCancelWhileDescribed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1, func(c *Config) { c.start = silent(c.start, weirpb.Role_ROLE_DESCRIBE) })
		p := w.program(d, "two")
		id, err := d.Programs().RunApplication(t.Context(), rest.Run{Program: p.ID})
		must(t, err)
		synctest.Wait()
		must(t, d.CancelApplication(t.Context(), id))
		synctest.Wait()
		if a := w.find(d, id); a.Status != stateCanceled || len(a.Failures) != 0 {
			t.Errorf("canceled: %+v", a)
		}
		if err := d.CancelApplication(t.Context(), strings.Repeat("0", 32)); !errors.Is(err, rest.ErrNotFound) {
			t.Errorf("cancel of no application: %v", err)
		}
		must(t, d.Close(false))
	})
}

func TestJobAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1, func(c *Config) { c.Mode = SingleJob })
		id, m := w.run(d)
		if a := w.find(d, id); a.Status != applicationRunning || len(a.Jobs) != 1 {
			t.Errorf("application of a job: %+v", a)
		}
		p := w.program2(d)
		for _, run := range []func(r rest.Run) (string, error){
			func(r rest.Run) (string, error) { return d.Programs().Run(t.Context(), r) },
			func(r rest.Run) (string, error) { return d.Programs().RunApplication(t.Context(), r) },
		} {
			if _, err := run(rest.Run{Program: p}); !errors.Is(err, rest.ErrConflict) {
				t.Errorf("a second one: %v", err)
			}
		}
		must(t, d.CancelApplication(t.Context(), id))
		if r := m.request(); r.GetCancel() == nil {
			t.Errorf("asked %v", r)
		}
		must(t, d.Close(false))
	})
}
