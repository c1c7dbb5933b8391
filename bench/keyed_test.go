// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/stream"
)

// click is a record with a key.
type click[K comparable] struct {
	User K
	Page int64
}

// counter is the state of a key.
type counter struct{ N, Last int64 }

// countOf is the user's function of the engine and of the loop.
//
//go:noinline
func countOf[K comparable](st *counter, _ *stream.Ctx[K], in *click[K], out *stream.Out[int64]) error {
	st.N++
	st.Last = in.Page
	out.Emit(st.N)
	return nil
}

//go:noinline
func userID(in *click[int64]) int64 { return in.User }

//go:noinline
func userName(in *click[string]) string { return in.User }

//go:noinline
func value(in *int64) int64 { return *in }

// scramble deals out numbers below n, uniformly and without order.
func scramble(i, n int64) int64 {
	x := uint64(i) * 0x9E3779B97F4A7C15
	x = (x ^ x>>32) * 0xD6E8FEB86659FD93
	hi, _ := bits.Mul64(x^x>>32, uint64(n))
	return int64(hi)
}

func clicksOf(users int64) func(int64, *click[int64]) {
	return func(i int64, out *click[int64]) { out.User, out.Page = scramble(i, users), i }
}

func namedClicksOf(users int64) func(int64, *click[string]) {
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user-%07d", i)
	}
	return func(i int64, out *click[string]) { out.User, out.Page = names[scramble(i, users)], i }
}

// BenchmarkKeyedCount is KeyBy and a running count, from memory: two tasks with the exchange between them, beside loops
// over the same table and over Go's map.
func BenchmarkKeyedCount(b *testing.B) {
	b.Run("int64/1e5", func(b *testing.B) { benchKeyedCount(b, clicksOf(1e5), userID, 1<<20, 1) })
	b.Run("int64/1e7", func(b *testing.B) { benchKeyedCount(b, clicksOf(1e7), userID, 1<<20, 20) })
	b.Run("string/1e5", func(b *testing.B) { benchKeyedCount(b, namedClicksOf(1e5), userName, 1<<20, 1) })
}

// benchKeyedCount runs fills rounds more at the beginning, so that nearly all keys are there.
func benchKeyedCount[K comparable](
	b *testing.B, fill func(int64, *click[K]), key func(*click[K]) K, records int64, fills int,
) {
	job := start(b, newFeed(fill), newTally(value), weir.Options{},
		func(env *stream.Env, in feed[click[K]], out *tally[int64]) {
			env.From("clicks", in).KeyBy(key).Process("count", countOf[K]).To("out", out)
		})
	loop := newKeyedLoop(b, fill, key)
	perRound := []*side{
		{name: "engine", run: func() { job.round(records, records) }},
		{name: "loop", run: func() { loop.round(records) }},
		{name: "gomap", run: func() { loop.goMap(records) }},
	}
	for range fills {
		for _, s := range perRound {
			s.run()
		}
	}
	compare(b, records, perRound...)
	job.stop()
	if loop.sum != job.out.sum || loop.mapSum != job.out.sum {
		b.Errorf("sums: engine %d, loop %d, map %d", job.out.sum, loop.sum, loop.mapSum)
	}
}

// keyedLoop does the same by hand.
type keyedLoop[K comparable] struct {
	b      *testing.B
	fill   func(int64, *click[K])
	key    func(*click[K]) K
	hash   func(*K) uint64
	count  func(*counter, *stream.Ctx[K], *click[K], *stream.Out[int64]) error
	of     func(*int64) int64
	table  *heap.Table[K, counter]
	counts map[K]counter
	rows   []click[K]
	hashes []uint64
	out    *stream.Out[int64]
	keys   []K
	// i and at are the next numbers of the two loops.
	i, sum     int64
	at, mapSum int64
}

func newKeyedLoop[K comparable](b *testing.B, fill func(int64, *click[K]), key func(*click[K]) K) *keyedLoop[K] {
	b.Helper()
	hash, err := keys.HasherFor[K]()
	if err != nil {
		b.Fatal(err)
	}
	table, err := heap.NewTable[K, counter](heap.Config{
		Name: "state", Groups: statebackend.KeyGroupsOf(128, 1, 0), MaxParallelism: 128,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := table.Close(); err != nil {
			b.Error(err)
		}
	})
	rows := element.RowsFor[click[K]](1)
	l := &keyedLoop[K]{
		b: b, fill: fill, key: key, hash: hash, count: countOf[K], of: value, table: table, counts: map[K]counter{},
		rows: make([]click[K], rows), hashes: make([]uint64, rows), keys: make([]K, rows),
	}
	l.out = element.NewOut(element.RowsFor[int64](1), func(out *element.Batch[int64]) error {
		results := out.Rows()
		for i := range results {
			l.sum += l.of(&results[i])
		}
		return nil
	})
	return l
}

// round looks rows up in the table of the engine.
func (l *keyedLoop[K]) round(records int64) {
	fill, key, hash, count, table := l.fill, l.key, l.hash, l.count, l.table
	for records > 0 {
		n := min(records, int64(len(l.rows)))
		rows, hashes := l.rows[:n], l.hashes[:n]
		for i := range rows {
			fill(l.i, &rows[i])
			l.i++
		}
		for i := range rows {
			l.keys[i] = key(&rows[i])
			hashes[i] = hash(&l.keys[i])
		}
		for at := 0; at < len(rows); at += heap.PrefetchGroup {
			keys := l.keys[at:min(at+heap.PrefetchGroup, len(rows))]
			found := table.Resolve(hashes, at, keys)
			for i := range keys {
				row := found[i%heap.PrefetchGroup]
				if row == nil {
					row, _ = table.Row(hashes[at+i], &keys[i])
				}
				if err := count(row, nil, &rows[at+i], l.out); err != nil {
					l.b.Fatal(err)
				}
			}
		}
		if err := l.out.Flush(); err != nil {
			l.b.Fatal(err)
		}
		records -= n
	}
}

// goMap counts in a map of Go's, without the calls of user code that the others make.
func (l *keyedLoop[K]) goMap(records int64) {
	fill, counts := l.fill, l.counts
	for records > 0 {
		n := min(records, int64(len(l.rows)))
		rows := l.rows[:n]
		for i := range rows {
			fill(l.at, &rows[i])
			l.at++
		}
		for i := range rows {
			c := counts[rows[i].User]
			c.N++
			c.Last = rows[i].Page
			counts[rows[i].User] = c
			l.mapSum += c.N
		}
		records -= n
	}
}
