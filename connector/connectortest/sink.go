// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/connector"
)

// SinkConfig describes a sink under test.
type SinkConfig[T, W, C any] struct {
	// New makes the sink and a place of its own for it to write to. It is called once for each scenario, within its
	// bubble.
	New func(t *testing.T) Place[T, W, C]
	// Row makes the i-th of an endless row of records, all different.
	Row func(i int) T
	// Key identifies a record; the default formats it.
	Key func(in *T) string
}

// Place is a sink and what it writes to.
type Place[T, W, C any] struct {
	Sink connector.Sink[T, W, C]
	// Visible returns the records that a reader of the results sees now, in any order.
	Visible func() []T
	// Destroy removes all that is written and not visible, as a disk that was replaced would. It is nil where nothing
	// outside the committables can be lost.
	Destroy func()
}

// Sink checks that what is visible is exactly what was committed, whatever fails between any two steps. A sink without
// a committer is held to at least once: whatever was written before a checkpoint is visible.
func Sink[T, W, C any](t *testing.T, c SinkConfig[T, W, C]) {
	t.Helper()
	if c.Key == nil {
		c.Key = keyOf[T]
	}
	scenario := func(name string, f func(r *sinkRun[T, W, C])) { c.run(t, name, f) }
	scenario("written, prepared, committed", func(r *sinkRun[T, W, C]) {
		r.write(10)
		r.check("before the barrier")
		r.prepare()
		r.check("before the checkpoint completed")
		r.complete()
		r.commit(1)
		r.end()
	})
	for _, p := range [][2]int{{1, 1}, {1, 3}, {2, 3}, {3, 1}, {3, 2}} {
		for step, crash := range crashes[T, W, C]() {
			scenario(fmt.Sprintf("crash %s, from %d to %d", step, p[0], p[1]), func(r *sinkRun[T, W, C]) {
				r.rescale(p[0])
				r.write(7)
				r.checkpoint()
				r.write(9)
				crash(r)
				r.crash(p[1])
				r.check("after the restore")
				r.write(4)
				r.end()
			})
		}
	}
	scenario("committed twice", func(r *sinkRun[T, W, C]) {
		r.write(5)
		r.prepare()
		r.complete()
		r.commit(1)
		r.commit(1)
		r.end()
	})
	scenario("a checkpoint fails, the next commits for both", func(r *sinkRun[T, W, C]) {
		r.write(5)
		r.prepare()
		r.abort()
		r.write(5)
		r.checkpoint()
		r.check("after the second")
		r.end()
	})
	scenario("nothing to commit", func(r *sinkRun[T, W, C]) {
		r.checkpoint()
		r.crash(2)
		r.checkpoint()
		r.write(1)
		r.checkpoint()
		r.checkpoint()
		r.end()
	})
	scenario("the pending data is lost", (*sinkRun[T, W, C]).losePending)
	for seed := range uint64(40) {
		scenario(fmt.Sprintf("random walk, seed %d", seed), func(r *sinkRun[T, W, C]) {
			r.walk(rand.New(rand.NewPCG(seed, 1)))
			r.end()
		})
	}
}

// run runs a scenario in a bubble.
func (c SinkConfig[T, W, C]) run(t *testing.T, name string, f func(r *sinkRun[T, W, C])) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := c.start(t)
			f(r)
			r.close()
		})
	})
}

// crashes are the moments of a checkpoint at which all may end.
func crashes[T, W, C any]() map[string]func(r *sinkRun[T, W, C]) {
	type run = *sinkRun[T, W, C]
	return map[string]func(r run){
		"before prepareCommit":             func(run) {},
		"after prepareCommit":              func(r run) { r.prepare() },
		"after the checkpoint failed":      func(r run) { r.prepare(); r.abort(); r.write(2) },
		"after the checkpoint completed":   func(r run) { r.prepare(); r.complete() },
		"within the commit":                func(r run) { r.prepare(); r.complete(); r.commit(0.5) },
		"after the commit":                 func(r run) { r.prepare(); r.complete(); r.commit(1) },
		"after the commit and more writes": func(r run) { r.prepare(); r.complete(); r.commit(1); r.write(3) },
	}
}

// losePending checks that data that exists nowhere any more is no success.
func (r *sinkRun[T, W, C]) losePending() {
	if r.place.Destroy == nil || r.committer == nil {
		return
	}
	r.write(5)
	r.prepare()
	r.complete()
	r.place.Destroy()
	err := r.committer.Commit(r.t.Context(), r.last.committables)
	if !errors.Is(err, connector.ErrPermanent) {
		r.t.Errorf("commit of lost data: %v, want one that wraps ErrPermanent", err)
	}
	r.check("after the failed commit")
}

// walk does steps at random, in an order that an engine may do them.
func (r *sinkRun[T, W, C]) walk(random *rand.Rand) {
	for range 40 {
		switch random.IntN(8) {
		case 0, 1, 2:
			r.write(random.IntN(6))
		case 3:
			r.checkpoint()
		case 4:
			r.prepare()
			r.abort()
		case 5:
			r.prepare()
			r.complete()
			r.commit(random.Float64())
			if random.IntN(2) == 0 {
				r.commit(1)
			}
		case 6:
			r.crash(1 + random.IntN(4))
		case 7:
			r.prepare()
			r.crash(1 + random.IntN(4))
		}
		r.check("in the walk")
		if r.t.Failed() {
			return
		}
	}
}
