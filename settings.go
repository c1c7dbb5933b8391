// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// settings are the configuration of an embedded cluster and of its job. What the job's code sets wins over them.
type settings struct {
	parallelism, taskManagers, slots int
	maxParallelism                   int
	bufferTimeout                    time.Duration
	network                          string
	noChaining                       bool
	checkpoints                      graph.Checkpoints
}

// setting is one key: what it is for, and how its value is read.
type setting struct {
	key, usage string
	read       func(s *settings, value string) error
}

// known are the keys, Flink's where Flink has the setting.
func known() []setting {
	return []setting{
		{"parallelism.default", "subtasks of each step that sets none", func(s *settings, v string) error {
			return positive(v, &s.parallelism)
		}},
		{"pipeline.max-parallelism", "key groups of each step that sets none", func(s *settings, v string) error {
			return positive(v, &s.maxParallelism)
		}},
		{"pipeline.operator-chaining.enabled", "false gives each step a task of its own", func(s *settings, v string) error {
			on, err := strconv.ParseBool(v)
			if err != nil {
				return errors.New("want true or false")
			}
			s.noChaining = !on
			return nil
		}},
		{"taskmanager.count", "TaskManagers in the process", func(s *settings, v string) error {
			return positive(v, &s.taskManagers)
		}},
		{"taskmanager.numberOfTaskSlots", "slots of each TaskManager", func(s *settings, v string) error {
			return positive(v, &s.slots)
		}},
		{"taskmanager.exchange", "how TaskManagers reach each other: local, tcp or unix", func(s *settings, v string) error {
			if !slices.Contains([]string{"local", "tcp", "unix"}, v) {
				return errors.New("want local, tcp or unix")
			}
			s.network = v
			return nil
		}},
		{"execution.buffer-timeout.interval", "the longest that a partly filled batch waits", func(s *settings, v string) error {
			return duration(v, &s.bufferTimeout)
		}},
		{"execution.checkpointing.interval", "time between checkpoints", func(s *settings, v string) error {
			return duration(v, &s.checkpoints.Interval)
		}},
		{"execution.checkpointing.timeout", "a checkpoint that takes longer is aborted", func(s *settings, v string) error {
			return duration(v, &s.checkpoints.Timeout)
		}},
		{"execution.checkpointing.min-pause", "least time between two checkpoints", func(s *settings, v string) error {
			return duration(v, &s.checkpoints.MinPause)
		}},
		{"execution.checkpointing.max-concurrent-checkpoints", "checkpoints under way at once", func(s *settings, v string) error {
			return positive(v, &s.checkpoints.Concurrent)
		}},
		{"execution.checkpointing.tolerable-failed-checkpoints", "failures in a row that don't fail the job", func(s *settings, v string) error {
			return positive(v, &s.checkpoints.TolerableFailures)
		}},
		{"execution.checkpointing.num-retained", "completed checkpoints that are kept", func(s *settings, v string) error {
			return positive(v, &s.checkpoints.Retained)
		}},
	}
}

func positive(value string, to *int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return errors.New("want a number from 1")
	}
	*to = n
	return nil
}

// duration reads Go's syntax, and Flink's with a blank before the unit: `10 s`, `500 ms`, `1 min`.
func duration(value string, to *time.Duration) error {
	text := strings.ReplaceAll(value, " ", "")
	text = strings.TrimSuffix(text, "in") // min
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("want a time, as 500ms, 10s or 1m")
	}
	*to = d
	return nil
}

// parseSettings reads keys and values; an unknown key fails with the nearest that is known.
func parseSettings(values map[string]string) (settings, error) {
	var s settings
	all := known()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(all, func(o setting) bool { return o.key == key })
		if i < 0 {
			return s, fmt.Errorf("unknown setting %q; did you mean %s?", key, nearest(key, all))
		}
		if err := all[i].read(&s, values[key]); err != nil {
			return s, fmt.Errorf("setting %s=%s: %w", key, values[key], err)
		}
	}
	return s, nil
}

// nearest is the key with the least edit distance.
func nearest(key string, all []setting) string {
	best := slices.MinFunc(all, func(a, b setting) int { return distance(key, a.key) - distance(key, b.key) })
	return best.key
}

// distance is that of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// apply fills in what the job itself leaves open.
func (s *settings) apply(g *graph.StreamGraph) {
	fill(&g.MaxParallelism, s.maxParallelism)
	c := &g.Checkpoints
	fill(&c.Interval, s.checkpoints.Interval)
	fill(&c.Timeout, s.checkpoints.Timeout)
	fill(&c.MinPause, s.checkpoints.MinPause)
	fill(&c.Concurrent, s.checkpoints.Concurrent)
	fill(&c.TolerableFailures, s.checkpoints.TolerableFailures)
	fill(&c.Retained, s.checkpoints.Retained)
}

func fill[T comparable](to *T, value T) {
	if *to == *new(T) {
		*to = value
	}
}
