// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of the current format")

// TestChainsOfStatesThatDiffer has one state start over while another goes on: what older segments hold of the first must
// not come back.
func TestChainsOfStatesThatDiffer(t *testing.T) {
	d := newDisk()
	s := d.storage(0, Options{InlineBytes: -1}, nil)
	var last result
	for id := int64(1); id <= 3; id++ {
		x := s.Begin(id, nil)
		states := []StateInfo{{Name: "goes-on"}, {Name: "starts-over"}}
		for i := range states {
			write(t, x.Operator("op"), block(states[i].Name, keyed, 1, 1, fmt.Sprint(id)))
		}
		if id == 2 {
			states[0].Base, states[1].Base = []int64{1}, []int64{1}
		}
		if id == 3 {
			states[0].Base = []int64{1, 2}
		}
		last = finish(t, x, OperatorStates{"op", states})
		if last.err != nil {
			t.Fatal(last.err)
		}
	}
	r := reader(t, d.storage(0, Options{}, metadata(t, 3, 8, last.state)), Share{0, 1, 8})
	if got := read(t, r, "goes-on"); !slices.Equal(got, []string{"1/1:1 1", "1/1:1 2", "1/1:1 3"}) {
		t.Error(got)
	}
	if got := read(t, r, "starts-over"); !slices.Equal(got, []string{"1/1:1 3"}) {
		t.Error(got)
	}
	// A base that the attempt doesn't know is an error, not a gap.
	x := s.Begin(4, nil)
	if res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "goes-on", Base: []int64{0}}}}); res.err == nil {
		t.Error("an unknown base was left out")
	}
}

// TestListsAreDealtOut restores list and union state of every parallelism at every other.
func TestListsAreDealtOut(t *testing.T) {
	for old := 1; old <= 4; old++ {
		d := newDisk()
		var subtasks [][]checkpoint.OperatorState
		var all []string
		for i := range old {
			x := d.storage(i, Options{}, nil).Begin(1, nil)
			for b := range i % 3 { // some have none
				rows := make([]string, 1+b+i)
				for r := range rows {
					rows[r] = fmt.Sprintf("%d.%d.%d", i, b, r)
				}
				all = append(all, rows...)
				write(t, x.Operator("op"), block("list", statebackend.List, -1, len(rows), strings.Join(rows, " ")))
			}
			write(t, x.Operator("op"), block("union", statebackend.Union, -1, 1, fmt.Sprint(i)))
			res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "list"}, {Name: "union"}}})
			if res.err != nil {
				t.Fatal(res.err)
			}
			subtasks = append(subtasks, res.state)
		}
		m := metadata(t, 1, 128, subtasks...)
		for parallelism := 1; parallelism <= 5; parallelism++ {
			var dealt []string
			for i := range parallelism {
				r := reader(t, d.storage(0, Options{}, m), Share{i, parallelism, 128})
				var rows []string
				for b, err := range r.Blocks("list") {
					if err != nil {
						t.Fatal(err)
					}
					rows = append(rows, strings.Fields(string(b.Data))...)
				}
				from, to, err := r.ListShare("list")
				if err != nil {
					t.Fatal(err)
				}
				dealt = append(dealt, rows[from:to]...)
				if least := len(all) / parallelism; old != parallelism && (to-from > least+1 || to-from < least) {
					t.Errorf("%d to %d: subtask %d got %d of %d rows", old, parallelism, i, to-from, len(all))
				}
				if got := read(t, r, "union"); len(got) != old {
					t.Errorf("%d to %d: subtask %d got union %v", old, parallelism, i, got)
				}
			}
			if !slices.Equal(dealt, all) {
				t.Errorf("%d to %d: dealt out %v of %v", old, parallelism, dealt, all)
			}
		}
	}
}

const groups = 16

// keyedTask is a subtask with a table of counters.
type keyedTask struct {
	*heap.Table[int64, int64]
	groups  statebackend.KeyGroupRange
	storage *Storage
}

