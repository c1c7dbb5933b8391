// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command cluster measures clusters of real processes: how fast they start, what they take while nothing happens, and how
// soon they go on when a process is killed. It builds the binary and a job, starts clusters in directories of their own,
// one at a time, and prints a table of figures beside their bars for docs/internals/performance.md.
//
//	go run ./bench/cluster                         all, some minutes
//	go run ./bench/cluster -only start,idle        some of it
//	go run ./bench/cluster -nice -20               ahead of other work of the machine, by who may
//
// Processes are looked at in /proc, so it runs on Linux only. Private memory is Private_Clean and Private_Dirty of
// smaps_rollup; CPU time is that of the scheduler, of all threads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/bench/processes"
)

// bench is a run of measurements.
type bench struct {
	weir, job     string // programs
	rounds, kills int
	jobs          int
	idleTime      time.Duration
	out           io.Writer
}

func main() {
	var b bench
	only := flag.String("only", "start,submit,idle,kill100,kill1000,pace,many,place", "what to measure, separated by commas")
	nice := flag.Int("nice", 0, "nice value of all that is measured; below 0 it is ahead of the machine's other work")
	flag.IntVar(&b.rounds, "rounds", 7, "clusters that are started, and jobs that are submitted")
	flag.IntVar(&b.kills, "kills", 5, "processes that are killed for each figure")
	flag.IntVar(&b.jobs, "jobs", 100, "idle jobs that share a cluster")
	flag.DurationVar(&b.idleTime, "idle", 20*time.Second, "how long idle processes are watched")
	flag.Parse()
	b.out = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, strings.Split(*only, ","), *nice); err != nil {
		fmt.Fprintln(os.Stderr, "bench/cluster:", err)
		os.Exit(1) //nolint:gocritic // stop is for signals, of which none matters any more
	}
}

// run builds what is measured, measures, and prints the table.
func (b *bench) run(ctx context.Context, only []string, nice int) error {
	dir, err := os.MkdirTemp("", "weir-bench-programs-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is only in the way
	if b.weir, err = processes.Build(ctx, dir, "./cmd/weir"); err != nil {
		return err
	}
	if b.job, err = processes.Build(ctx, dir, "./bench/cluster/job"); err != nil {
		return err
	}
	if nice != 0 {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice); err != nil {
			return fmt.Errorf("nice %d: %w", nice, err)
		}
	}
	fmt.Fprintf(b.out, "%s, %d processors, %s; nice %d\n\n| What | Figure | Bar | Load |\n|---|---|---|---|\n",
		processes.Machine(), runtime.NumCPU(), runtime.Version(), nice)
	err = b.measure(ctx, only)
	return err
}

// measure does what is asked for, and goes on behind what can't be measured.
func (b *bench) measure(ctx context.Context, only []string) error {
	kills := func(stateMB int, bar string) func(context.Context) error {
		return func(ctx context.Context) error {
			return errors.Join(b.measureKill(ctx, processes.Executor, stateMB, bar), b.measureKill(ctx, processes.TaskManager, stateMB, bar))
		}
	}
	all := []struct {
		name string
		run  func(context.Context) error
	}{
		{"start", b.measureStart},
		{"submit", b.measureSubmit},
		{"idle", b.measureIdle},
		{"kill100", kills(100, "1 s")},
		{"kill1000", kills(1000, "3 s")},
		{"pace", b.measurePace},
		{"many", b.measureMany},
		{"place", b.measurePlace},
	}
	var failures error
	for _, m := range all {
		if !slices.Contains(only, m.name) || ctx.Err() != nil {
			continue
		}
		if err := m.run(ctx); err != nil {
			failures = errors.Join(failures, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return failures
}

// add prints a row of the table.
func (b *bench) add(what, figure, bar string) {
	fmt.Fprintf(b.out, "| %s | %s | %s | %s |\n", what, figure, bar, processes.Load())
}

// measurePlace runs the benchmark of the scheduler's core.
func (b *bench) measurePlace(ctx context.Context) error {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkPlace$", "-benchtime", "5x", "./internal/jobmanager/jobmaster/core")
	c.Env = append(os.Environ(), "GOTOOLCHAIN=auto")
	text, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "BenchmarkPlace") {
			var name, unit string
			var n, nanos, bytes, objects float64
			if _, err := fmt.Sscan(line, &name, &n, &nanos, &unit, &bytes, &unit, &objects); err != nil {
				return fmt.Errorf("result %q: %w", line, err)
			}
			b.add("10,000 x 10,000 edges placed", fmt.Sprintf("%s, %.1f MB", short(time.Duration(nanos)), bytes/(1<<20)), "500 ms, 100 MB")
			return nil
		}
	}
	return fmt.Errorf("no result:\n%s", text)
}

// series is what repeated measurements gave.
type series []time.Duration

// String gives the median, and the range around it.
func (s series) String() string {
	slices.Sort(s)
	return fmt.Sprintf("%s (%s to %s)", short(s[len(s)/2]), short(s[0]), short(s[len(s)-1]))
}

// short writes a duration in milliseconds.
func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
