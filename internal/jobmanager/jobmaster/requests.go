// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/rpc"
)

// ErrEnded is returned for requests to a job that has ended, or that ends meanwhile.
var ErrEnded = errors.New("jobmaster: the job has ended")

// Savepoint takes a savepoint below dir, an absolute path, and returns where it is. It commits nothing.
func (j *JobMaster) Savepoint(ctx context.Context, dir string) (string, error) {
	r, err := j.request(ctx, coordinator.Request{Kind: checkpoint.Savepoint, Dir: dir})
	return r.Location, err
}

// StopWithSavepoint takes a savepoint, commits its output and ends the job as FINISHED. With drain, the input ends first,
// and event time with it. If the savepoint fails the job goes on.
func (j *JobMaster) StopWithSavepoint(ctx context.Context, dir string, drain bool) (string, error) {
	r, err := j.request(ctx, coordinator.Request{Kind: checkpoint.Terminal, Dir: dir, Drain: drain})
	return r.Location, err
}

// Checkpoint takes a checkpoint now, beside those that are due, and returns its id. A full one builds on no earlier one.
func (j *JobMaster) Checkpoint(ctx context.Context, full bool) (int64, error) {
	r, err := j.request(ctx, coordinator.Request{Kind: checkpoint.Periodic, Full: full})
	return r.ID, err
}

// Suspend takes a last checkpoint, commits its output and ends the JobMaster with the job SUSPENDED; it does not wait.
func (j *JobMaster) Suspend() { j.post(j.core.Suspend) }

// request waits for the answer to a request; it is not taken back when ctx ends.
func (j *JobMaster) request(ctx context.Context, r coordinator.Request) (coordinator.Reply, error) {
	answer := make(chan coordinator.Reply, 1)
	posted := j.endpoint.Post(func() {
		j.requests++
		r.Number = j.requests
		j.waiting[r.Number] = answer
		j.event(func(now time.Time) { j.core.Request(r, now) })
	})
	if !posted {
		return coordinator.Reply{}, rpc.ErrStopped
	}
	select {
	case a := <-answer:
		return a, a.Err
	case <-ctx.Done():
		return coordinator.Reply{}, context.Cause(ctx)
	case <-j.done:
	}
	select { // both may be ready
	case a := <-answer:
		return a, a.Err
	default:
		return coordinator.Reply{}, ErrEnded
	}
}

// reply hands an answer to who waits for it.
func (j *JobMaster) reply(r coordinator.Reply) {
	if answer := j.waiting[r.Number]; answer != nil {
		delete(j.waiting, r.Number)
		answer <- r
	}
}
