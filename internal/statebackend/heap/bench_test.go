// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// counter is the row of a keyed count and sum.
type counter struct{ Count, Sum int64 }

const (
	benchGroups = 128
	benchBatch  = 1024
	// benchDraws is how many keys are drawn before; a power of two.
	benchDraws = 1 << 21
	// benchTurn is how many updates one way makes before the next has its turn: few, since the machine is not as fast in one
	// second as in the next.
	benchTurn = 1 << 17
)

// draw returns keys of a range in a random order; zipf ones by rank to the power of -1.1.
func draw(n int, zipf bool) []int64 {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	ranks := rand.NewZipf(rnd, 1.1, 1, uint64(n-1))
	drawn := make([]int64, benchDraws)
	for i := range drawn {
		if zipf {
			drawn[i] = int64(ranks.Uint64() * 2654435761 % uint64(n))
		} else {
			drawn[i] = rnd.Int64N(int64(n))
		}
	}
	return drawn
}

func benchTable[K comparable](b *testing.B) (*Table[K, counter], func(*K) uint64) {
	b.Helper()
	hash, err := keys.HasherFor[K]()
	if err != nil {
		b.Fatal(err)
	}
	t, err := NewTable[K, counter](Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: benchGroups - 1}, MaxParallelism: benchGroups})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := t.Close(); err != nil {
			b.Error(err)
		}
	})
	return t, hash
}

// updateBatch hashes a batch, then looks rows up by groups.
func updateBatch[K comparable](t *Table[K, counter], hash func(*K) uint64, batch []K, hashes []uint64) {
	for i := range batch {
		hashes[i] = hash(&batch[i])
	}
	updateCarried(t, batch, hashes)
}

// updateCarried is updateBatch with hashes that came along.
func updateCarried[K comparable](t *Table[K, counter], batch []K, hashes []uint64) {
	for g := 0; g < len(batch); g += PrefetchGroup {
		group := hashes[g:min(g+PrefetchGroup, len(batch))]
		rows := t.Resolve(hashes, g, batch[g:])
		for i, h := range group {
			row := rows[i&groupMask]
			if row == nil {
				row, _ = t.Row(h, &batch[g+i])
			}
			row.Count++
			row.Sum += int64(i)
		}
	}
}

// benchUpdates measures the ways of an update in turn, in CPU time of the process, each with a table of its own, so that
// none finds in the cache what the way before it has left there. It reports the medians of all turns, and those of the
// ratios to Go's map in the same round of turns.
func benchUpdates[K comparable](b *testing.B, drawn []K, all func(yield func(K) bool)) {
	column, err := keys.ColumnHasherFor(func(k *K) K { return *k })
	if err != nil {
		b.Fatal(err)
	}
	m := map[K]counter{}
	var tables [3]*Table[K, counter]
	var hash func(*K) uint64
	for i := range tables {
		tables[i], hash = benchTable[K](b)
	}
	for k := range all {
		m[k] = counter{}
		for _, t := range tables {
			t.Row(hash(&k), &k)
		}
	}
	hashes, scratch := make([]uint64, benchDraws), make([]uint64, benchBatch)
	column(drawn, hashes)
	ways := []struct {
		name string
		run  func(from, to int)
	}{
		{"map", func(from, to int) { updateMap(m, drawn[from:to]) }},
		{"table", func(from, to int) { updateRows(tables[0], hash, drawn[from:to]) }},
		{"hash+prefetch", func(from, to int) { // as in KeyBy and the step behind it
			for i := from; i < to; i += benchBatch {
				column(drawn[i:i+benchBatch], scratch)
				updateCarried(tables[1], drawn[i:i+benchBatch], scratch)
			}
		}},
		{"prefetch", func(from, to int) { // as in the step behind KeyBy
			for i := from; i < to; i += benchBatch {
				updateCarried(tables[2], drawn[i:i+benchBatch], hashes[i:i+benchBatch])
			}
		}},
	}
	times, ratios := make([][]float64, len(ways)), make([][]float64, len(ways))
	runtime.GC()
	b.ResetTimer()
	for range b.N {
		for from := 0; from < benchDraws; from += benchTurn {
			for i, way := range ways {
				for j := from; j < from+benchTurn; j++ { // no way is to wait for what it is told to look up
					if hash(&drawn[j]) != hashes[j] {
						b.Fatalf("two hashes of %v", drawn[j])
					}
				}
				start := processTime(b)
				way.run(from, from+benchTurn)
				times[i] = append(times[i], float64(processTime(b)-start)/benchTurn)
				ratios[i] = append(ratios[i], times[0][len(times[0])-1]/times[i][len(times[i])-1])
			}
		}
	}
	for i, way := range ways {
		slices.Sort(times[i])
		slices.Sort(ratios[i])
		b.ReportMetric(times[i][len(times[i])/2], way.name+"-ns")
		if i > 0 {
			b.ReportMetric(ratios[i][len(ratios[i])/2], way.name+"-x")
		}
	}
	b.ReportMetric(float64(tables[0].Size().Bytes)/float64(len(m)), "B/key")
}

