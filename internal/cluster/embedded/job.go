// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"

	"github.com/weir-stream/weir/internal/jobmanager/jobmaster"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
)

// ErrEnded is returned for requests to a job that has ended.
var ErrEnded = errors.New("embedded: the job has ended")

// Job is a submitted job. Its methods may be called from any goroutine.
type Job struct {
	id     string
	master *jobmaster.JobMaster // nil for a run that had ended before
	past   Result
}

// Result is how a job ended.
type Result struct {
	// Status is FINISHED, FAILED, CANCELED or SUSPENDED: the last can be continued.
	Status string
	// Error says why the job failed, empty if it did not.
	Error string
	// Savepoint is the path of the one that the job was stopped with, empty if it was not.
	Savepoint string
	// Deposed tells that another process has continued the run meanwhile: this one left no trace.
	Deposed bool
	// Earlier tells that the run had ended before this submission, which started nothing.
	Earlier bool
}

func newJob(j *launch.Job) *Job {
	if p := j.Past(); p != nil {
		return &Job{id: j.ID(), past: Result{Status: p.Status, Error: p.Error, Savepoint: p.Savepoint, Earlier: true}}
	}
	return &Job{id: j.ID(), master: j.Master()}
}

// ID names the run.
func (j *Job) ID() string { return j.id }

// Wait returns when the job has ended. The error is that of ctx.
func (j *Job) Wait(ctx context.Context) (Result, error) {
	if j.master == nil {
		return j.past, nil
	}
	select {
	case <-j.master.Done():
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	r := j.master.Result()
	result := Result{Status: r.Status.String(), Savepoint: r.Savepoint, Deposed: r.Deposed}
	if r.Cause != nil {
		result.Error = r.Cause.Error()
	}
	return result, nil
}

// Cancel ends the job without a checkpoint. It does not wait: Wait does.
func (j *Job) Cancel() {
	if j.master != nil {
		j.master.Cancel()
	}
}

// Checkpoint takes a checkpoint now and returns its id. A full one builds on no earlier one.
func (j *Job) Checkpoint(ctx context.Context, full bool) (int64, error) {
	if j.master == nil {
		return 0, ErrEnded
	}
	return j.master.Checkpoint(ctx, full)
}

// Savepoint takes a savepoint below dir, an absolute path, and returns its own path.
func (j *Job) Savepoint(ctx context.Context, dir string) (string, error) {
	if j.master == nil {
		return "", ErrEnded
	}
	return j.master.Savepoint(ctx, dir)
}

// StopWithSavepoint takes a savepoint below dir, commits its output and ends the job as FINISHED. With drain, the input
// ends first and event time with it, so that all windows and timers fire. If the savepoint fails the job goes on.
func (j *Job) StopWithSavepoint(ctx context.Context, dir string, drain bool) (string, error) {
	if j.master == nil {
		return "", ErrEnded
	}
	return j.master.StopWithSavepoint(ctx, dir, drain)
}

// Suspend takes a last checkpoint in the run's own directory, commits its output and ends the job as SUSPENDED: it can
// be continued. If the checkpoint fails, the job is suspended all the same, and goes on from the one before. It does
// not wait: Wait does.
func (j *Job) Suspend() {
	if j.master != nil {
		j.master.Suspend()
	}
}

// Status is the state of the job; the zero value but for id and status if the run had ended before.
func (j *Job) Status(ctx context.Context) (core.JobDetails, error) {
	if j.master == nil {
		return core.JobDetails{JobID: j.id, Status: core.ParseJobStatus(j.past.Status)}, nil
	}
	return j.master.Details(ctx)
}
