// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/window"
)

// reading is what flows into windows here.
type reading struct {
	Key   string
	Value int
}

func (r *reading) key() string { return r.Key }

// pane is what comes out of a window that fired.
type pane struct {
	Key        string
	Start, End int64
	Text       string
}

func (p *pane) key() string { return p.Key }

// windowsWant runs a windowed step by the book: a bucket of records for each key and window, which is fired and cleaned
// up as Flink's WindowOperator does it.
type windowsWant struct {
	windows operator.Windows
	// text is what a window gives for its records, in order of arrival, and their times.
	text func(records []timed) string

	watermark int64
	buckets   map[string]map[int64][]timed // by key and start
	panes     []pane
	times     []int64
	late      []reading
	lateTimes []int64
}

type timed struct {
	reading
	at int64
}

func newWindowsWant(w operator.Windows, text func([]timed) string) *windowsWant {
	return &windowsWant{windows: w, text: text, watermark: element.MinWatermark, buckets: map[string]map[int64][]timed{}}
}

// starts are those of the windows of a time, in order.
func (w *windowsWant) starts(at int64) []int64 {
	a := w.windows.Assigner
	slide := int64(a.Slide())
	last := at - ((at-int64(a.Shift()))%slide+slide)%slide
	var all []int64
	for s := last; s > at-int64(a.Size()); s -= slide {
		all = append(all, s)
	}
	slices.Reverse(all)
	return all
}

func (w *windowsWant) last(start int64) int64 { return start + int64(w.windows.Assigner.Size()) - 1 }

func (w *windowsWant) record(at int64, r reading) {
	skipped := true
	for _, start := range w.starts(at) {
		if w.last(start)+int64(w.windows.Lateness) <= w.watermark {
			continue
		}
		skipped = false
		if w.buckets[r.Key] == nil {
			w.buckets[r.Key] = map[int64][]timed{}
		}
		w.buckets[r.Key][start] = append(w.buckets[r.Key][start], timed{r, at})
		if w.last(start) <= w.watermark {
			w.fire(r.Key, start)
		}
	}
	if skipped && at+int64(w.windows.Lateness) <= w.watermark {
		w.late, w.lateTimes = append(w.late, r), append(w.lateTimes, at)
	}
}

func (w *windowsWant) fire(key string, start int64) {
	w.panes = append(w.panes, pane{key, start, w.last(start) + 1, w.text(w.buckets[key][start])})
	w.times = append(w.times, w.last(start))
}

func (w *windowsWant) advance(to int64) {
	type due struct {
		key   string
		start int64
	}
	var fire []due
	for key, starts := range w.buckets {
		for start := range starts {
			if last := w.last(start); last > w.watermark && last <= to {
				fire = append(fire, due{key, start})
			}
		}
	}
	slices.SortFunc(fire, func(a, b due) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.key, b.key)) })
	w.watermark = to
	for _, f := range fire {
		w.fire(f.key, f.start)
	}
	for _, starts := range w.buckets {
		for start := range starts {
			if to == element.MaxWatermark || w.last(start)+int64(w.windows.Lateness) <= to {
				delete(starts, start)
			}
		}
	}
}

// arrival is the text of records in order of arrival, bySlice of those in order of the slice of time, then of arrival.
func arrival(records []timed) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%d ", r.Value)
	}
	return b.String()
}

func bySlice(a window.Assigner) func([]timed) string {
	// The boundaries of slices are the starts and the ends of windows.
	slide, shift := int64(a.Slide()), int64(a.Shift())
	phase := func(t, shift int64) int64 { return ((t-shift)%slide + slide) % slide }
	return func(records []timed) string {
		sorted := slices.Clone(records)
		slices.SortStableFunc(sorted, func(x, y timed) int {
			start := func(t int64) int64 {
				return t - min(phase(t, shift), phase(t, shift+int64(a.Size())))
			}
			return cmp.Compare(start(x.at), start(y.at))
		})
		return arrival(sorted)
	}
}