func updateMap[K comparable](m map[K]counter, drawn []K) {
	for i, k := range drawn {
		c := m[k]
		c.Count++
		c.Sum += int64(i)
		m[k] = c
	}
}

func updateRows[K comparable](t *Table[K, counter], hash func(*K) uint64, drawn []K) {
	for i := range drawn {
		k := &drawn[i]
		row, _ := t.Row(hash(k), k)
		row.Count++
		row.Sum += int64(i)
	}
}

// BenchmarkUpdate counts and sums by key, beside Go's map in the same run. Go's map hashes the key twice, to read and to
// write, as a map of values must; the ways of the table hash it once, and not at all where the hash came along.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e7} {
		if testing.Short() && n > 1e6 {
			continue
		}
		for _, zipf := range []bool{false, true} {
			b.Run(fmt.Sprintf("int64/keys=%d/zipf=%v", n, zipf), func(b *testing.B) {
				benchUpdates(b, draw(n, zipf), func(yield func(int64) bool) {
					for k := range n {
						if !yield(int64(k)) {
							return
						}
					}
				})
			})
		}
	}
	name := func(k int64) string { return fmt.Sprintf("customer-%07d", k) }
	for _, zipf := range []bool{false, true} {
		b.Run(fmt.Sprintf("string/keys=100000/zipf=%v", zipf), func(b *testing.B) {
			drawn := make([]string, benchDraws)
			for i, k := range draw(1e5, zipf) {
				drawn[i] = name(k)
			}
			benchUpdates(b, drawn, func(yield func(string) bool) {
				for k := range int64(1e5) {
					if !yield(name(k)) {
						return
					}
				}
			})
		})
	}
}

// nowhere takes blocks and keeps nothing.
type nowhere struct{ bytes int64 }

func (w *nowhere) Room() bool { return true }
func (w *nowhere) Write(b statebackend.Block) error {
	w.bytes += int64(len(b.Data))
	return nil
}

// BenchmarkSnapshot updates 1e7 rows in batches while a snapshot is taken between them. It reports how long Begin took,
// how long a batch took with the step behind it, also in CPU time of the thread, which other processes don't add to, and,
// beside it, without a snapshot; how long the snapshot took, and the throughput as a part of that without.
func BenchmarkSnapshot(b *testing.B) {
	n := int(1e7)
	if testing.Short() {
		n = 1e6
	}
	for _, zipf := range []bool{false, true} {
		t, hash := benchTable[int64](b)
		for k := range int64(n) {
			t.Row(hash(&k), &k)
		}
		drawn := draw(n, zipf)
		for _, full := range []bool{true, false} {
			b.Run(fmt.Sprintf("keys=%d/zipf=%v/full=%v", n, zipf, full), func(b *testing.B) {
				benchSnapshot(b, t, hash, drawn, full)
			})
		}
	}
}

