// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/watermerge"
	"github.com/weir-stream/weir/window"
)

// remark is what flows into the second input here.
type remark struct {
	Key   string
	Value int
}

func (r *remark) key() string { return r.Key }

// coEvent is a record or control of one of two inputs. Values of records rise as they arrive; they are even in the first
// input, odd in the second, so that one list can have both.
type coEvent struct {
	input int
	kind  coKind
	at    int64
	key   string
	value int
}

type coKind uint8

const (
	coRecord coKind = iota
	coWatermark
	coIdle
	coActive
)

// coEvents are random. Those without lateness don't depend on the order between the inputs.
func coEvents(random *rand.Rand, n int, lateness bool) []coEvent {
	var all []coEvent
	var idle [2]bool
	now, watermark := int64(-20), [2]int64{element.MinWatermark, element.MinWatermark}
	for i := range n {
		in := random.IntN(2)
		switch k := random.IntN(12); {
		case k < 8:
			at := now + int64(random.IntN(14)) - 9
			if !lateness {
				at = max(at, watermark[in]+2) // a session that has fired ends before it
			}
			all = append(all, coEvent{in, coRecord, at, string(rune('a' + random.IntN(3))), 2*i + in})
		case k < 11:
			if at := now - int64(random.IntN(6)); at > watermark[in] && !idle[in] {
				watermark[in] = at
				all = append(all, coEvent{input: in, kind: coWatermark, at: at})
			}
		case lateness:
			kind := coIdle
			if idle[in] {
				kind = coActive
			}
			idle[in] = !idle[in]
			all = append(all, coEvent{input: in, kind: kind})
		}
		now += int64(random.IntN(3))
	}
	for in := range idle {
		if idle[in] {
			all = append(all, coEvent{input: in, kind: coActive})
		}
		all = append(all, coEvent{input: in, kind: coWatermark, at: element.MaxWatermark})
	}
	return all
}

// coFeeds are the events as the harness takes them.
func coFeeds(events []coEvent) (*operatortest.Feed[reading], *operatortest.Feed[remark]) {
	a := operatortest.NewFeed[reading]().KeyBy((*reading).key)
	b := operatortest.NewFeed[remark]().KeyBy((*remark).key)
	for _, e := range events {
		switch {
		case e.kind == coRecord && e.input == 0:
			a.At(e.at, reading{e.key, e.value})
		case e.kind == coRecord:
			b.At(e.at, remark{e.key, e.value})
		case e.input == 0:
			a.Watermark(e.at)
		default:
			b.Watermark(e.at)
		}
	}
	return a.Stop(), b.Stop()
}

// refer gives the events to a reference, with the watermark of both inputs.
func refer(events []coEvent, want reference) {
	m := watermerge.New(2)
	for _, e := range events {
		var c watermerge.Change
		switch e.kind {
		case coRecord:
			want.record(e.at, reading{e.key, e.value})
		case coWatermark:
			c = m.Watermark(e.input, e.at)
		case coIdle, coActive:
			c = m.Status(e.input, e.kind == coIdle)
		}
		if c.Advanced {
			want.advance(c.Watermark)
		}
	}
}

// coTB is a test, or a check of rapid's.
type coTB interface {
	Context() context.Context
	Fatal(args ...any)
}

// coTask drives a step with two inputs by hand.
type coTask struct {
	op    operator.Operator
	rt    *operator.Runtime
	panes []pane
	late  []string
}

