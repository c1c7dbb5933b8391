// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/flink"
	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/internal/process"
)

func main() {
	if os.Getenv(process.EnvRole) != "" { // a cluster has started this process
		weir.MainJobs(clusterJobs())
	}
	program.Main(run)
}

// options are the flags.
type options struct {
	queries []query
	config  Config
	settings
	hand, borrowed, cluster, state bool
	taskManagers                   int
	engine, flinkHome              string
	check                          bool
	// flinkVersion is that of flinkHome.
	flinkVersion string
	json         string
	cpuProfile   string
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("nexmark", flag.ContinueOnError)
	names := f.String("queries", "all", "queries to run, with commas between them")
	f.Int64Var(&o.config.Events, "events", 1_000_000, "events to generate")
	f.Int64Var(&o.config.EventsPerSecond, "tps", 100_000, "events in a second of event time")
	f.Int64Var(&o.config.OutOfOrder, "out-of-order", 1, "events in a row that are shuffled")
	f.Uint64Var(&o.config.Seed, "seed", 1, "picks the sequence of events")
	f.IntVar(&o.parallelism, "parallelism", 2, "subtasks of each step")
	f.DurationVar(&o.checkpointInterval, "checkpoint-interval", 10*time.Second, "time between checkpoints, 0 for none")
	f.BoolVar(&o.state, "state", true, "run the jobs once more for the size of their state and the time of a checkpoint behind all events")
	f.BoolVar(&o.hand, "hand", false, "run the hand-written loops too")
	f.BoolVar(&o.borrowed, "borrowed", false, "run the jobs also with records that go through sockets, with and without "+objectReuse)
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "file to write a CPU profile to, of jobs and loops")
	f.BoolVar(&o.cluster, "cluster", false, "run the jobs on a session cluster of real processes")
	f.IntVar(&o.taskManagers, "taskmanagers", 2, "TaskManagers of that cluster, and of the jobs of --borrowed")
	f.StringVar(&o.engine, "engine", engineWeir, "what runs the queries: "+engineWeir+", or "+engineFlink+" too, beside it")
	f.StringVar(&o.flinkHome, "flink-home", "", "directory of a distribution of Flink, for --engine "+engineFlink)
	f.BoolVar(&o.check, "check", false, "with --engine "+engineFlink+": instead of measuring, compare what both compute; ends with 1 if they differ")
	f.StringVar(&o.json, "json", "", "file to write the figures to")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if o.taskManagers < 1 || o.parallelism < 1 {
		return o, errors.New("--taskmanagers and --parallelism: want one or more")
	}
	if err := o.checkEngine(); err != nil {
		return o, err
	}
	return o, o.pick(*names)
}

// The engines.
const (
	engineWeir  = "weir"
	engineFlink = "flink"
)

func (o *options) checkEngine() error {
	switch {
	case o.engine != engineWeir && o.engine != engineFlink:
		return fmt.Errorf("--engine %s: want %s or %s", o.engine, engineWeir, engineFlink)
	case o.engine == engineWeir && o.flinkHome != "":
		return fmt.Errorf("--flink-home is for --engine %s", engineFlink)
	case o.engine == engineFlink && o.flinkHome == "":
		return fmt.Errorf("--engine %s needs --flink-home: the directory of a distribution of Flink", engineFlink)
	case o.check && o.engine != engineFlink:
		return fmt.Errorf("--check needs --engine %s: it compares the answers", engineFlink)
	case o.check && (o.hand || o.borrowed || o.cluster || o.json != ""):
		return errors.New("--check measures nothing: leave out --hand, --borrowed, --cluster and --json")
	}
	return nil
}

// pick finds the queries by name.
func (o *options) pick(names string) error {
	if names == "all" {
		o.queries = queries()
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		q, ok := queryNamed(name)
		if !ok {
			var known []string
			for _, q := range queries() {
				known = append(known, q.name)
			}
			return fmt.Errorf("there is no query %q; there are %s", name, strings.Join(known, ", "))
		}
		o.queries = append(o.queries, q)
	}
	return nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	g, err := NewGenerator(o.config)
	if err != nil {
		return err
	}
	if o.checkpointDir, err = os.MkdirTemp("", "nexmark-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.checkpointDir)) }()
	stop, err := program.Profile(o.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var jobs runner = embedded{g, o.settings}
	if o.cluster {
		s, err := startSession(ctx, o.checkpointDir, &o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Stop()) }()
		jobs = s
	}
	beside := func(query) (*flink.Spent, error) { return nil, nil }
	if o.engine == engineFlink {
		home, err := flink.Open(o.flinkHome)
		if err != nil {
			return err
		}
		e, err := startFlink(ctx, home, filepath.Join(o.checkpointDir, "flink"), g, &o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Stop()) }()
		if o.check {
			return e.check(ctx, out, g, &o)
		}
		beside = func(q query) (*flink.Spent, error) { return e.measure(ctx, q) }
		o.flinkVersion = home.Version
	}
	r := newReport(ctx, &o)
	r.printHead(out)
	for _, q := range o.queries {
		figures, err := measure(ctx, g, q, jobs, &o)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		if figures.Flink, err = beside(q); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		figures.compare(g.Events)
		r.Queries = append(r.Queries, figures)
		r.printRow(out, &figures)
	}
	if o.json != "" {
		return r.write(o.json)
	}
	return nil
}

// runner runs the jobs of queries.
type runner interface {
	// run runs a job to its end, and tells what it took.
	run(ctx context.Context, q query, w way) (spent, error)
	// checkpoint runs a job until it has read all events, takes a checkpoint, and ends it.
	checkpoint(ctx context.Context, q query) (held, error)
}

// measure runs a job, and then what was asked for beside it.
func measure(ctx context.Context, g *Generator, q query, jobs runner, o *options) (figures, error) {
	took, err := jobs.run(ctx, q, way{})
	if err != nil {
		return figures{}, err
	}
	f := figures{Query: q.name, Job: took, FlinkPerCore: q.flinkPerCore}
	if o.hand && q.hand != nil {
		hand := spend(func() int64 { return q.hand(g) })
		f.Hand = &hand
	}
	if o.state {
		state, err := jobs.checkpoint(ctx, q)
		if err != nil {
			return f, fmt.Errorf("checkpoint behind all events: %w", err)
		}
		f.State = &state
	}
	if o.borrowed {
		sockets := way{taskManagers: o.taskManagers, exchange: "unix"}
		owned, err := jobs.run(ctx, q, sockets)
		if err != nil {
			return f, fmt.Errorf("with sockets: %w", err)
		}
		sockets.objectReuse = true
		borrowed, err := jobs.run(ctx, q, sockets)
		if err != nil {
			return f, fmt.Errorf("with sockets and %s: %w", objectReuse, err)
		}
		f.Owned, f.Borrowed = &owned, &borrowed
	}
	return f, nil
}
