// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// click is a record of 16 bytes.
type click struct {
	user int64 `weir:"user"`
	page int64 `weir:"page"`
}

//go:noinline
func user(c *click) int64 { return c.user }

// counter is a state of 16 bytes.
type counter struct{ N, Last int64 }

// countClick is the user's function of both the engine and the loop.
//
//go:noinline
func countClick(st *counter, _ *clickContext, in *click, out *element.Out[int64]) error {
	st.N++
	st.Last = in.page
	if st.N == 1 {
		out.Emit(in.user)
	}
	return nil
}

// clicks makes batches of clicks with the hashes of their users.
func clicks(tb testing.TB, users, batches int) []*element.Batch[click] {
	tb.Helper()
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []*element.Batch[click]
	for range batches {
		b := element.NewBatch[click](1024)
		var hashes []uint64
		for range 1024 {
			c := b.AppendNanos(1)
			c.user = random.Int64N(int64(users))
			hashes = append(hashes, hash(&c.user))
		}
		b.SetHashes(hashes)
		all = append(all, b)
	}
	return all
}

type clickContext struct{ *operator.KeyedContext[int64] }

func countSteps(tb testing.TB) map[string]operator.Step {
	tb.Helper()
	process, err := operator.KeyedProcess(user,
		func(c *operator.KeyedContext[int64]) *clickContext { return &clickContext{c} },
		func() operator.KeyedFuncs[counter, click, int64, clickContext] {
			return operator.KeyedFuncs[counter, click, int64, clickContext]{Process: countClick}
		})
	if err != nil {
		tb.Fatal(err)
	}
	roll, err := operator.Aggregate(user, aggregate.Count[click]())
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]operator.Step{"process": process, "aggregate": roll}
}

func BenchmarkKeyedCount(b *testing.B) {
	for _, users := range []int{1_000, 100_000} {
		batches := clicks(b, users, 512)
		for name, step := range countSteps(b) {
			b.Run(fmt.Sprintf("%s/%d", name, users), func(b *testing.B) {
				in := chain[click](b, operator.PortOf[int64](&drop[int64]{}), step)
				benchmark(b, batches, in.Process)
			})
		}
		b.Run(fmt.Sprintf("loop/%d", users), func(b *testing.B) {
			table, err := heap.NewTable[int64, counter](heap.Config{
				Name: "state", Groups: statebackend.KeyGroupsOf(128, 1, 0), MaxParallelism: 128,
			})
			if err != nil {
				b.Fatal(err)
			}
			key, f := user, countClick
			out := element.NewOut(1024, func(*element.Batch[int64]) error { return nil })
			var group [heap.PrefetchGroup]int64
			benchmark(b, batches, func(batch *element.Batch[click]) error {
				rows, hashes := batch.Rows(), batch.Hashes()
				for at := 0; at < len(rows); at += heap.PrefetchGroup {
					part := rows[at:min(at+heap.PrefetchGroup, len(rows))]
					for i := range part {
						group[i] = key(&part[i])
					}
					found := table.Resolve(hashes, at, group[:len(part)])
					for i := range part {
						st := found[i]
						if st == nil {
							st, _ = table.Row(hashes[at+i], &group[i])
						}
						if err := f(st, nil, &part[i], out); err != nil {
							return err
						}
					}
				}
				return out.Flush()
			})
		})
	}
}

func benchmark(b *testing.B, batches []*element.Batch[click], process func(*element.Batch[click]) error) {
	for _, batch := range batches { // fill the table
		batch.Hold()
		if err := process(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if err := process(batches[i%len(batches)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/rec")
	for _, batch := range batches {
		batch.Release()
	}
}

func TestKeyedStepsAllocateNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	batches := clicks(t, 1000, 8)
	for name, step := range countSteps(t) {
		in := chain[click](t, operator.PortOf[int64](&drop[int64]{}), step)
		run := func() {
			for _, b := range batches {
				if err := in.Process(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		run()
		if got := testing.AllocsPerRun(20, run); got != 0 {
			t.Errorf("%s: %v allocations in 8 batches", name, got)
		}
	}
}