func openCo(t coTB, step operator.Step, from statebackend.Reader) *coTask {
	s := &coTask{op: step.New()}
	main := operator.PortOf[pane](rows[pane](func(p *pane) { s.panes = append(s.panes, *p) }))
	late1 := operator.PortOf[reading](rows[reading](func(r *reading) { s.late = append(s.late, fmt.Sprint(r.Key, r.Value)) }))
	late2 := operator.PortOf[remark](rows[remark](func(r *remark) { s.late = append(s.late, fmt.Sprint(r.Key, r.Value)) }))
	s.rt = runtime("join")
	s.rt.MaxParallelism, s.rt.Restored = 4, from
	if err := errors.Join(s.op.Connect("", main), s.op.Connect(lateTag, late1), s.op.Connect(lateTag+"2", late2),
		s.op.Open(t.Context(), s.rt)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *coTask) send(e coEvent) error {
	port := s.op.Port(e.input)
	switch {
	case e.kind == coWatermark:
		return port.Watermark(e.at)
	case e.kind != coRecord:
		return port.Status(e.kind == coIdle)
	case e.input == 0:
		b := element.NewBatch[reading](1)
		*b.AppendNanos(e.at) = reading{e.key, e.value}
		return port.Deliver(b)
	default:
		b := element.NewBatch[remark](1)
		*b.AppendNanos(e.at) = remark{e.key, e.value}
		return port.Deliver(b)
	}
}

// runCo runs events through a step that is snapshotted and restored now and then, and told then what was said before.
func runCo(t coTB, step operator.Step, events []coEvent, random *rand.Rand) *coTask {
	s := openCo(t, step, nil)
	store := statebackend.NewMemory(4)
	dropped := int64(0)
	for i, e := range events {
		if err := s.send(e); err != nil {
			t.Fatal(err)
		}
		if random.IntN(12) > 0 {
			continue
		}
		id := int64(i + 1)
		if err := store.Take(statebackend.Checkpoint{ID: id}, 1, 0, s.op.States()...); err != nil {
			t.Fatal(err)
		}
		if random.IntN(2) == 0 {
			for _, st := range s.op.States() {
				if err := st.Completed(id); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		from, err := store.Reader(id, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		dropped += s.rt.Metrics.LateDropped.Load()
		next := openCo(t, step, from)
		next.panes, next.late = s.panes, s.late
		if err := s.op.Close(); err != nil {
			t.Fatal(err)
		}
		s = next
		for _, e := range said(events[:i+1]) {
			if err := s.send(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.rt.Metrics.LateDropped.Add(dropped)
	return s
}

// said is what the inputs said of themselves, all of it: how far they have come together depends on who was idle when.
func said(events []coEvent) []coEvent {
	return slices.DeleteFunc(slices.Clone(events), func(e coEvent) bool { return e.kind == coRecord })
}

// coSteps are the window joins, with the panes that a window gives for its records in order of arrival.
var coSteps = []struct {
	name string
	step func(operator.Windows) (operator.Step, error)
	text func(left, right []string) []string
}{
	{"join", func(w operator.Windows) (operator.Step, error) {
		return operator.WindowJoin(w, (*reading).key, (*remark).key, bindPane,
			func(c *paneContext, a *reading, b *remark, out *element.Out[pane]) error {
				out.Emit(c.pane(fmt.Sprint(a.Value, "-", b.Value)))
				return nil
			})
	}, func(left, right []string) (pairs []string) {
		for _, a := range left {
			for _, b := range right {
				pairs = append(pairs, a+"-"+b)
			}
		}
		return pairs
	}},
	{"co-group", func(w operator.Windows) (operator.Step, error) {
		return operator.WindowCoGroup(w, (*reading).key, (*remark).key, bindPane,
			func(c *paneContext, as iter.Seq[*reading], bs iter.Seq[*remark], out *element.Out[pane]) error {
				var left, right []string
				for range 2 { // they can be ranged over again
					left, right = nil, nil
					for a := range as {
						left = append(left, fmt.Sprint(a.Value))
					}
					for b := range bs {
						right = append(right, fmt.Sprint(b.Value))
					}
				}
				out.Emit(c.pane(strings.Join(left, ",") + "|" + strings.Join(right, ",")))
				return nil
			})
	}, func(left, right []string) []string {
		return []string{strings.Join(left, ",") + "|" + strings.Join(right, ",")}
	}},
}

// coWant is the reference of windows or sessions, whose panes are cut into those of a join.
type coWant struct {
	reference
	all func() (panes []pane, times []int64, late int)
}

func newCoWant(w operator.Windows, text func(left, right []string) []string) *coWant {
	joined := func(records []timed) string {
		sorted := slices.Clone(records)
		slices.SortFunc(sorted, func(a, b timed) int { return cmp.Compare(a.Value, b.Value) })
		var sides [2][]string
		for _, r := range sorted {
			sides[r.Value%2] = append(sides[r.Value%2], fmt.Sprint(r.Value))
		}
		return strings.Join(text(sides[0], sides[1]), " ")
	}
	cut := func(panes []pane, times []int64) (parts []pane, at []int64) {
		for i, p := range panes {
			for part := range strings.FieldsSeq(p.Text) {
				p.Text = part
				parts, at = append(parts, p), append(at, times[i])
			}
		}
		return parts, at
	}
	if _, ok := w.Assigner.Gap(); ok {
		s := newSessionsWant(w, joined)
		return &coWant{s, func() ([]pane, []int64, int) {
			panes, times := cut(s.panes, s.times)
			return panes, times, len(s.late)
		}}
	}
	s := newWindowsWant(w, joined)
	return &coWant{s, func() ([]pane, []int64, int) {
		panes, times := cut(s.panes, s.times)
		return panes, times, len(s.late)
	}}
}

// randomCoWindows are any windows of two inputs.
func randomCoWindows(random *rand.Rand) operator.Windows {
	w := randomWindows(random)
	if random.IntN(3) == 0 {
		w.Assigner = window.Session(time.Duration(1 + random.IntN(8)))
	}
	w.Late = ""
	return w
}

// TestWindowJoinsAgainstReference has records in time, which may come in any order between the inputs.
func TestWindowJoinsAgainstReference(t *testing.T) {
	for seed := range uint64(4) {
		windows := randomCoWindows(rand.New(rand.NewPCG(seed, 27)))
		for _, s := range coSteps {
			t.Run(fmt.Sprintf("%s, %d: %+v", s.name, seed, windows.Assigner), func(t *testing.T) {
				t.Parallel()
				step, err := s.step(windows)
				if err != nil {
					t.Fatal(err)
				}
				events := coEvents(rand.New(rand.NewPCG(seed, 28)), 40, false)
				want := newCoWant(windows, s.text)
				refer(events, want)
				panes, times, _ := want.all()
				expect := operatortest.Expect(panes...).At(times...)
				a, b := coFeeds(events)
				operatortest.Run(t, operatortest.Case{
					Step: step, Inputs: []operatortest.Input{a, b}, Want: []operatortest.Want{expect},
				})
			})
		}
	}
}

// TestWindowJoinsProperty has late records too, and idle inputs.
func TestWindowJoinsProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 29))
		windows, s := randomCoWindows(random), coSteps[random.IntN(len(coSteps))]
		step, err := s.step(windows)
		if err != nil {
			rt.Fatal(err)
		}
		events := coEvents(random, 60, true)
		want := newCoWant(windows, s.text)
		refer(events, want)
		got := runCo(rt, step, events, random)
		panes, _, late := want.all()
		// Windows of one key and time come in order, others as they like.
		order := func(a, b pane) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.End, b.End), cmp.Compare(a.Start, b.Start))
		}
		slices.SortStableFunc(panes, order)
		slices.SortStableFunc(got.panes, order)
		if !slices.Equal(got.panes, panes) || int(got.rt.Metrics.LateDropped.Load()) != late {
			rt.Fatalf("%s, %+v: got %d late and\n\t%v\nwant %d and\n\t%v", s.name, windows,
				got.rt.Metrics.LateDropped.Load(), got.panes, late, panes)
		}
	})
}

