// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Settings of the cluster that a JobMaster goes by, and what holds where they are not given.
const (
	heartbeatKey            = "heartbeat.interval"
	heartbeatTimeoutKey     = "heartbeat.timeout"
	slotTimeoutKey          = "slot.request.timeout"
	cancelTimeoutKey        = "task.cancellation.timeout"
	defaultHeartbeatTimeout = 5 * time.Second
	defaultSlotTimeout      = 5 * time.Minute
	defaultCancelTimeout    = 30 * time.Second
	// reconcileHeartbeats is for how many heartbeats a JobMaster that continues a run looks for running tasks, and
	// reconcileMin for how long at least: TaskManagers of a JobManager that was stopped, or was cut off without a word, hear
	// of another one only when its silence has lasted for 5 s. The search ends as soon as all tasks are found.
	reconcileHeartbeats = 5
	reconcileMin        = 8 * time.Second
)

// jobMaster takes the role on: it begins or continues the run of the job, and serves requests until the link ends.
func (s *session) jobMaster(ctx context.Context) error {
	d, sub, err := s.submission(ctx)
	if err != nil {
		return err
	}
	logger := newLogger(os.Stderr, s.spec.GetSettings())
	r := &jobRole{
		job: s.spec.GetJobId(), dispatcher: s.spec.GetJobMaster().GetDispatcher(), described: d, spec: s.spec,
		endpoint: rpc.NewEndpoint("job/"+s.spec.GetJobId(), s.router), logger: logger.With("job", s.spec.GetJobId()),
		checkpointDir: sub.Store.Location(), ctx: ctx, begun: make(chan struct{}),
	}
	// Bound before the parent hears of it: what it asks then waits here until the run is led.
	if err := r.endpoint.Start(r); err != nil {
		return fmt.Errorf("serve job: %w", err)
	}
	defer r.stop()
	s.ready(d.tell(sub.Graph))
	settings := s.spec.GetSettings()
	heartbeat := jobsettings.Duration(settings, heartbeatKey, defaultHeartbeat)
	l := launch.New(launch.Config{
		Network: s.router, ResourceManager: s.spec.GetJobMaster().GetResourceManager(), Objects: files,
		Verify: statefile.Verify, Logger: logger, Holder: holder(),
		Heartbeat:        heartbeat,
		HeartbeatTimeout: jobsettings.Duration(settings, heartbeatTimeoutKey, max(defaultHeartbeatTimeout, 2*heartbeat)),
		SlotTimeout:      jobsettings.Duration(settings, slotTimeoutKey, defaultSlotTimeout),
		CancelTimeout:    jobsettings.Duration(settings, cancelTimeoutKey, defaultCancelTimeout),
		CheckInterval:    2 * heartbeat, ReconcileTimeout: max(reconcileMin, reconcileHeartbeats*heartbeat),
		Changed: r.changed, Beat: r.beat,
	})
	job, err := l.Submit(ctx, *sub)
	if err != nil {
		return blame(err)
	}
	return r.serve(ctx, job)
}

// submission is the job with the graph that it runs with.
func (s *session) submission(ctx context.Context) (*described, *launch.Submission, error) {
	name, args, err := s.program.choose(s.spec)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.describeJob(name, args)
	if err != nil {
		return nil, nil, err
	}
	spec := s.spec.GetJobMaster()
	restore, err := s.absolute("what the job is restored from", spec.GetRestore())
	if err != nil {
		return nil, nil, fatalf("job %q: %w", name, err)
	}
	dir, err := s.absolute("checkpoint directory", cmp.Or(d.checkpointDir, spec.GetCheckpointDir(), d.settings.CheckpointDir))
	if err != nil {
		return nil, nil, fatalf("job %q: %w", name, err)
	}
	if dir == "" {
		return nil, nil, fatalf("job %q: no directory for checkpoints is set", name)
	}
	d.checkpointDir = dir
	sub := &launch.Submission{
		Store: files(dir), JobID: s.spec.GetJobId(), Resume: spec.GetResume(),
		Restore: restore, AllowNonRestoredState: spec.GetAllowNonRestoredState(),
	}
	groups, err := launch.KeyGroups(ctx, files, *sub)
	if err != nil {
		return nil, nil, blame(err)
	}
	if sub.Graph, err = d.build(groups); err != nil {
		return nil, nil, err
	}
	if where := differs(spec.GetDescribed(), sub.Graph); where != "" {
		return nil, nil, anotherGraph("when it was submitted", where)
	}
	return d, sub, nil
}

// anotherGraph is the error of a program that does not describe the same graph in each role.
func anotherGraph(than, where string) error {
	return fatalf("the program describes another graph than %s (does build look at a clock, a random number or a "+
		"directory?): %s", than, where)
}

// files opens a directory of checkpoints or savepoints.
func files(location string) storage.Objects { return storage.Files(storage.OS(), location) }

// holder says who leads the run, for people.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

// blame tells errors that no second attempt mends from those of the world.
func blame(err error) error {
	var misfit *core.MisfitError
	var refused *launch.RefusedError
	switch {
	case errors.As(err, &misfit), errors.Is(err, storage.ErrRunExists), errors.Is(err, storage.ErrNoneUsable):
		return failure{weirpb.FailureKind_FAILURE_KIND_FATAL, err}
	case errors.As(err, &refused):
		return ofUser(err)
	}
	return err
}

// withSettings completes the configuration that a detail shows by what the submission said.
func (r *jobRole) withSettings(d *weirpb.JobDetail) {
	if c := d.GetConfig(); c != nil {
		c.CheckpointDir, c.Settings, c.Arguments = r.checkpointDir, r.spec.GetSettings(), r.spec.GetArguments()
	}
}

// pastDetail is all that is known of a run that had ended before.
func pastDetail(p *storage.Result, job string, g *graph.StreamGraph) *weirpb.JobDetail {
	d := &weirpb.JobDetail{JobId: job, Name: g.Name, Epoch: p.Epoch, State: p.Status, End: p.Ended.UnixMilli()}
	if p.Error != "" {
		d.Cause = &weirpb.FailureDetail{At: p.Ended.UnixMilli(), Text: p.Error}
	}
	return d
}
