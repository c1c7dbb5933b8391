// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// writer makes the records that a leader might: it checks each against what it believes the state to be.
type writer struct {
	epoch   int64
	now     time.Time
	records []*Record
	state   *State
}

func (w *writer) write(r *Record) {
	r.Epoch, r.At = w.epoch, w.now
	if w.state.Check(r) != nil {
		return
	}
	if err := w.state.Apply(copied(r)); err != nil {
		panic(err)
	}
	w.records = append(w.records, r)
}

// copied is what a reader of the store gets.
func copied(r *Record) *Record {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var c Record
	if err := json.Unmarshal(b, &c); err != nil {
		panic(err)
	}
	return &c
}

func (w *writer) step(t *rapid.T) {
	id := func(kind string) string { return fmt.Sprint(kind, rapid.IntRange(0, 3).Draw(t, kind)) }
	switch rapid.SampledFrom([]string{"job", "end", "begin", "jobs", "fail", "add", "remove", "summary", "lead"}).Draw(t, "step") {
	case "job":
		w.write(&Record{Submitted: &Submitted{[]*Job{{ID: id("job"), Program: id("hash"), Submitted: w.now}}}})
	case "end":
		w.write(&Record{Ended: &Ended{id("job"), End{State: "FINISHED", At: w.now}}})
	case "begin":
		w.write(&Record{ApplicationBegun: &Application{ID: id("app"), Begun: w.now, Template: Job{Program: id("hash")}}})
	case "jobs":
		app := id("app")
		w.write(&Record{Submitted: &Submitted{[]*Job{{ID: id("job"), Application: app}, {ID: id("job"), Application: app}}}})
	case "fail":
		w.write(&Record{ApplicationFailed: &ApplicationFailure{Application: id("app"), State: "FAILED", At: w.now}})
	case "add":
		hash := id("hash")
		w.write(&Record{ProgramAdded: &Program{ID: hash + "_p", Hash: hash}})
	case "remove":
		w.write(&Record{ProgramRemoved: &ProgramRemoved{id("hash") + "_p"}})
	case "summary":
		w.write(&Record{Summary: w.state.Summary()})
	case "lead":
		w.epoch++
		w.write(&Record{Opened: &Opened{"x"}})
	}
}

func fold(t *rapid.T, records []*Record) *State {
	s := NewState()
	for i, r := range records {
		if err := s.Apply(copied(r)); err != nil {
			t.Fatalf("record %d: %v", i+1, err)
		}
	}
	return s
}

var comparer = cmp.AllowUnexported(State{})

// TestFold folds what leaders wrote, from the beginning and from the last summary: it is what they believed, whatever
// they forgot meanwhile.
func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &writer{epoch: 1, now: time.Unix(0, 0).UTC(), state: NewState()}
		keep := Retention{For: 20 * time.Second, Max: 2}
		from := 0
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Second)
			w.step(t)
			if rapid.Bool().Draw(t, "expire") {
				w.state.Expire(keep, w.now)
			}
			if n := len(w.records); n > 0 && w.records[n-1].Summary != nil {
				from = n - 1
			}
		}
		w.state.Expire(keep, w.now)
		for _, start := range []int{0, from} {
			s := fold(t, w.records[start:])
			s.Expire(keep, w.now)
			if d := cmp.Diff(w.state, s, comparer); d != "" {
				t.Fatalf("folded from record %d (-believed +folded):\n%s", start+1, d)
			}
		}
		if n := 0; len(w.state.Jobs()) > 0 {
			for _, j := range w.state.Jobs() {
				if j.End != nil {
					n++
				}
			}
			if n > keep.Max {
				t.Fatalf("%d ended jobs are remembered", n)
			}
		}
	})
}

