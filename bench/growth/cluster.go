// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/stream"
)

// Channels between the executors of a session cluster: this program is the job program too, so a cluster that it starts
// runs it as JobMaster and executors.

// clusterJobs are the jobs of a cluster.
func clusterJobs() map[string]weir.Build {
	return map[string]weir.Build{"mesh": func(env *stream.Env) error {
		side := env.Flag("side", 1, "subtasks of each of the two vertices")
		env.Checkpoint(stream.Checkpoints{Interval: never})
		return mesh(side, &feed{fill: numbered(someKeys)}, newTally[int64]())(env)
	}}
}

// memory is that of a TaskManager.
const memory = "8gb"

// measureCluster starts jobs of growing sides on session clusters of one TaskManager, where all channels stay in a process,
// and of two, where half of them go from one executor to the other.
func measureCluster(ctx context.Context, o *options) (err error) {
	dir, err := os.MkdirTemp("", "growth-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := processes.Build(ctx, dir, "./cmd/weir")
	if err != nil {
		return err
	}
	t := table{head: []string{"Edge", "TaskManagers", "RUNNING after", "CPU time", "Memory of executors", "a channel"}}
	for managers := 1; managers <= 2; managers++ {
		if err := meshes(ctx, o, binary, managers, &t); err != nil {
			return fmt.Errorf("%d TaskManagers: %w", managers, err)
		}
	}
	t.print(o.out, "Channels: the same on a session cluster, the program cached")
	return nil
}

// meshes starts jobs on a cluster.
func meshes(ctx context.Context, o *options, binary string, managers int, t *table) (err error) {
	slots := 0
	for _, side := range o.sides {
		slots = max(slots, (side+managers-1)/managers)
	}
	c, err := processes.Start(ctx, binary, "--taskmanagers", strconv.Itoa(managers), "--slots", strconv.Itoa(slots),
		"-D", "taskmanager.memory.process.size="+memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = c.Await(ctx, "all slots are there", func() bool {
		n, err := c.Slots(ctx)
		return err == nil && n == managers*slots
	})
	if err != nil {
		return err
	}
	program, err := c.Upload(ctx, self)
	if err != nil {
		return err
	}
	for i, side := range o.sides {
		if i == 0 { // brings the program to the TaskManagers
			if _, _, _, err := startOnCluster(ctx, c, program, side); err != nil {
				return err
			}
		}
		took, cpu, held, err := startOnCluster(ctx, c, program, side)
		if err != nil {
			return fmt.Errorf("%d x %[1]d channels: %w", side, err)
		}
		t.add(fmt.Sprintf("%d x %[1]d", side), strconv.Itoa(managers), short(took), short(cpu),
			fmt.Sprintf("%.0f MB", float64(held)/1e6), fmt.Sprintf("%d B", held/int64(side)/int64(side)))
	}
	return nil
}

// startOnCluster runs a job until all of its tasks have run, and cancels it. It returns how long that took, what all processes
// spent on it, and the memory that the executors hold for themselves.
func startOnCluster(ctx context.Context, c *processes.Cluster, program string, side int) (took, cpu time.Duration, held int64, err error) {
	before := spentBy(c)
	began := time.Now()
	id, err := c.REST.Run(ctx, program, restclient.Submission{Job: "mesh", Arguments: []string{"--side", strconv.Itoa(side)}, Parallelism: side})
	if err != nil {
		return 0, 0, 0, err
	}
	if err := c.Running(ctx, id, 2*side); err != nil {
		return 0, 0, 0, err
	}
	took, cpu = time.Since(began), spentBy(c)-before
	time.Sleep(settleTime)
	for _, pid := range c.Tree()[processes.Executor] {
		m, err := processes.MemoryOf(pid)
		if err != nil {
			return 0, 0, 0, err
		}
		held += m.Private
	}
	if err := c.Cancel(ctx, id); err != nil {
		return 0, 0, 0, err
	}
	err = c.Await(ctx, "its processes have ended", func() bool {
		all := c.Tree()
		return len(all[processes.JobMaster])+len(all[processes.Executor]) == 0
	})
	return took, cpu, held, err
}

// settleTime is how long a job is left alone before its memory is looked at.
const settleTime = 3 * time.Second

// spentBy is the CPU time of all processes of a cluster that live.
func spentBy(c *processes.Cluster) time.Duration {
	var all []int
	for _, pids := range c.Tree() {
		all = append(all, pids...)
	}
	return processes.CPU(all...)
}
