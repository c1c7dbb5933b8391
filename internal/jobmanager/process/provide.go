// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"time"
)

const (
	// provideInterval is the time between two looks at what slots are missing; after a failure it is provideRetry.
	provideInterval = 500 * time.Millisecond
	provideRetry    = 5 * time.Second
)

// provide asks the provider for the TaskManagers that are missing, gives those back that are idle, and tells which of those
// that are sought have ended.
func (j *JobManager) provide(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-j.resources.Seeking():
		}
		next := provideInterval
		if err := j.provideOnce(ctx); err != nil && ctx.Err() == nil {
			j.config.Logger.WarnContext(ctx, "TaskManagers not started or stopped", "error", err)
			next = provideRetry
		}
		if j.config.WorkersMax > 0 { // else there is nothing to look for
			timer.Reset(next)
		}
	}
}

func (j *JobManager) provideOnce(ctx context.Context) error {
	if err := j.settleSought(ctx); err != nil {
		return err
	}
	w, err := j.resources.Workers(ctx)
	if err != nil || w.Wanted == 0 && len(w.Idle) == 0 {
		return err
	}
	running, err := j.config.Provider.Running(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	registered, err := j.resources.TaskManagers(ctx)
	if err != nil {
		return err
	}
	for _, k := range registered {
		known[k.Report.GetId()] = true
	}
	wanted := w.Wanted
	for _, r := range running {
		if !known[r.ID] {
			wanted-- // on its way
		}
	}
	for range wanted {
		started, err := j.config.Provider.StartWorker(ctx, j.config.Profile)
		if err != nil {
			return err
		}
		j.config.Logger.InfoContext(ctx, "TaskManager started on demand", "task_manager", started.ID)
	}
	for _, id := range w.Idle {
		if err := j.config.Provider.StopWorker(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// settleSought asks the provider for the TaskManagers that JobMasters seek: one that has taken a job over goes on at once
// where it knows that nothing more is to be found.
func (j *JobManager) settleSought(ctx context.Context) error {
	sought, err := j.resources.Sought(ctx)
	if err != nil || len(sought) == 0 {
		return err
	}
	ended, err := j.config.Provider.Ended(ctx, sought)
	if err == nil && len(ended) > 0 {
		j.resources.Ended(ended)
	}
	return err
}
