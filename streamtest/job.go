// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// Option changes a whole job for its test.
type Option interface{ apply(j *job) }

type option func(j *job)

func (o option) apply(j *job) { o(j) }

// job is what the options make of a run.
type job struct {
	setup       stream.Setup
	parallelism int
	kills       []kill
	gate        *gate
	objectReuse bool
}

type kill struct {
	uid   stream.UID
	after int64
}

// Source replaces the source of that uid by rows; another type is an error of build.
func Source[T any](uid stream.UID, rows ...T) Option {
	return option(func(j *job) {
		j.setup.Replace = append(j.setup.Replace, stream.ReplaceSource(uid, rowSource[T]{rows, j.gate}))
	})
}

// Collected replaces a sink and keeps what was committed.
type Collected[T any] struct {
	uid  stream.UID
	rows *collect.Collector[T]
}

// Collect replaces the sink of that uid. T appears in no argument: Collect[Spend]("out").
func Collect[T any](uid stream.UID) *Collected[T] { return &Collected[T]{uid, collect.New[T]()} }

func (c *Collected[T]) apply(j *job) {
	j.setup.Replace = append(j.setup.Replace, stream.ReplaceSink(c.uid, c.rows.Sink()))
}

// Rows returns what was committed, in the order of its rendering, which repeats.
func (c *Collected[T]) Rows() []T { return sorted(c.rows.Rows()) }

// Args gives values to Env.Flag.
func Args(args ...string) Option {
	return option(func(j *job) { j.setup.Args = append(j.setup.Args, args...) })
}

// Parallelism runs the job at n over n TaskManagers; 1 by default.
func Parallelism(n int) Option { return option(func(j *job) { j.parallelism = n }) }

// ObjectReuse runs the job as the setting pipeline.object-reuse does where steps are in different processes: records go from
// one TaskManager to another through a socket, and their strings and byte slices are good during the call only. With the
// build tag invariants that memory is overwritten behind the call, so that a string which the job kept is seen to change.
func ObjectReuse() Option { return option(func(j *job) { j.objectReuse = true }) }

// Kill makes a subtask of a step fail once, the first that has not finished, right after the given checkpoint completed;
// checkpoints count from 1. Several kills happen one after the other. Sources put in by Source hold back half of their
// rows until then. Checkpoints follow each other at once, whatever the job's interval is, and so do restarts of a job that
// sets no strategy.
func Kill(uid stream.UID, afterCheckpoint int64) Option {
	return option(func(j *job) { j.kills = append(j.kills, kill{uid, afterCheckpoint}) })
}

// jobTimeout ends a test whose job does not end.
const jobTimeout = time.Minute

// Run runs a job on a cluster of its own within the test, until it has finished.
func Run(t testing.TB, build weir.Build, opts ...Option) {
	t.Helper()
	j := &job{setup: stream.Setup{Name: t.Name()}, parallelism: 1, gate: &gate{}}
	for _, o := range opts {
		o.apply(j)
	}
	if len(j.kills) == 0 {
		j.gate.open()
	}
	sg, err := stream.Describe(j.setup, build)
	if err != nil {
		t.Fatal(err)
	}
	sg.ObjectReuse = j.objectReuse
	if len(j.kills) > 0 {
		sg.Checkpoints.Interval = time.Millisecond
		sg.Restart = cmp.Or(sg.Restart, graph.Restart{Kind: graph.FixedDelay, Attempts: len(j.kills)})
	}
	jg, err := graph.Build(sg, graph.Options{Parallelism: j.parallelism})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), jobTimeout)
	defer cancel()
	if err := j.run(ctx, jg); err != nil {
		t.Fatal(err)
	}
}

func (j *job) run(ctx context.Context, g *graph.JobGraph) (err error) {
	network := "local"
	if j.objectReuse {
		network = "unix"
	}
	c, err := embedded.Start(embedded.Config{
		Network:             network,
		TaskManagers:        j.parallelism,
		SlotsPerTaskManager: (g.SlotsNeeded() + j.parallelism - 1) / j.parallelism,
		Heartbeat:           heartbeat,
		HeartbeatTimeout:    heartbeatTimeout,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	running, err := c.Submit(ctx, g, embedded.RunOptions{})
	if err != nil {
		return err
	}
	for _, k := range j.kills {
		if err := k.strike(ctx, c, running, g); err != nil {
			return err
		}
	}
	j.gate.open()
	result, err := running.Wait(ctx)
	if err != nil {
		return fmt.Errorf("the job has not ended after %v: %w", jobTimeout, err)
	}
	if result.Status != "FINISHED" {
		return fmt.Errorf("the job ended as %s: %s", result.Status, result.Error)
	}
	return nil
}

// heartbeat is short, so that tests see figures soon; heartbeatTimeout is long, for a machine that is busy with others.
const (
	heartbeat        = 20 * time.Millisecond
	heartbeatTimeout = 20 * time.Second
)

// errKilled is the failure that Kill injects.
var errKilled = errors.New("killed by the test")

// strike waits for the checkpoint, fails a subtask of the step, and waits until that is seen.
func (k kill) strike(ctx context.Context, c *embedded.Cluster, j *embedded.Job, g *graph.JobGraph) error {
	vertex := find(g, k.uid)
	if vertex == nil {
		return fmt.Errorf("kill %q: no step has that uid", k.uid)
	}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	struck, failures := false, 0
	for {
		d, err := j.Status(ctx)
		if err != nil {
			return fmt.Errorf("kill %q: %w", k.uid, err)
		}
		if d.Status.Ended() {
			return fmt.Errorf("kill %q: the job ended before checkpoint %d, as %s", k.uid, k.after, d.Status)
		}
		last := d.Checkpoints.LatestCompleted
		switch {
		case struck && len(d.Failures) > failures:
			return nil
		case !struck && last != nil && last.ID >= k.after:
			failures = len(d.Failures)
			// One that is being canceled with its region would end without a failure of its own.
			for s, subtask := range d.Vertices[vertex.Index].Subtasks {
				if struck || subtask.State != core.Running {
					continue
				}
				struck = c.FailTask(ctx, j.ID(), graph.SubtaskID{Vertex: vertex.Index, Subtask: s}, errKilled)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("kill %q: checkpoint %d did not complete, or the step had: %w", k.uid, k.after, context.Cause(ctx))
		}
	}
}

// find returns the vertex that holds a step.
func find(g *graph.JobGraph, uid stream.UID) *graph.JobVertex {
	for _, v := range g.Vertices {
		for _, n := range v.Nodes {
			if n.UID == string(uid) {
				return v
			}
		}
	}
	return nil
}
