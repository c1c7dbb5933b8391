// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
)

func (r *rig[S]) write(k int64, f func(row *S)) {
	row, _ := r.Row(r.hashOf(k), &k)
	f(row)
}

func (r *rig[S]) begin(id int64, flags element.BarrierFlags) {
	r.t.Helper()
	if err := r.Begin(statebackend.Checkpoint{ID: id, Flags: flags}); err != nil {
		r.t.Fatal(err)
	}
}

// finish writes the running snapshot to its end.
func (r *rig[S]) finish(w *statebackend.MemoryWriter) {
	r.t.Helper()
	for done := false; !done; {
		var err error
		if done, err = r.Step(w, 100); err != nil {
			r.t.Fatal(err)
		}
	}
	w.Done(r)
}

func (r *rig[S]) completed(id int64) {
	r.t.Helper()
	if err := r.Completed(id); err != nil {
		r.t.Fatal(err)
	}
}

func set(v int64) func(*int64) { return func(row *int64) { *row = v } }

// rowsOf counts the rows and tombstones of one checkpoint.
func rowsOf(w *statebackend.MemoryWriter) (rows, tombs int) {
	for _, b := range w.Blocks("rows") {
		if b.Kind == statebackend.Deleted {
			tombs += b.Rows
		} else {
			rows += b.Rows
		}
	}
	return rows, tombs
}

func TestIncrementsHoldWhatIsDirty(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	m := statebackend.NewMemory(testGroups)
	fill := func(from, to int64) {
		for k := from; k < to; k++ {
			r.write(k, set(k))
		}
	}
	take := func(id int64, flags element.BarrierFlags) (rows, tombs int, base []int64) {
		w := m.Writer(id, 1, 0)
		r.begin(id, flags)
		r.finish(w)
		rows, tombs = rowsOf(w)
		return rows, tombs, r.Base()
	}
	check := func(id int64, rows, tombs int, base []int64, wantRows, wantTombs int, wantBase ...int64) {
		t.Helper()
		if rows != wantRows || tombs != wantTombs || !slices.Equal(base, wantBase) {
			t.Errorf("checkpoint %d: %d rows, %d tombstones on %v, want %d, %d on %v", id, rows, tombs, base, wantRows, wantTombs, wantBase)
		}
	}
	fill(0, 10_000)
	rows, tombs, base := take(1, 0)
	check(1, rows, tombs, base, 10_000, 0)
	r.completed(1)

	fill(0, 10)
	rows, tombs, base = take(2, 0)
	check(2, rows, tombs, base, 10, 0, 1)
	if err := r.Aborted(2); err != nil { // rows of 2 stay dirty
		t.Fatal(err)
	}
	fill(20, 30)
	r.Delete(r.hashOf(0), new(int64(0)))
	rows, tombs, base = take(3, 0)
	check(3, rows, tombs, base, 19, 1, 1)

	fill(40, 45) // 3 is not completed yet
	rows, tombs, base = take(4, 0)
	check(4, rows, tombs, base, 24, 1, 1)
	r.completed(3)

	rows, tombs, base = take(5, element.Savepoint)
	check(5, rows, tombs, base, 9_999, 0)
	r.completed(5)
	rows, tombs, base = take(6, 0)
	check(6, rows, tombs, base, 5, 0, 1, 3)
	r.completed(6)
	rows, tombs, base = take(7, element.Full)
	check(7, rows, tombs, base, 9_999, 0)
	r.completed(7)
	rows, tombs, base = take(8, 0)
	check(8, rows, tombs, base, 0, 0, 7)
}

func TestChainsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	m := statebackend.NewMemory(testGroups)
	var lengths []int
	take := func(id int64, dirty int64) {
		for k := range dirty {
			r.write(k, set(id))
		}
		if err := m.Take(statebackend.Checkpoint{ID: id}, 1, 0, r); err != nil {
			t.Fatal(err)
		}
		r.completed(id)
		lengths = append(lengths, len(r.Base()))
	}
	take(1, 1000)
	for id := int64(2); id < 14; id++ {
		take(id, 1)
	}
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1}; !slices.Equal(lengths, want) {
		t.Errorf("lengths of chains: %v, want %v", lengths, want)
	}
	lengths = nil
	take(20, 400)
	take(21, 400) // two of these outweigh half of the base
	take(22, 1)
	if want := []int{2, 3, 0}; !slices.Equal(lengths, want) {
		t.Errorf("lengths of chains after large increments: %v, want %v", lengths, want)
	}
}

