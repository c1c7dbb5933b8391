// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/window"
)

// trail has the pages of clicks in order, so that it tells which were added to what, and when.
type trail struct{ Pages string }

func (t *trail) add(c *click)      { t.Pages += fmt.Sprintf(" %d", c.page) }
func (t *trail) merge(from *trail) { t.Pages += from.Pages }
func (t *trail) read() string      { return t.Pages }
func (t *trail) sorted() string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(t.Pages))), " ")
}
func gapOfClick(*click) time.Duration { return 7 }

// trailStep makes a step of windows whose results are text.
func trailStep(windows operator.Windows, ordered bool) (operator.Step, error) {
	read := (*trail).sorted
	if ordered {
		read = (*trail).read
	}
	type ctx = operator.WindowContext[int64]
	return operator.WindowAggregateProcess(windows, user, aggregate.Of((*trail).add, (*trail).merge, read),
		func(c *ctx) *ctx { return c },
		func(c *ctx, in *string, out *element.Out[string]) error {
			out.Emit(fmt.Sprintf("%d [%d,%d)%s", c.Key(), c.Start(), c.End(), *in))
			return nil
		})
}

// texts is the end of a chain that keeps what comes between two watermarks.
type texts struct {
	drop[string]
	got []string
}

func (x *texts) Process(b *element.Batch[string]) error {
	x.got = append(x.got, b.Rows()...)
	return nil
}

func (x *texts) take() []string {
	got := slices.Sorted(slices.Values(x.got))
	x.got = nil
	return got
}

// consumer is a step that reads one channel, or several.
type consumer struct {
	port operator.Port
	out  *texts
	rt   *operator.Runtime
	// rows is how many crossed the edge, plain how many of them were records.
	rows, plain int
}

func newConsumer(step operator.Step) (*consumer, error) {
	op := step.New()
	c := &consumer{out: &texts{}, rt: runtime("windows")}
	if err := op.Connect("", operator.PortOf[string](c.out)); err != nil {
		return nil, err
	}
	if err := op.Open(context.Background(), c.rt); err != nil {
		return nil, err
	}
	c.port = op.Port(0)
	return c, nil
}

// Channel, Width, Flush and SendOther are those of a writer with three channels that holds nothing back.
func (c *consumer) Channel(h uint64) int { return int(h % 3) }
func (c *consumer) Width() int           { return 3 }
func (c *consumer) Flush() error         { return nil }
func (c *consumer) Own([]click)          {}

func (c *consumer) SendOther(_ int, b element.Any) error {
	if b.Len() == 0 {
		return errors.New("an empty batch")
	}
	c.rows += b.Len()
	err := c.port.Deliver(b)
	b.Release()
	return err
}

func (c *consumer) Process(b *element.Batch[click]) error {
	c.rows += b.Len()
	c.plain += b.Len()
	return c.port.Deliver(b)
}
func (c *consumer) Watermark(at int64) error { return c.port.Watermark(at) }
func (c *consumer) Status(idle bool) error   { return c.port.Status(idle) }
func (c *consumer) End() error               { return c.port.End() }

type clickCombiner = operator.Combiner[int64, click, trail]

func combinerOf(step operator.Step, to *consumer, tableBytes int) (*clickCombiner, error) {
	c, ok := step.Combine.(*operator.Combine[int64, click, trail])
	if !ok {
		return nil, fmt.Errorf("the step combines nothing: %T", step.Combine)
	}
	if tableBytes > 0 {
		c.Shrink(tableBytes)
	}
	return operator.NewCombiner(c, operator.Info{Name: "windows"}, to, 0), nil
}

