// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/state"
)

const second = int64(time.Second)

// session is a row with all kinds of fields, two of which live for ever.
type session struct {
	Total   int64
	Visits  int64              `weir:"visits,ttl=10s"`
	Name    string             `weir:",ttl=20s,refresh=read"`
	Last    state.Value[int32] `weir:",ttl=10s"`
	Pages   state.List[string] `weir:",ttl=10s"`
	Forever state.List[string]
}

// fading is a row that expires as a whole.
type fading struct {
	Count int64            `weir:",ttl=10s"`
	Pages state.List[int8] `weir:",ttl=5s"`
}

// rig is a table with a single key.
type rig[S any] struct {
	*Table[int64, S]
	t   *testing.T
	key int64
}

func newRig[S any](t *testing.T) *rig[S] {
	t.Helper()
	table, err := NewTable[int64, S](Config{Name: "rows", Groups: statebackend.KeyGroupRange{Last: testGroups - 1}, MaxParallelism: testGroups})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig[S]{table, t, 7}
}

func (r *rig[S]) hashOf(k int64) uint64 { h, _ := r.hash(&k); return h }

// at lends the row at that time, as an operator does.
func (r *rig[S]) at(now int64, f func(row *S)) (isNew bool) {
	r.SetNow(now)
	row, isNew := r.Row(r.hashOf(r.key), &r.key)
	r.Enter(row)
	f(row)
	r.Leave(row)
	return isNew
}

func TestPlainFieldsExpireSinceTheirLastWrite(t *testing.T) {
	t.Parallel()
	r := newRig[session](t)
	r.at(0, func(s *session) { s.Total, s.Visits, s.Name = 1, 1, "x"; s.Last.Set(3); s.Forever.Append("f") })
	r.at(8*second, func(s *session) {
		if v, ok := s.Last.Get(); s.Visits != 1 || v != 3 || !ok {
			t.Errorf("at 8 s: %+v", s)
		}
		s.Last.Set(3)           // the same value is a write
		s.Visits = s.Visits * 1 // no change is none
	})
	r.at(10*second, func(s *session) {
		if s.Visits != 0 {
			t.Error("Visits outlived 10 s")
		}
		if _, ok := s.Last.Get(); !ok {
			t.Error("Last was written at 8 s and is gone at 10 s")
		}
		s.Visits = 5
	})
	r.at(19*second, func(s *session) {
		if _, ok := s.Last.Get(); ok || s.Visits != 5 || s.Name != "x" {
			t.Errorf("at 19 s: %+v", s)
		}
	})
	r.at(38*second, func(s *session) {
		if s.Name != "x" {
			t.Error("Name was read at 19 s and is gone at 38 s")
		}
	})
	r.at(58*second, func(s *session) {
		if s.Name != "" || s.Total != 1 || s.Forever.Len() != 1 {
			t.Errorf("at 58 s: %+v", s)
		}
	})
}

func TestListElementsExpireInTheirRow(t *testing.T) {
	t.Parallel()
	r := newRig[session](t)
	r.at(0, func(s *session) { s.Pages.Append("a") })
	r.at(5*second, func(s *session) { s.Pages.Append("b") })
	r.at(10*second, func(s *session) {
		if s.Pages.Len() != 1 || *s.Pages.At(0) != "b" {
			t.Errorf("at 10 s there are %d pages", s.Pages.Len())
		}
	})
}

func TestRowExpiresAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig[fading](t)
	nothing := func(*fading) {}
	if !r.at(0, func(f *fading) { f.Count = 1; f.Pages.Append(1) }) {
		t.Fatal("the first row is not new")
	}
	if r.at(9*second, nothing) {
		t.Fatal("gone too early")
	}
	r.SetNow(10 * second)
	if r.Lookup(r.hashOf(7), &r.key) != nil {
		t.Fatal("Lookup sees what has expired")
	}
	for range r.All() {
		t.Fatal("All sees what has expired")
	}
	if !r.at(10*second, func(f *fading) {
		if f.Count != 0 || f.Pages.Len() != 0 {
			t.Errorf("a new row is %+v", f)
		}
		f.Pages.Append(2)
	}) {
		t.Fatal("an expired row is not new")
	}
}