// A tombstone that a newer completed checkpoint covers is still needed by the increment that is being written on an older
// one, also if the segment is made anew meanwhile.
func TestGrowthKeepsTombstonesOfTheRunningSnapshot(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		r := newRig[int64](t)
		m := statebackend.NewMemory(testGroups)
		for k := range int64(1000) {
			r.write(k, set(k))
		}
		r.begin(1, 0)
		r.finish(m.Writer(1, 1, 0))
		r.completed(1)
		for k := range int64(100) {
			r.Delete(r.hashOf(k), &k)
		}
		r.begin(2, 0)
		r.finish(m.Writer(2, 1, 0))
		w := m.Writer(3, 1, 0)
		r.begin(3, 0)
		r.completed(2)
		if forget {
			r.chain.forget()
		}
		for k := int64(5000); k < 10_000; k++ {
			r.write(k, set(k))
		}
		r.finish(w)
		if rows, tombs := rowsOf(w); tombs != 100 || rows != 0 {
			t.Errorf("forget %v: %d rows and %d tombstones, want 0 and 100", forget, rows, tombs)
		}
		if dead := countTombs(r); dead != 0 {
			for k := int64(10_000); k < 40_000; k++ {
				r.write(k, set(k))
			}
			if dead := countTombs(r); dead != 0 {
				t.Errorf("forget %v: %d tombstones are left that nobody needs", forget, dead)
			}
		}
	}
}

func countTombs(r *rig[int64]) (dead int) {
	for i := range r.segs {
		dead += r.segs[i].dead
	}
	return dead
}

// Keys that come and go between two checkpoints must not fill the table, whether there are checkpoints or not.
func TestTombstonesAreBounded(t *testing.T) {
	t.Parallel()
	for _, checkpoints := range []bool{false, true} {
		r := newRig[int64](t)
		m := statebackend.NewMemory(testGroups)
		if checkpoints {
			r.write(-1, set(1))
			if err := m.Take(statebackend.Checkpoint{ID: 1}, 1, 0, r); err != nil {
				t.Fatal(err)
			}
			r.completed(1)
		}
		for k := range int64(200_000) {
			r.write(k, set(k))
			r.Delete(r.hashOf(k), &k)
		}
		if n := r.Size().Bytes; n > 100_000 {
			t.Errorf("checkpoints %v: %d bytes for a row or none", checkpoints, n)
		}
		if err := m.Take(statebackend.Checkpoint{ID: 2}, 1, 0, r); err != nil {
			t.Fatal(err)
		}
		if checkpoints && len(r.Base()) > 0 {
			t.Error("tombstones were dropped, so the checkpoint must be full")
		}
	}
}

