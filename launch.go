// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
)

// launch starts a cluster for one job, submits it, and has a goroutine end the cluster with the job.
func launch(ctx context.Context, sg *graph.StreamGraph, s jobsettings.Settings, o Options) (*Handle, error) {
	s.Apply(sg)
	o.CheckpointDir = cmp.Or(o.CheckpointDir, s.CheckpointDir)
	cores := runtime.GOMAXPROCS(0)
	options := s.Options(cores)
	jg, err := graph.Build(sg, options)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", sg.Name, err)
	}
	managers := cmp.Or(o.TaskManagers, s.TaskManagers, 1)
	enough := max(cores, (jg.SlotsNeeded()+managers-1)/managers)
	cluster, err := embedded.Start(embedded.Config{
		TaskManagers:        managers,
		SlotsPerTaskManager: cmp.Or(o.Slots, s.Slots, enough),
		CheckpointDir:       absolute(o.CheckpointDir),
		MemoryBytes:         o.MemoryBytes,
		Logger:              o.Logger,
		BufferTimeout:       s.BufferTimeout,
		Network:             s.Exchange,
		HeartbeatTimeout:    heartbeatTimeout,
	})
	if err != nil {
		return nil, err
	}
	h, err := submit(ctx, cluster, sg, options, embedded.RunOptions{
		Restore: restorePath(o.Restore), AllowNonRestoredState: o.AllowNonRestoredState,
	})
	if err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	h.checkpoints, h.savepoints = cmp.Or(sg.Checkpoints.Dir, o.CheckpointDir), s.SavepointDir
	go h.supervise(ctx) // Owner: the job, at whose end it closes done
	return h, nil
}

// heartbeatTimeout is long: TaskManagers of the same process are not lost, but with thousands of busy tasks on few cores they
// may have to wait for their turn.
const heartbeatTimeout = time.Minute

// submit builds the job graph with the key groups of the state that it starts from, and submits it.
func submit(
	ctx context.Context, c *embedded.Cluster, sg *graph.StreamGraph, options graph.Options, run embedded.RunOptions,
) (*Handle, error) {
	groups, err := c.KeyGroups(ctx, sg.Checkpoints.Dir, run)
	if err != nil {
		return nil, err
	}
	options.KeyGroups = groups
	jg, err := graph.Build(sg, options)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", sg.Name, err)
	}
	job, err := c.Submit(ctx, jg, run)
	if err != nil {
		return nil, err
	}
	return &Handle{graph: jg, cluster: c, job: job, done: make(chan struct{})}, nil
}

// supervise cancels the job at the end of ctx, and ends the cluster when the job has ended.
func (h *Handle) supervise(ctx context.Context) {
	defer close(h.done)
	result, err := h.job.Wait(ctx)
	if err != nil { // ctx has ended
		h.job.Cancel()
		result, err = h.job.Wait(context.WithoutCancel(ctx))
	}
	h.result = result
	h.err = errors.Join(err, outcome(result), h.cluster.Close())
}

// Status of results: of a job that was let go, to be continued, and of one that failed.
const (
	suspended = "SUSPENDED"
	failed    = "FAILED"
)

// outcome is the error that Wait returns for a result.
func outcome(r embedded.Result) error {
	switch {
	case r.Deposed:
		return ErrDeposed
	case r.Error == "" && (r.Status == "FINISHED" || r.Status == suspended):
		return nil
	case r.Status == "CANCELED":
		return ErrCanceled
	default:
		return fmt.Errorf("job %s: %s", r.Status, cmp.Or(r.Error, "no cause is known"))
	}
}

// latest is the Restore that continues the newest run.
const latest = "latest"

func restorePath(restore string) string {
	if restore == latest {
		return latest
	}
	return absolute(restore)
}

// absolute joins a relative path to the working directory; empty stays empty.
func absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(workingDir(), path)
}

// workingDir is where the process runs; empty, which leaves paths relative, where that is unknown.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}
