// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/processes"
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
	only              []string
	records           int64
	rounds, starts    int
	subtasks, sides   []int
	panesMax          int
	keysMax, stateMax int64
	cpuProfile        string
	out               io.Writer
}

// curves are what can be measured, in this order.
var curves = []struct {
	name string
	run  func(context.Context, *options) error
}{
	{"subtasks", measureSubtasks},
	{"channels", measureChannels},
	{"cluster", measureCluster},
	{"keys", measureKeys},
	{"windows", measureWindows},
	{"rows", measureRows},
	{"state", measureState},
}

func parseOptions(args []string, out io.Writer) (options, error) {
	o := options{out: out}
	var names []string
	for _, c := range curves {
		names = append(names, c.name)
	}
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	only := f.String("only", strings.Join(names, ","), "what to measure, separated by commas")
	sides := f.String("sides", "10,100,300,1000", "subtasks of each of the two vertices, for channels")
	subtasks := f.String("subtasks", "1,2,4,8,16,32,64", "subtasks of each of the two vertices, for subtasks")
	f.Int64Var(&o.records, "records", 1<<20, "records of a round, a multiple of all numbers of subtasks")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each job; the median counts")
	f.IntVar(&o.starts, "starts", 3, "jobs that are started for each number of channels; the least of each figure counts")
	f.Int64Var(&o.keysMax, "keys", 10_000_000, "most keys; 1e8 take some 6 GB")
	f.IntVar(&o.panesMax, "panes", 1000, "most panes of a window")
	f.Int64Var(&o.stateMax, "state", 100, "most megabytes of state")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "file to write a CPU profile to")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	o.only = strings.Split(*only, ",")
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("--only: there is no curve %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	var err error
	if o.subtasks, err = numbers("subtasks", *subtasks); err != nil {
		return o, err
	}
	if o.sides, err = numbers("sides", *sides); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.starts < 1 || o.records < 1 {
		return o, errors.New("--rounds, --starts and --records: want one or more")
	}
	for _, n := range o.subtasks {
		if o.records%int64(n) != 0 {
			return o, fmt.Errorf("--records %d: want a multiple of %d subtasks", o.records, n)
		}
	}
	return o, nil
}

// numbers reads those of a flag.
func numbers(name, list string) (all []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("--%s: %q is no number of subtasks", name, text)
		}
		all = append(all, n)
	}
	return all, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	stop, err := program.Profile(o.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	fmt.Fprintf(out, "%s, %d processors, %s; load %s\n", processes.Machine(), runtime.NumCPU(), runtime.Version(), processes.Load())
	for _, c := range curves {
		if !slices.Contains(o.only, c.name) {
			continue
		}
		if err := c.run(ctx, &o); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}