// What is held back is bounded also while nobody calls Step, and declines the checkpoint only.
func TestFullReserveDeclines(t *testing.T) {
	t.Parallel()
	table, err := NewTable[int64, int64](Config{
		Name: "rows", Groups: statebackend.KeyGroupRange{Last: testGroups - 1}, MaxParallelism: testGroups, ReserveBytes: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig[int64]{table, t, 0}
	m := statebackend.NewMemory(testGroups)
	for k := range int64(10_000) {
		r.write(k, set(k))
	}
	r.begin(1, 0)
	for k := range int64(10_000) {
		r.write(k, set(-k))
		if n := r.snap.heldBytes; n > 3*10_000 {
			t.Fatalf("%d bytes are held back", n)
		}
	}
	w := m.Writer(1, 1, 0)
	w.Full = true
	if _, err := r.Step(w, 100); !errors.Is(err, ErrReserve) {
		t.Fatalf("Step: %v", err)
	}
	if err := r.Aborted(1); err != nil {
		t.Fatal(err)
	}
	w = m.Writer(2, 1, 0)
	r.begin(2, 0)
	r.finish(w)
	if rows, _ := rowsOf(w); rows != 10_000 {
		t.Errorf("the next checkpoint has %d rows", rows)
	}
}

// A table is crowded when the reserve is held back, and no more once there was room for some of it.
func TestCrowded(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	r.config.ReserveBytes = 10_000
	w := statebackend.NewMemory(testGroups).Writer(1, 1, 0)
	const rows = 10_000
	for k := range int64(rows) {
		r.write(k, set(k))
	}
	r.begin(1, 0)
	w.Full = true
	next := int64(0)
	for ; !r.Crowded(); next++ {
		if next == rows {
			t.Fatal("all rows were changed, and it is not crowded")
		}
		r.write(next, set(-1))
	}
	if n := r.snap.heldBytes; n > 10_000+r.rowBytes() {
		t.Errorf("crowded with %d bytes", n)
	}
	if done, err := r.Step(w, rows); done || err != nil || !r.Crowded() {
		t.Errorf("a step without room: done %v, %v; crowded %v", done, err, r.Crowded())
	}
	w.Full = false
	if done, err := r.Step(w, 1); done || err != nil || r.Crowded() {
		t.Errorf("a step with room: done %v, %v; crowded %v", done, err, r.Crowded())
	}
	for ; next < rows; next++ {
		r.write(next, set(-1))
		if r.Crowded() {
			if _, err := r.Step(w, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.finish(w)
	if r.Crowded() {
		t.Error("crowded without a snapshot")
	}
	if n, _ := rowsOf(w); n != rows {
		t.Errorf("%d rows", n)
	}
}

// A burst changes all rows between two steps, many times what may be held back. It goes to a writer that has room.
func TestBurst(t *testing.T) {
	t.Parallel()
	for _, room := range []bool{true, false} {
		r := newRig[int64](t)
		r.config.ReserveBytes = 10_000
		w := statebackend.NewMemory(testGroups).Writer(1, 1, 0)
		const rows = 20_000
		for k := range int64(rows) {
			r.write(k, set(k))
		}
		r.begin(1, 0)
		if _, err := r.Step(w, 1); err != nil {
			t.Fatal(err)
		}
		w.Full = !room
		most := int64(0)
		for k := range int64(rows) {
			r.write(k, set(-1))
			most = max(most, r.snap.heldBytes)
		}
		if most > 20_000+r.rowBytes() {
			t.Errorf("%d bytes were held back", most)
		}
		if !room {
			if _, err := r.Step(w, 1); !errors.Is(err, ErrReserve) {
				t.Errorf("a burst without room: %v", err)
			}
			continue
		}
		r.finish(w)
		if n, _ := rowsOf(w); n != rows {
			t.Errorf("%d rows", n)
		}
	}
}

// Blocks of large rows are not larger than a step: writers keep them in buffers of a megabyte.
func TestBlocksOfLargeRows(t *testing.T) {
	t.Parallel()
	r := newRig[[1000]byte](t)
	for k := range int64(5000) {
		r.write(k, func(row *[1000]byte) { row[0] = byte(k) })
	}
	w := statebackend.NewMemory(testGroups).Writer(1, 1, 0)
	r.begin(1, 0)
	r.finish(w)
	for _, b := range w.Blocks("rows") {
		if len(b.Data) > stepBytesMax+blockBytes {
			t.Errorf("a block of %d bytes", len(b.Data))
		}
	}
}

// Step does a bounded piece of work.
func TestStepIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	m := statebackend.NewMemory(testGroups)
	for k := range int64(20_000) {
		r.write(k, set(k))
	}
	w := m.Writer(1, 1, 0)
	r.begin(1, 0)
	before := 0
	for done := false; !done; {
		var err error
		if done, err = r.Step(w, 500); err != nil {
			t.Fatal(err)
		}
		rows, _ := rowsOf(w)
		held := 0
		for i := range r.segs {
			if b := r.segs[i].rows; b != nil {
				held += len(b.rows) + b.encodedRows
			}
		}
		if rows+held-before > 700 {
			t.Fatalf("a step of 500 rows encoded %d", rows+held-before)
		}
		before = rows + held
	}
	w = m.Writer(2, 1, 0)
	r.completed(1)
	r.begin(2, 0)
	for steps := 1; ; steps++ {
		done, err := r.Step(w, 500)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			if steps > 1 {
				t.Errorf("nothing is dirty, and it took %d steps", steps)
			}
			break
		}
	}
}

// Rows whose hashes are all equal pile up at one place, be it the last.
func TestEqualHashes(t *testing.T) {
	t.Parallel()
	for _, h := range []uint64{0, math.MaxUint64, 1 << 63} {
		r := newRig[int64](t)
		for k := range int64(3000) {
			row, isNew := r.Row(h, &k)
			if !isNew {
				t.Fatalf("hash %x: row %d is there", h, k)
			}
			*row = k
		}
		for k := range int64(3000) {
			if row := r.Lookup(h, &k); row == nil || *row != k {
				t.Fatalf("hash %x: row %d is lost", h, k)
			}
		}
		for k := range int64(3000) {
			r.Delete(h, &k)
		}
		if n := r.Size().Rows; n != 0 {
			t.Fatalf("hash %x: %d rows are left", h, n)
		}
	}
}

// tagAt is the inverse of home.
func TestTagAt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bound := uint64(rapid.IntRange(1, 1<<30).Draw(t, "cap"))
		i := rapid.IntRange(0, int(bound)+2).Draw(t, "slot")
		check := func(homes int, home func(tag uint64) int, tagAt func(i int) (uint64, bool)) {
			tag, ok := tagAt(i)
			if last := (int(bound) - 1) / homes * homes; ok != (i <= last) {
				t.Fatalf("slot %d of %d: %v", i, bound, ok)
			}
			if ok && (tag&^tagMask != 0 || home(tag)%homes != 0 || home(tag) < i || tag > 0 && home(tag-(1<<(epochBits+2))) >= i) {
				t.Fatalf("slot %d of %d: tag %x", i, bound, tag)
			}
		}
		small, large := &segment[int64, int64]{cap: bound}, &segment[int64, [4]int64]{cap: bound}
		check(2, small.home, small.tagAt)
		check(1, large.home, large.tagAt)
	})
}