func totals(records []timed) string {
	var t tally
	for _, r := range records {
		t.add(&r.reading)
	}
	return t.text()
}

// tally is an accumulator without pointers.
type tally struct{ N, Sum, Max int }

func (t *tally) add(r *reading) {
	t.N++
	t.Sum += r.Value
	t.Max = max(t.Max, r.Value)
}

func (t *tally) merge(o *tally) {
	t.N += o.N
	t.Sum += o.Sum
	t.Max = max(t.Max, o.Max)
}

func (t *tally) text() string { return fmt.Sprintf("%d %d %d", t.N, t.Sum, t.Max) }

// roll is an accumulator that is changed in place, and whose parts Merge and Result take over without a copy.
type roll struct{ Parts []*strip }

type strip struct{ Values []int }

func (l *roll) add(r *reading) {
	if len(l.Parts) == 0 {
		l.Parts = append(l.Parts, &strip{})
	}
	last := l.Parts[len(l.Parts)-1]
	last.Values = append(last.Values, r.Value)
}

func (l *roll) merge(o *roll) { l.Parts = append(l.Parts, o.Parts...) }

func (l *roll) result() []*strip { return l.Parts }

// paneContext is the context that an API would make.
type paneContext struct {
	*operator.WindowContext[string]
}

func bindPane(c *operator.WindowContext[string]) *paneContext { return &paneContext{c} }

func (c *paneContext) pane(text string) pane { return pane{c.Key(), c.Start(), c.End(), text} }

// windowSteps are the steps that must do as the reference does, with the text that a window gives.
var windowSteps = []struct {
	name string
	step func(operator.Windows) (operator.Step, error)
	text func(window.Assigner) func([]timed) string
}{
	{"aggregate", func(w operator.Windows) (operator.Step, error) {
		return operator.WindowAggregateProcess(w, (*reading).key, aggregate.Of((*tally).add, (*tally).merge, (*tally).text), bindPane,
			func(c *paneContext, in *string, out *element.Out[pane]) error {
				out.Emit(c.pane(*in))
				return nil
			})
	}, func(window.Assigner) func([]timed) string { return totals }},
	{"aggregate in place", func(w operator.Windows) (operator.Step, error) {
		return operator.WindowAggregateProcess(w, (*reading).key, aggregate.Of((*roll).add, (*roll).merge, (*roll).result), bindPane,
			func(c *paneContext, in *[]*strip, out *element.Out[pane]) error {
				var text strings.Builder
				for _, p := range *in {
					for i, v := range p.Values {
						fmt.Fprintf(&text, "%d ", v)
						p.Values[i] = -1 // the result is its receiver's
					}
				}
				out.Emit(c.pane(text.String()))
				return nil
			})
	}, bySlice},
	{"reduce", func(w operator.Windows) (operator.Step, error) {
		sum := func(acc, in *reading) { acc.Value += in.Value }
		return operator.WindowReduceProcess(w, (*reading).key, sum, bindPane,
			func(c *paneContext, in *reading, out *element.Out[pane]) error {
				out.Emit(c.pane(fmt.Sprint(in.Key, in.Value)))
				return nil
			})
	}, func(window.Assigner) func([]timed) string { return sumText }},
	{"process", func(w operator.Windows) (operator.Step, error) {
		return operator.WindowProcess(w, (*reading).key, bindPane,
			func(c *paneContext, in iter.Seq[*reading], out *element.Out[pane]) error {
				var text strings.Builder
				for range 2 { // it can be ranged over again
					text.Reset()
					for r := range in {
						fmt.Fprintf(&text, "%d ", r.Value)
					}
				}
				out.Emit(c.pane(text.String()))
				return nil
			})
	}, func(window.Assigner) func([]timed) string { return arrival }},
}

const lateTag = "late"

