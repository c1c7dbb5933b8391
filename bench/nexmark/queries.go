// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// query is one of the benchmark.
type query struct {
	name string
	// job describes the query between the source and a sink that counts what it gets.
	job func(g *Generator, s settings, rows *counter) weir.Build
	// hand does the same work in one loop and returns how many rows come out; nil where there is none.
	hand func(g *Generator) int64
	// flinkPerCore is what Flink does, in events per CPU-second; zero where that is not known.
	flinkPerCore float64
}

// settings are those of a job.
type settings struct {
	parallelism        int
	checkpointInterval time.Duration
	// checkpointDir is for checkpoints, and for what a job writes beside them.
	checkpointDir string
	// lingers tells that a job does not end behind the last event.
	lingers bool
}

// way is how TaskManagers of an embedded job reach each other, and whom strings of records belong to that went through a
// socket. The zero way is one TaskManager.
type way struct {
	taskManagers int
	exchange     string
	objectReuse  bool
}

func (w way) options() weir.Options {
	values := map[string]string{}
	if w.exchange != "" {
		values["taskmanager.exchange"] = w.exchange
	}
	if w.objectReuse {
		values[objectReuse] = "true"
	}
	return weir.Options{TaskManagers: w.taskManagers, Settings: values}
}

// objectReuse is the setting that lends strings.
const objectReuse = "pipeline.object-reuse"

func (s settings) apply(env *stream.Env) {
	env.Parallelism(s.parallelism)
	env.Checkpoint(stream.Checkpoints{Interval: s.checkpointInterval, Dir: s.checkpointDir})
}

// queries are all that there are, in order.
//
// The figures of Flink are of version 2.3.0 on two virtual cores of an AMD EPYC with 24 GB: a session cluster with one
// TaskManager of two slots, parallelism 2, HashMap state backend, exactly-once checkpoints every ten seconds, SQL with
// mini-batches of two seconds; 10,000,000 events at 100,000 a second of event time, sent as fast as they go. Per core is by
// CPU-second of the TaskManager while its tasks run, with the warm-up of the JIT and without the start of the process. The
// rates of q7, q9, q16 and q20 are of the first 100 seconds.
func queries() []query {
	return []query{
		queryOf("q0", 201_000, q0, handQ0),
		queryOf("q1", 233_000, q1, handQ1),
		queryOf("q2", 249_000, q2, handQ2),
		queryOf("q3", 192_000, q3, handQ3),
		queryOf("q4", 65_000, q4, handQ4),
		queryOf("q5", 127_000, q5, handQ5),
		queryOf("q6", 0, q6, handQ6),
		queryOf("q7", 32_000, q7, handQ7),
		queryOf("q8", 146_000, q8, handQ8),
		queryOf("q9", 39_000, q9, handQ9),
		logQuery(),
		queryOf("q11", 154_000, q11, handQ11),
		queryOf("q12", 134_000, q12, nil),
		queryOf("q13", 0, q13, handQ13),
		queryOf("q14", 202_000, q14, handQ14),
		queryOf("q15", 66_000, q15, handQ15),
		queryOf("q16", 18_000, q16, handQ16),
		queryOf("q17", 112_000, q17, handQ17),
		queryOf("q18", 82_000, q18, handQ18),
		queryOf("q19", 54_000, q19, handQ19),
		queryOf("q20", 49_000, q20, handQ20),
		queryOf("q21", 108_000, q21, handQ21),
		queryOf("q22", 195_000, q22, handQ22),
		queryOf("q23", 0, q23, handQ23),
	}
}

// queryNamed finds a query.
func queryNamed(name string) (query, bool) {
	all := queries()
	i := slices.IndexFunc(all, func(q query) bool { return q.name == name })
	if i < 0 {
		return query{}, false
	}
	return all[i], true
}

//go:noinline
func queryOf[T any](
	name string, flinkPerCore float64, q func(stream.Stream[Event]) stream.Stream[T], hand func(*Generator) int64,
) query {
	return query{name: name, hand: hand, flinkPerCore: flinkPerCore, job: func(g *Generator, s settings, rows *counter) weir.Build {
		return func(env *stream.Env) error {
			s.apply(env)
			q(eventsOf(env, Source{g, s.lingers})).To("out", blackhole[T]{rows})
			return nil
		}
	}}
}

// eventsUID is the uid of the source.
const eventsUID = "events"

// eventsOf reads the events, with watermarks as far behind as the benchmark has them.
func eventsOf(env *stream.Env, s Source) stream.Stream[Event] {
	return env.From(eventsUID, s).Watermarks(watermark.BoundedOutOfOrderness(watermarkDelay, (*Event).time))
}
