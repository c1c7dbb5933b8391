// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package weir runs job programs: Main for a program that is a job, Run for a job inside a service.
//
//	func main() { weir.Main("spend", build) }
//
//	func build(env *stream.Env) error { ... }
//
// Main is the whole main of a program: it reads flags, handles signals, shows progress, and exits with the job's result.
// Run starts the same job inside a process that owns all of these. Both run it on an embedded cluster: the components of
// a cluster, in one process.
package weir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/stream"
)

// Build describes a job. It runs in every role of the program and must describe the same graph each time: no clock, no
// random number, no directory listing.
type Build func(env *stream.Env) error

// Options are the settings of Run; the zero value runs one TaskManager with a slot for each core and keeps checkpoints in
// memory, where they end with the process.
type Options struct {
	// Args are the arguments for Env.Flag: --name=value.
	Args []string
	// TaskManagers is 1 by default, Slots of each what the job needs, and at least one a core.
	TaskManagers, Slots int
	// MemoryBytes is what the job may use; it is reported, not enforced, since the process belongs to the caller.
	MemoryBytes int64
	// CheckpointDir is where checkpoints go, unless the job's own Checkpoints.Dir says otherwise.
	CheckpointDir string
	// Restore is `latest`, to continue the newest run in CheckpointDir or begin one where there is none, or the path of a
	// savepoint or checkpoint that a new run begins from. A newest run that has ended is not begun again: the Handle
	// tells how it ended.
	Restore string
	// AllowNonRestoredState drops state that has no place in the job any more.
	AllowNonRestoredState bool
	// Settings are configuration by key, as -D on the command line of Main.
	Settings map[string]string
	// Logger is what the engine and the job log to; nothing by default.
	Logger *slog.Logger
}

// Run starts the job embedded in this process and returns when it is submitted, or with the errors of build. It touches
// no signal, flag, default logger nor standard output. The end of ctx cancels the job.
func Run(ctx context.Context, name string, build Build, o Options) (*Handle, error) {
	s, err := jobsettings.Parse(o.Settings)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", name, err)
	}
	sg, err := stream.Describe(stream.Setup{Name: name, Args: o.Args, Dir: workingDir()}, build)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", name, err)
	}
	return launch(ctx, sg, s, o)
}

// ErrCanceled is what Wait returns for a job that was canceled.
var ErrCanceled = errors.New("weir: job canceled")

// ErrDeposed is wrapped by what Wait returns when another process has continued the run with Restore `latest`: this one
// has ended without committing anything more, and the job goes on there.
var ErrDeposed = errors.New("weir: another process has continued this run")

// Handle is a running job; its methods may be called from any goroutine.
type Handle struct {
	graph   *graph.JobGraph
	cluster *embedded.Cluster
	job     *embedded.Job
	// checkpoints is the checkpoint directory, as it was given; savepoints that of savepoints which name none.
	checkpoints, savepoints string
	// done is closed when the job and its cluster have ended; result and err are set then.
	done   chan struct{}
	result embedded.Result
	err    error
}

// JobID names the run: 32 hexadecimal digits.
func (h *Handle) JobID() string { return h.job.ID() }

// dir is what is stored of the run.
func (h *Handle) dir() string { return filepath.Join(h.checkpoints, h.JobID()) }

// Wait returns when the job has ended and all its goroutines with it: nil if it finished, was stopped with a savepoint or
// suspended, ErrCanceled, ErrDeposed, or what failed it.
func (h *Handle) Wait() error {
	<-h.done
	return h.err
}

// Done is closed when the job has ended and all its goroutines with it.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Cancel ends the job at once, without a checkpoint, and waits for it: nil once it is canceled. A run that was canceled
// can't be continued, and its checkpoints are removed unless Checkpoints.KeepAfterCancel says otherwise.
func (h *Handle) Cancel(ctx context.Context) error {
	h.job.Cancel()
	if err := h.await(ctx); !errors.Is(err, ErrCanceled) {
		return err
	}
	return nil
}

