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
	"slices"
	"time"

	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/bench/program"
)

func main() {
	program.Main(run)
}

// options are the flags.
type options struct {
	only              string
	rounds, singles   int
	duration, wayTime time.Duration
	keys              int64
	jsonFile          string
	checkpoints, ways bool
}

func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("safety", flag.ContinueOnError)
	f.StringVar(&o.only, "only", "", "checkpoints or ways; both unless it is set")
	f.IntVar(&o.rounds, "rounds", 3, "runs of each variant")
	f.IntVar(&o.singles, "singles", 20, "checkpoints that are measured one by one, for each number of rows")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "time of each run with checkpoints")
	f.DurationVar(&o.wayTime, "way-duration", 5*time.Second, "time of each run over a way")
	f.Int64Var(&o.keys, "keys", 1_000_000, "rows of the job with checkpoints")
	f.StringVar(&o.jsonFile, "json", "", "file to write the figures to")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.checkpoints, o.ways = o.only != "ways", o.only != "checkpoints"
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	case o.only != "" && o.checkpoints && o.ways:
		return o, fmt.Errorf("--only %s: want checkpoints or ways", o.only)
	case o.rounds < 0 || o.singles < 0 || o.keys < 20:
		return o, errors.New("--rounds, --singles and --keys: want zero or more, and 20 keys or more")
	case o.duration <= 0 || o.wayTime <= 0:
		return o, errors.New("--duration and --way-duration: want a time")
	}
	return o, nil
}

// report is what is written to a file.
type report struct {
	Singles []single  `json:"singles,omitempty"`
	Runs    []figures `json:"runs,omitempty"`
}

// figures are those of a variant.
type figures struct {
	Name string `json:"name"`
	// PerSecond are records, by the clock; Nanos are of CPU time for a record. Both are medians of the rounds.
	PerSecond float64 `json:"records_per_second"`
	Nanos     float64 `json:"cpu_nanoseconds_per_record"`
	// More is how much more CPU time a record takes than what it is compared with: the median of the ratios of the rounds,
	// less one, with the least and the greatest.
	More  float64 `json:"more"`
	Least float64 `json:"more_least"`
	Most  float64 `json:"more_most"`
	// Checkpoints is how many were completed in all rounds.
	Checkpoints int64 `json:"checkpoints"`
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	var all report
	if o.checkpoints && o.singles > 0 {
		fmt.Fprintf(out, "%d rows, %d checkpoints one by one, load average %s\n", o.keys, o.singles, processes.Load())
		if all.Singles, err = singles(ctx, o.keys, o.singles, out); err != nil {
			return err
		}
	}
	if o.checkpoints && o.rounds > 0 {
		fmt.Fprintf(out, "\n%d rows, %d rounds of %v, load average %s\n\n", o.keys, o.rounds, o.duration, processes.Load())
		rows, err := compare(ctx, checkpointVariants(o.keys), o.rounds, o.duration, out)
		if err != nil {
			return err
		}
		all.Runs = rows
	}
	if o.ways && o.rounds > 0 {
		fmt.Fprintf(out, "\nways: %d rounds of %v, load average %s\n\n", o.rounds, o.wayTime, processes.Load())
		rows, err := compare(ctx, wayVariants(), o.rounds, o.wayTime, out)
		if err != nil {
			return err
		}
		all.Runs = append(all.Runs, rows...)
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

// compare runs all variants round by round, and prints what came of it.
func compare(ctx context.Context, variants []variant, rounds int, duration time.Duration, out io.Writer) ([]figures, error) {
	samples := map[string][]sample{}
	for range rounds {
		for i := range variants {
			v := &variants[i]
			s, err := v.measure(ctx, duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			samples[v.name] = append(samples[v.name], s)
		}
	}
	var all []figures
	fmt.Fprintf(out, "%-30s %13s %13s %24s %12s\n", "", "records/s", "CPU ns/record", "more CPU time", "checkpoints")
	for _, v := range variants {
		f := figuresOf(v.name, samples[v.name], samples[v.against])
		all = append(all, f)
		more := "-"
		if v.name != v.against {
			more = fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*f.More, 100*f.Least, 100*f.Most)
		}
		fmt.Fprintf(out, "%-30s %13.0f %13.1f %24s %12d\n", f.Name, f.PerSecond, f.Nanos, more, f.Checkpoints)
	}
	return all, nil
}

// figuresOf compares the rounds of a variant with those of another, each with the one of the same round.
func figuresOf(name string, rounds, against []sample) figures {
	f := figures{Name: name}
	var rates, nanos, more []float64
	for i, s := range rounds {
		rates, nanos = append(rates, s.perSecond), append(nanos, s.nanos)
		more = append(more, s.nanos/against[i].nanos-1)
		f.Checkpoints += s.checkpoints
	}
	f.PerSecond, f.Nanos, f.More = median(rates), median(nanos), median(more)
	f.Least, f.Most = slices.Min(more), slices.Max(more)
	return f
}
