// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/state"
)

// boxedKind is wideKind behind a pointer, which the test makes as Boxed does.
var boxedKind = kind[string, codec.Boxed[wide]]{
	key: wideKind.key,
	write: func(row *codec.Boxed[wide], v int64) {
		if *row == nil {
			*row = new(wide)
		}
		wideKind.write(*row, v)
	},
	read: func(row *codec.Boxed[wide]) []int64 { return wideKind.read(*row) },
}

func TestTableOfBoxesMatchesMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runMachine(t, boxedKind, Config{}) })
}

func TestBoxesTells(t *testing.T) {
	t.Parallel()
	type timed struct {
		Last   [8]int64
		Recent state.List[int64] `weir:",ttl=1h"`
	}
	for name, is := range map[string][2]bool{
		"lists":       {Boxes[wide](), true},
		"texts":       {Boxes[[8]string](), false}, // a copy is as good as the row
		"numbers":     {Boxes[[20]int64](), false},
		"small":       {Boxes[struct{ A []int64 }](), false},
		"mortal rows": {Boxes[timed](), false},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: %v", name, is[0])
		}
	}
}

// boxedRig is a Boxed of wide rows.
type boxedRig struct {
	*Boxed[int64, wide]
	t *testing.T
}

func newBoxedRig(t *testing.T) *boxedRig {
	t.Helper()
	b, err := NewBoxed[int64, wide](Config{
		Name: "rows", Groups: statebackend.KeyGroupRange{First: 0, Last: testGroups - 1}, MaxParallelism: testGroups,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &boxedRig{b, t}
}

func (r *boxedRig) hashOf(k int64) uint64 { h, _ := r.hash(&k); return h }

func (r *boxedRig) write(k int64) *wide {
	row, _ := r.Row(r.hashOf(k), &k)
	wideKind.write(row, k)
	return row
}

func (r *boxedRig) delete(k int64) bool { return r.Delete(r.hashOf(k), &k) }

func TestBoxedRowsStayAndAreUsedAgain(t *testing.T) {
	t.Parallel()
	r := newBoxedRig(t)
	const n = 10_000
	rows := map[*wide]int64{}
	for k := range int64(n) {
		rows[r.write(k)] = k
	}
	for row, k := range rows {
		if again, isNew := r.Row(r.hashOf(k), &k); again != row || isNew {
			t.Fatalf("the row of key %d has moved, or is new", k)
		}
	}
	if len(rows) != n {
		t.Fatalf("%d rows for %d keys", len(rows), n)
	}
	before := r.Size()
	if least := int64(n) * 72; before.Rows != n || before.Bytes < least {
		t.Errorf("size %+v, want %d rows and %d bytes at least", before, n, least)
	}
	for k := range int64(n / 4) {
		if !r.delete(k) || r.delete(k) {
			t.Fatalf("delete of key %d", k)
		}
	}
	for k := range int64(n / 4) {
		row, isNew := r.Row(r.hashOf(n+k), new(n+k))
		if _, again := rows[row]; !again || !isNew || !r.Vacant(row) {
			t.Fatalf("new row: used again %v, new %v, holds %v", again, isNew, row)
		}
		wideKind.write(row, k)
	}
	for k := range int64(2 * n) {
		r.delete(k)
	}
	if r.live != 0 || len(r.free) > chunkRowsMin+1 {
		t.Errorf("%d rows are kept for %d keys", len(r.free), r.live)
	}
}

// TestBoxedSnapshotsHaveRowsAsTheyWere deletes rows and uses their memory again while a snapshot runs, then restores it to
// a plain table, and what that stores to a Boxed.
func TestBoxedSnapshotsHaveRowsAsTheyWere(t *testing.T) {
	t.Parallel()
	r := newBoxedRig(t)
	const n = 2000
	for k := range int64(n) {
		r.write(k)
	}
	if err := r.Begin(statebackend.Checkpoint{ID: 1}); err != nil {
		t.Fatal(err)
	}
	store := statebackend.NewMemory(testGroups)
	w := store.Writer(1, 1, 0)
	for k, done := int64(0), false; !done; k++ {
		if k < n/2 {
			r.delete(2 * k)
			wideKind.write(r.write(n+k), 7*k)
		}
		var err error
		if done, err = r.Step(w, 1); err != nil {
			t.Fatal(err)
		}
	}
	w.Done(r)
	plain, err := NewTable[int64, wide](r.config)
	if err != nil {
		t.Fatal(err)
	}
	restore(t, store, 1, plain)
	checkWide(t, n, func(k int64) *wide { return plain.Lookup(r.hashOf(k), &k) })

	if err := plain.Begin(statebackend.Checkpoint{ID: 2}); err != nil {
		t.Fatal(err)
	}
	w = store.Writer(2, 1, 0)
	if done, err := plain.Step(w, 1<<30); err != nil || !done {
		t.Fatal(done, err)
	}
	w.Done(plain)
	again := newBoxedRig(t)
	restore(t, store, 2, again)
	if again.live != n {
		t.Errorf("%d rows were restored, want %d", again.live, n)
	}
	checkWide(t, n, func(k int64) *wide { return again.Lookup(r.hashOf(k), &k) })
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
}

func restore(t *testing.T, store *statebackend.Memory, id int64, into statebackend.State) {
	t.Helper()
	from, err := store.Reader(id, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := into.Restore(from); err != nil {
		t.Fatal(err)
	}
}

// checkWide expects rows of the keys 0 to n-1, each written once.
func checkWide(t *testing.T, n int64, at func(k int64) *wide) {
	t.Helper()
	for k := range n {
		var want wide
		wideKind.write(&want, k)
		if got := at(k); got == nil || !slices.Equal(wideKind.read(got), wideKind.read(&want)) {
			t.Fatalf("key %d: got %v", k, got)
		}
	}
	if at(n) != nil {
		t.Fatal("a row that was not part of the snapshot")
	}
}

// arrays is a writer that notes where large blocks lie.
type arrays struct{ at map[*byte]int }

func (a *arrays) Room() bool { return true }

func (a *arrays) Write(b statebackend.Block) error {
	if len(b.Data) > bufferBytes {
		a.at[unsafe.SliceData(b.Data)]++
	}
	return nil
}

func TestSnapshotEncodesLargeRowsInOneBuffer(t *testing.T) {
	t.Parallel()
	r := newBoxedRig(t)
	name := strings.Repeat("x", bufferBytes)
	for k := range int64(4 * testGroups) {
		r.write(k).Name = name
	}
	begin := func(id int64) {
		if err := r.Begin(statebackend.Checkpoint{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	step := func(w statebackend.Writer) bool {
		done, err := r.Step(w, 1)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}

	begin(1)
	w := &arrays{map[*byte]int{}}
	for !step(w) {
	}
	blocks := 0
	for _, n := range w.at {
		blocks += n
	}
	if arrays := len(w.at); blocks < testGroups/2 || arrays > blocks/2 {
		t.Errorf("%d large blocks in %d arrays", blocks, arrays)
	}
	if r.large != nil {
		t.Error("the large buffer is kept behind the end of the snapshot")
	}

	begin(2)
	for r.large == nil {
		if step(w) {
			t.Fatal("the snapshot ended without a large buffer")
		}
	}
	if err := r.Aborted(2); err != nil {
		t.Fatal(err)
	}
	if r.large != nil {
		t.Error("the large buffer is kept behind an abort")
	}
}

// Batches find the rows of keys as single look-ups do, also where keys of a batch are deleted in between and their rows
// become those of others.
func TestBoxedBatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		table, err := NewBoxed[string, wide](Config{
			Name: "rows", Groups: statebackend.KeyGroupRange{Last: testGroups - 1}, MaxParallelism: testGroups, prefetchMin: 1,
		})
		if err != nil {
			rt.Fatal(err)
		}
		model, v := map[string]int64{}, int64(0)
		keysOf := rapid.Custom(func(t *rapid.T) string { return wideKind.key(rapid.IntRange(0, 90).Draw(t, "key")) })
		for range 5 {
			batch := rapid.SliceOfN(keysOf, 1, 2*PrefetchGroup+5).Draw(rt, "batch")
			deletes := rapid.SliceOf(keysOf).Draw(rt, "deletes")
			hashes := make([]uint64, len(batch))
			for i := range batch {
				hashes[i], _ = table.hash(&batch[i])
			}
			for at := 0; at < len(batch); at += PrefetchGroup {
				group := batch[at:min(at+PrefetchGroup, len(batch))]
				rows := table.Resolve(hashes, at, group)
				for i := range group {
					row, isNew := rows[i], false
					if row == nil {
						row, isNew = table.Row(hashes[at+i], &group[i])
					}
					want, there := model[group[i]]
					if got, _ := row.ByName.Get("a"); isNew == there || got != want {
						rt.Fatalf("%s: new %v, %d, want %d", group[i], isNew, got, want)
					}
					v++
					*row.ByName.At("a") = v
					model[group[i]] = v
					if j := at + i; j < len(deletes) {
						h, _ := table.hash(&deletes[j])
						table.Delete(h, &deletes[j])
						delete(model, deletes[j])
					}
				}
			}
		}
		if n := table.Size().Rows; n != int64(len(model)) {
			rt.Fatalf("%d rows, want %d", n, len(model))
		}
	})
}