// Suspend takes a last checkpoint, commits its output, ends the job and waits for it: Restore `latest` goes on from
// there. Where that checkpoint fails, `latest` goes on from the one before.
func (h *Handle) Suspend(ctx context.Context) error {
	h.job.Suspend()
	return h.await(ctx)
}

// await returns what Wait would, or the error of ctx at its end.
func (h *Handle) await(ctx context.Context) error {
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Savepoint takes one below dir, or, where that is empty, below the directory that the settings name, and returns its
// path. It commits nothing, and the job goes on.
func (h *Handle) Savepoint(ctx context.Context, dir string) (path string, err error) {
	return h.job.Savepoint(ctx, h.savepointDir(dir))
}

func (h *Handle) savepointDir(dir string) string { return absolute(cmp.Or(dir, h.savepoints)) }

// StopWithSavepoint takes a savepoint, commits its output and ends the job as FINISHED. If the savepoint fails, the job
// goes on.
func (h *Handle) StopWithSavepoint(ctx context.Context, dir string) (path string, err error) {
	return h.job.StopWithSavepoint(ctx, h.savepointDir(dir), false)
}

// Drain ends the input, fires all windows and event timers, then stops as StopWithSavepoint does.
func (h *Handle) Drain(ctx context.Context, dir string) (path string, err error) {
	return h.job.StopWithSavepoint(ctx, h.savepointDir(dir), true)
}

// Checkpoint is a completed checkpoint.
type Checkpoint struct {
	ID int64
	// Completed is when it was, Duration the time from its trigger until then.
	Completed time.Time
	Duration  time.Duration
	// Bytes is the size of all state that it refers to, also of what earlier checkpoints wrote.
	Bytes int64
}

// Checkpoint takes a checkpoint now, beside those that are due, and returns once it is complete. A full one builds on no
// earlier checkpoint. It is an error while some tasks don't run: at the start, and while the job recovers.
func (h *Handle) Checkpoint(ctx context.Context, full bool) (Checkpoint, error) {
	id, err := h.job.Checkpoint(ctx, full)
	if err != nil {
		return Checkpoint{}, err
	}
	d, err := h.job.Status(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, c := range d.Checkpoints.History {
		if c.ID == id {
			return Checkpoint(checkpointOf(c)), nil
		}
	}
	return Checkpoint{ID: id}, nil // so many came meanwhile that its figures are gone
}

// LastCheckpoint returns the newest completed checkpoint; its ID is zero where there is none.
func (h *Handle) LastCheckpoint() Checkpoint { return Checkpoint(h.report(time.Now()).Checkpoint) }

// JobStatus is the state of a job: RUNNING, FINISHED and so on, as Flink names them.
type JobStatus string

// Status returns the state of the job.
func (h *Handle) Status() JobStatus {
	return JobStatus(h.report(time.Now()).Status)
}

// StepMetrics sums the subtasks of a step.
type StepMetrics struct {
	RecordsIn, RecordsOut, LateDropped int64
	// Watermark is the least of the subtasks: the zero time before the first, a time in 2262 at the end of the input.
	Watermark time.Time
	// Busy and Backpressured are shares of the time of the step's tasks, in [0, 1].
	Busy, Backpressured float64
	// Counters are those that user code counts.
	Counters map[string]int64
}

// Metrics returns the figures of each step by uid, or by name where it has none, as they were reported last.
func (h *Handle) Metrics() map[string]StepMetrics {
	s := h.report(time.Now())
	all := make(map[string]StepMetrics, len(s.Steps))
	for i, step := range s.Steps {
		all[s.keys[i]] = StepMetrics{
			RecordsIn: step.In, RecordsOut: step.Out, LateDropped: step.Late, Watermark: timeOf(step.Watermark),
			Busy: step.Busy, Backpressured: step.Backpressured, Counters: step.Counters,
		}
	}
	return all
}
