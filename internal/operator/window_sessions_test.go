// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/window"
)

// sessionsWant runs session windows by the book: a list of sessions for each key.
type sessionsWant struct {
	windows operator.Windows
	text    func([]timed) string

	watermark int64
	open      map[string][]*sessionWant
	panes     []pane
	times     []int64
	late      []reading
	lateTimes []int64
}

// sessionWant has the records of the sessions that it was made of one behind the other.
type sessionWant struct {
	start, end int64
	records    []timed
}

func newSessionsWant(w operator.Windows, text func([]timed) string) *sessionsWant {
	return &sessionsWant{windows: w, text: text, watermark: element.MinWatermark, open: map[string][]*sessionWant{}}
}

func (w *sessionsWant) gap(r *reading) int64 {
	if by, ok := w.windows.Gap.(func(*reading) time.Duration); ok {
		return int64(by(r))
	}
	gap, _ := w.windows.Assigner.Gap()
	return int64(gap)
}

func (w *sessionsWant) gone(end int64) bool { return end-1+int64(w.windows.Lateness) <= w.watermark }

func (w *sessionsWant) record(at int64, r reading) {
	one := &sessionWant{start: at, end: at + w.gap(&r)}
	var apart, touched []*sessionWant
	for _, s := range w.open[r.Key] {
		if s.start <= one.end && s.end >= one.start {
			touched = append(touched, s)
		} else {
			apart = append(apart, s)
		}
	}
	slices.SortFunc(touched, func(a, b *sessionWant) int { return cmp.Compare(a.start, b.start) })
	for _, s := range touched {
		one.start, one.end = min(one.start, s.start), max(one.end, s.end)
		one.records = append(one.records, s.records...)
	}
	if w.gone(one.end) {
		w.late, w.lateTimes = append(w.late, r), append(w.lateTimes, at)
		return
	}
	one.records = append(one.records, timed{r, at})
	w.open[r.Key] = append(apart, one)
	if one.end-1 <= w.watermark {
		w.fire(r.Key, one)
	}
}

func (w *sessionsWant) fire(key string, s *sessionWant) {
	w.panes = append(w.panes, pane{key, s.start, s.end, w.text(s.records)})
	w.times = append(w.times, s.end-1)
}

func (w *sessionsWant) advance(to int64) {
	for key, open := range w.open {
		slices.SortFunc(open, func(a, b *sessionWant) int { return cmp.Compare(a.end, b.end) })
		for _, s := range open {
			if s.end-1 > w.watermark && s.end-1 <= to {
				w.fire(key, s)
			}
		}
	}
	w.watermark = to
	for key, open := range w.open {
		w.open[key] = slices.DeleteFunc(open, func(s *sessionWant) bool { return to == element.MaxWatermark || w.gone(s.end) })
	}
}

// sessionTexts are what sessions give for their records, by the name of a step.
var sessionTexts = map[string]func([]timed) string{
	"aggregate":          totals,
	"aggregate in place": arrival,
	"reduce":             sumText,
	"process": func(records []timed) string {
		sorted := slices.Clone(records)
		slices.SortFunc(sorted, func(a, b timed) int { return cmp.Compare(a.Value, b.Value) }) // values rise
		return arrival(sorted)
	},
}

func sumText(records []timed) string {
	sum := 0
	for _, r := range records {
		sum += r.Value
	}
	return fmt.Sprint(records[0].Key, sum)
}

func byValue(r *reading) time.Duration { return time.Duration(1 + r.Value%9) }

func randomSessions(random *rand.Rand) operator.Windows {
	w := operator.Windows{Assigner: window.Session(time.Duration(1 + random.IntN(8))), Late: lateTag}
	if random.IntN(2) == 0 {
		w = operator.Windows{Gap: byValue, Late: lateTag}
	}
	if random.IntN(3) > 0 {
		w.Lateness = time.Duration(random.IntN(20))
	}
	return w
}

func describeSessions(w operator.Windows) string {
	gap, _ := w.Assigner.Gap()
	return fmt.Sprintf("gap %d, lateness %d", gap, w.Lateness)
}

// TestSessionsAgainstReference runs random input through each step, in every way in which a task may.
func TestSessionsAgainstReference(t *testing.T) {
	for seed := range uint64(5) {
		windows := randomSessions(rand.New(rand.NewPCG(seed, 17)))
		for _, s := range windowSteps {
			t.Run(fmt.Sprintf("%s, %d: %s", s.name, seed, describeSessions(windows)), func(t *testing.T) {
				t.Parallel()
				step, err := s.step(windows)
				if err != nil {
					t.Fatal(err)
				}
				feed := operatortest.NewFeed[reading]().KeyBy((*reading).key)
				want := newSessionsWant(windows, sessionTexts[s.name])
				feedReadings(rand.New(rand.NewPCG(seed, 18)), feed, want)
				operatortest.Run(t, operatortest.Case{Step: step, Inputs: one(feed), Want: []operatortest.Want{
					operatortest.Expect(want.panes...).At(want.times...).InOrder((*pane).key),
					operatortest.ExpectSide(lateTag, want.late...).At(want.lateTimes...),
				}})
			})
		}
	}
}