func TestRenumberKeepsApartWhatMatters(t *testing.T) {
	t.Parallel()
	c := chain{clean: 10, undecided: []undecided{{id: 1, bound: 20}, {id: 2, bound: 25}}}
	mapped, cur := c.renumber()
	for _, test := range []struct{ old, want uint64 }{{0, 0}, {10, 0}, {11, 1}, {20, 1}, {21, 2}, {25, 2}, {26, 3}, {99, 3}} {
		if got := mapped(test.old); got != test.want {
			t.Errorf("epoch %d becomes %d, want %d", test.old, got, test.want)
		}
	}
	if cur != 3 || c.clean != 0 || c.undecided[0].bound != 1 || c.undecided[1].bound != 2 {
		t.Errorf("the chain became %+v, epoch %d", c, cur)
	}
}

func TestMemoryComesLateAndGoesBack(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	if n := r.Size(); n.Bytes != 0 {
		t.Errorf("an idle table has %d bytes", n.Bytes)
	}
	for k := range int64(100_000) {
		r.write(k, set(k))
	}
	n := r.Size()
	if n.Rows != 100_000 || n.Bytes < 24*n.Rows || n.Bytes > 60*n.Rows {
		t.Errorf("%d rows take %d bytes", n.Rows, n.Bytes)
	}
	if canMap := mapPages(mapBytesMin, false); (canMap != nil) != (r.OffHeapBytes() > n.Bytes/2) {
		t.Errorf("%d bytes of %d are outside the heap", r.OffHeapBytes(), n.Bytes)
	} else if canMap != nil {
		if err := unmapPages(canMap, mapBytesMin); err != nil {
			t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if r.OffHeapBytes() != 0 || r.Size().Bytes != 0 {
		t.Errorf("after Close %d bytes are left, %d outside the heap", r.Size().Bytes, r.OffHeapBytes())
	}
}

func TestStateEvolves(t *testing.T) {
	t.Parallel()
	type before struct {
		Count int32
		Name  string
		Old   int64
	}
	type after struct {
		New   bool
		Count int64
		Title string `weir:"Name"`
	}
	type broken struct{ Name int64 }
	old := newRig[before](t)
	for k := range int64(100) {
		old.write(k, func(b *before) { *b = before{int32(k), "n", 5} })
	}
	m := statebackend.NewMemory(testGroups)
	if err := m.Take(statebackend.Checkpoint{ID: 1}, 1, 0, old); err != nil {
		t.Fatal(err)
	}
	reader, err := m.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig[after](t)
	if err := r.Restore(reader); err != nil {
		t.Fatal(err)
	}
	n := 0
	for k, row := range r.All() {
		n++
		if *row != (after{Count: *k, Title: "n"}) {
			t.Fatalf("row %d became %+v", *k, row)
		}
	}
	if n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	if err := newRig[broken](t).Restore(reader); err == nil || !strings.Contains(err.Error(), "Name") {
		t.Errorf("a string restored as a number: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	ok := Config{Name: "s", MaxParallelism: 8, Groups: statebackend.KeyGroupRange{Last: 7}}
	for want, change := range map[string]func(*Config){
		"Name":           func(c *Config) { c.Name = "" },
		"MaxParallelism": func(c *Config) { c.MaxParallelism = 0 },
		"key groups":     func(c *Config) { c.Groups.Last = 8 },
		"ReserveBytes":   func(c *Config) { c.ReserveBytes = -1 },
	} {
		c := ok
		change(&c)
		if _, err := NewTable[int64, int64](c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
	if _, err := NewTable[float64, int64](ok); err == nil || !strings.Contains(err.Error(), "state s: key") {
		t.Errorf("a key of floats: %v", err)
	}
	if _, err := NewTable[int64, chan int](ok); err == nil || !strings.Contains(err.Error(), "state s") {
		t.Errorf("a state of channels: %v", err)
	}
	r := newRig[int64](t)
	r.begin(1, 0)
	if err := r.Begin(statebackend.Checkpoint{ID: 2}); err == nil {
		t.Error("two snapshots at once")
	}
}

// fixed is a Reader of given blocks.
type fixed struct {
	*statebackend.MemoryReader
	blocks []statebackend.Block
}

func (f fixed) Blocks(string) iter.Seq2[statebackend.Block, error] {
	return func(yield func(statebackend.Block, error) bool) {
		for _, b := range f.blocks {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// Corrupt blocks are errors or other rows, but never a panic.
func TestCorruptBlocks(t *testing.T) {
	t.Parallel()
	old := newRig[session](t)
	for k := range int64(50) {
		old.key = k
		old.at(k, func(s *session) { s.Visits = k; s.Pages.Append("x"); s.Name = "n" })
	}
	m := statebackend.NewMemory(testGroups)
	w := m.Writer(1, 1, 0)
	old.begin(1, 0)
	old.finish(w)
	reader, err := m.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 2000 {
		b := w.Blocks("rows")[rnd.IntN(len(w.Blocks("rows")))]
		b.Data = slices.Clone(b.Data)
		if rnd.IntN(2) == 0 {
			b.Data = b.Data[:rnd.IntN(len(b.Data))]
		} else {
			b.Data[rnd.IntN(len(b.Data))] ^= byte(1 << rnd.IntN(8))
		}
		err := newRig[session](t).Restore(fixed{reader, []statebackend.Block{b}})
		if err != nil {
			failed++
			if !errors.Is(err, codec.ErrCorrupt) && !strings.Contains(err.Error(), "version") {
				t.Fatalf("error %v is not ErrCorrupt", err)
			}
		}
	}
	if failed < 1000 {
		t.Errorf("only %d of 2000 corrupt blocks were found out", failed)
	}
}

// Checkpoints of which nobody says what became of them are taken for aborted in the end.
func TestUndecidedCheckpointsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	m := statebackend.NewMemory(testGroups)
	r.write(1, set(1))
	for id := range int64(100) {
		if err := m.Take(statebackend.Checkpoint{ID: id + 1}, 1, 0, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.chain.undecided); n != undecidedMax {
		t.Errorf("%d checkpoints are undecided", n)
	}
	r.completed(1)
	if len(r.chain.completed.ids) != 0 {
		t.Error("a checkpoint taken for aborted completed")
	}
	r.completed(99)
	if err := m.Take(statebackend.Checkpoint{ID: 200}, 1, 0, r); err != nil {
		t.Fatal(err)
	}
	if base := r.Base(); !slices.Equal(base, []int64{99}) {
		t.Errorf("base %v, want [99]", base)
	}
}

// Rows that are there, and timers that are there, cost no memory; neither does a step that finds nothing to write.
func TestHotPathAllocatesNothing(t *testing.T) {
	r := newRig[int64](t)
	const n = 20_000
	hashes := make([]uint64, n)
	for k := range int64(n) {
		r.write(k, set(k))
		hashes[k] = r.hashOf(k)
	}
	key := int64(0)
	timers, err := NewTimers[int64](r.config)
	if err != nil {
		t.Fatal(err)
	}
	timers.Register(EventTime, 5, hashes[0], &key)
	at, group := 0, [PrefetchGroup]int64{}
	allocs := testing.AllocsPerRun(100, func() {
		at = (at + PrefetchGroup) % (n - PrefetchGroup)
		for i := range group {
			group[i] = int64(at + i)
		}
		rows := r.Resolve(hashes[at:at+len(group)], 0, group[:])
		for i := range group {
			row := rows[i]
			if row == nil {
				row, _ = r.Row(hashes[at+i], &group[i])
			}
			*row++
		}
		key = 0
		timers.Register(EventTime, 5, hashes[0], &key)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// Arrays that are cut from regions are zeroed and apart, and all goes back, whatever the order.
func TestMemoryIsCutAndGivenBack(t *testing.T) {
	t.Parallel()
	if mapPages(mapBytesMin, false) == nil {
		t.Skip("nothing is mapped here")
	}
	var m memory
	var arrays [][]byte
	for size := int64(mapBytesMin); m.mapped < 3*hugeBytesMin; size = size*5/4 + 1 {
		array := unsafe.Slice((*byte)(m.cut(size)), size)
		for i, b := range array {
			if b != 0 {
				t.Fatalf("array %d: byte %d is %d", len(arrays), i, b)
			}
			array[i] = byte(len(arrays) + 1)
		}
		arrays = append(arrays, array)
	}
	for i := range arrays {
		at := i * 7 % len(arrays)
		if len(arrays)%7 == 0 {
			at = i
		}
		for j, b := range arrays[at] {
			if b != byte(at+1) {
				t.Fatalf("array %d: byte %d is %d", at, j, b)
			}
		}
		m.free(unsafe.Pointer(&arrays[at][0]))
	}
	m.leave()
	if m.mapped != 0 || len(m.arrays) != 0 || m.left != 0 || m.err != nil {
		t.Errorf("%d bytes in %d arrays, %d of a region are left: %v", m.mapped, len(m.arrays), m.left, m.err)
	}
}

// A segment grows however its rows pile up at its end, as keys do that share their hash.
func TestGrowthBehindTheLastHome(t *testing.T) {
	t.Parallel()
	for sharing := range 40 {
		table, err := NewTable[int64, int64](Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: 7}, MaxParallelism: 8})
		if err != nil {
			t.Fatal(err)
		}
		hash := func(k int64) uint64 { return uint64(k/int64(sharing+1)) * 0x9e3779b97f4a7c15 }
		for k := range int64(400) {
			row, _ := table.Row(hash(k), &k)
			*row = k
		}
		for k := range int64(400) {
			if row := table.Lookup(hash(k), &k); row == nil || *row != k {
				t.Fatalf("%d keys a hash: the row of %d is lost", sharing+1, k)
			}
		}
	}
}