func benchSnapshot(b *testing.B, t *Table[int64, counter], hash func(*int64) uint64, drawn []int64, full bool) {
	var hashes [benchBatch]uint64
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var waits, spent, calm []time.Duration
	var pause, during, base time.Duration
	at, batches, w := 0, 0, &nowhere{}
	next := func() {
		updateBatch(t, hash, drawn[at:at+benchBatch], hashes[:])
		at = (at + benchBatch) & (benchDraws - 1)
	}
	for round := range b.N {
		for range 4096 {
			before := time.Now()
			next()
			calm = append(calm, time.Since(before))
			base += calm[len(calm)-1]
		}
		if full {
			t.chain.forget()
		}
		id := int64(round + 1)
		start := time.Now()
		if err := t.Begin(statebackend.Checkpoint{ID: id}); err != nil {
			b.Fatal(err)
		}
		pause = max(pause, time.Since(start))
		for done := false; !done; {
			before, used := time.Now(), threadTime(b)
			next()
			var err error
			if done, err = t.Step(w, 1024); err != nil {
				b.Fatal(err)
			}
			spent = append(spent, threadTime(b)-used)
			waits = append(waits, time.Since(before))
			batches++
		}
		during += time.Since(start)
		if err := t.Completed(id); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(waits)
	slices.Sort(spent)
	slices.Sort(calm)
	b.ReportMetric(float64(spent[len(spent)*999/1000].Microseconds()), "batch-cpu-p99.9-us")
	b.ReportMetric(float64(pause.Microseconds()), "begin-max-us")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "batch-p50-us")
	b.ReportMetric(float64(waits[len(waits)*999/1000].Microseconds()), "batch-p99.9-us")
	b.ReportMetric(float64(calm[len(calm)/2].Microseconds()), "calm-p50-us")
	b.ReportMetric(float64(calm[len(calm)*999/1000].Microseconds()), "calm-p99.9-us")
	b.ReportMetric(float64(during.Milliseconds())/float64(b.N), "snapshot-ms")
	b.ReportMetric(float64(w.bytes)/float64(b.N)/1e6, "MB")
	b.ReportMetric(float64(batches)*base.Seconds()/float64(len(calm))/during.Seconds(), "throughput-ratio")
}

// threadTime is the CPU time that the thread has used.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	return clock(b, unix.CLOCK_THREAD_CPUTIME_ID)
}

// processTime is the CPU time that the process has used.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	return clock(b, unix.CLOCK_PROCESS_CPUTIME_ID)
}

func clock(b *testing.B, id int32) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkRegisterAgain registers timers that are there.
func BenchmarkRegisterAgain(b *testing.B) {
	timers, err := NewTimers[int64](Config{Name: TimersName, Groups: statebackend.KeyGroupRange{Last: benchGroups - 1}, MaxParallelism: benchGroups})
	if err != nil {
		b.Fatal(err)
	}
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		b.Fatal(err)
	}
	drawn := draw(1e5, false)
	b.ReportAllocs()
	for i := range b.N {
		k := &drawn[i&(benchDraws-1)]
		timers.Register(EventTime, *k%60*int64(time.Second), hash(k), k)
	}
}

// BenchmarkIncrement writes the increment of a table of 100 MB of keys and rows of which one in twenty is dirty: what a
// checkpoint a second costs of a core, beside the updates.
func BenchmarkIncrement(b *testing.B) {
	const n = 100_000_000 / 24
	t, hash := benchTable[int64](b)
	for k := range int64(n) {
		t.Row(hash(&k), &k)
	}
	w, spent, id := &nowhere{}, time.Duration(0), int64(0)
	step := func() {
		id++
		if err := t.Begin(statebackend.Checkpoint{ID: id}); err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			var err error
			if done, err = t.Step(w, 1024); err != nil {
				b.Fatal(err)
			}
		}
		if err := t.Completed(id); err != nil {
			b.Fatal(err)
		}
	}
	step()
	w.bytes = 0
	for range b.N {
		for k := id % 20; k < n; k += 20 {
			row, _ := t.Row(hash(&k), &k)
			row.Count++
		}
		start := time.Now()
		step()
		spent += time.Since(start)
	}
	b.ReportMetric(spent.Seconds()*1000/float64(b.N), "step-ms")
	b.ReportMetric(float64(w.bytes)/float64(b.N)/1e6, "MB")
}

// BenchmarkRestore restores a table of 100 MB of keys and rows.
func BenchmarkRestore(b *testing.B) {
	const n = 100_000_000 / 24
	t, hash := benchTable[int64](b)
	for k := range int64(n) {
		t.Row(hash(&k), &k)
	}
	m := statebackend.NewMemory(benchGroups)
	if err := m.Take(statebackend.Checkpoint{ID: 1}, 1, 0, t); err != nil {
		b.Fatal(err)
	}
	r, err := m.Reader(1, 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		restored, _ := benchTable[int64](b)
		if err := restored.Restore(r); err != nil {
			b.Fatal(err)
		}
		if restored.Size().Rows != n {
			b.Fatal("rows are lost")
		}
		if err := restored.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
