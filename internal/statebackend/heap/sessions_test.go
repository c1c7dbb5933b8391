// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

func newSums(t interface{ Fatal(...any) }, groups statebackend.KeyGroupRange, lateness int64) *Sessions[int64, int64] {
	s, err := NewSessions[int64](SessionsConfig[int64]{
		Config:   Config{Name: "sessions", MaxParallelism: testGroups, Groups: groups},
		Lateness: lateness,
		Merge:    func(acc, from *int64) { *acc += *from },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSessionsGolden reads a block of version 1, and writes the same.
func TestSessionsGolden(t *testing.T) {
	const golden = "testdata/sessions-v1.golden"
	group := statebackend.KeyGroupsOf(testGroups, testGroups, 0)
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	s := newSums(t, group, 5)
	var rows []int64
	for key := int64(0); len(rows) < 3; key++ {
		h := hash(&key)
		if g, _ := keys.Group(h, testGroups); g != 0 {
			continue
		}
		rows = append(rows, key)
		for n := range int64(len(rows)) {
			s.Put(h, &key, 10*n, 10*n+4, 1).Acc += 100*key + n
		}
	}
	m := statebackend.NewMemory(testGroups)
	if err := m.Take(statebackend.Checkpoint{ID: 1}, 1, 0, s); err != nil {
		t.Fatal(err)
	}
	block := m.Writer(2, 1, 0)
	if err := s.Begin(statebackend.Checkpoint{ID: 2, Flags: 0}); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Step(block, 1000); err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	text := hex.Dump(block.Blocks("sessions")[0].Data)
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
	reader, err := m.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	restored := newSums(t, group, 5)
	if err := restored.Restore(fixed{reader, block.Blocks("sessions")}); err != nil {
		t.Fatal(err)
	}
	var fired []int64
	if err := restored.Advance(1000, func(_ uint64, k *int64, w *Session[int64]) error {
		if w.Acc != 100**k+w.Start/10 || w.End != w.Start+4 {
			t.Errorf("session of %d is %+v", *k, *w)
		}
		fired = append(fired, w.Start)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []int64{0, 0, 0, 10, 10, 20}; !slices.Equal(fired, want) || restored.Size().Rows != 0 {
		t.Errorf("sessions fired: %d, want %d; %d rows left", fired, want, restored.Size().Rows)
	}
}

// TestCalendarAgainstSort gives timers back in order, though they wait for very different times.
func TestCalendarAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		var c calendar[int]
		c.begin(rapid.SampledFrom([]int64{1, 100, 1 << 40}).Draw(t, "span"))
		var model []int64
		now := int64(-1 << 20)
		for range 400 {
			at := now + 1 + random.Int64N(1<<random.IntN(40))
			c.push(Timer[int]{Time: at})
			model = append(model, at)
			if random.IntN(20) > 0 {
				continue
			}
			now += random.Int64N(1 << random.IntN(30))
			checkDue(t, &c, &model, now)
		}
		checkDue(t, &c, &model, 1<<62)
		if c.count != 0 {
			t.Fatalf("%d timers are left", c.count)
		}
	})
}

func checkDue(t *rapid.T, c *calendar[int], model *[]int64, until int64) {
	slices.Sort(*model)
	n, _ := slices.BinarySearch(*model, until+1)
	var got []int64
	for {
		for {
			x, ok := c.pop(until)
			if !ok {
				break
			}
			got = append(got, x.Time)
		}
		day := c.open(until)
		if day == nil {
			break
		}
		for _, x := range day {
			c.push(x)
		}
		c.done(day)
	}
	if !slices.Equal(got, (*model)[:n]) {
		t.Fatalf("due at %d: %d, want %d", until, got, (*model)[:n])
	}
	*model = (*model)[n:]
}

// TestCalendarLengthensDays has timers far apart in days that are too short.
func TestCalendarLengthensDays(t *testing.T) {
	var c calendar[int]
	c.begin(1)
	for i := range int64(3 * daysMax) {
		c.push(Timer[int]{Time: i * 1000})
	}
	if c.shift == 0 || len(c.days) > daysMax {
		t.Errorf("%d days of %d ns", len(c.days), 1<<c.shift)
	}
}

// TestSessionsForgetTimersThatWereReplaced brings a session forward again and again.
func TestSessionsForgetTimersThatWereReplaced(t *testing.T) {
	s := newSums(t, statebackend.KeyGroupsOf(testGroups, 1, 0), 0)
	hash, err := keys.HasherFor[int64]()
	if err != nil {
		t.Fatal(err)
	}
	key := int64(7)
	for at := int64(10 * staleMin); at > 0; at -= 2 {
		s.Put(hash(&key), &key, at, at+1, 0)
	}
	if s.timers.count > 3*staleMin || s.keys != 1 {
		t.Errorf("%d timers of %d keys", s.timers.count, s.keys)
	}
}