func TestWindowJoinsRefuse(t *testing.T) {
	for want, w := range map[string]operator.Windows{
		"positive": {Assigner: window.Tumbling(0)},
		"gap of":   {Assigner: window.Session(-1)},
		"negative": {Assigner: window.Tumbling(1), Lateness: -1},
	} {
		for _, s := range coSteps {
			if _, err := s.step(w); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", s.name, err, want)
			}
		}
	}
	type unstored struct{ f func() }
	if _, err := operator.WindowJoin(operator.Windows{Assigner: window.Tumbling(1)}, (*reading).key,
		func(*unstored) string { return "" }, bindPane,
		func(*paneContext, *reading, *unstored, *element.Out[pane]) error { return nil }); err == nil {
		t.Error("records that can't be stored")
	}
	step, err := operator.WindowJoin(operator.Windows{Assigner: window.Tumbling(5)}, (*reading).key, (*remark).key, bindPane,
		func(*paneContext, *reading, *remark, *element.Out[pane]) error { return errors.New("no") })
	if err != nil {
		t.Fatal(err)
	}
	s := openCo(t, step, nil)
	var user *operator.UserError
	for _, e := range []coEvent{
		{0, coRecord, 1, "a", 0}, {1, coRecord, 2, "a", 1}, {input: 0, kind: coWatermark, at: 9}, {input: 1, kind: coWatermark, at: 9},
	} {
		err = errors.Join(err, s.send(e))
	}
	if !errors.As(err, &user) || user.Name != "join" {
		t.Errorf("error %v", err)
	}
}
