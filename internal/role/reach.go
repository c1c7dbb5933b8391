// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// reachPause is the time between two looks for what a sink needs, and reachPatience how long it may take to appear: what
	// the JobMaster has just made on another machine can come late.
	reachPause    = 200 * time.Millisecond
	reachPatience = 3 * time.Second
)

// probe tells whether this machine sees the checkpoint directory of the job and the places of its sinks, before a task relies
// on that. A job that begins fails by it; one that has run before waits, since the place may be back in a moment.
func (s *session) probe(ctx context.Context, d *described, g *graph.JobGraph) error {
	spec := s.spec.GetExecutor()
	err := s.probeCheckpoints(ctx, d)
	if err == nil {
		err = s.reachSinks(ctx, g)
	}
	if err == nil {
		return nil
	}
	name, _ := os.Hostname()
	err = fmt.Errorf("TaskManager %s on host %s can't be used: %w", spec.GetTaskManager(), cmp.Or(spec.GetHost(), name, "unknown"), err)
	if spec.GetBegins() {
		return failure{weirpb.FailureKind_FAILURE_KIND_FATAL, err}
	}
	return err
}

func (s *session) probeCheckpoints(ctx context.Context, d *described) error {
	spec := s.spec.GetExecutor()
	dir, err := s.absolute("checkpoint directory", cmp.Or(d.checkpointDir, spec.GetCheckpointDir(), d.settings.CheckpointDir))
	if err != nil || dir == "" {
		return err
	}
	return storage.NewStore(files(dir)).Probe(ctx, s.spec.GetJobId(), spec.GetTaskManager())
}

// reachSinks asks all sinks of the job: whichever subtasks come here, another restart may bring those of sinks.
func (s *session) reachSinks(ctx context.Context, g *graph.JobGraph) error {
	by := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s.spec.GetExecutor().GetTaskManager())
	for _, n := range g.Stream.Nodes {
		if n.Sink == nil || n.Sink.Reach == nil {
			continue
		}
		if err := awaitReach(ctx, func() error { return n.Sink.Reach(ctx, s.spec.GetJobId(), by) }); err != nil {
			return fmt.Errorf("sink %q: %w", n.UID, err)
		}
	}
	return nil
}

// awaitReach asks again until the answer is good or patience ends; the error is the last one.
func awaitReach(ctx context.Context, reach func() error) error {
	deadline := time.NewTimer(reachPatience)
	defer deadline.Stop()
	for {
		err := reach()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(reachPause):
		case <-deadline.C:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
