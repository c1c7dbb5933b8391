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
	checkpointDir      string
}

// queries are all that there are, in order.
//
// The figures of Flink are of version 2.3.0 on two virtual cores of an AMD EPYC with 24 GB: a session cluster with one
// TaskManager of two slots, parallelism 2, HashMap state backend, exactly-once checkpoints every ten seconds, SQL with
// mini-batches of two seconds; 10,000,000 events at 100,000 a second of event time, sent as fast as they go. Per core is by
// CPU-second of the TaskManager while its tasks run, with the warm-up of the JIT and without the start of the process.
func queries() []query {
	return []query{
		queryOf("q0", 201_000, q0, handQ0),
		queryOf("q1", 233_000, q1, handQ1),
		queryOf("q2", 249_000, q2, handQ2),
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

func queryOf[T any](
	name string, flinkPerCore float64, q func(stream.Stream[Event]) stream.Stream[T], hand func(*Generator) int64,
) query {
	return query{name: name, hand: hand, flinkPerCore: flinkPerCore, job: func(g *Generator, s settings, rows *counter) weir.Build {
		return func(env *stream.Env) error {
			env.Parallelism(s.parallelism)
			env.Checkpoint(stream.Checkpoints{Interval: s.checkpointInterval, Dir: s.checkpointDir})
			q(eventsOf(env, g)).To("out", blackhole[T]{rows})
			return nil
		}
	}}
}

// eventsOf reads the events, with watermarks as far behind as the benchmark has them.
func eventsOf(env *stream.Env, g *Generator) stream.Stream[Event] {
	return env.From("events", Source{g}).Watermarks(watermark.BoundedOutOfOrderness(watermarkDelay, (*Event).time))
}
