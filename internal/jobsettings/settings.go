// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package jobsettings is the configuration of one job by key: what an operator sets with -D or in the configuration of a
// cluster, and what a job's own code leaves open.
//
//	keys and values --Parse--> Settings --Apply--> what the StreamGraph leaves open
//
// A job program embedded in itself refuses keys that it does not know; a process that a cluster started ignores them,
// for the cluster has validated them and has keys of its own.
//
// Invariant: what the job's code sets wins. Code can't set a field to its zero value, so zero stands for what it leaves
// open.
package jobsettings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// Settings are the configuration of a job, and of the embedded cluster that it may run on. Zero is what is not set.
type Settings struct {
	// Name replaces the name of the job.
	Name                        string
	Parallelism, MaxParallelism int
	BufferTimeout               time.Duration
	NoChaining, ObjectReuse     bool
	// Checkpoints are without a Dir: CheckpointDir has it, for whoever runs the job knows what it is relative to.
	Checkpoints                 graph.Checkpoints
	CheckpointDir, SavepointDir string
	Restart                     graph.Restart
	// TaskManagers, Slots and Exchange are those of an embedded cluster.
	TaskManagers, Slots int
	Exchange            string
	// The strategies of restart that sub-keys describe; Type picks one.
	restartType                          string
	fixedDelay, failureRate, exponential graph.Restart
}

// Parse reads keys and values; an unknown key fails with the nearest that is known.
func Parse(values map[string]string) (Settings, error) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !known(key) {
			return Settings{}, fmt.Errorf("unknown setting %q; did you mean %s?", key, nearest(key))
		}
	}
	return ParseKnown(values)
}

// ParseKnown is Parse that ignores unknown keys.
func ParseKnown(values map[string]string) (Settings, error) {
	var s Settings
	for _, o := range options() {
		for _, key := range slices.Backward(append([]string{o.Key}, o.deprecated...)) { // the last that is read wins
			value, given := values[key]
			if !given {
				continue
			}
			if err := o.read(&s, value); err != nil {
				return s, fmt.Errorf("setting %s=%s: %w", key, value, err)
			}
		}
	}
	s.settleRestart()
	return s, nil
}

// Defaults of the restart strategies that have no default of their own in graph, as Flink has them.
const (
	defaultAttempts = 1
	defaultFailures = 1
	defaultInterval = time.Minute
	defaultDelay    = time.Second
)

// settleRestart makes the strategy that the keys describe. Those of strategies that are not picked are without effect.
func (s *Settings) settleRestart() {
	switch s.restartType {
	case "none":
		s.Restart = graph.Restart{Kind: graph.NoRestart}
	case "fixed-delay":
		s.Restart = s.fixedDelay
		s.Restart.Kind = graph.FixedDelay
		s.Restart.Attempts = cmp.Or(s.Restart.Attempts, defaultAttempts)
		s.Restart.Delay = delayOr(s.Restart.Delay)
	case "failure-rate":
		s.Restart = s.failureRate
		s.Restart.Kind = graph.FailureRate
		s.Restart.Failures = cmp.Or(s.Restart.Failures, defaultFailures)
		s.Restart.Interval = cmp.Or(s.Restart.Interval, defaultInterval)
		s.Restart.Delay = delayOr(s.Restart.Delay)
	default:
		s.Restart = s.exponential
	}
}

// none is a delay of zero that was asked for, told apart from none that was.
const none = time.Duration(-1)

func delayOr(d time.Duration) time.Duration {
	if d == none {
		return 0
	}
	return cmp.Or(d, defaultDelay)
}

// Apply fills in what the job itself leaves open. It is to be called before the graph is built.
func (s *Settings) Apply(g *graph.StreamGraph) {
	g.Name = cmp.Or(s.Name, g.Name)
	fill(&g.MaxParallelism, s.MaxParallelism)
	fill(&g.Restart, s.Restart)
	fill(&g.ObjectReuse, s.ObjectReuse)
	c := &g.Checkpoints
	fill(&c.Interval, s.Checkpoints.Interval)
	fill(&c.Timeout, s.Checkpoints.Timeout)
	fill(&c.MinPause, s.Checkpoints.MinPause)
	fill(&c.Concurrent, s.Checkpoints.Concurrent)
	fill(&c.TolerableFailures, s.Checkpoints.TolerableFailures)
	fill(&c.Retained, s.Checkpoints.Retained)
	fill(&c.AtLeastOnce, s.Checkpoints.AtLeastOnce)
	fill(&c.KeepAfterCancel, s.Checkpoints.KeepAfterCancel)
}

// Options completes what is needed to build the graph, where neither job nor settings say how parallel it is.
func (s *Settings) Options(parallelism int) graph.Options {
	return graph.Options{Parallelism: cmp.Or(s.Parallelism, parallelism), DisableChaining: s.NoChaining}
}

func fill[T comparable](to *T, value T) {
	if *to == *new(T) {
		*to = value
	}
}
