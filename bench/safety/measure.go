// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/stream"
)

// variant is one way to run a job.
type variant struct {
	name string
	// against is the name of the variant that this one is compared with; itself for the first of a group.
	against string
	build   func(seen *counts, dir string) weir.Build
	options weir.Options
	// warm is how many records pass before time is taken.
	warm int64
}

// sample is a round of a variant.
type sample struct {
	perSecond, nanos float64
	checkpoints      int64
}

// workload is how many rows are changed all the time.
type workload struct {
	name  string
	dirty int64
}

func workloads(keys int64) []workload {
	return []workload{{"all rows", keys}, {"5 % of rows", keys / 20}}
}

// checkpointVariants are the jobs with and without checkpoints, for each share of rows that is changed.
func checkpointVariants(keys int64) (all []variant) {
	for _, w := range workloads(keys) {
		base := w.name + ", no checkpoints"
		for _, interval := range []time.Duration{0, 10 * time.Second, time.Second} {
			v := variant{name: base, against: base, warm: 2 * keys}
			if interval > 0 {
				v.name = fmt.Sprintf("%s, every %v", w.name, interval)
			}
			v.build = func(seen *counts, dir string) weir.Build {
				return counting(keys, w.dirty, stream.Checkpoints{Interval: interval, Dir: dir}, seen)
			}
			all = append(all, v)
		}
	}
	return all
}

// wayVariants are the jobs with their TaskManagers.
func wayVariants() []variant {
	const base = "1 TaskManager"
	build := func(seen *counts, _ string) weir.Build { return sending(seen) }
	all := []variant{{name: base, against: base, build: build, options: weir.Options{TaskManagers: 1}}}
	for _, managers := range []int{2, 4} {
		for _, network := range []string{"tcp", "unix"} {
			for _, strings := range []string{"owned", "borrowed"} {
				all = append(all, variant{
					name: fmt.Sprintf("%d TaskManagers, %s, %s", managers, network, strings), against: base, build: build,
					options: weir.Options{TaskManagers: managers, Slots: sendingSubtasks / managers, Settings: map[string]string{
						"taskmanager.exchange":  network,
						"pipeline.object-reuse": strconv.FormatBool(strings == "borrowed"),
					}},
				})
			}
		}
	}
	return all
}

// measure runs a variant for a time.
func (v *variant) measure(ctx context.Context, duration time.Duration) (s sample, err error) {
	dir, err := os.MkdirTemp("", "safety-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var seen counts
	job, err := weir.Run(ctx, "safety", v.build(&seen, dir), v.options)
	if err != nil {
		return s, err
	}
	err = v.sample(ctx, job, &seen, duration, &s)
	if ended := job.Cancel(ctx); ended != nil {
		err = ended // what the job says of its end is the cause
	}
	return s, err
}

// sample waits until the job is warm, and then for the time that counts, or for the first record after it.
func (v *variant) sample(ctx context.Context, job *weir.Handle, seen *counts, duration time.Duration, s *sample) error {
	w := watch{ctx: ctx, job: job, seen: seen}
	if err := w.until(func() bool { return seen.rows.Load() > v.warm }); err != nil {
		return err
	}
	began, first, barriers := time.Now(), w.now(), seen.barriers.Load()
	if err := w.until(func() bool {
		return time.Since(began) >= duration && seen.rows.Load() > first.rows
	}); err != nil {
		return err
	}
	last := w.now()
	n := float64(last.rows - first.rows)
	s.perSecond = n / time.Since(began).Seconds()
	s.nanos = float64(last.cpu-first.cpu) / n
	s.checkpoints = seen.barriers.Load() - barriers
	return nil
}

// median of an odd number of values is the middle one, of an even number the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
