// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobsettings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Option is one key, Flink's where Flink has the setting.
type Option struct {
	Key, Usage string
	// deprecated are older names of the key, which Key wins over.
	deprecated []string
	read       func(s *Settings, value string) error
}

// Options lists all keys.
func Options() []Option { return options() }

// OfJobs lists the keys that mean something wherever a job runs.
func OfJobs() []Option {
	return slices.Concat(optionsOfJob(), optionsOfCheckpoints(), optionsOfRestart())
}

// Deprecated are older names of the key.
func (o *Option) Deprecated() []string { return slices.Clone(o.deprecated) }

// Check says why a text is no value of the option.
func (o *Option) Check(value string) error { return o.read(&Settings{}, value) }

// restartTypeKey picks the restart strategy that the other keys of it are for.
const restartTypeKey = "restart-strategy.type"

func options() []Option {
	return append(OfJobs(), optionsOfCluster()...)
}

func optionsOfJob() []Option {
	return []Option{
		{"pipeline.name", "name of the job, for people", nil, func(s *Settings, v string) error {
			return text(v, &s.Name)
		}},
		{"parallelism.default", "subtasks of each step that sets none", nil, func(s *Settings, v string) error {
			return positive(v, &s.Parallelism)
		}},
		{"pipeline.max-parallelism", "key groups of each step that sets none", nil, func(s *Settings, v string) error {
			return positive(v, &s.MaxParallelism)
		}},
		{"pipeline.operator-chaining.enabled", "false gives each step a task of its own", nil, func(s *Settings, v string) error {
			var on bool
			err := truth(v, &on)
			s.NoChaining = !on
			return err
		}},
		{
			"pipeline.object-reuse", "true lets strings of records that come from another process be good during the call only", nil,
			func(s *Settings, v string) error { return truth(v, &s.ObjectReuse) },
		},
		{"execution.buffer-timeout.interval", "the longest that a partly filled batch waits", nil, func(s *Settings, v string) error {
			return duration(v, &s.BufferTimeout)
		}},
	}
}

func optionsOfCheckpoints() []Option {
	return []Option{
		{"execution.checkpointing.interval", "time between checkpoints", nil, func(s *Settings, v string) error {
			return duration(v, &s.Checkpoints.Interval)
		}},
		{"execution.checkpointing.mode", "EXACTLY_ONCE or AT_LEAST_ONCE", nil, func(s *Settings, v string) error {
			return choice(v, &s.Checkpoints.AtLeastOnce, "EXACTLY_ONCE", "AT_LEAST_ONCE")
		}},
		{"execution.checkpointing.timeout", "a checkpoint that takes longer is aborted", nil, func(s *Settings, v string) error {
			return duration(v, &s.Checkpoints.Timeout)
		}},
		{"execution.checkpointing.min-pause", "least time between two checkpoints", nil, func(s *Settings, v string) error {
			return pause(v, &s.Checkpoints.MinPause)
		}},
		{"execution.checkpointing.max-concurrent-checkpoints", "checkpoints under way at once", nil, func(s *Settings, v string) error {
			return positive(v, &s.Checkpoints.Concurrent)
		}},
		{"execution.checkpointing.tolerable-failed-checkpoints", "failures in a row that don't fail the job", nil, func(s *Settings, v string) error {
			return count(v, 0, &s.Checkpoints.TolerableFailures)
		}},
		{
			"execution.checkpointing.num-retained", "completed checkpoints that are kept",
			[]string{"state.checkpoints.num-retained"},
			func(s *Settings, v string) error { return positive(v, &s.Checkpoints.Retained) },
		},
		{
			"execution.checkpointing.externalized-checkpoint-retention",
			"what becomes of the last checkpoint of a canceled job: DELETE_ON_CANCELLATION or RETAIN_ON_CANCELLATION", nil,
			func(s *Settings, v string) error {
				if strings.EqualFold(v, "NO_EXTERNALIZED_CHECKPOINTS") { // they end with the job all the same
					v = "DELETE_ON_CANCELLATION"
				}
				return choice(v, &s.Checkpoints.KeepAfterCancel, "DELETE_ON_CANCELLATION", "RETAIN_ON_CANCELLATION")
			},
		},
		{
			"execution.checkpointing.dir", "where checkpoints go",
			[]string{"state.checkpoints.dir"},
			func(s *Settings, v string) error { return directory(v, &s.CheckpointDir) },
		},
		{
			"execution.checkpointing.savepoint-dir", "where savepoints go that name no directory",
			[]string{"state.savepoints.dir"},
			func(s *Settings, v string) error { return directory(v, &s.SavepointDir) },
		},
	}
}

