// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

func TestSlicing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Slicing{Size: rapid.Int64Range(1, 20).Draw(t, "size"), Slide: rapid.Int64Range(1, 12).Draw(t, "slide")}
		s.Shift = rapid.Int64Range(0, s.Slide-1).Draw(t, "shift")
		at := rapid.Int64Range(-60, 60).Draw(t, "at")
		var starts []int64 // of the windows that have at, by going over all
		cuts := map[int64]bool{}
		for k := int64(-200); k <= 200; k++ {
			start := k*s.Slide + s.Shift
			if start <= at && at < start+s.Size {
				starts = append(starts, start)
			}
			cuts[start], cuts[start+s.Size] = true, true
		}
		start, end, covered := s.Slice(at)
		if !cuts[start] || !cuts[end] || at < start || at >= end || covered != (len(starts) > 0) {
			t.Fatalf("slice of %d is [%d, %d), covered: %v; windows start at %d", at, start, end, covered, starts)
		}
		for c := start + 1; c < end; c++ {
			if cuts[c] {
				t.Fatalf("slice of %d is [%d, %d), but windows are cut at %d", at, start, end, c)
			}
		}
		if !covered {
			return
		}
		first, last := s.FirstEnd(start), s.LastEnd(start)
		if first != starts[0]+s.Size || last != starts[len(starts)-1]+s.Size || s.Start(first) != starts[0] {
			t.Fatalf("windows of %d end from %d to %d, but start at %d", at, first, last, starts)
		}
	})
}

func TestSlicingAtTheEndsOfTime(t *testing.T) {
	s := Slicing{Size: 10, Slide: 5, Lateness: math.MaxInt64}
	for _, at := range []int64{math.MinInt64, math.MinInt64 + 9, math.MaxInt64 - 9, math.MaxInt64} {
		if s.Contains(at) {
			t.Errorf("%d is contained", at)
		}
	}
	if !s.Contains(math.MaxInt64-15) || !s.Contains(0) || s.Gone(5, math.MaxInt64-1) || !s.Gone(5, math.MaxInt64) {
		t.Error("not contained, or gone too soon")
	}
	if s.FirstEnd(math.MaxInt64-1) != math.MaxInt64 || s.Start(math.MinInt64+3) != math.MinInt64 {
		t.Error("not held to the range")
	}
}

const columnsGroups = 4