// A snapshot drops rows that have expired, tells an increment's base of it, and carries the times of those that live.
func TestTimesAreInSnapshots(t *testing.T) {
	t.Parallel()
	r := newRig[fading](t)
	store := statebackend.NewMemory(testGroups)
	take := func(id int64) {
		if err := store.Take(statebackend.Checkpoint{ID: id}, 1, 0, r); err != nil {
			t.Fatal(err)
		}
		if err := r.Completed(id); err != nil {
			t.Fatal(err)
		}
	}
	restored := func(id, now int64) *rig[fading] {
		reader, err := store.Reader(id, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := newRig[fading](t)
		n.SetNow(now)
		if err := n.Restore(reader); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for key := range int64(200) { // a large base, so that the next checkpoint is an increment
		r.key = 100 + key
		r.at(0, func(f *fading) { f.Count = key })
	}
	r.key = 7
	r.at(0, func(f *fading) { f.Count = 1 })
	r.key = 8
	r.at(4*second, func(f *fading) { f.Count = 2; f.Pages.Append(1) })
	r.key = 7
	take(1)

	n := restored(1, 8*second)
	if row := n.Lookup(n.hashOf(8), new(int64(8))); row == nil || row.Count != 2 || row.Pages.Len() != 1 {
		t.Errorf("restored at 8 s: %+v", row)
	}
	n.SetNow(11 * second)
	if n.Lookup(n.hashOf(7), new(int64(7))) != nil {
		t.Error("a row written at 0 s lives at 11 s after a restore")
	}
	if row := n.Lookup(n.hashOf(8), new(int64(8))); row == nil || row.Pages.Len() != 0 {
		t.Errorf("at 11 s: %+v", row)
	}

	r.key = 7
	r.at(6*second, func(f *fading) { f.Pages.Append(9) }) // dirty; Count expires at 10 s, the page at 11 s
	r.SetNow(12 * second)
	take(2)
	if base := r.Base(); len(base) == 0 {
		t.Fatal("want an increment")
	}
	if row := restored(2, 0).Lookup(r.hashOf(7), new(int64(7))); row != nil {
		t.Errorf("an expired row came back as %+v", row)
	}
}

// A field that had no time to live in the checkpoint begins to live when it is restored.
func TestFieldsWithoutTimesLiveFromTheRestore(t *testing.T) {
	t.Parallel()
	type before struct{ Count, Other int64 }
	type after struct {
		Count int64 `weir:",ttl=10s"`
		Other int64
	}
	old := newRig[before](t)
	old.at(0, func(b *before) { b.Count, b.Other = 3, 4 })
	store := statebackend.NewMemory(testGroups)
	if err := store.Take(statebackend.Checkpoint{ID: 1}, 1, 0, old); err != nil {
		t.Fatal(err)
	}
	reader, err := store.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig[after](t)
	r.SetNow(100 * second)
	if err := r.Restore(reader); err != nil {
		t.Fatal(err)
	}
	r.at(109*second, func(a *after) {
		if a.Count != 3 {
			t.Error("expired at once")
		}
	})
	r.at(110*second, func(a *after) {
		if a.Count != 0 || a.Other != 4 {
			t.Errorf("at 10 s after the restore: %+v", a)
		}
	})
}

func TestTTLNamesTheFieldThatCantHaveOne(t *testing.T) {
	t.Parallel()
	type inner struct {
		Deep int `weir:",ttl=1s"`
	}
	type malformed struct {
		Ok  int
		Bad int `weir:",ttl=x"`
	}
	type slice struct {
		Tags []string `weir:",ttl=1s"`
	}
	type nested struct{ In []inner }
	for _, test := range []struct {
		s    any
		want string
	}{{malformed{}, "field Bad"}, {slice{}, "field Tags"}, {nested{}, "field In.Deep"}} {
		err := CheckTTL(reflect.TypeOf(test.s))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: error %v, want one with %q", test.s, err, test.want)
		}
	}
	if err := CheckTTL(reflect.TypeFor[session]()); err != nil {
		t.Error(err)
	}
	if _, err := NewTable[int64, slice](Config{Name: "s", MaxParallelism: 1}); err == nil || !strings.Contains(err.Error(), "state s: field Tags") {
		t.Errorf("NewTable: %v", err)
	}
}

// A row that was lent and not written to is vacant, though the engine has left the clocks of its collections there.
func TestVacant(t *testing.T) {
	t.Parallel()
	r := newRig[session](t)
	vacant := func(f func(s *session)) (is bool) {
		r.at(0, func(s *session) { f(s); is = r.Vacant(s) })
		r.Delete(r.hashOf(r.key), &r.key)
		return is
	}
	if !vacant(func(*session) {}) {
		t.Error("a new row isn't vacant")
	}
	if !vacant(func(s *session) { s.Pages.Append("a"); s.Pages.Clear() }) {
		t.Error("a row with an empty list isn't vacant")
	}
	for name, write := range map[string]func(s *session){
		"plain": func(s *session) { s.Total = 1 }, "timed": func(s *session) { s.Visits = 1 },
		"value": func(s *session) { s.Last.Set(0) }, "list": func(s *session) { s.Forever.Append("") },
		"timed list": func(s *session) { s.Pages.Append("") },
	} {
		if vacant(write) {
			t.Errorf("a row with a %s field is vacant", name)
		}
	}
	plain := newRig[int64](t)
	if !plain.Vacant(new(int64)) || plain.Vacant(new(int64(1))) {
		t.Error("a row without fields")
	}
}
