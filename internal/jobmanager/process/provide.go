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

// provide asks the provider for the TaskManagers that are missing, and gives those back that are idle.
func (j *JobManager) provide(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := provideInterval
		if err := j.provideOnce(ctx); err != nil && ctx.Err() == nil {
			j.config.Logger.WarnContext(ctx, "TaskManagers not started or stopped", "error", err)
			next = provideRetry
		}
		timer.Reset(next)
	}
}

func (j *JobManager) provideOnce(ctx context.Context) error {
	w, err := j.resources.Workers(ctx)
	if err != nil {
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