func newStrings(t rapid.TB, groups statebackend.KeyGroupRange, s Slicing) *Columns[int, string] {
	c, err := NewColumns[int](ColumnsConfig[string]{
		Config:  Config{Name: "windows", Groups: groups, MaxParallelism: columnsGroups, Seed: 3},
		Slicing: s, Merge: func(acc, from *string) { *acc += *from },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cellOf is a key in a slice.
type cellOf struct {
	slice int64
	key   int
}

// columnsModel is Columns as a map, whose cells are texts that grow.
type columnsModel struct {
	slicing   Slicing
	cells     map[cellOf]string
	watermark int64
	fired     int64 // the start of the window that is next
	added     int

	hash    func(*int) uint64
	columns *Columns[int, string]
	store   *statebackend.Memory

	checkpoint int64
	writer     *statebackend.MemoryWriter
	frozen     map[cellOf]string
	frozenAt   int64
}

func (m *columnsModel) window(from int64) map[int]string {
	out := map[int]string{}
	order := slices.SortedFunc(maps.Keys(m.cells), func(a, b cellOf) int { return int(a.slice - b.slice) })
	for _, c := range order {
		if c.slice >= from && c.slice < from+m.slicing.Size {
			out[c.key] += m.cells[c]
		}
	}
	return out
}

func (m *columnsModel) id(key int) uint32 {
	var ids [1]uint32
	m.columns.IDs([]int{key}, []uint64{m.hash(&key)}, ids[:])
	return ids[0]
}

// addAll adds a record for each key, by one look-up of all.
func (m *columnsModel) addAll(t *rapid.T) {
	n := rapid.IntRange(1, 100).Draw(t, "records")
	var list []int
	var hashes []uint64
	wide := rapid.SampledFrom([]int{3, 40, 2000}).Draw(t, "of keys")
	for range n {
		k := rapid.IntRange(0, wide).Draw(t, "key")
		list, hashes = append(list, k), append(hashes, m.hash(&k))
	}
	ids := make([]uint32, n)
	m.columns.IDs(list, hashes, ids)
	at := m.watermark + 1 + rapid.Int64Range(-m.slicing.Size, 3*m.slicing.Slide).Draw(t, "at")
	start, _, covered := m.slicing.Slice(at)
	if !covered || m.slicing.Gone(m.slicing.LastEnd(start), m.watermark) {
		return
	}
	slice := m.columns.Slice(start)
	for i := 0; i < n; i += PrefetchGroup {
		var found [PrefetchGroup]*string
		part := ids[i:min(n, i+PrefetchGroup)]
		m.columns.Resolve(slice, part, &found)
		for j, id := range part {
			cell := found[j]
			if cell == nil {
				cell = m.columns.Cell(slice, id)
			}
			m.added++
			text := fmt.Sprint(m.added, " ")
			*cell += text
			m.cells[cellOf{start, list[i+j]}] += text
			m.columns.Changed(id, start)
		}
	}
}

// fire compares the next window and removes what no window needs.
func (m *columnsModel) fire(t *rapid.T) {
	leap := rapid.SampledFrom([]int64{1, 1, 1, 2, 9}).Draw(t, "slides")
	for range leap {
		want, got := m.window(m.fired), map[int]string{}
		err := m.columns.Fold(m.fired, m.fired+m.slicing.Size, func(id uint32, acc *string) error {
			key, h := m.columns.Key(id)
			if _, twice := got[*key]; twice || h != m.hash(key) {
				t.Fatalf("key %d twice, or with a hash of another", *key)
			}
			got[*key] = *acc
			*acc = "it is the callee's"
			return nil
		})
		if err != nil || !maps.Equal(want, got) {
			t.Fatalf("window at %d: got %v, %v, want %v", m.fired, got, err, want)
		}
		m.fired += m.slicing.Slide
	}
	m.watermark = m.fired - m.slicing.Slide + m.slicing.Size - 1
	gone := func(start int64) bool { return m.slicing.Gone(m.slicing.LastEnd(start), m.watermark) }
	m.columns.Remove(gone)
	maps.DeleteFunc(m.cells, func(c cellOf, _ string) bool { return gone(c.slice) })
}

// look compares other ways to read.
func (m *columnsModel) look(t *rapid.T) {
	if len(m.cells) == 0 {
		return
	}
	from := m.fired - rapid.Int64Range(0, m.slicing.Size).Draw(t, "back")
	from -= m.slicing.phase(from, m.slicing.Shift)
	want, to := m.window(from), from+m.slicing.Size
	got := map[int]string{}
	_ = m.columns.Gather(from, to, func(id uint32, list []*string) error {
		key, _ := m.columns.Key(id)
		for _, cell := range list {
			got[*key] += *cell
		}
		return nil
	})
	if !maps.Equal(want, got) {
		t.Fatalf("gathered %v, want %v", got, want)
	}
	for key := range 4 {
		id, text := m.id(key), ""
		if acc := m.columns.FoldKey(id, from, to); acc != nil {
			text = *acc
		}
		cells := ""
		for _, c := range m.columns.Cells(nil, id, from, to) {
			cells += *c
		}
		if text != want[key] || cells != want[key] {
			t.Fatalf("key %d: folded %q, listed %q, want %q", key, text, cells, want[key])
		}
	}
	var first int64 = math.MaxInt64
	for c := range m.cells {
		if c.slice >= from {
			first = min(first, c.slice)
		}
	}
	if at, ok := m.columns.First(from); ok != (first != math.MaxInt64) || ok && at != first {
		t.Fatalf("first slice from %d is %d, %v, want %d", from, at, ok, first)
	}
	if size := m.columns.Size(); size.Rows != int64(len(m.cells)) || size.Bytes < size.Rows*16 {
		t.Fatalf("size %+v of %d cells", size, len(m.cells))
	}
}

func (m *columnsModel) begin(t *rapid.T) {
	if m.writer != nil {
		return
	}
	m.checkpoint++
	cp := statebackend.Checkpoint{ID: m.checkpoint}
	if rapid.IntRange(0, 5).Draw(t, "full") == 0 {
		cp.Flags = element.Full
	}
	if err := m.columns.Begin(cp); err != nil {
		t.Fatal(err)
	}
	m.writer = m.store.Writer(m.checkpoint, 1, 0)
	m.frozen, m.frozenAt = maps.Clone(m.cells), m.watermark
}

func (m *columnsModel) step(t *rapid.T) {
	if m.writer == nil {
		return
	}
	m.writer.Full = rapid.IntRange(0, 3).Draw(t, "room") == 0
	done, err := m.columns.Step(m.writer, rapid.IntRange(1, 400).Draw(t, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	if done {
		m.end(t)
	}
}

// end completes a snapshot and compares what it restores to, or aborts it.
func (m *columnsModel) end(t *rapid.T) {
	m.writer.Done(m.columns)
	m.writer = nil
	if rapid.IntRange(0, 3).Draw(t, "abort") == 0 {
		if err := m.columns.Aborted(m.checkpoint); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := m.columns.Completed(m.checkpoint); err != nil {
		t.Fatal(err)
	}
	got := map[cellOf]string{}
	parallelism := rapid.IntRange(1, 3).Draw(t, "parallelism")
	for subtask := range parallelism {
		r, err := m.store.Reader(m.checkpoint, parallelism, subtask)
		if err != nil {
			t.Fatal(err)
		}
		c := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, parallelism, subtask), m.slicing)
		if err := c.RestoreAfter(r, func(int) int64 { return m.frozenAt }); err != nil {
			t.Fatal(err)
		}
		maps.Copy(got, all(c))
	}
	if !maps.Equal(got, m.frozen) {
		t.Fatalf("checkpoint %d restores %v, want %v", m.checkpoint, got, m.frozen)
	}
}

// all returns all cells.
func all(c *Columns[int, string]) map[cellOf]string {
	out := map[cellOf]string{}
	for _, s := range c.slices {
		_ = c.Gather(s.start, s.start+1, func(id uint32, list []*string) error {
			key, _ := c.Key(id)
			out[cellOf{s.start, *key}] = *list[0]
			return nil
		})
	}
	return out
}

func TestColumnsAgainstModel(t *testing.T) {
	hash, err := keys.HasherFor[int]()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Slicing{
			Size: rapid.SampledFrom([]int64{1, 4, 9, 30, 100}).Draw(t, "size"), Slide: rapid.Int64Range(1, 7).Draw(t, "slide"),
			Lateness: rapid.SampledFrom([]int64{0, 0, 5}).Draw(t, "lateness"),
		}
		s.Shift = rapid.Int64Range(0, s.Slide-1).Draw(t, "shift")
		m := &columnsModel{
			slicing: s, cells: map[cellOf]string{}, watermark: -1, hash: hash,
			columns: newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), s),
			store:   statebackend.NewMemory(columnsGroups),
		}
		m.fired = s.FirstEnd(0) - s.Size
		m.watermark = m.fired + s.Size - 2
		t.Repeat(map[string]func(*rapid.T){
			"add":      m.addAll,
			"add more": m.addAll,
			"fire":     m.fire,
			"look":     m.look,
			"tend":     func(*rapid.T) { m.columns.Tend() },
			"begin":    m.begin,
			"step":     m.step,
		})
	})
}

