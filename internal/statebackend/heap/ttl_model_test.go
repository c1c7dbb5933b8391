// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/state"
)

// aging is a row whose fields live 10 and 20 ticks, and the elements of its list 15.
type aging struct {
	Short int64             `weir:",ttl=10ns"`
	Long  state.Value[int8] `weir:",ttl=20ns"`
	List  state.List[int64] `weir:",ttl=15ns"`
}

// aged is an aging of the model, with the time of each write.
type aged struct {
	short, long         int64
	shortAt, longAt     int64
	listItems, listTime []int64
}

// visible is what can be seen of a row.
type visible struct {
	Short, Long int64
	List        []int64
}

// at returns what can be seen of the row at a time; ok is false if nothing can.
func (a *aged) at(now int64) (v visible, ok bool) {
	if now-a.shortAt < 10 {
		v.Short, ok = a.short, true
	}
	if now-a.longAt < 20 {
		v.Long, ok = a.long, true
	}
	for i, x := range a.listItems {
		if now-a.listTime[i] < 15 {
			v.List, ok = append(v.List, x), true
		}
	}
	return v, ok
}

func look(a *aging) visible {
	long, _ := a.Long.Get()
	v := visible{Short: a.Short, Long: int64(long)}
	for x := range a.List.All() {
		v.List = append(v.List, *x)
	}
	return v
}

// TestExpiryMatchesModel lets rows age while the table grows and shrinks, and through snapshots.
func TestExpiryMatchesModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		table := newAging(t, 1, 0)
		model := map[int64]*aged{}
		store := statebackend.NewMemory(testGroups)
		now, checkpoint := int64(1000), int64(0)
		table.SetNow(now)
		lend := func(t *rapid.T, k int64, f func(row *aging, m *aged)) {
			row, isNew := table.Row(hashIn(table, k), &k)
			m := model[k]
			if m != nil {
				if _, ok := m.at(now); !ok {
					m = nil
				}
			}
			if isNew != (m == nil) {
				t.Fatalf("key %d: new %v, in the model %+v", k, isNew, m)
			}
			if m == nil {
				m = &aged{shortAt: now, longAt: now}
				model[k] = m
			}
			table.Enter(row)
			f(row, m)
			table.Leave(row)
		}
		keys := rapid.Int64Range(0, 300)
		t.Repeat(map[string]func(*rapid.T){
			"short": func(t *rapid.T) {
				from := keys.Draw(t, "from")
				for k := from; k < from+rapid.Int64Range(1, 50).Draw(t, "n"); k++ {
					lend(t, k, func(row *aging, m *aged) {
						if v, _ := m.at(now); v.Short == 0 {
							m.short = 0 // expired
						}
						row.Short++
						m.short, m.shortAt = m.short+1, now
					})
				}
			},
			"long": func(t *rapid.T) {
				lend(t, keys.Draw(t, "key"), func(row *aging, m *aged) { row.Long.Set(7); m.long, m.longAt = 7, now })
			},
			"list": func(t *rapid.T) {
				lend(t, keys.Draw(t, "key"), func(row *aging, m *aged) {
					row.List.Append(now)
					m.listItems, m.listTime = append(m.listItems, now), append(m.listTime, now)
				})
			},
			"delete": func(t *rapid.T) {
				from := keys.Draw(t, "from")
				for k := from; k < from+40; k++ {
					table.Delete(hashIn(table, k), &k)
					delete(model, k)
				}
			},
			"tick": func(t *rapid.T) {
				now += rapid.Int64Range(1, 6).Draw(t, "ticks")
				table.SetNow(now)
			},
			"checkpoint": func(t *rapid.T) {
				checkpoint++
				if err := store.Take(statebackend.Checkpoint{ID: checkpoint}, 1, 0, table); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "completed") {
					if err := table.Completed(checkpoint); err != nil {
						t.Fatal(err)
					}
				}
				checkAging(t, store, checkpoint, now+rapid.Int64Range(0, 6).Draw(t, "later"), model)
			},
			"": func(t *rapid.T) { compareAging(t, table, now, model) },
		})
	})
}

func newAging(t *rapid.T, parallelism, subtask int) *Table[int64, aging] {
	table, err := NewTable[int64, aging](Config{
		Name: "rows", Groups: statebackend.KeyGroupsOf(testGroups, parallelism, subtask), MaxParallelism: testGroups,
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func hashIn[S any](table *Table[int64, S], k int64) uint64 { h, _ := table.hash(&k); return h }

func compareAging(t *rapid.T, table *Table[int64, aging], now int64, model map[int64]*aged) {
	want := map[int64]visible{}
	for k, m := range model {
		if v, ok := m.at(now); ok {
			want[k] = v
		}
	}
	got := map[int64]visible{}
	for k, row := range table.All() {
		got[*k] = look(row)
	}
	same := func(a, b visible) bool { return a.Short == b.Short && a.Long == b.Long && slices.Equal(a.List, b.List) }
	if !maps.EqualFunc(got, want, same) {
		t.Fatalf("at %d:\n%s", now, cmp.Diff(want, got))
	}
}

func checkAging(t *rapid.T, store *statebackend.Memory, checkpoint, now int64, model map[int64]*aged) {
	r, err := store.Reader(checkpoint, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	table := newAging(t, 1, 0)
	table.SetNow(now)
	if err := table.Restore(r); err != nil {
		t.Fatal(err)
	}
	compareAging(t, table, now, model)
}
