// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Flink's names of states of an application that jobs don't have or spell otherwise.
const (
	applicationCreated   = "CREATED"
	applicationRunning   = "RUNNING"
	applicationCanceling = "CANCELING"
)

func (d *Dispatcher) applications() (all []*core.Application) {
	d.store.view(func(s *core.State) { all = s.Applications() })
	return all
}

func (d *Dispatcher) storedApplication(id string) (a *core.Application) {
	d.store.view(func(s *core.State) { a = s.Application(id) })
	return a
}

// application is what there is to say of an application of several jobs.
func (d *Dispatcher) application(a *core.Application) rest.Application {
	begun := a.Begun.UnixMilli()
	out := rest.Application{
		ID: a.ID, Name: a.Name, Status: applicationCreated, Start: begun,
		Timestamps: map[string]int64{applicationCreated: begun},
	}
	if f := a.Failure; f != nil {
		at := f.At.UnixMilli()
		out.Status, out.End, out.Timestamps[f.State] = f.State, at, at
		if f.Error != "" {
			out.Failures = []*weirpb.FailureDetail{{At: at, Text: f.Error, Kind: weirpb.FailureKind_FAILURE_KIND_USER}}
		}
		return out
	}
	var live, canceling bool
	worst, end := stateFinished, int64(0)
	for _, id := range a.Jobs {
		j, err := d.job(id)
		if err != nil {
			continue // ended and forgotten
		}
		out.Jobs = append(out.Jobs, id)
		s := j.current()
		switch {
		case !j.isEnded():
			live = true
			canceling = canceling || j.isCanceling()
		case s.GetState() == stateFailed || worst == stateFinished:
			worst = s.GetState()
		}
		end = max(end, s.GetEndUnixMillis())
	}
	switch {
	case len(a.Jobs) == 0:
		return out
	case !live:
		out.Status, out.End, out.Timestamps[worst] = worst, end, end
	case canceling:
		out.Status = applicationCanceling
	default:
		out.Status = applicationRunning
	}
	out.Timestamps[applicationRunning] = begun
	return out
}

// describeApplication has the program of an application described and its jobs submitted, unless that is under way.
func (d *Dispatcher) describeApplication(a *core.Application) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.describing[a.ID] != nil || d.mu.closed {
		return
	}
	ctx, cancel := context.WithCancelCause(d.ctx)
	d.mu.describing[a.ID] = cancel
	d.wg.Go(func() {
		defer cancel(nil)
		d.submitApplication(ctx, a)
		d.mu.Lock()
		delete(d.mu.describing, a.ID)
		d.mu.Unlock()
	})
}

// submitApplication stores the jobs of an application, or why it has none. A leader that ends meanwhile leaves that to
// the next.
func (d *Dispatcher) submitApplication(ctx context.Context, a *core.Application) {
	jobs, err := d.jobsOf(ctx, a)
	if d.ctx.Err() != nil {
		return
	}
	r := &core.Record{Submitted: &core.Submitted{Jobs: jobs}}
	if err != nil {
		f := &core.ApplicationFailure{Application: a.ID, State: stateFailed, Error: err.Error(), At: time.Now().UTC()}
		if errors.Is(err, errCanceled) {
			f.State, f.Error = stateCanceled, ""
		}
		r = &core.Record{ApplicationFailed: f}
	}
	d.storeApplication(a.ID, r) //nolint:contextcheck // ctx may be canceled with the application; this is as the Dispatcher is
}

// jobsOf has the program described, and makes jobs of what it describes.
func (d *Dispatcher) jobsOf(ctx context.Context, a *core.Application) (jobs []*core.Job, err error) {
	described, err := d.programs.describeJobs(ctx, &a.Template)
	if err != nil {
		return nil, err
	}
	for _, jd := range described {
		j := a.Template
		j.ID, j.Application, j.Submitted = newID(), a.ID, time.Now().UTC()
		if err := fill(&j, jd); err != nil {
			return nil, err
		}
		jobs = append(jobs, &j)
	}
	return jobs, nil
}

// storeApplication tries to store what became of an application until it is stored or the Dispatcher ends.
func (d *Dispatcher) storeApplication(id string, r *core.Record) {
	log := d.config.Logger.With("application", id)
	if f := r.ApplicationFailed; f != nil {
		log.ErrorContext(d.ctx, "the application has no jobs", "state", f.State, "error", f.Error)
	}
	for {
		err := d.write(d.ctx, r)
		if err == nil || errors.Is(err, core.ErrEnded) {
			break
		}
		if d.ctx.Err() != nil {
			return
		}
		log.ErrorContext(d.ctx, "the application is not stored, again in a moment", "error", err)
		sleep(d.ctx, storeRetry)
	}
	d.reconcile(false)
	if r.ApplicationFailed != nil {
		d.applicationEnded(id)
	}
}

// jobEnded does what is due when the end of a job is stored.
func (d *Dispatcher) jobEnded(j *job) {
	d.programs.collect(j.record.Program)
	if j.record.Application == "" {
		d.tell(End{Application: rest.ApplicationOf(j.current()), Jobs: []*weirpb.JobSummary{j.current()}})
		return
	}
	d.applicationEnded(j.record.Application)
}

// applicationEnded tells of the end of an application, if all its jobs have ended.
func (d *Dispatcher) applicationEnded(id string) {
	a := d.storedApplication(id)
	if a == nil {
		return
	}
	end := End{Application: d.application(a)}
	if !terminal(end.Application.Status) {
		return
	}
	for _, id := range end.Application.Jobs {
		if j, err := d.job(id); err == nil {
			end.Jobs = append(end.Jobs, j.current())
		}
	}
	d.programs.collect(a.Template.Program)
	d.tell(end)
}

func (d *Dispatcher) tell(e End) {
	if d.config.Ended != nil {
		d.config.Ended(e)
	}
}

// tellEnded tells of what had ended before this leader, in a cluster that lives only for that: the leader before may
// have died before it could shut the cluster down.
func (d *Dispatcher) tellEnded() {
	if d.config.Mode == Session {
		return
	}
	for _, j := range d.all() {
		if j.isEnded() && j.record.Application == "" {
			d.tell(End{Application: rest.ApplicationOf(j.current()), Jobs: []*weirpb.JobSummary{j.current()}})
		}
	}
	for _, a := range d.applications() {
		d.applicationEnded(a.ID)
	}
}