// TestSessionsProperty runs much more input, in one subtask that lives from beginning to end.
func TestSessionsProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 19))
		windows, s := randomSessions(random), windowSteps[random.IntN(len(windowSteps))]
		step, err := s.step(windows)
		if err != nil {
			rt.Fatal(err)
		}
		want := newSessionsWant(windows, sessionTexts[s.name])
		feed := operatortest.NewFeed[reading]()
		feedReadings(random, feed, want)
		task := openWindows(t, step, 1, 0, nil)
		feed.Each(func(at int64, r *reading) { task.send(t, at, *r) }, func(at int64) { task.watermark(t, at) })
		var panes, late []string
		for _, p := range want.panes {
			panes = append(panes, fmt.Sprintf("%s [%d, %d) %s", p.Key, p.Start, p.End, p.Text))
		}
		for _, r := range want.late {
			late = append(late, r.Key)
		}
		slices.Sort(panes)
		slices.Sort(task.panes)
		if !slices.Equal(task.panes, panes) || !slices.Equal(task.late, late) {
			rt.Fatalf("%s, %s: got\n\t%s\nwant\n\t%s\nlate %q, want %q", s.name, describeSessions(windows),
				strings.Join(task.panes, "\n\t"), strings.Join(panes, "\n\t"), task.late, late)
		}
	})
}

// TestSessionsOfGroupsWithOtherWatermarks brings together key groups whose subtasks stood at other watermarks.
func TestSessionsOfGroupsWithOtherWatermarks(t *testing.T) {
	step, err := windowSteps[3].step(operator.Windows{Assigner: window.Session(5), Lateness: 3, Late: lateTag})
	if err != nil {
		t.Fatal(err)
	}
	store := statebackend.NewMemory(2)
	keys := keysOfGroups(t)
	for subtask, watermark := range []int64{3, 7} {
		s := openWindows(t, step, 2, subtask, nil)
		s.send(t, 1, reading{keys[subtask], 1})
		s.watermark(t, watermark)
		if err := store.Take(statebackend.Checkpoint{ID: 1}, 2, subtask, s.op.States()...); err != nil {
			t.Fatal(err)
		}
	}
	restored, err := store.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := openWindows(t, step, 1, 0, restored)
	s.send(t, 2, reading{keys[0], 2}) // extends
	s.send(t, 0, reading{keys[1], 2}) // [1, 6) is kept: its watermark is 7, so it fires again
	s.watermark(t, 2)
	s.watermark(t, 6)
	s.send(t, 0, reading{keys[1], 3}) // still 7
	s.watermark(t, 20)
	s.send(t, 3, reading{keys[1], 4})
	want := []string{keys[1] + " [0, 6) 1 2 ", keys[0] + " [1, 7) 1 2 ", keys[1] + " [0, 6) 1 2 3 "}
	if !slices.Equal(s.panes, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(s.panes, "\n\t"), strings.Join(want, "\n\t"))
	}
	if !slices.Equal(s.late, []string{keys[1]}) {
		t.Errorf("late for %q", s.late)
	}
}

// TestSessionsLeaveNothing ends all sessions: no row is left, and no timer.
func TestSessionsLeaveNothing(t *testing.T) {
	step, err := windowSteps[0].step(operator.Windows{Assigner: window.Session(5), Lateness: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := openWindows(t, step, 1, 0, nil)
	for i := range 300 {
		s.send(t, int64(i*7%100), reading{fmt.Sprint(i % 10), i})
	}
	if rows := s.op.States()[0].Size().Rows; rows < 10 {
		t.Errorf("%d rows while sessions are open", rows)
	}
	s.watermark(t, 107)
	if rows := s.op.States()[0].Size().Rows; rows != 0 {
		t.Errorf("%d rows are left", rows)
	}
}

func TestSessionsRefuse(t *testing.T) {
	session := operator.Windows{Assigner: window.Session(5)}
	batch := func(times ...int64) *element.Batch[reading] {
		b := element.NewBatch[reading](2)
		b.AppendNanos(5)
		for _, at := range times {
			*b.AppendNanos(at) = reading{"a", -1}
		}
		return b
	}
	noTime := element.NewBatch[reading](1)
	noTime.Append()
	for want, test := range map[string]struct {
		windows operator.Windows
		b       *element.Batch[reading]
	}{
		"without an event time": {session, noTime},
		"record without":        {session, batch(element.NoTime)},
		"so far off":            {session, batch(math.MaxInt64 - 4)},
		"-1ns as the gap": {operator.Windows{Gap: func(r *reading) time.Duration {
			return time.Duration(2*r.Value + 1)
		}}, batch(6)},
	} {
		step, err := windowSteps[0].step(test.windows)
		if err != nil {
			t.Fatal(err)
		}
		s := openWindows(t, step, 1, 0, nil)
		var user *operator.UserError
		if err := s.op.Port(0).Deliver(test.b); !errors.As(err, &user) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for want, windows := range map[string]operator.Windows{
		"gap of 0s":     {Assigner: window.Session(0)},
		"with a gap of": {Assigner: window.Session(-time.Second)},
		"offset":        {Assigner: window.Session(5).Offset(1)},
		"negative":      {Assigner: window.Session(5), Lateness: -1},
		"of records":    {Gap: func(*int) time.Duration { return 1 }},
	} {
		if _, err := windowSteps[0].step(windows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestSessionsAllocateNothing runs sessions of which each gets some records, at a steady pace.
func TestSessionsAllocateNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	step, err := operator.WindowAggregate(operator.Windows{Assigner: window.Session(10)}, user, aggregate.Count[click]())
	if err != nil {
		t.Fatal(err)
	}
	batches := clicks(t, 1000, 8)
	in := chain[click](t, operator.PortOf[int64](&drop[int64]{}), step)
	now := int64(0)
	records := func() {
		for _, b := range batches {
			now += 4
			for i := range b.Times() {
				b.Times()[i] = now
			}
			if err := in.Process(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := in.Watermark(now - 20); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		records()
	}
	if got := testing.AllocsPerRun(20, records); got > 1 {
		t.Errorf("%v allocations in 8 batches", got)
	}
}
