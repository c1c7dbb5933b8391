// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Homes are found the same way for a batch, which assembly may do, and for a single row.
func TestHomesOfABatch(t *testing.T) {
	t.Parallel()
	t.Run("half a line", func(t *testing.T) { checkHomes[[2]int64](t) })
	t.Run("a third", func(t *testing.T) { checkHomes[int32](t) })
	t.Run("two lines", func(t *testing.T) { checkHomes[[14]int64](t) })
}

func checkHomes[S any](t *testing.T) {
	t.Helper()
	table, err := NewTable[int64, S](Config{Name: "rows", Groups: statebackend.KeyGroupRange{First: 3, Last: 90}, MaxParallelism: 128})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	var hashes []uint64
	for k := int64(0); len(hashes) < PrefetchGroup; k++ {
		h := hash(&k)
		if group, _ := keys.Group(h, 128); !table.config.Groups.Contains(group) {
			continue
		}
		if len(hashes)%3 > 0 { // others have no slots
			table.Row(h, &k)
		}
		hashes = append(hashes, h)
	}
	var s search
	table.chase(hashes, &s, 0, nil)
	for i, h := range hashes {
		sg, tag := table.place(h, 0)
		if want := uintptr(unsafe.Pointer(table.entrances[sg.index].at(tag))); s.slots[i] != want {
			t.Errorf("hash %#x: home %#x, want %#x", h, s.slots[i], want)
		}
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "key group 127 is not in [3, 90]") {
			t.Error(got)
		}
	}()
	table.chase([]uint64{hashes[0], 1<<64 - 1}, &s, 0, nil)
	t.Error("a hash of another subtask was found")
}

// A table that grows while a group of a batch is written knows nothing of where the next one was.
func TestBatchAcrossGrowth(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	hashes, batch, next := make([]uint64, 2*PrefetchGroup), make([]int64, 2*PrefetchGroup), int64(0)
	for range 100 {
		for i := range batch[:PrefetchGroup] {
			batch[i] = next
			batch[PrefetchGroup+i] = next * int64(i) / PrefetchGroup // one that is there
			next++
		}
		for i, k := range batch {
			hashes[i] = r.hashOf(k)
		}
		for at := 0; at < len(batch); at += PrefetchGroup {
			rows := r.Resolve(hashes, at, batch[at:])
			for i := range rows {
				row := rows[i]
				if row == nil {
					row, _ = r.Row(hashes[at+i], &batch[at+i])
				}
				*row++
			}
		}
	}
	sum := int64(0)
	for _, row := range r.All() {
		sum += *row
	}
	if rows := r.Size().Rows; sum != 200*PrefetchGroup || rows != next {
		t.Errorf("%d writes to %d rows, want %d to %d", sum, rows, 200*PrefetchGroup, next)
	}
}

// Keys are compared as words only where all of their eight bytes count.
func TestWordKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  any
		want bool
	}{
		{int64(0), true},
		{uint64(0), true},
		{[2]int32{}, true},
		{struct {
			A int32
			B uint32
		}{}, true},
		{[8]bool{}, true},
		{int32(0), false},
		{float64(0), false},
		{[2]float32{}, false},
		{complex64(0), false},
		{[2]int64{}, false},
		{"", false},
		{struct {
			A int32
			B bool
		}{}, false},
		{struct{ A, _ int32 }{}, false},
	} {
		if got := wordKey(reflect.TypeOf(c.key)); got != c.want {
			t.Errorf("%T: %v, want %v", c.key, got, c.want)
		}
	}
}

// What is missed by the rounds of a group is found slot by slot: all rows are found, also where another search came
// between, and none after Begin, which makes each of them one to be written for the first time.
func TestResolveFindsAll(t *testing.T) {
	t.Parallel()
	r := newRig[int64](t)
	hashes, batch := make([]uint64, 10_000), make([]int64, 10_000)
	for i, k := range rand.New(rand.NewPCG(1, 2)).Perm(len(batch)) {
		batch[i] = int64(k)
		hashes[i] = r.hashOf(batch[i])
		row, _ := r.Row(hashes[i], &batch[i])
		*row = batch[i]
	}
	for at := 0; at < len(batch); at += PrefetchGroup {
		rows := r.Resolve(hashes, at, batch[at:])
		for i := range batch[at:min(at+PrefetchGroup, len(batch))] {
			if rows[i] == nil || *rows[i] != batch[at+i] {
				t.Fatalf("row of %d is not found: %v", batch[at+i], rows[i])
			}
		}
		r.Prefetch(hashes[len(hashes)/2:], 0)
	}
	r.Resolve(hashes, 0, batch)
	r.begin(1, 0)
	for i, row := range r.Resolve(hashes, PrefetchGroup, batch[PrefetchGroup:]) {
		if row != nil {
			t.Fatalf("row of %d is lent, though it was not written since Begin", batch[PrefetchGroup+i])
		}
	}
}

// Keys with one hash are told apart, near home and far off, whether they are compared as words or not.
func TestResolveKeysOfOneHash(t *testing.T) {
	t.Parallel()
	t.Run("words", func(t *testing.T) { checkOneHash(t, func(i int) int64 { return int64(i) }) })
	t.Run("pairs", func(t *testing.T) { checkOneHash(t, func(i int) [2]int64 { return [2]int64{1, int64(i)} }) })
	t.Run("text", func(t *testing.T) { checkOneHash(t, func(i int) string { return fmt.Sprint("key ", i) }) })
}

func checkOneHash[K comparable](t *testing.T, key func(i int) K) {
	t.Helper()
	table, err := NewTable[K, int64](Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: 7}, MaxParallelism: 8})
	if err != nil {
		t.Fatal(err)
	}
	const there = 10 * PrefetchGroup
	hashes, batch, found := make([]uint64, 2*there), make([]K, 2*there), 0
	for i := range batch {
		// Keys of the second half have the hashes of the first one, but are not there. Of those, one in eight shares its
		// hash with all that come within two groups: more, and a group would not walk.
		id := i % there
		if id%8 == 0 {
			id = id / (2 * PrefetchGroup) * (2 * PrefetchGroup)
		}
		batch[i], hashes[i] = key(i), uint64(id)*0x9e3779b97f4a7c15
		if i < there {
			row, _ := table.Row(hashes[i], &batch[i])
			*row = int64(i)
		}
	}
	for at := 0; at < len(batch); at += PrefetchGroup {
		rows := table.Resolve(hashes, at, batch[at:])
		for i := range batch[at:min(at+PrefetchGroup, len(batch))] {
			if row := rows[i]; row != nil {
				found++
				if want := int64(at + i); *row != want {
					t.Errorf("key %v has the row of %v", batch[want], batch[*row])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no row is found")
	}
}