// TestColumnsIncrements writes only what changed: a late record makes its page dirty, not the column.
func TestColumnsIncrements(t *testing.T) {
	c := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), Slicing{Size: 100, Slide: 10})
	store := statebackend.NewMemory(columnsGroups)
	add := func(key int, at int64) {
		k := key
		*c.Cell(c.Slice(at), c.id(c.hash(&k), &k)) += "x"
	}
	rows := func(id int64, flags element.BarrierFlags) (n int) {
		cp := statebackend.Checkpoint{ID: id, Flags: flags}
		if err := store.Take(cp, 1, 0, c); err != nil {
			t.Fatal(err)
		}
		w, err := store.Reader(id, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Base()) > 0 != (flags == 0 && id > 1) {
			t.Fatalf("checkpoint %d builds on %v", id, c.Base())
		}
		for b, err := range w.Blocks("windows") {
			if err != nil {
				t.Fatal(err)
			}
			n += b.Rows
		}
		if flags == 0 {
			if err := c.Completed(id); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for at := int64(0); at < 100; at += 10 {
		for key := range 1000 {
			add(key, at)
		}
	}
	if n := rows(1, 0); n != 10_000 {
		t.Fatalf("a full checkpoint of %d rows", n)
	}
	add(1, 50)
	if n := rows(2, 0) - 10_000; n < 1 || n > pageCells {
		t.Errorf("an increment of %d rows", n)
	}
	if n := rows(3, element.Savepoint); n != 10_000 {
		t.Errorf("a savepoint of %d rows", n)
	}
	add(2, 60)
	if n := rows(4, 0) - 10_000; n < 2 || n > 2*pageCells {
		t.Errorf("increments of %d rows", n)
	}
}

// TestColumnsStayBounded has ten thousand slices, of one hot key and of many rare ones, and keys that come once.
func TestColumnsStayBounded(t *testing.T) {
	c, err := NewColumns[int](ColumnsConfig[int64]{
		Config:  Config{Name: "windows", Groups: statebackend.KeyGroupsOf(columnsGroups, 1, 0), MaxParallelism: columnsGroups},
		Slicing: Slicing{Size: 1, Slide: 1}, Merge: func(acc, from *int64) { *acc += *from },
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(key int, at int64) {
		k := key
		*c.Cell(c.Slice(at), c.id(c.hash(&k), &k)) = at
	}
	for key := range 100_000 { // keys that are all known
		add(key, -1)
	}
	c.Remove(func(start int64) bool { return start < 0 })
	for at := range int64(10_000) {
		add(0, at)
		for i := range 5 {
			add(int(at)*7919*(i+1)%100_000, at)
		}
		c.Tend()
	}
	size := c.Size()
	if size.Rows < 50_000 || size.Bytes > 400*size.Rows {
		t.Errorf("ten thousand slices: %d bytes for %d rows", size.Bytes, size.Rows)
	}
	if at, ok := c.First(9_990); !ok || at != 9_990 {
		t.Errorf("first slice at %d, %v", at, ok)
	}
	c.Remove(func(start int64) bool { return start < 10_000 })
	for at := int64(10_000); at < 10_200; at++ { // a hundred new keys a slice, one slice at a time
		for i := range int64(100) {
			add(int(at*100+i), at)
		}
		c.Remove(func(start int64) bool { return start <= at })
		c.Tend()
	}
	if c.dict.count > 4_000 {
		t.Errorf("%d keys are known, of which none is in use", c.dict.count)
	}
}

func TestColumnsRefuseOtherSlices(t *testing.T) {
	was := Slicing{Size: int64(time.Minute), Slide: int64(time.Second), Lateness: 5}
	c := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), was)
	k := 7
	*c.Cell(c.Slice(0), c.id(c.hash(&k), &k)) = "x"
	store := statebackend.NewMemory(columnsGroups)
	if err := store.Take(statebackend.Checkpoint{ID: 1}, 1, 0, c); err != nil {
		t.Fatal(err)
	}
	r, err := store.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		now Slicing
		ok  bool
	}{
		{was, true},
		{Slicing{Size: int64(time.Hour), Slide: int64(time.Second)}, true},
		{Slicing{Size: int64(time.Minute), Slide: int64(2 * time.Second)}, false},
		{Slicing{Size: int64(time.Minute), Slide: int64(time.Second), Shift: 3}, false},
		{Slicing{Size: int64(time.Minute) + 1, Slide: int64(time.Second)}, false},
	} {
		c := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), test.now)
		err := c.Restore(r)
		if got := len(all(c)); test.ok && (err != nil || got != 1) {
			t.Errorf("%v: %v, %d cells", test.now, err, got)
		}
		if !test.ok && (!errors.Is(err, codec.ErrIncompatible) || !strings.Contains(err.Error(), "1m0s every 1s")) {
			t.Errorf("%v: error %v", test.now, err)
		}
	}
	// What the watermark has passed is not brought back.
	c = newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), was)
	if err := c.RestoreAfter(r, func(int) int64 { return int64(time.Hour) }); err != nil || len(all(c)) != 0 {
		t.Errorf("restored %v, %v", all(c), err)
	}
}