func optionsOfRestart() []Option {
	return []Option{
		{
			restartTypeKey, "none, fixed-delay, failure-rate or exponential-delay",
			[]string{"restart-strategy"},
			func(s *Settings, v string) error {
				spelled := map[string]string{
					"disable": "none", "off": "none", "fixeddelay": "fixed-delay", "failurerate": "failure-rate",
					"exponentialdelay": "exponential-delay",
				}
				if canonical, ok := spelled[v]; ok {
					v = canonical
				}
				if !slices.Contains([]string{"none", "fixed-delay", "failure-rate", "exponential-delay"}, v) {
					return errors.New("want none, fixed-delay, failure-rate or exponential-delay")
				}
				s.restartType = v
				return nil
			},
		},
		{"restart-strategy.fixed-delay.attempts", "restarts before the job fails", nil, func(s *Settings, v string) error {
			return positive(v, &s.fixedDelay.Attempts)
		}},
		{"restart-strategy.fixed-delay.delay", "time before each restart", nil, func(s *Settings, v string) error {
			return delay(v, &s.fixedDelay.Delay)
		}},
		{
			"restart-strategy.failure-rate.max-failures-per-interval", "failures within the interval that the job survives", nil,
			func(s *Settings, v string) error { return positive(v, &s.failureRate.Failures) },
		},
		{
			"restart-strategy.failure-rate.failure-rate-interval", "the interval in which failures are counted", nil,
			func(s *Settings, v string) error { return duration(v, &s.failureRate.Interval) },
		},
		{"restart-strategy.failure-rate.delay", "time before each restart", nil, func(s *Settings, v string) error {
			return delay(v, &s.failureRate.Delay)
		}},
		{
			"restart-strategy.exponential-delay.initial-backoff", "time before the second restart; it grows from there", nil,
			func(s *Settings, v string) error { return duration(v, &s.exponential.Delay) },
		},
		{
			"restart-strategy.exponential-delay.backoff-multiplier", "by how much the time before a restart grows each time; 2 by default", nil,
			func(s *Settings, v string) error { return decimal(v, 1, multiplierMax, &s.exponential.Multiplier) },
		},
		{
			"restart-strategy.exponential-delay.jitter-factor",
			"share by which it is longer or shorter at random, from 0 to 1; 0 by default", nil,
			func(s *Settings, v string) error { return decimal(v, 0, 1, &s.exponential.Jitter) },
		},
		{
			"restart-strategy.exponential-delay.max-backoff", "the longest time before a restart", nil,
			func(s *Settings, v string) error { return duration(v, &s.exponential.DelayMax) },
		},
		{
			"restart-strategy.exponential-delay.reset-backoff-threshold", "quiet time after which it begins anew", nil,
			func(s *Settings, v string) error { return duration(v, &s.exponential.Reset) },
		},
	}
}

// optionsOfCluster are those of an embedded cluster; another has its own.
func optionsOfCluster() []Option {
	return []Option{
		{"taskmanager.count", "TaskManagers in the process", nil, func(s *Settings, v string) error {
			return positive(v, &s.TaskManagers)
		}},
		{"taskmanager.numberOfTaskSlots", "slots of each TaskManager", nil, func(s *Settings, v string) error {
			return positive(v, &s.Slots)
		}},
		{"taskmanager.exchange", "how TaskManagers reach each other: local, tcp or unix", nil, func(s *Settings, v string) error {
			if !slices.Contains([]string{"local", "tcp", "unix"}, v) {
				return errors.New("want local, tcp or unix")
			}
			s.Exchange = v
			return nil
		}},
	}
}

func text(value string, to *string) error {
	if value == "" {
		return errors.New("want a value")
	}
	*to = value
	return nil
}

func truth(value string, to *bool) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return errors.New("want true or false")
	}
	*to = on
	return nil
}

// directory reads a path, also one that is written as the URL of a file.
func directory(value string, to *string) error {
	path, isURL := strings.CutPrefix(value, "file://")
	if !isURL && strings.Contains(value, "://") || isURL && !strings.HasPrefix(path, "/") {
		return errors.New("want the path of a directory")
	}
	return text(path, to)
}

// choice reads one of two words, in any case; the second is true.
func choice(value string, to *bool, no, yes string) error {
	word := strings.ReplaceAll(strings.ToUpper(value), "-", "_")
	if word != no && word != yes {
		return errors.New("want " + no + " or " + yes)
	}
	*to = word == yes
	return nil
}

func positive(value string, to *int) error { return count(value, 1, to) }

func count(value string, least int, to *int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		return errors.New("want a number from " + strconv.Itoa(least))
	}
	*to = n
	return nil
}

// multiplierMax bounds what makes no sense: the second restart would come after the longest time.
const multiplierMax = 1000

func decimal(value string, least, most float64, to *float64) error {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= least && f <= most) {
		return fmt.Errorf("want a number from %v to %v", least, most)
	}
	*to = f
	return nil
}

func duration(value string, to *time.Duration) error {
	d, err := parseDuration(value)
	if err != nil || d <= 0 {
		return errors.New("want a time, as 500ms, 10s or 1m")
	}
	*to = d
	return nil
}

// pause reads a time that may be zero.
func pause(value string, to *time.Duration) error {
	d, err := parseDuration(value)
	if err != nil || d < 0 {
		return errors.New("want a time, as 0s, 500ms or 10s")
	}
	*to = d
	return nil
}

// delay reads a time whose zero differs from none given.
func delay(value string, to *time.Duration) error {
	if err := pause(value, to); err != nil {
		return err
	}
	if *to == 0 {
		*to = none
	}
	return nil
}

// units are Flink's words for what Go writes shorter.
var units = strings.NewReplacer("milliseconds", "ms", "millisecond", "ms", "seconds", "s", "second", "s", "sec", "s",
	"minutes", "m", "minute", "m", "min", "m", "hours", "h", "hour", "h")

// parseDuration reads Go's syntax, and Flink's with a blank before a unit: `10 s`, `500 ms`, `1 min`; and days.
func parseDuration(value string) (time.Duration, error) {
	text := units.Replace(strings.ReplaceAll(value, " ", ""))
	for _, unit := range []string{"days", "day", "d"} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.Atoi(number)
			return time.Duration(n) * 24 * time.Hour, err
		}
	}
	if text == "0" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

// Duration reads a time by key, and returns def where none is given or it can't be read: whoever set it was told.
func Duration(values map[string]string, key string, def time.Duration) time.Duration {
	d := def
	if err := duration(values[key], &d); err != nil {
		return def
	}
	return d
}
