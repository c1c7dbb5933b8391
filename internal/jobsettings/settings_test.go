// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobsettings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
)

// parse reads settings that are written as key=value, separated by commas.
func parse(text string) map[string]string {
	values := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			values[key] = value
		}
	}
	return values
}

func TestParse(t *testing.T) {
	s, err := jobsettings.Parse(parse("parallelism.default=3,pipeline.max-parallelism=64,pipeline.name=other," +
		"execution.checkpointing.interval=10 s,execution.checkpointing.timeout=1 min," +
		"execution.checkpointing.mode=at-least-once,execution.checkpointing.min-pause=0," +
		"execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION," +
		"execution.checkpointing.dir=file:///c,state.checkpoints.dir=/old,state.savepoints.dir=s," +
		"execution.buffer-timeout.interval=5ms,pipeline.operator-chaining.enabled=false,taskmanager.exchange=tcp," +
		"pipeline.object-reuse=true"))
	if err != nil {
		t.Fatal(err)
	}
	if s.BufferTimeout != 5*time.Millisecond || s.Exchange != "tcp" || s.CheckpointDir != "/c" || s.SavepointDir != "s" {
		t.Errorf("%+v", s)
	}
	if o := s.Options(8); o.Parallelism != 3 || !o.DisableChaining {
		t.Errorf("%+v", o)
	}
	g := &graph.StreamGraph{Name: "job", Checkpoints: graph.Checkpoints{Interval: time.Hour}}
	s.Apply(g)
	want := &graph.StreamGraph{Name: "other", MaxParallelism: 64, ObjectReuse: true, Checkpoints: graph.Checkpoints{
		Interval: time.Hour, Timeout: time.Minute, AtLeastOnce: true, KeepAfterCancel: true,
	}}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("the job's own settings are to win, the others to apply: %s", diff)
	}
}

func TestRestart(t *testing.T) {
	const all = "restart-strategy.fixed-delay.attempts=7,restart-strategy.fixed-delay.delay=0," +
		"restart-strategy.failure-rate.max-failures-per-interval=2,restart-strategy.exponential-delay.max-backoff=1 d"
	for text, want := range map[string]graph.Restart{
		"":                                  {},
		all:                                 {DelayMax: 24 * time.Hour},
		"restart-strategy.type=none," + all: {Kind: graph.NoRestart},
		"restart-strategy=off":              {Kind: graph.NoRestart},
		"restart-strategy.type=fixed-delay": {Kind: graph.FixedDelay, Attempts: 1, Delay: time.Second},
		"restart-strategy.type=fixed-delay," + all: {Kind: graph.FixedDelay, Attempts: 7},
		"restart-strategy.type=failurerate," + all: {
			Kind: graph.FailureRate, Failures: 2, Interval: time.Minute, Delay: time.Second,
		},
		"restart-strategy.type=exponential-delay,restart-strategy.exponential-delay.initial-backoff=2s": {Delay: 2 * time.Second},
		"restart-strategy.exponential-delay.backoff-multiplier=1.5,restart-strategy.exponential-delay.jitter-factor=0.1": {
			Multiplier: 1.5, Jitter: 0.1,
		},
	} {
		s, err := jobsettings.Parse(parse(text))
		if err != nil || s.Restart != want {
			t.Errorf("%s: %+v, %v, want %+v", text, s.Restart, err, want)
		}
		own := graph.Restart{Kind: graph.FixedDelay, Attempts: 3}
		g := &graph.StreamGraph{Restart: own}
		if s.Apply(g); g.Restart != own {
			t.Errorf("%s: the job's own strategy became %+v", text, g.Restart)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for pair, want := range map[string]string{
		"paralelism.default=2":                                        "did you mean parallelism.default?",
		"checkpointing.interval=1s":                                   "did you mean execution.checkpointing.interval?",
		"parallelism.default=0":                                       "setting parallelism.default=0: want a number from 1",
		"execution.checkpointing.interval=ten":                        "want a time",
		"execution.checkpointing.interval=-1s":                        "want a time",
		"execution.checkpointing.interval=0":                          "want a time",
		"execution.checkpointing.mode=sometimes":                      "want EXACTLY_ONCE or AT_LEAST_ONCE",
		"execution.checkpointing.dir=s3://bucket/x":                   "want the path of a directory",
		"taskmanager.exchange=pigeon":                                 "want local, tcp or unix",
		"pipeline.operator-chaining.enabled=so":                       "want true or false",
		"restart-strategy.type=sometimes":                             "want none, fixed-delay,",
		"restart-strategy.failure-rate.delay=-1s":                     "want a time",
		"execution.checkpointing.savepoint-dir=":                      "want a value",
		"restart-strategy.fixed-delay.attempts=some":                  "want a number from 1",
		"restart-strategy.exponential-delay.backoff-multiplier=0.5":   "want a number from 1 to 1000",
		"restart-strategy.exponential-delay.jitter-factor=NaN":        "want a number from 0 to 1",
		"execution.checkpointing.num-retained=1000000000000000000000": "want a number from 1",
	} {
		if _, err := jobsettings.Parse(parse(pair)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pair, err, want)
		}
	}
	s, err := jobsettings.ParseKnown(parse("rest.port=8081,parallelism.default=2"))
	if err != nil || s.Parallelism != 2 {
		t.Errorf("unknown keys are to be ignored: %+v, %v", s, err)
	}
}