// TestWindowsAgainstReference runs random input through each step, in every way in which a task may.
func TestWindowsAgainstReference(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		windows := randomWindows(random)
		for _, s := range windowSteps {
			t.Run(fmt.Sprintf("%s, %d: size %d, slide %d, shift %d, lateness %d", s.name, seed, windows.Assigner.Size(),
				windows.Assigner.Slide(), windows.Assigner.Shift(), windows.Lateness), func(t *testing.T) {
				t.Parallel()
				step, err := s.step(windows)
				if err != nil {
					t.Fatal(err)
				}
				feed, expected := randomReadings(rand.New(rand.NewPCG(seed, 8)), newWindowsWant(windows, s.text(windows.Assigner)))
				c := operatortest.Case{Step: step, Inputs: one(feed.KeyBy((*reading).key)), Want: expected}
				operatortest.Run(t, c)
			})
		}
	}
}

func randomWindows(random *rand.Rand) operator.Windows {
	size := time.Duration(1 + random.IntN(12))
	a := window.Tumbling(size)
	if random.IntN(4) > 0 {
		a = window.Sliding(size, time.Duration(1+random.IntN(6)))
	}
	w := operator.Windows{Assigner: a.Offset(time.Duration(random.IntN(7) - 3)), Late: lateTag}
	if random.IntN(2) == 0 {
		w.Lateness = time.Duration(random.IntN(10))
	}
	return w
}

// randomReadings makes a feed whose records are out of order, late and far apart, and what must come of it.
func randomReadings(random *rand.Rand, want *windowsWant) (*operatortest.Feed[reading], []operatortest.Want) {
	feed := operatortest.NewFeed[reading]()
	feedReadings(random, feed, want)
	return feed, []operatortest.Want{
		operatortest.Expect(want.panes...).At(want.times...).InOrder((*pane).key),
		operatortest.ExpectSide(lateTag, want.late...).At(want.lateTimes...),
	}
}

// reference is a windowed step by the book.
type reference interface {
	record(at int64, r reading)
	advance(to int64)
}

func feedReadings(random *rand.Rand, feed *operatortest.Feed[reading], want reference) {
	now, idle, watermark := int64(-20), false, int64(element.MinWatermark)
	for i := range 45 {
		switch n := random.IntN(12); {
		case n < 8:
			at := now + int64(random.IntN(14)) - 9
			r := reading{string(rune('a' + random.IntN(5))), i}
			feed.At(at, r)
			want.record(at, r)
		case n < 10 && !idle:
			at := now - int64(random.IntN(4))
			if at > watermark {
				watermark = at
				feed.Watermark(at)
				want.advance(at)
			}
		case n == 10:
			if idle {
				feed.Active()
			} else {
				feed.Idle()
			}
			idle = !idle
		case random.IntN(6) == 0:
			now += int64(365 * 24 * time.Hour)
		}
		now += int64(random.IntN(3))
	}
	if idle {
		feed.Active()
	}
	feed.End()
	want.advance(element.MaxWatermark)
}

// TestWindowsOfGroupsWithOtherWatermarks brings together key groups whose subtasks stood at other watermarks: a window
// fires once for each key, and lateness counts from what the group has seen.
func TestWindowsOfGroupsWithOtherWatermarks(t *testing.T) {
	step, err := windowSteps[3].step(operator.Windows{Assigner: window.Sliding(4, 2), Lateness: 1, Late: lateTag})
	if err != nil {
		t.Fatal(err)
	}
	store := statebackend.NewMemory(2)
	keys := keysOfGroups(t)
	for subtask, watermark := range []int64{3, 7} {
		s := openWindows(t, step, 2, subtask, nil)
		s.send(t, 1, reading{keys[subtask], 1}, reading{keys[subtask], 2})
		s.send(t, 9, reading{keys[subtask], 3})
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
	s.send(t, 2, reading{keys[0], 4}, reading{keys[1], 4}) // [0, 4) was fired for the first, [2, 6) for the second only
	s.watermark(t, 2)
	s.watermark(t, 20)
	want := []string{
		keys[0] + " [0, 4) 1 2 4 ",
		keys[0] + " [2, 6) 4 ",
		keys[0] + " [6, 10) 3 ", keys[1] + " [6, 10) 3 ",
		keys[0] + " [8, 12) 3 ", keys[1] + " [8, 12) 3 ",
	}
	slices.Sort(want)
	slices.Sort(s.panes)
	if !slices.Equal(s.panes, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(s.panes, "\n\t"), strings.Join(want, "\n\t"))
	}
	if len(s.late) != 1 || s.late[0] != keys[1] {
		t.Errorf("late for %q, want for %q", s.late, keys[1])
	}
}

