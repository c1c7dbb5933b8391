// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/internal/restclient"
)

// checkpointCounts is what measurePace reads of /jobs/ID/checkpoints.
type checkpointCounts struct {
	Counts struct {
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
	} `json:"counts"`
}

// paceRate is how many rows the job is to change in a second.
const paceRate = 200_000

// measurePace measures a job that changes all of its rows over and over, faster than most disks take them: whether its
// checkpoints complete, and how many records it takes meanwhile.
func (b *bench) measurePace(ctx context.Context) error {
	const stateMB = 1000
	return b.with(ctx, func(c *processes.Cluster) error {
		program, err := c.Upload(ctx, b.job)
		if err != nil {
			return err
		}
		keys := stateMB * 1_000_000 / rowBytes
		id, err := c.REST.Run(ctx, program, restclient.Submission{
			Arguments:   []string{"--keys", strconv.Itoa(keys), "--rate", strconv.Itoa(paceRate), "--hot-share", "1"},
			Parallelism: 2,
		})
		if err != nil {
			return err
		}
		if err := filled(ctx, c, id, int64(keys)); err != nil {
			return err
		}
		var before, after checkpointCounts
		began := time.Now()
		from, err := c.REST.Progress(ctx, id)
		if err == nil {
			err = c.REST.Get(ctx, "/jobs/"+id+"/checkpoints", &before)
		}
		if err != nil {
			return err
		}
		time.Sleep(3 * b.idleTime)
		to, err := c.REST.Progress(ctx, id)
		took := time.Since(began)
		if err == nil {
			err = c.REST.Get(ctx, "/jobs/"+id+"/checkpoints", &after)
		}
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d MB of state, of which %d MB/s are to be changed: ", stateMB, paceRate*rowBytes/1_000_000)
		b.add(what+"records a second", fmt.Sprintf("%.0f", float64(to.RecordsIn-from.RecordsIn)/took.Seconds()), "")
		b.add(what+"checkpoints", fmt.Sprintf("%d completed, %d failed in %s; the last took %d ms for %.0f MB",
			after.Counts.Completed-before.Counts.Completed, after.Counts.Failed-before.Counts.Failed, took.Round(time.Second),
			to.LastCheckpointDuration, megabytes(to.LastCheckpointBytes)), "")
		return c.Cancel(ctx, id)
	}, "--taskmanagers", "2", "--slots", "1", "-D", "taskmanager.memory.process.size="+strconv.Itoa(1024+4*stateMB)+"mb")
}
