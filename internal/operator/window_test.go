// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
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

// roll is an accumulator that is changed in place, and whose parts are taken over by Merge and Result.
type roll struct{ Values []int }

func (l *roll) add(r *reading) { l.Values = append(l.Values, r.Value) }

func (l *roll) merge(o *roll) {
	if l.Values == nil {
		l.Values = o.Values
		return
	}
	l.Values = append(l.Values, o.Values...)
}

func (l *roll) result() []int { return l.Values }

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
			func(c *paneContext, in *[]int, out *element.Out[pane]) error {
				var text strings.Builder
				for i, v := range *in {
					fmt.Fprintf(&text, "%d ", v)
					(*in)[i] = -1 // the result is its receiver's
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
	}, func(window.Assigner) func([]timed) string {
		return func(records []timed) string {
			sum := 0
			for _, r := range records {
				sum += r.Value
			}
			return fmt.Sprint(records[0].Key, sum)
		}
	}},
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
				feed, want := randomReadings(rand.New(rand.NewPCG(seed, 8)), newWindowsWant(windows, s.text(windows.Assigner)))
				c := operatortest.Case{Step: step, Inputs: one(feed.KeyBy((*reading).key)), Want: want}
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
	now, idle := int64(-20), false
	for i := range 45 {
		switch n := random.IntN(12); {
		case n < 8:
			at := now + int64(random.IntN(14)) - 9
			r := reading{string(rune('a' + random.IntN(5))), i}
			feed.At(at, r)
			want.record(at, r)
		case n < 10 && !idle:
			at := now - int64(random.IntN(4))
			if at > want.watermark {
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
	return feed, []operatortest.Want{
		operatortest.Expect(want.panes...).At(want.times...).InOrder((*pane).key),
		operatortest.ExpectSide(lateTag, want.late...).At(want.lateTimes...),
	}
}
