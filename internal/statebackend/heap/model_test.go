// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/state"
)

const testGroups = 4

// kind is what differs between the tables that the model is compared with: how a row is written and read.
type kind[K comparable, S any] struct {
	key   func(i int) K
	write func(row *S, v int64)
	read  func(row *S) []int64
}

type wide struct {
	Name   string
	Recent state.List[int64]
	ByName state.Map[string, int64]
}

var intKind = kind[int64, int64]{
	key:   func(i int) int64 { return int64(i) },
	write: func(row *int64, v int64) { *row = v },
	read:  func(row *int64) []int64 { return []int64{*row} },
}

// pairKind has slots of half a line, longKind of two, textKind of text beside a number.
var pairKind = kind[int64, [2]int64]{
	key:   intKind.key,
	write: func(row *[2]int64, v int64) { row[1] = v },
	read:  func(row *[2]int64) []int64 { return slices.Clone(row[:]) },
}

var longKind = kind[int64, [14]int64]{
	key:   intKind.key,
	write: func(row *[14]int64, v int64) { row[13] = v },
	read:  func(row *[14]int64) []int64 { return slices.Clone(row[:]) },
}

type named struct {
	No   int64
	Name string
}

var textKind = kind[named, int64]{
	key:   func(i int) named { return named{int64(i % 3), fmt.Sprint("key-", i)} },
	write: intKind.write,
	read:  intKind.read,
}

var wideKind = kind[string, wide]{
	key: func(i int) string { return fmt.Sprintf("key-%d", i) },
	write: func(row *wide, v int64) {
		row.Name = fmt.Sprint(v)
		if row.Recent.Len() < 3 {
			row.Recent.Append(v)
		}
		*row.Recent.At(0) = v // in place: a version held back must not change with it
		*row.ByName.At("a") += v
	},
	read: func(row *wide) []int64 {
		a, _ := row.ByName.Get("a")
		got := []int64{a}
		for v := range row.Recent.All() {
			got = append(got, *v)
		}
		return append(got, int64(len(row.Name)))
	},
}

// machine runs a table beside a Go map, and a copy of the map for each checkpoint.
type machine[K comparable, S any] struct {
	kind  kind[K, S]
	table *Table[K, S]
	store *statebackend.Memory
	model map[K][]int64
	// frozen is the model when a checkpoint began.
	frozen map[int64]map[K][]int64

	running, lastID int64
	writer          *statebackend.MemoryWriter
	savepoints      map[int64]bool
	undecided       []int64
}

func newMachine[K comparable, S any](t *rapid.T, k kind[K, S], c Config) *machine[K, S] {
	c.Name, c.Groups, c.MaxParallelism = "rows", statebackend.KeyGroupRange{First: 0, Last: testGroups - 1}, testGroups
	table, err := NewTable[K, S](c)
	if err != nil {
		t.Fatal(err)
	}
	return &machine[K, S]{
		kind: k, table: table, store: statebackend.NewMemory(testGroups), model: map[K][]int64{},
		frozen: map[int64]map[K][]int64{}, savepoints: map[int64]bool{},
	}
}

func (m *machine[K, S]) hash(k *K) uint64 { h, _ := m.table.hash(k); return h }

func (m *machine[K, S]) write(t *rapid.T, i int, v int64) {
	k := m.kind.key(i)
	row, isNew := m.table.Row(m.hash(&k), &k)
	if _, there := m.model[k]; there == isNew {
		t.Fatalf("key %v: new %v, in the model %v", k, isNew, there)
	}
	m.kind.write(row, v)
	m.model[k] = m.kind.read(row)
}

