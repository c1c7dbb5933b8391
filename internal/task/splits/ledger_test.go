// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package splits_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/task/splits"
)

func assign(number int64) splits.Assignment { return splits.Assignment{Number: number} }

func trigger(id, number int64) splits.Trigger {
	return splits.Trigger{Barrier: element.CheckpointBarrier{ID: id}, Number: number}
}

// show writes steps as words: "apply 1, take 7, decline 8, ask 3".
func show(steps []splits.Step) string {
	var words []string
	for _, s := range steps {
		switch s.Kind {
		case splits.Apply:
			words = append(words, fmt.Sprint("apply ", s.Assignment.Number))
		case splits.Take:
			words = append(words, fmt.Sprint("take ", s.Trigger.Barrier.ID))
		case splits.Decline:
			words = append(words, fmt.Sprint("decline ", s.Trigger.Barrier.ID))
		case splits.Ask:
			words = append(words, fmt.Sprint("ask ", s.From))
		}
	}
	return strings.Join(words, ", ")
}

func TestOrder(t *testing.T) {
	type event struct {
		do   func(l *splits.Ledger) []splits.Step
		want string
	}
	assigned := func(n int64, want string) event {
		return event{func(l *splits.Ledger) []splits.Step { return l.Assign(assign(n)) }, want}
	}
	triggered := func(id, n int64, want string) event {
		return event{func(l *splits.Ledger) []splits.Step { return l.Trigger(trigger(id, n)) }, want}
	}
	aborted := func(id int64, want string) event {
		return event{func(l *splits.Ledger) []splits.Step { return l.Abort(id) }, want}
	}
	tests := []struct {
		name   string
		start  int64
		events []event
	}{
		{"in order", 0, []event{assigned(1, "apply 1"), triggered(7, 1, "take 7"), assigned(2, "apply 2")}},
		{"restored", 4, []event{assigned(4, ""), assigned(5, "apply 5"), triggered(7, 5, "take 7")}},
		{"none yet", 0, []event{triggered(7, 0, "take 7"), assigned(1, "apply 1")}},
		{"doubles", 0, []event{assigned(1, "apply 1"), assigned(1, ""), assigned(3, "ask 2"), assigned(3, ""), assigned(2, "apply 2, apply 3")}},
		{"a gap is asked for once", 0, []event{assigned(3, "ask 1"), assigned(4, ""), assigned(1, "apply 1, ask 2"), assigned(2, "apply 2, apply 3, apply 4")}},
		{"the barrier waits for what is missing, and the rest for the barrier", 0, []event{
			triggered(7, 2, "ask 1"), assigned(3, ""), assigned(2, ""), assigned(1, "apply 1, apply 2, take 7, apply 3"),
		}},
		{"two barriers between assignments", 0, []event{
			triggered(8, 2, "ask 1"), triggered(7, 1, ""), assigned(2, ""), assigned(1, "apply 1, take 7, apply 2, take 8"),
		}},
		{"a trigger twice", 0, []event{triggered(7, 1, "ask 1"), triggered(7, 1, ""), assigned(1, "apply 1, take 7")}},
		{"too late", 0, []event{assigned(1, "apply 1"), triggered(7, 0, "decline 7")}},
		{"aborted while it waits", 0, []event{
			triggered(7, 1, "ask 1"), aborted(7, ""), assigned(1, "apply 1"), triggered(8, 1, "take 8"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := splits.New(tt.start)
			for i, e := range tt.events {
				if got := show(e.do(l)); got != e.want {
					t.Fatalf("event %d: got %q, want %q", i, got, e.want)
				}
			}
		})
	}
}

// TestReordering sends assignments and triggers over a bad line that doubles and reorders, and answers questions
// over the same line. Assignments are applied once each, in order; a barrier comes exactly behind the one that
// its trigger names; and only a trigger that came too late is declined.
func TestReordering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 12).Draw(t, "assignments")
		l := splits.New(0)
		var applied int64
		decided := map[int64]int{}
		var line []func() []splits.Step
		assignFrom := func(from int64) {
			for i := from; i <= n; i++ {
				line = append(line, func() []splits.Step { return l.Assign(assign(i)) })
			}
		}
		assignFrom(1)
		numbers := rapid.SliceOfN(rapid.Int64Range(0, n), 0, 4).Draw(t, "triggers")
		slices.Sort(numbers)
		for id, number := range numbers {
			line = append(line, func() []splits.Step { return l.Trigger(trigger(int64(id), number)) })
		}
		work := func(steps []splits.Step) {
			for _, s := range steps {
				switch s.Kind {
				case splits.Apply:
					if applied++; s.Assignment.Number != applied {
						t.Fatalf("assignment %d is applied as number %d", s.Assignment.Number, applied)
					}
				case splits.Take:
					decided[s.Trigger.Barrier.ID]++
					if s.Trigger.Number != applied {
						t.Fatalf("barrier %d comes behind assignment %d", s.Trigger.Number, applied)
					}
				case splits.Decline:
					decided[s.Trigger.Barrier.ID]++
					if s.Trigger.Number >= applied {
						t.Fatalf("trigger %d is declined after assignment %d", s.Trigger.Number, applied)
					}
				case splits.Ask:
					if s.From != applied+1 {
						t.Fatalf("asks from %d after assignment %d", s.From, applied)
					}
					assignFrom(s.From)
				}
			}
		}
		for len(line) > 0 {
			i := rapid.IntRange(0, len(line)-1).Draw(t, "message")
			message := line[i]
			line = slices.Delete(line, i, i+1)
			switch rapid.IntRange(0, 5).Draw(t, "luck") {
			case 0:
				line = append(line, message) // late
			case 1:
				work(message())
				work(message())
			default:
				work(message())
			}
		}
		if from, missing := l.Missing(); missing {
			t.Fatalf("assignments from %d of %d are missing", from, n)
		}
		if applied != n || l.Applied() != n {
			t.Fatalf("%d assignments of %d are applied, %d by the ledger's count", applied, n, l.Applied())
		}
		for id := range numbers {
			if decided[int64(id)] < 1 || decided[int64(id)] > 2 { // a doubled trigger may be declined again
				t.Fatalf("trigger %d was decided %d times", id, decided[int64(id)])
			}
		}
	})
}

// TestLostAssignments loses every assignment once: asking again, as after a while, brings all of them.
func TestLostAssignments(t *testing.T) {
	const n = 20
	l := splits.New(0)
	if got := show(l.Trigger(trigger(7, n))); got != "ask 1" {
		t.Fatalf("got %q", got)
	}
	var words []string
	for range n {
		from, missing := l.Missing()
		if !missing {
			break
		}
		words = append(words, show(l.Assign(assign(from)))) // of all that are sent, one arrives
	}
	if got := strings.Join(words, ", "); !strings.HasSuffix(got, "apply 20, take 7") {
		t.Errorf("got %q", got)
	}
}

func TestHeldAssignmentsAreBounded(t *testing.T) {
	const n = 5000
	l := splits.New(0)
	for i := range int64(n) {
		l.Assign(assign(i + 2))
	}
	if got := show(l.Assign(assign(1))); !strings.HasSuffix(got, "apply 1025, ask 1026") {
		t.Errorf("got ...%q", got[max(0, len(got)-40):])
	}
}
