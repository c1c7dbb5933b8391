// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// UID names a stateful step for good: its state is found by it after the program changed.
type UID string

// Env collects the steps of one job. It is used by one goroutine, until build returns.
type Env struct {
	graph *graph.StreamGraph
	dir   string
	// absolute tells that paths which depend on dir are refused.
	absolute bool
	flags    flagSet
	// uses says which step has a uid.
	uses map[UID]string
	// replaced are the connectors that a test puts in place of others.
	replaced map[UID]*replacement
	// unmarked are the sources, by node, that no Watermarks has been called on: func(*watermark.Strategy[T]).
	unmarked map[int]any
	errs     []error
}

// Setup is what a runtime hands to Describe.
type Setup struct {
	Name string
	// Args are the arguments of the job: --name=value, --name value, or --name for a bool.
	Args []string
	// Dir is the directory that relative paths of connectors begin at; that of the process where it is empty.
	Dir string
	// RejectRelativePaths makes relative paths of connectors errors.
	RejectRelativePaths bool
	// Reserved are the arguments that the runtime itself takes, without dashes; a flag of that name is an error.
	Reserved []string
	// Replace are connectors to put in place of others, for tests.
	Replace []Replacement
}

// Describe runs build and returns the graph that it described. It is for runtimes: a job program calls weir.Main or
// weir.Run, which call it. The graph comes with the error too, as far as it was described, so that --help can list its
// flags.
func Describe(s Setup, build func(*Env) error) (*graph.StreamGraph, error) {
	e := &Env{
		graph:    &graph.StreamGraph{Name: s.Name},
		dir:      s.Dir,
		absolute: s.RejectRelativePaths,
		uses:     map[UID]string{},
		replaced: map[UID]*replacement{},
		unmarked: map[int]any{},
	}
	if err := e.flags.parse(s.Args, s.Reserved); err != nil {
		e.errs = append(e.errs, err)
	}
	for _, r := range s.Replace {
		e.replaced[r.uid] = &replacement{Replacement: r}
	}
	if err := e.call(build); err != nil {
		e.errs = append(e.errs, err)
	}
	e.finish()
	return e.graph, errors.Join(e.errs...)
}

// call turns a panic of build into an error, for a runtime inside a service must survive it.
func (e *Env) call(build func(*Env) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("build of job %q panicked: %v\n%s", e.graph.Name, r, stack())
		}
	}()
	return build(e)
}

// finish checks what can be seen only when all is described.
func (e *Env) finish() {
	e.graph.Flags = e.flags.asked
	if err := e.flags.unknown(); err != nil {
		e.errs = append(e.errs, err)
	}
	for _, uid := range slices.Sorted(maps.Keys(e.replaced)) {
		if !e.replaced[uid].used {
			e.fail("replace %q: the job has no source or sink of that uid and record type", uid)
		}
	}
	if len(e.graph.Nodes) == 0 && len(e.errs) == 0 {
		e.fail("job %q describes no steps", e.graph.Name)
	}
	e.checkTime()
	used := make([]bool, len(e.graph.Nodes))
	for _, edge := range e.graph.Edges {
		used[edge.From] = true
	}
	for _, n := range e.graph.Nodes {
		if n.Sink == nil && !used[n.ID] && n.Inputs == 0 && len(e.errs) == 0 {
			e.fail("source %q is not read by any step", n.Name)
		}
	}
}

// fail records what is wrong, to be reported when build returns.
func (e *Env) fail(format string, args ...any) { e.errs = append(e.errs, fmt.Errorf(format, args...)) }

// claim checks and takes the uid of a step.
func (e *Env) claim(uid UID, verb string) {
	switch by, taken := e.uses[uid]; {
	case uid == "":
		e.fail("%s: the uid is empty; give the step a name of its own by which its state is found", verb)
	case taken:
		e.fail("%s %q: the uid is taken by %s; each stateful step, source and sink needs its own", verb, uid, by)
	default:
		e.uses[uid] = verb
	}
}

// Parallelism is that of steps which don't set their own.
func (e *Env) Parallelism(n int) {
	if n < 1 {
		e.fail("parallelism of the job is %d; it is at least 1", n)
	}
	e.graph.Parallelism = n
}

// MaxParallelism is the number of key groups, fixed for the life of the state.
func (e *Env) MaxParallelism(n int) {
	if n < 1 {
		e.fail("max parallelism of the job is %d; it is at least 1", n)
	}
	e.graph.MaxParallelism = n
}

// Checkpoints are the settings of checkpoints; the zero value of a field is the default given.
type Checkpoints struct {
	Interval          time.Duration // 0: none but the final one, and savepoints
	Timeout           time.Duration // 10 min
	MinPause          time.Duration // 0
	Concurrent        int           // 1
	TolerableFailures int           // 0
	Retained          int           // 1
	AtLeastOnce       bool          // exactly once
	KeepAfterCancel   bool          // deleted
	Dir               string        // that of the cluster
}

// Checkpoint switches checkpoints on.
func (e *Env) Checkpoint(c Checkpoints) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Interval", int64(c.Interval)},
		{"Timeout", int64(c.Timeout)},
		{"MinPause", int64(c.MinPause)},
		{"Concurrent", int64(c.Concurrent)},
		{"TolerableFailures", int64(c.TolerableFailures)},
		{"Retained", int64(c.Retained)},
	} {
		if f.value < 0 {
			e.fail("checkpoints: %s is negative", f.name)
		}
	}
	e.graph.Checkpoints = graph.Checkpoints{
		Interval: c.Interval, Timeout: c.Timeout, MinPause: c.MinPause, Concurrent: c.Concurrent,
		TolerableFailures: c.TolerableFailures, Retained: c.Retained, AtLeastOnce: c.AtLeastOnce,
		KeepAfterCancel: c.KeepAfterCancel, Dir: c.Dir,
	}
}

// Restart is a restart strategy: what happens after a failure.
type Restart struct{ r graph.Restart }

// NoRestart fails the job at once.
func NoRestart() Restart { return Restart{graph.Restart{Kind: graph.NoRestart}} }

// FixedDelay restarts up to n times, each after delay.
func FixedDelay(n int, delay time.Duration) Restart {
	return Restart{graph.Restart{Kind: graph.FixedDelay, Attempts: n, Delay: delay}}
}

// FailureRate restarts after delay, and gives up after more than n failures within d.
func FailureRate(n int, d, delay time.Duration) Restart {
	return Restart{graph.Restart{Kind: graph.FailureRate, Failures: n, Interval: d, Delay: delay}}
}

// ExponentialDelay restarts at once, then after 1 s, then ever later up to limit. It is the default, with a limit of a
// minute.
func ExponentialDelay(limit time.Duration) Restart {
	return Restart{graph.Restart{Kind: graph.ExponentialDelay, DelayMax: limit}}
}

// Restart sets what happens after a failure; exponential delay is the default.
func (e *Env) Restart(r Restart) { e.graph.Restart = r.r }