// batch writes the keys of a batch as operators do, and deletes others in between, some of which are still to come. It
// returns the value that was written last.
func (m *machine[K, S]) batch(t *rapid.T, batch, deletes []int, v int64) int64 {
	hashes, keys := make([]uint64, len(batch)), make([]K, len(batch))
	for i, no := range batch {
		keys[i] = m.kind.key(no)
		hashes[i] = m.hash(&keys[i])
	}
	for at := 0; at < len(batch); at += PrefetchGroup {
		group := keys[at:min(at+PrefetchGroup, len(batch))]
		rows := m.table.Resolve(hashes, at, group)
		for i := range group {
			row, isNew := rows[i], false
			if row == nil {
				row, isNew = m.table.Row(hashes[at+i], &group[i])
			}
			if _, there := m.model[group[i]]; there == isNew {
				t.Fatalf("key %v of a batch: new %v, in the model %v", group[i], isNew, there)
			}
			v++
			m.kind.write(row, v)
			m.model[group[i]] = m.kind.read(row)
			if j := at + i; j < len(deletes) {
				m.delete(t, deletes[j])
			}
		}
	}
	return v
}

func (m *machine[K, S]) delete(t *rapid.T, i int) {
	k := m.kind.key(i)
	_, want := m.model[k]
	if got := m.table.Delete(m.hash(&k), &k); got != want {
		t.Fatalf("delete %v: %v, want %v", k, got, want)
	}
	delete(m.model, k)
}

func (m *machine[K, S]) begin(t *rapid.T, flags element.BarrierFlags) {
	if m.running != 0 {
		m.step(t, 1<<30)
	}
	m.lastID++
	cp := statebackend.Checkpoint{ID: m.lastID, Flags: flags}
	if err := m.table.Begin(cp); err != nil {
		t.Fatal(err)
	}
	m.running, m.writer = cp.ID, m.store.Writer(cp.ID, 1, 0)
	m.frozen[cp.ID] = maps.Clone(m.model)
	m.savepoints[cp.ID] = cp.Savepoint()
}

