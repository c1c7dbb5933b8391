// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

func timersConfig(parallelism, subtask int) Config {
	return Config{
		Name: TimersName, MaxParallelism: testGroups,
		Groups: statebackend.KeyGroupsOf(testGroups, parallelism, subtask),
	}
}

func newTimers(t interface{ Fatal(...any) }, parallelism, subtask int) *Timers[string] {
	timers, err := NewTimers[string](timersConfig(parallelism, subtask))
	if err != nil {
		t.Fatal(err)
	}
	return timers
}

// modelTimer orders as timers fire.
type modelTimer struct {
	d    Domain
	at   int64
	hash uint64
	key  string
}

func (m modelTimer) compare(o modelTimer) int {
	return cmp.Or(cmp.Compare(m.at, o.at), cmp.Compare(m.hash, o.hash))
}

// due are the timers of the model that fire, in order.
func due(model map[modelTimer]bool, d Domain, until int64) []modelTimer {
	return slices.SortedFunc(func(yield func(modelTimer) bool) {
		for m := range model {
			if m.d == d && m.at <= until && !yield(m) {
				return
			}
		}
	}, modelTimer.compare)
}

func popAll(timers *Timers[string], d Domain, until int64) []modelTimer {
	var all []modelTimer
	for {
		x, ok := timers.Pop(d, until)
		if !ok {
			return all
		}
		all = append(all, modelTimer{d, x.Time, x.Hash, x.Key})
	}
}

func TestTimersMatchModel(t *testing.T) {
	t.Parallel()
	hash, err := keys.HasherFor[string]()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		timers := newTimers(t, 1, 0)
		store := statebackend.NewMemory(testGroups)
		model := map[modelTimer]bool{}
		checkpoint := int64(0)
		draw := func(t *rapid.T) modelTimer {
			m := modelTimer{
				d: Domain(rapid.IntRange(0, 1).Draw(t, "domain")), at: int64(rapid.IntRange(-5, 20).Draw(t, "at")),
				key: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key"),
			}
			m.hash = hash(&m.key)
			return m
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) {
				m := draw(t)
				if got := timers.Register(m.d, m.at, m.hash, &m.key); got == model[m] {
					t.Fatalf("register %v: new %v", m, got)
				}
				model[m] = true
			},
			"delete": func(t *rapid.T) {
				m := draw(t)
				if got := timers.Delete(m.d, m.at, m.hash, &m.key); got != model[m] {
					t.Fatalf("delete %v: %v", m, got)
				}
				delete(model, m)
			},
			"fire": func(t *rapid.T) {
				d, until := Domain(rapid.IntRange(0, 1).Draw(t, "domain")), int64(rapid.IntRange(-6, 21).Draw(t, "until"))
				want := due(model, d, until)
				if got := popAll(timers, d, until); !slices.Equal(got, want) {
					t.Fatalf("fired %v, want %v", got, want)
				}
				for _, m := range want {
					delete(model, m)
				}
			},
			"checkpoint": func(t *rapid.T) {
				checkpoint++
				if err := store.Take(statebackend.Checkpoint{ID: checkpoint}, 1, 0, timers); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "completed") {
					if err := timers.Completed(checkpoint); err != nil {
						t.Fatal(err)
					}
				}
				checkTimers(t, store, checkpoint, rapid.IntRange(1, 4).Draw(t, "parallelism"), model)
			},
			"rebuild": func(*rapid.T) { timers.rebuild() },
			"": func(t *rapid.T) {
				for d := range domains {
					all := due(model, d, element.MaxWatermark)
					if timers.Len(d) != len(all) {
						t.Fatalf("%d timers, want %d", timers.Len(d), len(all))
					}
					at, ok := timers.Next(d)
					if ok != (len(all) > 0) || ok && at != all[0].at {
						t.Fatalf("next at %d, %v, want one of %v", at, ok, all)
					}
				}
			},
		})
	})
}

// checkTimers restores a checkpoint and fires everything.
func checkTimers(t *rapid.T, store *statebackend.Memory, checkpoint int64, parallelism int, model map[modelTimer]bool) {
	got := map[modelTimer]bool{}
	for i := range parallelism {
		r, err := store.Reader(checkpoint, parallelism, i)
		if err != nil {
			t.Fatal(err)
		}
		timers := newTimers(t, parallelism, i)
		if err := timers.Restore(r); err != nil {
			t.Fatal(err)
		}
		for d := range domains {
			all := popAll(timers, d, element.MaxWatermark)
			if !slices.IsSortedFunc(all, modelTimer.compare) {
				t.Fatalf("fired out of order: %v", all)
			}
			for _, m := range all {
				got[m] = true
			}
		}
	}
	if !maps.Equal(got, model) {
		t.Fatalf("checkpoint %d has %v, want %v", checkpoint, got, model)
	}
}