// TestCombinedRecordsMakeTheSameWindows has the same records reach a step one by one and through a combiner: what fires
// between two watermarks is the same, late records and those that are dropped included.
func TestCombinedRecordsMakeTheSameWindows(t *testing.T) {
	for name, w := range map[string]operator.Windows{
		"tumbling":     {Assigner: window.Tumbling(10)},
		"late":         {Assigner: window.Tumbling(10), Lateness: 15},
		"sliding":      {Assigner: window.Sliding(12, 5), Lateness: 4},
		"apart":        {Assigner: window.Sliding(4, 10)},
		"session":      {Assigner: window.Session(7)},
		"late session": {Assigner: window.Session(7), Lateness: 12},
		"chosen gap":   {Gap: gapOfClick},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				step, err := trailStep(w, !strings.Contains(name, "session") && w.Gap == nil)
				if err != nil {
					rt.Fatal(err)
				}
				tableBytes := rapid.SampledFrom([]int{1, 1000, 100_000}).Draw(rt, "table")
				random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 7))
				compareCombined(rt, step, tableBytes, random)
			})
		})
	}
}

func compareCombined(t *rapid.T, step operator.Step, tableBytes int, random *rand.Rand) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	plain, err := newConsumer(step)
	must(err)
	behind, err := newConsumer(step)
	must(err)
	combiner, err := combinerOf(step, behind, tableBytes)
	must(err)
	hash, err := keys.HasherFor[int64]()
	must(err)
	now, page := int64(0), int64(0)
	for range 60 {
		switch random.IntN(8) {
		case 0, 1: // a watermark
			now += random.Int64N(12)
			must(plain.port.Watermark(now))
			must(combiner.Watermark(now))
			if want, got := plain.out.take(), behind.out.take(); !slices.Equal(got, want) {
				t.Fatalf("up to %d\n got %q\nwant %q", now, got, want)
			}
		case 2:
			must(combiner.Clear())
		default:
			b, n := element.NewBatch[click](64), 1+random.IntN(20)
			for range n {
				page++
				c := b.AppendNanos(now + random.Int64N(40) - 20)
				c.user, c.page = random.Int64N(6), page
			}
			must(combiner.Process(b))
			hashes := make([]uint64, n)
			for i := range b.Rows() {
				hashes[i] = hash(&b.Rows()[i].user)
			}
			b.SetHashes(hashes)
			must(plain.port.Deliver(b))
		}
	}
	must(plain.port.Watermark(element.MaxWatermark))
	must(combiner.Watermark(element.MaxWatermark))
	if want, got := plain.out.take(), behind.out.take(); !slices.Equal(got, want) {
		t.Fatalf("at the end\n got %q\nwant %q", got, want)
	}
	for _, m := range []func(*operator.Metrics) int64{
		func(m *operator.Metrics) int64 { return m.LateDropped.Load() },
		func(m *operator.Metrics) int64 { return m.RecordsIn.Load() },
	} {
		if want, got := m(plain.rt.Metrics), m(behind.rt.Metrics); got != want {
			t.Fatalf("%d records are counted, %d without a combiner", got, want)
		}
	}
}

// crowd is a batch of clicks at a time, of users from first on.
func crowd(first int64, users, n int, at int64) *element.Batch[click] {
	b := element.NewBatch[click](n)
	for i := range n {
		b.AppendNanos(at).user = first + int64(i%users)
	}
	return b
}

func TestCombinerSendsLittleForFewKeys(t *testing.T) {
	step, err := trailStep(operator.Windows{Assigner: window.Tumbling(100)}, false)
	ok(t, err)
	to, err := newConsumer(step)
	ok(t, err)
	c, err := combinerOf(step, to, 0)
	ok(t, err)
	ok(t, c.Process(crowd(0, 10, 50, 1)))
	if to.plain != 50 {
		t.Errorf("%d of 50 records went as they are before the first watermark", to.plain)
	}
	ok(t, c.Watermark(0))
	for range 10 {
		ok(t, c.Process(crowd(0, 10, 1000, 5)))
		ok(t, c.Watermark(10))
	}
	if to.rows != 50 {
		t.Errorf("%d rows were sent for 10 keys before their window ends", to.rows-50)
	}
	ok(t, c.Watermark(99))
	if to.rows != 60 || len(to.out.got) != 10 {
		t.Errorf("%d rows were sent for 10 keys, and %d windows fired", to.rows-50, len(to.out.got))
	}
	for name, control := range map[string]func() error{
		"idle": func() error { return c.Status(true) }, "barrier": c.Clear, "end": c.End,
	} {
		before := to.rows
		ok(t, c.Process(crowd(0, 10, 1000, 150)))
		ok(t, control())
		if got := to.rows - before; got != 10 {
			t.Errorf("%s: %d rows were sent for 10 keys", name, got)
		}
	}
}

