// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statebackend

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type split struct {
	ID  string
	Pos int64
}

func splits(from, to int) []split {
	var all []split
	for i := from; i < to; i++ {
		all = append(all, split{fmt.Sprint("s", i), int64(i)})
	}
	return all
}

func newList(t *testing.T, kind Kind) *OperatorList[split] {
	t.Helper()
	l, err := NewList[split]("splits", kind)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// takeLists writes checkpoint 1 of subtasks with these elements.
func takeLists(t *testing.T, m *Memory, kind Kind, elements ...[]split) {
	t.Helper()
	for i, e := range elements {
		l := newList(t, kind)
		l.Set(e)
		if err := m.Take(Checkpoint{ID: 1}, len(elements), i, l); err != nil {
			t.Fatal(err)
		}
	}
}

func restoreLists(t *testing.T, m *Memory, id int64, kind Kind, parallelism int) [][]split {
	t.Helper()
	var all [][]split
	for i := range parallelism {
		r, err := m.Reader(id, parallelism, i)
		if err != nil {
			t.Fatal(err)
		}
		l := newList(t, kind)
		if err := l.Restore(r); err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Elements())
	}
	return all
}

func TestListIsDealtOutInOrder(t *testing.T) {
	t.Parallel()
	m := NewMemory(8)
	takeLists(t, m, List, splits(0, 3000), nil, splits(3000, 3001))
	for _, parallelism := range []int{1, 2, 3, 5, 8} {
		got := restoreLists(t, m, 1, List, parallelism)
		if all := slices.Concat(got...); !slices.Equal(all, splits(0, 3001)) {
			t.Errorf("parallelism %d: %d elements, out of order or lost", parallelism, len(all))
		}
		if parallelism == 3 && (len(got[0]) != 3000 || len(got[1]) != 0 || len(got[2]) != 1) {
			t.Errorf("unchanged parallelism deals out %d, %d, %d", len(got[0]), len(got[1]), len(got[2]))
		}
	}
}

func TestUnionGoesToAll(t *testing.T) {
	t.Parallel()
	m := NewMemory(8)
	takeLists(t, m, Union, splits(0, 2), splits(2, 3))
	for _, got := range restoreLists(t, m, 1, Union, 3) {
		if !slices.Equal(got, splits(0, 3)) {
			t.Errorf("got %v", got)
		}
	}
}

// A list belongs to the checkpoint as it was at Begin, and waits for room.
func TestListIsFixedAtBegin(t *testing.T) {
	t.Parallel()
	m := NewMemory(8)
	l := newList(t, List)
	l.Set(splits(0, 2))
	if err := l.Begin(Checkpoint{ID: 4}); err != nil {
		t.Fatal(err)
	}
	l.Elements()[0].Pos = 77
	l.Set(splits(5, 9))
	w := m.Writer(4, 1, 0)
	w.Full = true
	if done, err := l.Step(w, 10); done || err != nil {
		t.Fatalf("Step without room: %v, %v", done, err)
	}
	w.Full = false
	if done, err := l.Step(w, 10); !done || err != nil {
		t.Fatalf("Step: %v, %v", done, err)
	}
	w.Done(l)
	if got := restoreLists(t, m, 4, List, 1); !slices.Equal(got[0], splits(0, 2)) {
		t.Errorf("got %v", got[0])
	}
}

func TestListRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	if _, err := NewList[split]("x", Keyed); err == nil {
		t.Error("a keyed list")
	}
	if _, err := NewList[chan int]("x", List); err == nil || !strings.Contains(err.Error(), "state x") {
		t.Errorf("a list of channels: %v", err)
	}
	m := NewMemory(8)
	takeLists(t, m, List, splits(0, 2))
	m.mu.checkpoints[1].subtasks[0].states["splits"].blocks[0].Data = []byte{1, 2}
	r, err := m.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := newList(t, List).Restore(r); err == nil || !strings.Contains(err.Error(), "restore state splits") {
		t.Errorf("a corrupt block: %v", err)
	}
	if err := newList(t, Union).Restore(r); err == nil {
		t.Error("a list restored as a union")
	}
	if _, err := m.Reader(2, 1, 0); err == nil {
		t.Error("a checkpoint that is not there")
	}
}

// A state that the checkpoint does not have begins empty.
func TestListRestoresNothingFromNothing(t *testing.T) {
	t.Parallel()
	m := NewMemory(8)
	takeLists(t, m, List, splits(0, 2))
	r, err := m.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewList[split]("new", List)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Restore(r); err != nil || len(l.Elements()) != 0 {
		t.Errorf("%d elements, %v", len(l.Elements()), err)
	}
}
