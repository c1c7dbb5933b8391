// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"cmp"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/operator/operatortest"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// intervalWant pairs by the book: whatever is not late is kept forever.
type intervalWant struct {
	operator.Interval
	watermark int64
	kept      []timed
	panes     []pane
	times     []int64
	late      []string
}

func (w *intervalWant) advance(to int64) { w.watermark = to }

func (w *intervalWant) record(at int64, r reading) {
	if at < w.watermark {
		w.late = append(w.late, fmt.Sprint(r.Key, r.Value))
		return
	}
	var partners []timed
	for _, o := range w.kept {
		a, b := at, o.at
		if r.Value%2 == 1 {
			a, b = b, a
		}
		if o.Key == r.Key && o.Value%2 != r.Value%2 && a+w.Lower <= b && b <= a+w.Upper {
			partners = append(partners, o)
		}
	}
	slices.SortStableFunc(partners, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	for _, o := range partners {
		a, b := r.Value, o.Value
		if r.Value%2 == 1 {
			a, b = b, a
		}
		pair := max(at, o.at)
		w.panes = append(w.panes, pane{r.Key, pair, 0, fmt.Sprint(a, "-", b)})
		w.times = append(w.times, pair)
	}
	w.kept = append(w.kept, timed{r, at})
}

func intervalStep(i operator.Interval) (operator.Step, error) {
	return operator.IntervalJoin(operator.IntervalConfig{Interval: i, Late1: lateTag, Late2: lateTag + "2"},
		(*reading).key, (*remark).key, bindKeyed,
		func(c *keyed, a *reading, b *remark, out *element.Out[pane]) error {
			if c.Key() != a.Key || c.New() {
				return errors.New("another key, or a new row")
			}
			out.Emit(pane{c.Key(), c.Time(), 0, fmt.Sprint(a.Value, "-", b.Value)})
			return nil
		})
}

func randomInterval(random *rand.Rand) operator.Interval {
	lower := int64(random.IntN(20) - 12)
	return operator.Interval{Lower: lower, Upper: lower + int64(random.IntN(14))}
}

// TestIntervalJoinAgainstReference has records in time, which may come in any order between the inputs.
func TestIntervalJoinAgainstReference(t *testing.T) {
	for seed := range uint64(4) {
		i := randomInterval(rand.New(rand.NewPCG(seed, 37)))
		t.Run(fmt.Sprintf("%d: %+v", seed, i), func(t *testing.T) {
			t.Parallel()
			step, err := intervalStep(i)
			if err != nil {
				t.Fatal(err)
			}
			events := coEvents(rand.New(rand.NewPCG(seed, 38)), 40, false)
			want := &intervalWant{Interval: i, watermark: element.MinWatermark}
			refer(events, want)
			a, b := coFeeds(events)
			operatortest.Run(t, operatortest.Case{Step: step, Inputs: []operatortest.Input{a, b}, Want: []operatortest.Want{
				operatortest.Expect(want.panes...).At(want.times...),
				operatortest.ExpectSide[reading](lateTag), operatortest.ExpectSide[remark](lateTag + "2"),
			}})
		})
	}
}

// TestIntervalJoinProperty has late records too, and idle inputs; pairs must come in the order of the reference.
func TestIntervalJoinProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 39))
		i := randomInterval(random)
		step, err := intervalStep(i)
		if err != nil {
			rt.Fatal(err)
		}
		events := coEvents(random, 80, true)
		want := &intervalWant{Interval: i, watermark: element.MinWatermark}
		refer(events, want)
		got := runCo(rt, step, events, random)
		if !slices.Equal(got.panes, want.panes) || !slices.Equal(got.late, want.late) {
			rt.Fatalf("%+v: got\n\t%v\nlate %v, want\n\t%v\nlate %v", i, got.panes, got.late, want.panes, want.late)
		}
		if rows := got.op.States()[0].Size().Rows + got.op.States()[1].Size().Rows; rows != 0 {
			rt.Fatalf("%d rows and timers are left", rows)
		}
	})
}

// TestIntervalJoinForgets keeps no more than what can be paired, and an eighth.
func TestIntervalJoinForgets(t *testing.T) {
	step, err := intervalStep(operator.Interval{Lower: -100, Upper: 300})
	if err != nil {
		t.Fatal(err)
	}
	s := openCo(t, step, nil)
	for i := range 800 {
		at := int64(i)
		for in := range 2 {
			err = errors.Join(err, s.send(coEvent{in, coRecord, at, "a", 2*i + in}),
				s.send(coEvent{input: in, kind: coWatermark, at: at - 5}))
		}
		s.panes = s.panes[:0]
	}
	if err != nil {
		t.Fatal(err)
	}
	table, ok := s.op.States()[0].(*heap.Table[string, operator.Buffers[reading, remark]])
	if !ok {
		t.Fatalf("the state is %T", s.op.States()[0])
	}
	for _, row := range table.All() {
		if l, r := len(row.Left), len(row.Right); l < 300 || l > 300+60 || r < 100 || r > 100+60 {
			t.Errorf("%d and %d records wait", l, r)
		}
	}
	if timers := s.op.States()[1].Size().Rows; timers != 1 {
		t.Errorf("%d timers of one key", timers)
	}
}

