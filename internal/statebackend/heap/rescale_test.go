// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// subtask is the state of one of several.
type subtask struct {
	rows   *Table[int64, int64]
	timers *Timers[int64]
}

func newSubtask(t *testing.T, groups, parallelism, i int) subtask {
	t.Helper()
	c := Config{Name: "rows", MaxParallelism: groups, Groups: statebackend.KeyGroupsOf(groups, parallelism, i)}
	rows, err := NewTable[int64, int64](c)
	if err != nil {
		t.Fatal(err)
	}
	c.Name = TimersName
	timers, err := NewTimers[int64](c)
	if err != nil {
		t.Fatal(err)
	}
	return subtask{rows, timers}
}

// TestRescale takes rows and timers through one parallelism after the other. At each, a full checkpoint and two
// increments are taken, the first of which is aborted, and the last is restored at the next.
func TestRescale(t *testing.T) {
	t.Parallel()
	const groups, keyCount = 11, 2000
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	rows, timers := map[int64]int64{}, map[int64]int64{}
	store, checkpoint := statebackend.NewMemory(groups), int64(0)
	for stage, parallelism := range []int{1, 2, 3, 5, 3, 1, 11} {
		subtasks := make([]subtask, parallelism)
		owner := func(k int64) (subtask, uint64) {
			h := hash(&k)
			group, _ := keys.Group(h, groups)
			i, _ := statebackend.Overlap(statebackend.KeyGroupRange{First: group, Last: group}, groups, parallelism)
			return subtasks[i], h
		}
		for i := range subtasks {
			subtasks[i] = newSubtask(t, groups, parallelism, i)
			if stage == 0 {
				continue
			}
			r, err := store.Reader(checkpoint, parallelism, i)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []statebackend.State{subtasks[i].rows, subtasks[i].timers} {
				if err := s.Restore(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkSubtasks(t, parallelism, subtasks, rows, timers)
		for round := range int64(3) {
			for k := round; k < keyCount; k += 1 + 8*round {
				s, h := owner(k)
				if v := k + round + int64(stage); v%3 == 0 {
					s.rows.Delete(h, &k)
					s.timers.Delete(EventTime, timers[k], h, &k)
					delete(rows, k)
					delete(timers, k)
				} else {
					row, _ := s.rows.Row(h, &k)
					*row = v
					s.timers.Delete(EventTime, timers[k], h, &k)
					s.timers.Register(EventTime, v, h, &k)
					rows[k], timers[k] = v, v
				}
			}
			checkpoint++
			for i, s := range subtasks {
				if err := store.Take(statebackend.Checkpoint{ID: checkpoint}, parallelism, i, s.rows, s.timers); err != nil {
					t.Fatal(err)
				}
				settle := s.rows.Completed
				if round == 1 {
					settle = s.rows.Aborted
				}
				if err := settle(checkpoint); err != nil {
					t.Fatal(err)
				}
				if err := s.timers.Completed(checkpoint); err != nil {
					t.Fatal(err)
				}
				if round == 2 && len(s.rows.Base()) == 0 {
					t.Errorf("stage %d: the last checkpoint of subtask %d is full", stage, i)
				}
			}
		}
		for _, s := range subtasks {
			if err := s.rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkSubtasks compares what all subtasks hold with the model. Timers are only looked at.
func checkSubtasks(t *testing.T, parallelism int, subtasks []subtask, rows, timers map[int64]int64) {
	t.Helper()
	gotRows, gotTimers := map[int64]int64{}, map[int64]int64{}
	for _, s := range subtasks {
		for k, row := range s.rows.All() {
			gotRows[*k] = *row
		}
		for k := range s.timers.set.All() {
			gotTimers[k.Key] = k.Time
		}
	}
	if !maps.Equal(gotRows, rows) {
		t.Errorf("rows at parallelism %d:\n%s", parallelism, cmp.Diff(rows, gotRows))
	}
	if !maps.Equal(gotTimers, timers) {
		t.Errorf("timers at parallelism %d:\n%s", parallelism, cmp.Diff(timers, gotTimers))
	}
}
