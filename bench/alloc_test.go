// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/stream"
)

// TestSteadyPipelineAllocatesLittle counts what a whole job allocates for each batch, handed from task to task on its way:
// far less than an object, which is what the heartbeats of the cluster make meanwhile.
func TestSteadyPipelineAllocatesLittle(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	job := start(t, newFeed(clicksOf(1000)), newTally(value), weir.Options{},
		func(env *stream.Env, in feed[click[int64]], out *tally[int64]) {
			env.From("clicks", in).Filter(known).KeyBy(userID).Process("count", countOf[int64]).To("out", out)
		})
	const batches = 256
	records := int64(batches * element.RowsFor[click[int64]](1))
	round := func() { job.round(records, records) }
	for range 4 { // until all batches of the pools are there
		round()
	}
	if n := testing.AllocsPerRun(10, round); n >= batches {
		t.Errorf("%v objects in %d batches", n, batches)
	}
	job.stop()
}

//go:noinline
func known(in *click[int64]) bool { return in.User >= 0 }