func TestCombinerStandsAsideForManyKeys(t *testing.T) {
	step, err := trailStep(operator.Windows{Assigner: window.Tumbling(100)}, false)
	ok(t, err)
	to, err := newConsumer(step)
	ok(t, err)
	c, err := combinerOf(step, to, 0)
	ok(t, err)
	ok(t, c.Watermark(0))
	first := int64(0)
	for range 2 * operator.CombineTrial / 1024 {
		ok(t, c.Process(crowd(first, 1024, 1024, 5)))
		first += 1024
	}
	if to.plain < operator.CombineTrial-1024 {
		t.Errorf("%d of %d records with keys of their own went as they are", to.plain, first)
	}
	ok(t, c.Watermark(99))
	if got := len(to.out.got); got != int(first) {
		t.Errorf("%d windows of %d fired", got, first)
	}
}

func TestWhatIsNotCombined(t *testing.T) {
	for name, w := range map[string]operator.Windows{
		"late output": {Assigner: window.Tumbling(10), Late: "late"},
		"sliding":     {Assigner: window.Sliding(10, 5), Late: "late"},
	} {
		if step, err := trailStep(w, false); err != nil || step.Combine != nil {
			t.Errorf("%s: combines with %T, %v", name, step.Combine, err)
		}
	}
	large, err := operator.WindowAggregate(operator.Windows{Assigner: window.Tumbling(10)}, user, aggregate.Of(
		func(*[100]int64, *click) {}, func(_, _ *[100]int64) {}, func(a *[100]int64) int64 { return a[0] }))
	if err != nil || large.Combine != nil {
		t.Errorf("large accumulators: combines with %T, %v", large.Combine, err)
	}
}

func TestPanicBeforeTheShuffleIsOfTheWindows(t *testing.T) {
	step, err := operator.WindowAggregate(operator.Windows{Assigner: window.Tumbling(10)}, user, aggregate.Of(
		func(*trail, *click) { panic("boom") }, (*trail).merge, (*trail).read))
	ok(t, err)
	to, err := newConsumer(step)
	ok(t, err)
	c, err := combinerOf(step, to, 0)
	ok(t, err)
	ok(t, c.Watermark(0))
	var failed *operator.UserError
	if err := c.Process(crowd(0, 1, 1, 5)); !errors.As(err, &failed) || failed.Name != "windows" {
		t.Errorf("got %v, want an error of the step", err)
	}
}

func TestCombinerAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	for name, assigner := range map[string]window.Assigner{
		"slices": window.Sliding(10, 2), "sessions": window.Session(4),
	} {
		step, err := operator.WindowAggregate(operator.Windows{Assigner: assigner}, user, aggregate.Count[click]())
		ok(t, err)
		combine := step.Combine.(*operator.Combine[int64, click, int64])
		to := &away{}
		c := operator.NewCombiner(combine, operator.Info{}, to, 0)
		ok(t, c.Watermark(0))
		batches, now := clicks(t, 100, 8), int64(10)
		run := func() {
			for _, b := range batches {
				for i := range b.Times() {
					b.Times()[i] = now + int64(i%3)
				}
				ok(t, c.Process(b))
			}
			now += 5
			ok(t, c.Watermark(now-4))
		}
		for range 20 {
			run()
		}
		if got := testing.AllocsPerRun(20, run); got != 0 {
			t.Errorf("%s: %v allocations in 8 batches", name, got)
		}
		if to.rows == 0 {
			t.Errorf("%s: nothing was sent", name)
		}
	}
}

// away is a writer that forgets.
type away struct{ drop[click] }

func (*away) Channel(uint64) int { return 0 }
func (*away) Width() int         { return 1 }
func (*away) Flush() error       { return nil }
func (*away) Own([]click)        {}

func (w *away) SendOther(_ int, b element.Any) error {
	w.rows += b.Len()
	b.Release()
	return nil
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