// TestDeposedLeaderCountsForNothing puts a record of an earlier leader among those of a later one.
func TestDeposedLeaderCountsForNothing(t *testing.T) {
	t.Parallel()
	s := NewState()
	for _, r := range []*Record{
		{Epoch: 1, Submitted: &Submitted{[]*Job{{ID: "a"}}}},
		{Epoch: 2, Opened: &Opened{"x"}},
		{Epoch: 1, Ended: &Ended{"a", End{State: "FAILED"}}},
		{Epoch: 1, Submitted: &Submitted{[]*Job{{ID: "b"}}}},
	} {
		if err := s.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	if s.Job("a").End != nil || s.Job("b") != nil || s.Epoch() != 2 {
		t.Errorf("jobs %+v, epoch %d: the deposed leader was believed", s.Jobs(), s.Epoch())
	}
}

// TestIDUsedAgain gives the id of an application's forgotten job to another: the application is forgotten all the same.
func TestIDUsedAgain(t *testing.T) {
	t.Parallel()
	s, later := NewState(), time.Unix(60, 0)
	for _, r := range []*Record{
		{ApplicationBegun: &Application{ID: "app"}},
		{Submitted: &Submitted{[]*Job{{ID: "a", Application: "app"}}}},
		{Ended: &Ended{"a", End{State: "FINISHED", At: time.Unix(1, 0)}}},
		{Submitted: &Submitted{[]*Job{{ID: "a"}}}},
	} {
		if err := s.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	s.Expire(Retention{For: time.Second, Max: 1}, later)
	if s.Application("app") != nil || s.Job("a") == nil {
		t.Errorf("remembered are the applications %+v and jobs %+v", s.Applications(), s.Jobs())
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	base := []*Record{
		{Submitted: &Submitted{[]*Job{{ID: "a"}, {ID: "e"}}}},
		{Ended: &Ended{"e", End{State: "FINISHED"}}},
		{ApplicationBegun: &Application{ID: "p"}},
		{ApplicationBegun: &Application{ID: "f"}},
		{ApplicationFailed: &ApplicationFailure{Application: "f", State: "FAILED"}},
	}
	tests := []struct {
		name         string
		r            *Record
		check, apply error
	}{
		{"taken", &Record{Submitted: &Submitted{[]*Job{{ID: "a"}}}}, ErrJobExists, ErrJobExists},
		{"twice in one", &Record{Submitted: &Submitted{[]*Job{{ID: "n"}, {ID: "n"}}}}, ErrJobExists, ErrJobExists},
		{"taken by one that ended", &Record{Submitted: &Submitted{[]*Job{{ID: "e"}}}}, ErrJobExists, nil},
		{"taken by an application", &Record{Submitted: &Submitted{[]*Job{{ID: "p"}}}}, ErrJobExists, ErrJobExists},
		{"ended twice", &Record{Ended: &Ended{"e", End{}}}, ErrEnded, ErrEnded},
		{"no job", &Record{Ended: &Ended{"x", End{}}}, ErrUnknown, ErrUnknown},
		{"no application", &Record{Submitted: &Submitted{[]*Job{{ID: "n", Application: "x"}}}}, ErrUnknown, ErrUnknown},
		{"failed application", &Record{Submitted: &Submitted{[]*Job{{ID: "n", Application: "f"}}}}, ErrEnded, ErrEnded},
		{"its jobs", &Record{Submitted: &Submitted{[]*Job{{ID: "n", Application: "p"}}}}, nil, nil},
		{"no program", &Record{ProgramRemoved: &ProgramRemoved{"x"}}, ErrUnknown, ErrUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewState()
			for _, r := range base {
				if err := s.Apply(copied(r)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Check(tt.r); !errors.Is(err, tt.check) {
				t.Errorf("Check: %v, want %v", err, tt.check)
			}
			if err := s.Apply(tt.r); !errors.Is(err, tt.apply) {
				t.Errorf("Apply: %v, want %v", err, tt.apply)
			}
		})
	}
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	var r Restarts
	for i, ms := range []int64{100, 200, 400, 800, 1600, 3200, 6400} {
		if wait, giveUp := r.Ended(0); wait.Milliseconds() != ms || giveUp {
			t.Fatalf("start %d: waits %v, gives up %t", i+1, wait, giveUp)
		}
	}
	if wait, giveUp := r.Ended(0); wait != 10*time.Second || !giveUp || r.Failed() != StartsMax {
		t.Fatalf("the last start: waits %v, gives up %t after %d", wait, giveUp, r.Failed())
	}
	if wait, giveUp := r.Ended(time.Second); wait != 10*time.Second || giveUp {
		t.Errorf("a JobMaster that crashes: waits %v, gives up %t", wait, giveUp)
	}
	if wait, giveUp := r.Ended(time.Minute); wait != 100*time.Millisecond || giveUp {
		t.Errorf("a JobMaster that worked: waits %v, gives up %t", wait, giveUp)
	}
}
