// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/stream"
)

// Whole runs differ by more than a checkpoint costs where other work shares the machine. So a checkpoint is measured beside
// the moment that follows it, in one run:
//
//	barrier            sliceTime            barrier
//	   |  with snapshot   |     without        |  ...
//
// What the records of the first half would have taken at the pace of the second is not the checkpoint's.
const (
	sliceTime     = 2 * time.Second
	sliceInterval = 2 * sliceTime
)

// slice is a part of a run.
type slice struct {
	cpu  time.Duration
	rows int64
}

// extra is the CPU time that a slice took beyond the pace of another.
func (s slice) extra(quiet slice) time.Duration {
	if quiet.rows == 0 {
		return 0
	}
	return s.cpu - time.Duration(float64(quiet.cpu)*float64(s.rows)/float64(quiet.rows))
}

// single is what one checkpoint costs.
type single struct {
	Name string `json:"name"`
	// Milliseconds are of CPU time: the median, and the quartiles around it, of Checkpoints.
	Milliseconds float64 `json:"cpu_milliseconds"`
	Lower        float64 `json:"cpu_milliseconds_lower_quartile"`
	Upper        float64 `json:"cpu_milliseconds_upper_quartile"`
	Checkpoints  int     `json:"checkpoints"`
}

// share is the part of a number of cores that such a checkpoint takes every so often, in percent.
func (s single) share(every time.Duration, cores int) float64 {
	return 100 * s.Milliseconds / float64(every.Milliseconds()) / float64(cores)
}

// singles measures a checkpoint of each workload, n times.
func singles(ctx context.Context, keys int64, n int, out io.Writer) ([]single, error) {
	var all []single
	fmt.Fprintf(out, "\n%-30s %12s %20s %22s %22s\n", "a checkpoint of", "CPU ms", "quartiles", "every 10 s, two cores", "every second")
	for _, w := range workloads(keys) {
		extras, err := slicesOf(ctx, keys, w.dirty, n)
		if err != nil {
			return nil, fmt.Errorf("checkpoints of %s: %w", w.name, err)
		}
		slices.Sort(extras)
		s := single{
			Name: w.name, Milliseconds: median(extras), Lower: extras[len(extras)/4], Upper: extras[(3*len(extras)-1)/4],
			Checkpoints: len(extras),
		}
		all = append(all, s)
		fmt.Fprintf(out, "%-30s %12.0f %20s %20.2f %% %20.2f %%\n", s.Name, s.Milliseconds, fmt.Sprintf("%.0f to %.0f", s.Lower, s.Upper),
			s.share(10*time.Second, 2), s.share(time.Second, 2))
	}
	return all, nil
}

// slicesOf runs the job until it has seen n checkpoints, and returns what each took in milliseconds of CPU time.
func slicesOf(ctx context.Context, keys, dirty int64, n int) (extras []float64, err error) {
	dir, err := os.MkdirTemp("", "safety-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var seen counts
	job, err := weir.Run(ctx, "safety", counting(keys, dirty, stream.Checkpoints{Interval: sliceInterval, Dir: dir}, &seen), weir.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, job.Cancel(ctx)) }()
	w := watch{ctx: ctx, job: job, seen: &seen}
	if err := w.until(func() bool { return seen.rows.Load() > 2*keys }); err != nil {
		return nil, err
	}
	barriers := seen.barriers.Load() + 1
	if err := w.until(func() bool { return seen.barriers.Load() > barriers }); err != nil { // one that is not the first
		return nil, err
	}
	for range n {
		began, at := time.Now(), w.now()
		barriers = seen.barriers.Load()
		if err := w.until(func() bool { return time.Since(began) >= sliceTime }); err != nil {
			return nil, err
		}
		half := w.now()
		if err := w.until(func() bool { return seen.barriers.Load() > barriers }); err != nil {
			return nil, err
		}
		end := w.now()
		with, without := slice{half.cpu - at.cpu, half.rows - at.rows}, slice{end.cpu - half.cpu, end.rows - half.rows}
		extras = append(extras, with.extra(without).Seconds()*1000)
	}
	return extras, nil
}

// watch looks at a job that runs.
type watch struct {
	ctx  context.Context //nolint:containedctx // of the call that made the watch
	job  *weir.Handle
	seen *counts
}

func (w *watch) now() slice { return slice{program.CPUTime(), w.seen.rows.Load()} }

// until waits until something holds.
func (w *watch) until(holds func() bool) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-w.job.Done():
			return errEnded
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	return nil
}

var errEnded = errors.New("the job has ended")