// keysOfGroups returns a key of each of two key groups.
func keysOfGroups(t *testing.T) (found [2]string) {
	t.Helper()
	hash, err := keys.HasherFor[string]()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; found[0] == "" || found[1] == ""; i++ {
		key := fmt.Sprint("key", i)
		group, _ := keys.Group(hash(&key), 2)
		found[group] = key
	}
	return found
}

// windowsTask is one subtask of a windowed step, driven by hand.
type windowsTask struct {
	op    operator.Operator
	panes []string
	late  []string
}

func openWindows(t *testing.T, step operator.Step, parallelism, subtask int, from statebackend.Reader) *windowsTask {
	t.Helper()
	s := &windowsTask{op: step.New()}
	main := operator.PortOf[pane](rows[pane](func(p *pane) {
		s.panes = append(s.panes, fmt.Sprintf("%s [%d, %d) %s", p.Key, p.Start, p.End, p.Text))
	}))
	late := operator.PortOf[reading](rows[reading](func(r *reading) { s.late = append(s.late, r.Key) }))
	rt := runtime("windows")
	rt.Parallelism, rt.MaxParallelism, rt.Subtask, rt.Restored = parallelism, 2, subtask, from
	if err := errors.Join(s.op.Connect("", main), s.op.Connect(lateTag, late), s.op.Open(t.Context(), rt)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *windowsTask) send(t *testing.T, at int64, records ...reading) {
	t.Helper()
	b := element.NewBatch[reading](len(records))
	for _, r := range records {
		*b.AppendNanos(at) = r
	}
	if err := s.op.Port(0).Deliver(b); err != nil {
		t.Fatal(err)
	}
}

func (s *windowsTask) watermark(t *testing.T, at int64) {
	t.Helper()
	if err := s.op.Port(0).Watermark(at); err != nil {
		t.Fatal(err)
	}
}

// rows is a receiver that calls a function for each record.
type rows[T any] func(*T)

func (f rows[T]) Process(b *element.Batch[T]) error {
	for i := range b.Rows() {
		f(&b.Rows()[i])
	}
	return nil
}
func (f rows[T]) Watermark(int64) error { return nil }
func (f rows[T]) Status(bool) error     { return nil }
func (f rows[T]) End() error            { return nil }

func TestLateRecordsAreCounted(t *testing.T) {
	step, err := windowSteps[0].step(operator.Windows{Assigner: window.Tumbling(10)})
	if err != nil {
		t.Fatal(err)
	}
	op, rt := step.New(), runtime("windows")
	if err := op.Open(t.Context(), rt); err != nil {
		t.Fatal(err)
	}
	s := &windowsTask{op: op}
	s.send(t, 5, reading{"a", 1})
	s.watermark(t, 9)
	s.send(t, 5, reading{"a", 1}, reading{"b", 1})
	s.send(t, 10, reading{"b", 1})
	if got := rt.Metrics.LateDropped.Load(); got != 2 {
		t.Errorf("%d records counted as late, want 2", got)
	}
}

func TestWindowsRefuse(t *testing.T) {
	noTime := element.NewBatch[reading](1)
	noTime.Append()
	mixed := element.NewBatch[reading](2)
	mixed.AppendNanos(5)
	mixed.Append()
	far := element.NewBatch[reading](1)
	far.AppendNanos(math.MaxInt64 - 5)
	for name, b := range map[string]*element.Batch[reading]{"no time": noTime, "some without": mixed, "far off": far} {
		step, err := windowSteps[3].step(operator.Windows{Assigner: window.Tumbling(10)})
		if err != nil {
			t.Fatal(err)
		}
		s := openWindows(t, step, 1, 0, nil)
		var user *operator.UserError
		if err := s.op.Port(0).Deliver(b); !errors.As(err, &user) || user.Name != "windows" {
			t.Errorf("%s: error %v", name, err)
		}
	}

	type unstored struct{ f func() }
	key := (*reading).key
	steps := map[string]func() (operator.Step, error){
		"positive": func() (operator.Step, error) {
			return windowSteps[0].step(operator.Windows{Assigner: window.Tumbling(0)})
		},
		"both must": func() (operator.Step, error) { return windowSteps[0].step(operator.Windows{}) },
		"negative": func() (operator.Step, error) {
			return windowSteps[0].step(operator.Windows{Assigner: window.Tumbling(1), Lateness: -1})
		},
		"unstored": func() (operator.Step, error) {
			return operator.WindowAggregate(operator.Windows{Assigner: window.Tumbling(1)}, key, aggregate.Of(
				func(*unstored, *reading) {}, func(_, _ *unstored) {}, func(*unstored) int { return 0 }))
		},
		"floating": func() (operator.Step, error) {
			return operator.WindowReduce(operator.Windows{Assigner: window.Tumbling(1)},
				func(*reading) float64 { return 0 }, func(_, _ *reading) {})
		},
	}
	for want, newStep := range steps {
		if _, err := newStep(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestWindowsOfTheWholeStream has no key: the hashes of a batch are computed, and one subtask has all.
func TestWindowsOfTheWholeStream(t *testing.T) {
	step, err := operator.WindowReduce(operator.Windows{Assigner: window.Tumbling(10)},
		func(*int) struct{} { return struct{}{} }, func(acc, in *int) { *acc += *in })
	if err != nil {
		t.Fatal(err)
	}
	operatortest.Run(t, operatortest.Case{
		Step: step, OneSubtask: true,
		Inputs: one(operatortest.NewFeed[int]().At(1, 1, 2).At(12, 3).Watermark(12).At(13, 4).End()),
		Want:   want(operatortest.Expect(3, 7).At(9, 19)),
	})
}

func TestPanicInWindow(t *testing.T) {
	step, err := operator.WindowReduceProcess(operator.Windows{Assigner: window.Tumbling(10)}, (*reading).key,
		func(_, _ *reading) {}, bindPane, func(*paneContext, *reading, *element.Out[pane]) error { panic("broken") })
	if err != nil {
		t.Fatal(err)
	}
	s := openWindows(t, step, 1, 0, nil)
	s.send(t, 1, reading{"a", 1})
	var user *operator.UserError
	if err := s.op.Port(0).Watermark(50); !errors.As(err, &user) || user.Stack == nil {
		t.Errorf("error %v", err)
	}
}

// TestWindowsAllocateNothing runs a tumbling window at a steady pace.
func TestWindowsAllocateNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	step, err := operator.WindowAggregate(operator.Windows{Assigner: window.Sliding(10, 2)}, user, aggregate.Count[click]())
	if err != nil {
		t.Fatal(err)
	}
	batches := clicks(t, 1000, 8)
	in := chain[click](t, operator.PortOf[int64](&drop[int64]{}), step)
	now := int64(0)
	records := func() {
		for _, b := range batches {
			for i := range b.Times() {
				b.Times()[i] = now + 1
			}
			if err := in.Process(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 20 {
		records()
		now += 2
		if err := in.Watermark(now - 1); err != nil {
			t.Fatal(err)
		}
	}
	records()
	if got := testing.AllocsPerRun(20, records); got != 0 {
		t.Errorf("%v allocations in 8 batches", got)
	}
}
