// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

func main() {
	program.Main(run)
}

// options are the flags.
type options struct {
	rates                   []float64
	duration, warm          time.Duration
	size, slide, checkpoint time.Duration
	keys                    uint64
	parallelism             int
	checkpointDir, jsonFile string
}

func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("latency", flag.ContinueOnError)
	rates := f.String("rates", "100000,1000000", "events a second, with commas between them")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "time that each rate is held")
	f.DurationVar(&o.warm, "warm-up", 5*time.Second, "time at the start that does not count")
	f.DurationVar(&o.size, "window", time.Second, "size of the windows")
	f.DurationVar(&o.slide, "slide", 100*time.Millisecond, "time between two windows")
	f.Uint64Var(&o.keys, "keys", 10_000, "different keys")
	f.IntVar(&o.parallelism, "parallelism", 2, "subtasks of each step")
	f.DurationVar(&o.checkpoint, "checkpoint-interval", 10*time.Second, "time between checkpoints, 0 for none")
	f.StringVar(&o.jsonFile, "json", "", "file to write the figures to")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*rates, ",") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate <= 0 {
			return o, fmt.Errorf("--rates: %q is no number of events a second", text)
		}
		o.rates = append(o.rates, rate)
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	case o.keys == 0:
		return o, errors.New("--keys: want one or more")
	case o.duration <= o.warm+o.size:
		return o, fmt.Errorf("--duration %v: want more than the warm-up and a window, %v", o.duration, o.warm+o.size)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.checkpointDir, err = os.MkdirTemp("", "latency-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.checkpointDir)) }()
	fmt.Fprintf(out, "windows of %v every %v, %d keys, parallelism %d, checkpoints every %v, %v each\n\n",
		o.size, o.slide, o.keys, o.parallelism, o.checkpoint, o.duration)
	fmt.Fprintf(out, "%-12s %10s %9s %9s %9s %9s %9s %9s %7s\n", "events/s", "samples", "p50", "p90", "p99", "p99.9", "p99.99", "max", "cores")
	var all []figures
	for _, rate := range o.rates {
		h, spent, err := control(ctx, o.duration)
		if err != nil {
			return err
		}
		idle := figuresOf("control", h, spent, o.duration)
		idle.print(out)
		if h, spent, err = measure(ctx, o, rate); err != nil {
			return err
		}
		job := figuresOf(strconv.FormatFloat(rate, 'f', -1, 64), h, spent, o.duration)
		job.print(out)
		all = append(all, idle, job)
	}
	if o.jsonFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.jsonFile, append(text, '\n'), 0o644)
}

// control waits for each millisecond, and returns how late it was.
func control(ctx context.Context, d time.Duration) (*hdrhistogram.Histogram, time.Duration, error) {
	h, before := newHistogram(), program.CPUTime()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for began, due := time.Now(), time.Now(); ; {
		due = due.Add(pause)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case now := <-timer.C:
			if now.Sub(began) > d {
				return h, program.CPUTime() - before, nil
			}
			if err := record(h, time.Since(due)); err != nil {
				return nil, 0, err
			}
			if late := time.Since(due); late > pause {
				due = due.Add(late.Truncate(pause)) // what was missed was late once
			}
		}
	}
}

// measure runs the job at a rate.
func measure(ctx context.Context, o options, rate float64) (*hdrhistogram.Histogram, time.Duration, error) {
	began, all := new(start), &merged{h: newHistogram()}
	before := program.CPUTime()
	job, err := weir.Run(ctx, "latency", func(env *stream.Env) error {
		env.Parallelism(o.parallelism)
		env.Checkpoint(stream.Checkpoints{Interval: o.checkpoint, Dir: o.checkpointDir})
		env.From("feed", feed{rate: rate, duration: o.duration, keys: o.keys, start: began}).
			Watermarks(watermark.Ascending((*Event).time)).
			KeyBy((*Event).key).
			Window(window.Sliding(o.size, o.slide)).
			AggregateProcess("count", aggregate.Count[Event](),
				func(ctx *stream.WindowCtx[int64], n *int64, out *stream.Out[Result]) error {
					out.Emit(Result{ctx.Key(), *n, ctx.Window().End})
					return nil
				}).
			To("histogram", histograms{warm: o.warm, duration: o.duration, start: began, all: all})
		return nil
	}, weir.Options{})
	if err == nil {
		err = job.Wait()
	}
	return all.h, program.CPUTime() - before, err
}

// figures are the latencies of a job or of the control, in milliseconds.
type figures struct {
	Name    string  `json:"name"`
	Samples int64   `json:"samples"`
	P50     float64 `json:"p50_ms"`
	P90     float64 `json:"p90_ms"`
	P99     float64 `json:"p99_ms"`
	P999    float64 `json:"p99.9_ms"`
	P9999   float64 `json:"p99.99_ms"`
	Max     float64 `json:"max_ms"`
	// Cores is the CPU time by the time.
	Cores float64 `json:"cores"`
}

func figuresOf(name string, h *hdrhistogram.Histogram, spent, took time.Duration) figures {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / float64(time.Millisecond) }
	return figures{
		Name: name, Samples: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: float64(h.Max()) / float64(time.Millisecond), Cores: spent.Seconds() / took.Seconds(),
	}
}

func (f figures) print(w io.Writer) {
	fmt.Fprintf(w, "%-12s %10d", f.Name, f.Samples)
	for _, ms := range []float64{f.P50, f.P90, f.P99, f.P999, f.P9999, f.Max} {
		fmt.Fprintf(w, " %6.2f ms", ms)
	}
	fmt.Fprintf(w, " %7.3f\n", f.Cores)
}