func (m *machine[K, S]) step(t *rapid.T, rows int) {
	if m.running == 0 {
		return
	}
	done, err := m.table.Step(m.writer, rows)
	if errors.Is(err, ErrReserve) {
		m.abort(t)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if done {
		m.writer.Done(m.table)
		m.undecided = append(m.undecided, m.running)
		m.check(t, m.running)
		m.running = 0
	}
}

// abort ends the running snapshot.
func (m *machine[K, S]) abort(t *rapid.T) {
	if m.running == 0 {
		return
	}
	if err := m.table.Aborted(m.running); err != nil {
		t.Fatal(err)
	}
	m.running = 0
}

// decide completes or aborts a checkpoint that is written. A completed one drops those before it.
func (m *machine[K, S]) decide(t *rapid.T, i int, complete bool) {
	if len(m.undecided) == 0 {
		return
	}
	i %= len(m.undecided)
	id := m.undecided[i]
	var err error
	if complete {
		err = m.table.Completed(id)
		m.undecided = m.undecided[i+1:]
	} else {
		err = m.table.Aborted(id)
		m.undecided = slices.Delete(m.undecided, i, i+1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// check restores a checkpoint at several parallelisms and compares the rows with the model when it began.
func (m *machine[K, S]) check(t *rapid.T, id int64) {
	for _, parallelism := range []int{1 + int(id)%3, 4} {
		got := map[K][]int64{}
		for subtask := range parallelism {
			r, err := m.store.Reader(id, parallelism, subtask)
			if err != nil {
				t.Fatal(err)
			}
			c := m.table.config
			c.Groups = statebackend.KeyGroupsOf(testGroups, parallelism, subtask)
			restored, err := newTable[K, S](c, m.table.hash)
			if err != nil {
				t.Fatal(err)
			}
			if err := restored.Restore(r); err != nil {
				t.Fatal(err)
			}
			for k, row := range restored.All() {
				got[*k] = m.kind.read(row)
			}
			if err := restored.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if want := m.frozen[id]; !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("checkpoint %d (base %v) restored at parallelism %d:\n%s", id, m.table.Base(), parallelism, cmp.Diff(want, got))
		}
	}
}

func (m *machine[K, S]) compare(t *rapid.T) {
	got := map[K][]int64{}
	for k, row := range m.table.All() {
		got[*k] = m.kind.read(row)
	}
	if !maps.EqualFunc(got, m.model, slices.Equal) {
		t.Fatal(cmp.Diff(m.model, got))
	}
	if n := m.table.Size().Rows; n != int64(len(m.model)) {
		t.Fatalf("Size has %d rows, the model %d", n, len(m.model))
	}
	for i := range 20 {
		k := m.kind.key(i)
		row := m.table.Lookup(m.hash(&k), &k)
		if _, ok := m.model[k]; ok != (row != nil) {
			t.Fatalf("Lookup of %v: %v", k, row)
		}
	}
}

func runMachine[K comparable, S any](t *rapid.T, k kind[K, S], c Config) {
	m := newMachine(t, k, c)
	spread := rapid.SampledFrom([]int{8, 200, 2000}).Draw(t, "spread")
	keys := rapid.IntRange(0, spread)
	v := int64(0)
	t.Repeat(map[string]func(*rapid.T){
		"write": func(t *rapid.T) { v++; m.write(t, keys.Draw(t, "key"), v) },
		"many": func(t *rapid.T) {
			from, n := keys.Draw(t, "from"), rapid.IntRange(1, 300).Draw(t, "n")
			for i := range n {
				v++
				m.write(t, from+i, v)
			}
		},
		"batch": func(t *rapid.T) {
			v = m.batch(t, rapid.SliceOfN(keys, 1, 3*PrefetchGroup).Draw(t, "batch"), rapid.SliceOf(keys).Draw(t, "deletes"), v)
		},
		"delete": func(t *rapid.T) { m.delete(t, keys.Draw(t, "key")) },
		"clear": func(t *rapid.T) {
			from, n := keys.Draw(t, "from"), rapid.IntRange(1, 300).Draw(t, "n")
			for i := range n {
				m.delete(t, from+i)
			}
		},
		"begin":     func(t *rapid.T) { m.begin(t, 0) },
		"savepoint": func(t *rapid.T) { m.begin(t, element.Savepoint) },
		"full":      func(t *rapid.T) { m.begin(t, element.Full) },
		"step":      func(t *rapid.T) { m.step(t, rapid.SampledFrom([]int{1, 10, 100, 10000}).Draw(t, "rows")) },
		"room": func(t *rapid.T) {
			if m.running != 0 {
				m.writer.Full = !m.writer.Full
				m.step(t, 100)
				m.writer.Full = false
			}
		},
		"abort":    func(t *rapid.T) { m.abort(t) },
		"complete": func(t *rapid.T) { m.decide(t, rapid.IntRange(0, 3).Draw(t, "which"), true) },
		"decline":  func(t *rapid.T) { m.decide(t, rapid.IntRange(0, 3).Draw(t, "which"), false) },
		"":         m.compare,
	})
	m.step(t, 1<<30)
	if err := m.table.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTableMatchesMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runMachine(t, intKind, Config{}) })
}

func TestTableOfPointersMatchesMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runMachine(t, wideKind, Config{}) })
}

// Epochs of three bits are renumbered every few checkpoints.
func TestTableRenumbersEpochs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runMachine(t, intKind, Config{epochMax: 7}) })
}

// From the first slot on, look-ups of batches do what they do in tables that don't fit into the cache.
func TestTableOfAnySizePrefetches(t *testing.T) {
	t.Parallel()
	c := Config{prefetchMin: 1}
	for name, check := range map[string]func(*rapid.T){
		"half a line": func(t *rapid.T) { runMachine(t, pairKind, c) },
		"text":        func(t *rapid.T) { runMachine(t, wideKind, c) },
		"text of few": func(t *rapid.T) { runMachine(t, textKind, c) },
		"two lines":   func(t *rapid.T) { runMachine(t, longKind, c) },
		"boxes":       func(t *rapid.T) { runMachine(t, boxedKind, c) },
	} {
		t.Run(name, func(t *testing.T) { rapid.Check(t, check) })
	}
}

// A reserve of a few rows declines many checkpoints, and what was dirty stays so.
func TestTableWithSmallReserve(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { runMachine(t, intKind, Config{ReserveBytes: 200}) })
}
