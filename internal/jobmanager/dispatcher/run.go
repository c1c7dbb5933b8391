// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

// closeTimeout bounds what is done in the run of a job that no JobMaster can lead.
const closeTimeout = 10 * time.Second

// closeRun records in the run of a job that it has failed, where a JobMaster has begun one: nobody goes on with it by
// accident, and a JobMaster that is on its way yet is deposed. A run that has ended before keeps its result.
func (j *job) closeRun(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	var failures error
	for _, dir := range j.checkpointDirs() {
		run, err := storage.NewStore(storage.Files(storage.OS(), dir)).Run(ctx, j.record.ID)
		if errors.Is(err, storage.ErrNoRun) {
			continue
		}
		if err == nil {
			err = fail(ctx, run, j.d.config.Holder, text)
		}
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("record in %s that job %s has failed: %w", dir, j.record.ID, err))
		}
	}
	return failures
}

// checkpointDirs are the directories that may have the run: that of the cluster, and those which the program has named.
func (j *job) checkpointDirs() []string {
	var dirs []string
	for _, dir := range append([]string{j.record.CheckpointDir}, j.described.GetDirectories()...) {
		if dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func fail(ctx context.Context, run *storage.Run, holder, text string) error {
	if res, err := run.Result(ctx); err != nil || res != nil {
		return err
	}
	l, err := run.Acquire(ctx, holder)
	if err != nil {
		return err
	}
	return l.WriteResult(ctx, storage.Result{Status: stateFailed, Error: text, Ended: time.Now().UTC()})
}
