// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// recordsPerChannel is how many records go by a channel in the mean, so that few are left out.
const recordsPerChannel = 8

// heartbeatTimeout is that of jobs which run embedded.
const heartbeatTimeout = time.Minute

// startPatience bounds how long a job may take until all of its tasks run.
const startPatience = 5 * time.Minute

// mesh describes a job of two vertices with a channel from each subtask of the first to each of the second.
func mesh(side int, in *feed, out *tally[int64]) func(*stream.Env) error {
	return func(env *stream.Env) error {
		env.Parallelism(side)
		env.From("records", in).KeyBy(keyOf).Process("count", count).To("out", out)
		return nil
	}
}

// started is what it took until all tasks ran, and what they hold while they are idle.
type started struct {
	took, cpu time.Duration
	// heap is that of live objects, resident what the process has of the machine's memory; both beyond what was there before.
	// used is resident memory once records went by all channels.
	heap, resident, used int64
}

// measureChannels starts jobs of growing sides on embedded clusters, one after the other.
func measureChannels(ctx context.Context, o *options) error {
	t := table{head: []string{"Edge", "Channels", "RUNNING after", "CPU time", "CPU a channel", "Heap a channel", "Resident a channel", "Once used"}}
	for _, side := range o.sides {
		var all []started
		for range o.starts {
			s, err := startMesh(ctx, side)
			if err != nil {
				return fmt.Errorf("%d x %[1]d channels: %w", side, err)
			}
			all = append(all, s)
		}
		n := int64(side) * int64(side)
		least := all[0]
		for _, s := range all[1:] { // memory is what is least: the rest was somebody else's garbage
			least = started{min(least.took, s.took), min(least.cpu, s.cpu), min(least.heap, s.heap), min(least.resident, s.resident), min(least.used, s.used)}
		}
		t.add(fmt.Sprintf("%d x %[1]d", side), strconv.FormatInt(n, 10), short(least.took), short(least.cpu),
			fmt.Sprintf("%.2f µs", float64(least.cpu.Nanoseconds())/1e3/float64(n)),
			fmt.Sprintf("%d B", least.heap/n), fmt.Sprintf("%d B", least.resident/n), fmt.Sprintf("%d B", least.used/n))
	}
	t.print(o.out, "Channels: two vertices with a channel from each subtask to each, on an embedded cluster")
	return nil
}

// startMesh starts a job and waits until it is idle.
func startMesh(ctx context.Context, side int) (s started, err error) {
	in, out := &feed{fill: numbered(1 << 20)}, newTally[int64]()
	sg, err := stream.Describe(stream.Setup{Name: "mesh"}, mesh(side, in, out))
	if err != nil {
		return s, err
	}
	heap, resident := settled()
	began, cpu := time.Now(), program.CPUTime()
	g, err := graph.Build(sg, graph.Options{Parallelism: side})
	if err != nil {
		return s, err
	}
	k, err := embedded.Start(embedded.Config{SlotsPerTaskManager: side, HeartbeatTimeout: heartbeatTimeout})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	job, err := k.Submit(ctx, g, embedded.RunOptions{})
	if err != nil {
		return s, err
	}
	if err := allRun(ctx, job); err != nil {
		return s, err
	}
	s.took, s.cpu = time.Since(began), program.CPUTime()-cpu
	h, r := settled()
	s.heap, s.resident = h-heap, r-resident
	rows := int64(recordsPerChannel * side)
	out.wanted.Store(rows * int64(side))
	in.release(rows)
	select {
	case <-out.done:
	case <-ctx.Done():
		return s, context.Cause(ctx)
	}
	_, r = settled()
	s.used = r - resident
	runtime.KeepAlive(g)
	job.Cancel()
	_, err = job.Wait(ctx)
	return s, err
}

// allRun waits until all tasks of a job are RUNNING.
func allRun(ctx context.Context, job *embedded.Job) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		d, err := job.Status(ctx)
		if err != nil {
			return err
		}
		if d.Status.Ended() {
			return fmt.Errorf("the job is %v", d.Status)
		}
		if running(&d) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func running(d *core.JobDetails) bool {
	for _, v := range d.Vertices {
		for i := range v.Subtasks {
			if v.Subtasks[i].State != core.Running {
				return false
			}
		}
	}
	return true
}

// settled collects garbage and returns the heap and the resident memory of the process.
func settled() (heap, resident int64) {
	for range 2 { // what finalizers let go goes with the second
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), program.ResidentBytes()
}