// TestColumnsDecline declines a checkpoint whose rows come faster than they can be written.
func TestColumnsDecline(t *testing.T) {
	c, err := NewColumns[int](ColumnsConfig[int64]{
		Config: Config{
			Name: "windows", Groups: statebackend.KeyGroupsOf(columnsGroups, 1, 0), MaxParallelism: columnsGroups, ReserveBytes: 4 << 10,
		},
		Slicing: Slicing{Size: 1, Slide: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		for key := range 10_000 {
			*c.Cell(c.Slice(0), c.id(c.hash(&key), &key))++
		}
	}
	add()
	w := statebackend.NewMemory(columnsGroups).Writer(1, 1, 0)
	w.Full = true
	if err := c.Begin(statebackend.Checkpoint{ID: 1}); err != nil {
		t.Fatal(err)
	}
	add()
	if _, err := c.Step(w, 1); !errors.Is(err, ErrReserve) {
		t.Errorf("error %v", err)
	}
	if err := c.Aborted(1); err != nil || c.snap.heldBytes != 0 {
		t.Errorf("%v, %d bytes held", err, c.snap.heldBytes)
	}
	store := statebackend.NewMemory(columnsGroups)
	if err := store.Take(statebackend.Checkpoint{ID: 2}, 1, 0, c); err != nil {
		t.Error(err)
	}
}

// TestColumnsKeepUp has writes that touch all pages between two slices of a snapshot, many more than the reserve can hold.
func TestColumnsKeepUp(t *testing.T) {
	c, err := NewColumns[int](ColumnsConfig[int64]{
		Config: Config{
			Name: "windows", Groups: statebackend.KeyGroupsOf(columnsGroups, 1, 0), MaxParallelism: columnsGroups, ReserveBytes: 64 << 10,
		},
		Slicing: Slicing{Size: 1, Slide: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(key int) { *c.Cell(c.Slice(0), c.id(c.hash(&key), &key))++ }
	const cells = 20_000
	for key := range cells {
		add(key)
	}
	w := statebackend.NewMemory(columnsGroups).Writer(1, 1, 0)
	if err := c.Begin(statebackend.Checkpoint{ID: 1}); err != nil {
		t.Fatal(err)
	}
	w.Full = true
	for key := 0; !c.Crowded(); key += pageCells {
		if key >= cells {
			t.Fatal("all pages were changed, and it is not crowded")
		}
		add(key)
	}
	if done, err := c.Step(w, 1); done || err != nil || !c.Crowded() {
		t.Errorf("a step without room: done %v, %v; crowded %v", done, err, c.Crowded())
	}
	w.Full = false
	for key, done := 0, false; !done; {
		for range 50 {
			add(key % cells)
			key += pageCells
		}
		if done, err = c.Step(w, 1); err != nil || c.Crowded() {
			t.Fatalf("%v; crowded %v", err, c.Crowded())
		}
	}
	rows := 0
	for _, b := range w.Blocks("windows") {
		rows += b.Rows
	}
	if rows != cells {
		t.Errorf("%d rows, want %d", rows, cells)
	}
}

// FuzzColumnsRestore wants an error, or cells, of any block.
func FuzzColumnsRestore(f *testing.F) {
	s := Slicing{Size: 4, Slide: 2, Lateness: 1}
	groups := statebackend.KeyGroupsOf(1, 1, 0)
	empty := func(t testing.TB) *Columns[int, string] {
		t.Helper()
		c, err := NewColumns[int](ColumnsConfig[string]{
			Config: Config{Name: "windows", Groups: groups, MaxParallelism: 1}, Slicing: s,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := empty(f)
	for key := range 3 {
		*c.Cell(c.Slice(2), c.id(c.hash(&key), &key)) = "text"
	}
	store := statebackend.NewMemory(1)
	if err := store.Take(statebackend.Checkpoint{ID: 1}, 1, 0, c); err != nil {
		f.Fatal(err)
	}
	r, err := store.Reader(1, 1, 0)
	if err != nil {
		f.Fatal(err)
	}
	for b, err := range r.Blocks("windows") {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Data, b.Rows)
	}
	f.Fuzz(func(t *testing.T, data []byte, rows int) {
		c := empty(t)
		decoder, err := c.codec.Reader(c.codec.Schema())
		if err != nil {
			t.Fatal(err)
		}
		b := statebackend.Block{State: "windows", Kind: statebackend.Keyed, Rows: rows, Data: data}
		_ = c.restoreBlock(decoder, b, -100) // any error but no panic
	})
}

// TestColumnsKeepDirtRenumbering writes cells that were changed since the last checkpoint also after their ids changed.
func TestColumnsKeepDirtRenumbering(t *testing.T) {
	c := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), Slicing{Size: 20, Slide: 10})
	store := statebackend.NewMemory(columnsGroups)
	add := func(key int, at int64) { *c.Cell(c.Slice(at), c.id(c.hash(&key), &key)) += "x" }
	for key := range 4 * checkMin * columnsGroups {
		add(key, 0)
	}
	add(1, 20)
	add(2, 20)
	if err := errors.Join(store.Take(statebackend.Checkpoint{ID: 1}, 1, 0, c), c.Completed(1)); err != nil {
		t.Fatal(err)
	}
	c.Remove(func(start int64) bool { return start < 10 })
	add(1, 20)
	before := c.dict.count
	c.Tend()
	if c.dict.count >= before {
		t.Fatalf("%d ids before, %d after", before, c.dict.count)
	}
	add(2, 20)
	if err := store.Take(statebackend.Checkpoint{ID: 2}, 1, 0, c); err != nil {
		t.Fatal(err)
	}
	r, err := store.Reader(2, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	restored := newStrings(t, statebackend.KeyGroupsOf(columnsGroups, 1, 0), c.config.Slicing)
	if err := restored.RestoreAfter(r, func(int) int64 { return 19 }); err != nil {
		t.Fatal(err)
	}
	if got := all(restored); len(c.Base()) != 1 || !maps.Equal(got, all(c)) {
		t.Errorf("restored %v on %v, want %v", got, c.Base(), all(c))
	}
}

// TestColumnsGolden reads a block of version 1, and writes the same.
func TestColumnsGolden(t *testing.T) {
	const golden = "testdata/columns-v1.golden"
	s := Slicing{Size: 12, Slide: 5, Shift: 2, Lateness: 300}
	group := statebackend.KeyGroupsOf(columnsGroups, columnsGroups, 0)
	c := newStrings(t, group, s)
	want := map[cellOf]string{}
	for key := 0; len(want) < 4; key++ {
		if g, _ := keys.Group(c.hash(&key), columnsGroups); g != 0 {
			continue
		}
		for _, at := range []int64{-3, 4} {
			text := fmt.Sprintf("acc %d %d", key, at)
			*c.Cell(c.Slice(at), c.id(c.hash(&key), &key)) = text
			want[cellOf{at, key}] = text
		}
	}
	w := statebackend.NewMemory(columnsGroups).Writer(1, 1, 0)
	if err := c.Begin(statebackend.Checkpoint{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Step(w, 1000); err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	block := w.Blocks("windows")[0]
	text := hex.Dump(block.Data)
	if *rewrite {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(stored) {
		t.Errorf("block is\n%s\nwant\n%s", text, stored)
	}
	restored := newStrings(t, group, s)
	rows, err := restored.codec.Reader(restored.codec.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.restoreBlock(rows, block, -1000); err != nil || !maps.Equal(all(restored), want) {
		t.Errorf("restored %v, %v, want %v", all(restored), err, want)
	}
}