func newKeyedTask(t *testing.T, d *disk, o Options, parallelism, subtask int, restore *checkpoint.Metadata) *keyedTask {
	t.Helper()
	g := statebackend.KeyGroupsOf(groups, parallelism, subtask)
	table, err := heap.NewTable[int64, int64](heap.Config{Name: "rows", Groups: g, MaxParallelism: groups})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	k := &keyedTask{Table: table, groups: g, storage: d.storage(subtask, o, restore)}
	r, err := k.storage.Restored("op", Share{subtask, parallelism, groups})
	if err != nil {
		t.Fatal(err)
	}
	if r != nil {
		if err := table.Restore(r); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *keyedTask) snapshot(t *testing.T, cp statebackend.Checkpoint) []checkpoint.OperatorState {
	t.Helper()
	if err := k.Begin(cp); err != nil {
		t.Fatal(err)
	}
	x := k.storage.Begin(cp.ID, nil)
	w := x.Operator("op")
	for done := false; !done; {
		var err error
		if done, err = k.Step(w, 64); err != nil {
			t.Fatal(err)
		}
	}
	res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows", Schema: k.Schema(), Base: k.Base()}}})
	if res.err != nil {
		t.Fatal(res.err)
	}
	return res.state
}

// TestRescaledTablesEqualAMap changes tables and a map alike, takes incremental checkpoints and now and then restarts at
// another parallelism.
func TestRescaledTablesEqualAMap(t *testing.T) {
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		d := newDisk()
		o := Options{Buffers: 2, BufferBytes: 4096, InlineBytes: int(seed%2)*4096 - 1, Compress: seed%3 == 0}
		want := map[int64]int64{}
		var tasks []*keyedTask
		start := func(parallelism int, m *checkpoint.Metadata) {
			tasks = nil
			for i := range parallelism {
				tasks = append(tasks, newKeyedTask(t, d, o, parallelism, i, m))
			}
		}
		start(1+rng.IntN(3), nil)
		for id := int64(1); id <= 25; id++ {
			for range 40 {
				key := rng.Int64N(200)
				h := hash(&key)
				g, _ := keys.Group(h, groups)
				for _, k := range tasks {
					if !k.groups.Contains(g) {
						continue
					}
					if rng.IntN(3) == 0 {
						k.Delete(h, &key)
						delete(want, key)
						continue
					}
					row, _ := k.Row(h, &key)
					*row += id
					want[key] = *row
				}
			}
			var subtasks [][]checkpoint.OperatorState
			cp := statebackend.Checkpoint{ID: id}
			if rng.IntN(8) == 0 {
				cp.Flags = element.Savepoint
			}
			for _, k := range tasks {
				subtasks = append(subtasks, k.snapshot(t, cp))
			}
			completed := rng.IntN(3) > 0
			for _, k := range tasks {
				if completed && !cp.Savepoint() {
					err = k.Completed(id)
				} else {
					err = k.Aborted(id)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if completed && rng.IntN(4) == 0 {
				start(1+rng.IntN(4), metadata(t, id, groups, subtasks...))
			}
			got := map[int64]int64{}
			for _, k := range tasks {
				for key, row := range k.All() {
					if _, twice := got[*key]; twice {
						t.Fatalf("seed %d, checkpoint %d: key %d is held twice", seed, id, *key)
					}
					got[*key] = *row
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d, checkpoint %d: tables hold\n%v, want\n%v", seed, id, got, want)
			}
		}
	}
}

func TestKeyGroupsAreFixed(t *testing.T) {
	d := newDisk()
	x := d.storage(0, Options{}, nil).Begin(1, nil)
	write(t, x.Operator("op"), block("rows", keyed, 1, 1, "x"))
	m := metadata(t, 1, 8, finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows"}}}).state)
	if _, err := d.storage(0, Options{}, m).Restored("op", Share{0, 1, 16}); err == nil || !strings.Contains(err.Error(), "max parallelism 8") {
		t.Error(err)
	}
}

// sampleFile is a small file with every kind of block.
func sampleFile(t *testing.T, compress bool) ([]byte, *checkpoint.Metadata) {
	t.Helper()
	d := newDisk()
	x := d.storage(0, Options{InlineBytes: -1, Compress: compress}, nil).Begin(1, nil)
	write(t, x.Operator("op"),
		block("rows", keyed, 1, 2, strings.Repeat("rows of group one ", 9)), block("rows", statebackend.Deleted, 1, 1, "gone"),
		block("list", statebackend.List, -1, 3, "a b c"), block("union", statebackend.Union, -1, 1, "u"))
	res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows", Schema: []byte("schema")}, {Name: "list"}, {Name: "union"}}})
	if res.err != nil {
		t.Fatal(res.err)
	}
	return d.files["state/1-0"], metadata(t, 1, 8, res.state)
}

// check reads all of a damaged file, in both ways.
func check(t *testing.T, file []byte, m *checkpoint.Metadata) (verified, readErr error) {
	t.Helper()
	seg := m.Operators[0].Subtasks[0].State.Segments[0]
	verified = Verify(bytes.NewReader(file), int64(len(file)), &seg)
	d := newDisk()
	d.files["state/1-0"] = file
	r := reader(t, d.storage(0, Options{}, m), Share{0, 1, 8})
	for _, s := range []string{"rows", "list", "union"} {
		for _, err := range r.Blocks(s) {
			readErr = errors.Join(readErr, err)
		}
	}
	return verified, readErr
}

func TestEveryDamageIsFound(t *testing.T) {
	for _, compress := range []bool{false, true} {
		file, m := sampleFile(t, compress)
		if v, r := check(t, file, m); v != nil || r != nil {
			t.Fatal(v, r)
		}
		for at := range file {
			damaged := bytes.Clone(file)
			damaged[at] ^= 1 << (at % 8)
			v, r := check(t, damaged, m)
			if at >= 12 && at < headerBytes {
				continue // zeros without a meaning
			}
			for _, err := range []error{v, r} {
				if !errors.Is(err, checkpoint.ErrCorrupt) && !errors.Is(err, checkpoint.ErrVersion) {
					t.Fatalf("byte %d changed: %v, %v", at, v, r)
				}
			}
			if !strings.Contains(r.Error(), "state/1-0") || (!strings.Contains(r.Error(), "offset") && !errors.Is(r, checkpoint.ErrVersion)) {
				t.Fatalf("byte %d changed: the error names neither file nor offset: %v", at, r)
			}
		}
		for n := range file {
			if v, r := check(t, file[:n], m); !errors.Is(v, checkpoint.ErrCorrupt) || !errors.Is(r, checkpoint.ErrCorrupt) {
				t.Fatalf("cut to %d bytes: %v, %v", n, v, r)
			}
		}
	}
}

// TestExchangedFileIsFound puts a whole file with other content in place.
func TestExchangedFileIsFound(t *testing.T) {
	file, m := sampleFile(t, false)
	d := newDisk()
	x := d.storage(0, Options{InlineBytes: -1}, nil).Begin(1, nil)
	write(t, x.Operator("op"),
		block("rows", keyed, 1, 2, strings.Repeat("rows of group two ", 9)), block("rows", statebackend.Deleted, 1, 1, "gone"),
		block("list", statebackend.List, -1, 3, "a b c"), block("union", statebackend.Union, -1, 1, "u"))
	finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows", Schema: []byte("schema")}, {Name: "list"}, {Name: "union"}}})
	other := d.files["state/1-0"]
	if len(other) != len(file) {
		t.Fatalf("files of %d and %d bytes", len(other), len(file))
	}
	if v, r := check(t, other, m); !errors.Is(v, checkpoint.ErrCorrupt) || !errors.Is(r, checkpoint.ErrCorrupt) {
		t.Error(v, r)
	}
}

// TestGolden holds the format: what version 1 wrote must be read for ever.
func TestGolden(t *testing.T) {
	const name = "testdata/state-v1.bin"
	file, m := sampleFile(t, false)
	if *rewrite {
		if err := os.WriteFile(name, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, file) {
		t.Error("other bytes are written than the golden file holds")
	}
	d := newDisk()
	d.files["state/1-0"] = stored
	r := reader(t, d.storage(0, Options{}, m), Share{0, 1, 8})
	if got := read(t, r, "rows"); !slices.Equal(got, []string{"1/1:2 " + strings.Repeat("rows of group one ", 9), "2/1:1 gone"}) {
		t.Error(got)
	}
	if got := read(t, r, "list"); !slices.Equal(got, []string{"3/-1:3 a b c"}) {
		t.Error(got)
	}
}

func FuzzIndex(f *testing.F) {
	x := index{operators: []indexOperator{{id: "op", states: []indexState{{name: "s", schema: []byte("x"), blocks: []indexBlock{
		{offset: 16, stored: 5, rows: 3, keyGroup: -1, kind: 3, crc: 7}, {offset: 60, stored: 5, rows: 3, keyGroup: 3, kind: 1, crc: 7},
	}}}}}}
	f.Add(x.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseIndex(b, 1000)
		if err != nil {
			if !errors.Is(err, checkpoint.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		for _, op := range x.operators {
			for _, s := range op.states {
				for _, k := range s.blocks {
					if k.offset < headerBytes || k.end() > 1000 {
						t.Fatalf("block %+v is outside of the file", k)
					}
				}
			}
		}
	})
}