// A timer that is moved again and again must not fill the heap.
func TestDeletedTimersAreForgotten(t *testing.T) {
	t.Parallel()
	timers := newTimers(t, 1, 0)
	key := "k"
	h, _ := timers.set.hash(&timerKey[string]{Key: key})
	for at := range int64(100_000) {
		timers.Register(EventTime, at, h, &key)
		timers.Delete(EventTime, at-1, h, &key)
	}
	if n := len(timers.heaps[EventTime]); n > 3*staleMin {
		t.Errorf("the heap holds %d timers, one of which lives", n)
	}
	if got := popAll(timers, EventTime, 1<<40); len(got) != 1 || got[0].at != 99_999 {
		t.Errorf("fired %v", got)
	}
}

// A timer registered while timers fire, for a time that has come, fires with them.
func TestTimerRegisteredWhileFiring(t *testing.T) {
	t.Parallel()
	timers := newTimers(t, 1, 0)
	key := "k"
	h, _ := timers.set.hash(&timerKey[string]{Key: key})
	timers.Register(ProcessingTime, 1, h, &key)
	fired := 0
	for {
		x, ok := timers.Pop(ProcessingTime, 10)
		if !ok {
			break
		}
		fired++
		timers.Register(ProcessingTime, x.Time+1, h, &key)
	}
	if at, _ := timers.Next(ProcessingTime); fired != 10 || at != 11 {
		t.Errorf("fired %d times, the next at %d", fired, at)
	}
}

// Registering a timer that is there must not make it dirty.
func TestRegisteringAgainChangesNothing(t *testing.T) {
	t.Parallel()
	timers := newTimers(t, 1, 0)
	store := statebackend.NewMemory(testGroups)
	key := "k"
	h, _ := timers.set.hash(&timerKey[string]{Key: key})
	for id := range int64(2) {
		timers.Register(EventTime, 5, h, &key)
		if err := store.Take(statebackend.Checkpoint{ID: id + 1}, 1, 0, timers); err != nil {
			t.Fatal(err)
		}
		if err := timers.Completed(id + 1); err != nil {
			t.Fatal(err)
		}
	}
	r, err := store.Reader(2, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for b, err := range r.Blocks(TimersName) {
		if err != nil {
			t.Fatal(err)
		}
		n += b.Rows
	}
	if n != 1 {
		t.Errorf("two checkpoints have %d rows, want 1", n)
	}
}

func TestWatermarksOfKeyGroups(t *testing.T) {
	t.Parallel()
	store := statebackend.NewMemory(testGroups)
	for i, at := range []int64{100, 50} {
		w := newWatermarks(t, 2, i)
		w.Advance(at)
		w.Advance(at - 10)
		if err := w.Begin(statebackend.Checkpoint{ID: 1}); err != nil {
			t.Fatal(err)
		}
		w.Advance(1000) // after the barrier
		to := store.Writer(1, 2, i)
		for done := false; !done; {
			var err error
			if done, err = w.Step(to, 1); err != nil {
				t.Fatal(err)
			}
		}
		to.Done(w)
	}
	r, err := store.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatermarks(t, 1, 0)
	if got := w.Seen(0); got != element.MinWatermark {
		t.Fatalf("fresh group has seen %d", got)
	}
	if err := w.Restore(r); err != nil {
		t.Fatal(err)
	}
	w.Advance(70)
	for group, want := range []int64{100, 100, 70, 70} {
		if got := w.Seen(group); got != want {
			t.Errorf("group %d has seen %d, want %d", group, got, want)
		}
	}
	w.Advance(200)
	if got := w.Seen(0); got != 200 {
		t.Errorf("after the watermark 200, group 0 has seen %d", got)
	}
}

func newWatermarks(t *testing.T, parallelism, subtask int) *Watermarks {
	t.Helper()
	w, err := NewWatermarks(statebackend.KeyGroupsOf(testGroups, parallelism, subtask))
	if err != nil {
		t.Fatal(err)
	}
	return w
}
