// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const (
	// probePause is the time between two looks for a record, and probePatience how long it may take to appear: a file that
	// another machine has just made can come late.
	probePause    = 200 * time.Millisecond
	probePatience = 3 * time.Second
)

// Probe tells whether a process sees the checkpoint directory in which the JobMaster has begun the run of a job, and can
// write there. by names the process among those that may probe at once, in letters, digits, '-' and '_'.
func (s *Store) Probe(ctx context.Context, jobID, by string) error {
	r, err := s.awaitRun(ctx, jobID)
	switch {
	case errors.Is(err, ErrNoRun):
		return fmt.Errorf("checkpoint directory %s is not the JobMaster's: it has no record of the run of this job", s.objects.Location())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("checkpoint directory %s can't be read: %w", s.objects.Location(), err)
	case err != nil:
		return fmt.Errorf("checkpoint directory %s: %w", s.objects.Location(), err)
	}
	name := r.path("probe-" + part(by))
	if err := s.objects.Put(ctx, name, []byte(by+"\n")); err != nil {
		return fmt.Errorf("checkpoint directory %s can't be written: %w", s.objects.Location(), err)
	}
	if err := s.objects.Remove(ctx, name); err != nil {
		return fmt.Errorf("checkpoint directory %s: nothing can be removed from it: %w", s.objects.Location(), err)
	}
	return nil
}

// awaitRun waits a moment for the record of a run.
func (s *Store) awaitRun(ctx context.Context, jobID string) (*Run, error) {
	deadline := time.NewTimer(probePatience)
	defer deadline.Stop()
	for {
		r, err := s.Run(ctx, jobID)
		if !errors.Is(err, ErrNoRun) {
			return r, err
		}
		select {
		case <-time.After(probePause):
		case <-deadline.C:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