func TestIntervalJoinRefuses(t *testing.T) {
	if _, err := intervalStep(operator.Interval{Lower: 2, Upper: 1}); err == nil || !strings.Contains(err.Error(), "above the upper") {
		t.Errorf("error %v", err)
	}
	record := coEvent{1, coRecord, 7, "a", 1}
	for want, test := range map[string]struct {
		f func(c *keyed) error
		b coEvent
	}{
		"no":               {func(*keyed) error { return errors.New("no") }, record},
		"a timer needs":    {func(c *keyed) error { c.EventTimer(time.Unix(0, 9)); return nil }, record},
		"Delete":           {func(c *keyed) error { c.Delete(); return nil }, record},
		"without an event": {func(*keyed) error { return nil }, coEvent{1, coRecord, element.NoTime, "a", 1}},
	} {
		step, err := operator.IntervalJoin(operator.IntervalConfig{Interval: operator.Interval{Upper: 5}}, (*reading).key, (*remark).key,
			bindKeyed, func(c *keyed, _ *reading, _ *remark, _ *element.Out[pane]) error { return test.f(c) })
		if err != nil {
			t.Fatal(err)
		}
		s := openCo(t, step, nil)
		var user *operator.UserError
		err = errors.Join(s.send(coEvent{0, coRecord, 5, "a", 0}), s.send(test.b))
		if !errors.As(err, &user) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestIntervalJoinOfAllTime has bounds that reach beyond all times.
func TestIntervalJoinOfAllTime(t *testing.T) {
	step, err := intervalStep(operator.Interval{Lower: math.MinInt64, Upper: math.MaxInt64})
	if err != nil {
		t.Fatal(err)
	}
	s := openCo(t, step, nil)
	for _, e := range []coEvent{
		{input: 0, at: -(1 << 62), key: "a", value: 0},
		{input: 0, at: 1 << 62, key: "a", value: 2},
		{input: 1, at: 5, key: "a", value: 1},
		{input: 0, kind: coWatermark, at: element.MaxWatermark},
		{input: 1, kind: coWatermark, at: element.MaxWatermark},
	} {
		err = errors.Join(err, s.send(e))
	}
	if rows := s.op.States()[0].Size().Rows; err != nil || len(s.panes) != 2 || rows != 0 {
		t.Errorf("%v, %v, %d rows left", s.panes, err, rows)
	}
}

// TestIntervalJoinGolden holds what is stored, and that what was stored once is read.
func TestIntervalJoinGolden(t *testing.T) {
	const golden = "testdata/interval-join-v1.golden"
	step, err := intervalStep(operator.Interval{Lower: -10, Upper: 20})
	if err != nil {
		t.Fatal(err)
	}
	s, store := openCo(t, step, nil), statebackend.NewMemory(4)
	for _, e := range []coEvent{{0, coRecord, 15, "a", 0}, {0, coRecord, 12, "a", 2}, {1, coRecord, 100, "a", 1}} {
		err = errors.Join(err, s.send(e))
	}
	w := store.Writer(1, 1, 0)
	text := ""
	for _, st := range s.op.States()[:2] {
		err = errors.Join(err, st.Begin(statebackend.Checkpoint{ID: 1}))
		_, stepErr := st.Step(w, 1000)
		err = errors.Join(err, stepErr)
		w.Done(st)
		text += st.Name() + "\n" + hex.Dump(st.Schema())
		for _, b := range w.Blocks(st.Name()) {
			text += hex.Dump(b.Data)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if stored, err := os.ReadFile(golden); err != nil || text != string(stored) {
		t.Errorf("%v: stored\n%s\nwant\n%s", err, text, stored)
	}
	from, err := store.Reader(1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s = openCo(t, step, from)
	if err := s.send(coEvent{1, coRecord, 22, "a", 3}); err != nil {
		t.Fatal(err)
	}
	if want := []pane{{"a", 22, 0, "2-3"}, {"a", 22, 0, "0-3"}}; !slices.Equal(s.panes, want) {
		t.Errorf("pairs of what was read: %v, want %v", s.panes, want)
	}
}
