// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/watermark"
)

// part is a split of rising numbers: from, from+step, ... below to. The event time of a number is itself.
type part struct {
	Name           string
	From, To, Step int64
}

func (p part) SplitID() string { return p.Name }

// counting reads parts in rounds, a record of each in turn: feeds are what Poll returns next, by script.
type counting struct {
	rt     connector.RuntimeContext
	script []string
	parts  []part
	closed bool
	done   []int64
}

func (c *counting) Add(splits []part) error {
	c.parts = append(c.parts, splits...)
	return nil
}

// Poll takes the next word of the script: "a3" is three records of a, "a." its end, "-" nothing, "eof" the end of all,
// "boom" a panic, and "err" an error.
func (c *counting) Poll(b *element.Batch[int64]) (string, error) {
	if len(c.script) == 0 {
		return "", connector.ErrWait
	}
	next := c.script[0]
	c.script = c.script[1:]
	switch next {
	case "-":
		return "", connector.ErrWait
	case "eof":
		return "", io.EOF
	case "boom":
		panic("boom")
	case "err":
		return "", errors.New("no such row")
	}
	i := slices.IndexFunc(c.parts, func(p part) bool { return p.Name == next[:1] })
	if i < 0 {
		*b.Append() = 1
		return next[:1], nil
	}
	p := &c.parts[i]
	if next[1] == '.' {
		c.parts = slices.Delete(c.parts, i, i+1)
		return next[:1], connector.ErrSplitEnd
	}
	for range next[1] - '0' {
		*b.Append() = p.From
		p.From += p.Step
	}
	return p.Name, nil
}

func (c *counting) NoMoreSplits()                  {}
func (c *counting) Snapshot(int64) ([]part, error) { return slices.Clone(c.parts), nil }
func (c *counting) Completed(id int64) error       { c.done = append(c.done, id); return nil }
func (c *counting) Close() error                   { c.closed = true; return nil }

// numbersSource makes counting readers and an enumerator that remembers names.
type numbersSource struct {
	reader *counting
	script string
	ctx    connector.EnumeratorContext[part]
}

func (s *numbersSource) Boundedness() connector.Boundedness { return connector.Bounded }

func (s *numbersSource) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[int64, part], error) {
	s.reader = &counting{rt: rt, script: strings.Fields(s.script)}
	return s.reader, nil
}

type names struct{ Seen []string }

func (s *numbersSource) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[part], restored *names,
) (connector.Enumerator[part, names], error) {
	s.ctx = rt
	e := &naming{rt: rt}
	if restored != nil {
		e.Seen = restored.Seen
	}
	return e, nil
}

// naming is an enumerator that hands out a part with the number of the reader.
type naming struct {
	names
	rt connector.EnumeratorContext[part]
}

func (n *naming) Assigned(reader int, splits []part) error { return n.see("assigned", reader, splits) }
func (n *naming) AddBack(splits []part, reader int) error  { return n.see("back", reader, splits) }
func (n *naming) Start(context.Context) error              { n.Seen = append(n.Seen, "start"); return nil }
func (n *naming) Snapshot(int64) (names, error)            { return n.names, nil }
func (n *naming) Close() error                             { panic("close") }

func (n *naming) see(what string, reader int, splits []part) error {
	for _, s := range splits {
		n.Seen = append(n.Seen, fmt.Sprint(what, " ", reader, " ", s.Name))
	}
	return nil
}

func (n *naming) ReaderReady(reader int) error {
	n.rt.Assign(reader, part{Name: fmt.Sprint("part ", reader), To: int64(len(n.rt.Readers()))})
	n.rt.NoMoreSplits(reader)
	return nil
}

// tape is the end of a chain that writes down what it gets.
type tape[T any] struct{ lines []string }

func (p *tape[T]) Process(b *element.Batch[T]) error {
	p.lines = append(p.lines, fmt.Sprint(b.Rows()))
	return nil
}

func (p *tape[T]) Watermark(at int64) error {
	if at == element.MaxWatermark {
		p.lines = append(p.lines, "wm max")
	} else {
		p.lines = append(p.lines, fmt.Sprint("wm ", at))
	}
	return nil
}

func (p *tape[T]) Status(idle bool) error {
	p.lines = append(p.lines, map[bool]string{true: "idle", false: "active"}[idle])
	return nil
}

func (p *tape[T]) End() error { p.lines = append(p.lines, "end"); return nil }

func (p *tape[T]) take() string {
	s := strings.Join(p.lines, ", ")
	p.lines = nil
	return s
}

// bench is one source, its output, and a clock.
type bench struct {
	t      *testing.T
	src    *numbersSource
	op     operator.SourceOperator
	rt     *operator.Runtime
	tape   tape[int64]
	now    time.Time
	wakeAt time.Time
}

func byItself(n *int64) time.Time { return time.Unix(0, *n) }

func openSource(t *testing.T, script string, w *watermark.Strategy[int64], restored statebackend.Reader) *bench {
	t.Helper()
	b := &bench{t: t, src: &numbersSource{script: script}, now: time.Unix(1000, 0)}
	step, err := operator.Source(b.src, w)
	if err != nil {
		t.Fatal(err)
	}
	b.op = step.New().(operator.SourceOperator)
	b.rt = runtime("numbers")
	b.rt.UID = "src"
	b.rt.Now = func() time.Time { return b.now }
	b.rt.WakeAt = func(at time.Time) { b.wakeAt = at }
	b.rt.Restored = restored
	if err := b.op.Connect("", operator.PortOf[int64](&b.tape)); err != nil {
		t.Fatal(err)
	}
	if err := b.op.Open(t.Context(), b.rt); err != nil {
		t.Fatal(err)
	}
	return b
}

// encoded makes the bytes that an enumerator would send.
func encoded(t *testing.T, parts ...part) []byte {
	t.Helper()
	var data []byte
	src := &numbersSource{}
	step, err := operator.Source(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	rt := &readers{n: 1, assign: func(_ int, d []byte) { data = d }}
	if _, err := step.NewEnumerator(t.Context(), rt, nil); err != nil {
		t.Fatal(err)
	}
	src.ctx.Assign(0, parts...)
	return data
}

// readers is the JobMaster's side of an enumerator.
type readers struct {
	n      int
	assign func(reader int, splits []byte)
	more   []int
}

func (r *readers) Readers() int                     { return r.n }
func (r *readers) Assign(reader int, splits []byte) { r.assign(reader, splits) }
func (r *readers) NoMoreSplits(reader int)          { r.more = append(r.more, reader) }
func (r *readers) Fail(error)                       {}
func (r *readers) Logger() *slog.Logger             { return slog.New(slog.DiscardHandler) }

// poll polls n times and returns what came out.
func (b *bench) poll(n int) string {
	b.t.Helper()
	for range n {
		if _, err := b.op.Poll(); err != nil {
			b.t.Fatal(err)
		}
	}
	return b.tape.take()
}

func (b *bench) add(parts ...part) {
	b.t.Helper()
	if err := b.op.AddSplits(encoded(b.t, parts...)); err != nil {
		b.t.Fatal(err)
	}
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func ascending() *watermark.Strategy[int64] {
	w := watermark.Ascending(byItself)
	return &w
}

func TestSourceMakesLeastOfSplits(t *testing.T) {
	b := openSource(t, "- a2 b1 - a1 - b. - a. - eof", ascending(), nil)
	expect(t, b.poll(1), "")
	b.add(part{"a", 10, 99, 10}, part{"b", 5, 99, 1})
	expect(t, b.poll(1), "[10 20]")
	expect(t, b.poll(1), "[5]") // less than 5 ms later
	expect(t, b.poll(1), "wm 4")
	if got := *b.rt.Metrics.Holder.Load(); got != "b" {
		t.Errorf("held by %q", got)
	}
	expect(t, b.poll(2), "[30]") // b holds
	expect(t, b.poll(2), "wm 29")
	expect(t, b.poll(2), "")
	expect(t, b.poll(1), "wm max, end")
	if found, err := b.op.Poll(); found != operator.Ended || err != nil {
		t.Errorf("after the end: %v, %v", found, err)
	}
	if in, out := b.rt.Metrics.RecordsIn.Load(), b.rt.Metrics.RecordsOut.Load(); in != 4 || out != 4 {
		t.Errorf("%d records in, %d out", in, out)
	}
}

func TestSourceSendsWatermarksInIntervals(t *testing.T) {
	b := openSource(t, "a1 a1 a1 a1", ascending(), nil)
	b.add(part{"a", 1, 99, 1})
	expect(t, b.poll(2), "[1], [2]")
	b.now = b.now.Add(5 * time.Millisecond)
	expect(t, b.poll(1), "[3], wm 2")
	expect(t, b.poll(1), "[4]")
}

func TestSourceGoesIdle(t *testing.T) {
	w := watermark.Ascending(byItself).Idle(time.Minute)
	b := openSource(t, "a1 b1 - - a1 - - - b1 -", &w, nil)
	b.add(part{"a", 10, 99, 10}, part{"b", 5, 99, 1})
	start := b.now
	expect(t, b.poll(3), "[10], [5], wm 4")
	if !b.wakeAt.Equal(start.Add(time.Minute)) {
		t.Errorf("wakes at %v", b.wakeAt.Sub(start))
	}
	b.now = start.Add(40 * time.Second)
	expect(t, b.poll(2), "[20]")
	b.now = start.Add(time.Minute)
	if err := b.op.Tick(b.now); err != nil {
		t.Fatal(err)
	}
	expect(t, b.tape.take()+b.poll(1), "wm 19") // b is idle
	b.now = start.Add(2 * time.Minute)
	expect(t, b.poll(2), "idle")
	expect(t, b.poll(2), "active, [6]") // behind: b does not move it back
}

func TestTimeInSendingIsNotIdle(t *testing.T) {
	w := watermark.Ascending(byItself).Idle(time.Minute)
	b := openSource(t, "a1 b1 a1 -", &w, nil)
	b.add(part{"a", 10, 99, 10}, part{"b", 5, 99, 1})
	b.poll(2)
	slow := b.now
	b.rt.Now = func() time.Time { // an hour passes in the call downstream
		if len(b.tape.lines) > 0 {
			return slow.Add(time.Hour)
		}
		return slow
	}
	expect(t, b.poll(1), "[20], wm 4")
}

func TestSourceWithoutSplitsGoesIdle(t *testing.T) {
	w := watermark.Ascending(byItself).Idle(time.Minute)
	b := openSource(t, "- - a1 -", &w, nil)
	expect(t, b.poll(1), "")
	b.now = b.now.Add(time.Minute)
	expect(t, b.poll(1), "idle")
	b.add(part{"a", 10, 99, 10})
	expect(t, b.poll(2), "active, [10], wm 9")
}

func TestSourceStopsAndDrains(t *testing.T) {
	b := openSource(t, "a1", ascending(), nil)
	b.add(part{"a", 10, 99, 10})
	b.poll(1)
	if err := b.op.Stop(); err != nil {
		t.Fatal(err)
	}
	expect(t, b.tape.take(), "end")
	expect(t, b.poll(1), "")

	b = openSource(t, "a1", nil, nil)
	b.add(part{"a", 10, 99, 10})
	b.poll(1)
	if err := b.op.Drain(); err != nil {
		t.Fatal(err)
	}
	expect(t, b.tape.take(), "wm max")
	if err := b.op.Stop(); err != nil {
		t.Fatal(err)
	}
	expect(t, b.tape.take(), "end")
	if n := b.op.Splits(); n != 1 {
		t.Errorf("%d splits after drain, want 1", n)
	}
	if got := b.positions(); !slices.Equal(got, []part{{"a", 20, 99, 10}}) {
		t.Errorf("splits after drain: %v", got)
	}
}

// positions takes a snapshot and restores it.
func (b *bench) positions() []part {
	b.t.Helper()
	store := statebackend.NewMemory(8)
	cp := statebackend.Checkpoint{ID: 7}
	if err := b.op.Barrier(cp); err != nil {
		b.t.Fatal(err)
	}
	if err := store.Take(cp, 1, 0, b.op.States()...); err != nil {
		b.t.Fatal(err)
	}
	reader, err := store.Reader(7, 1, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return openSource(b.t, "", nil, reader).src.reader.parts
}

func TestSourceRestoresSplits(t *testing.T) {
	b := openSource(t, "a2 b1 b.", ascending(), nil)
	b.add(part{"a", 10, 99, 10}, part{"b", 5, 99, 1})
	b.poll(3)
	if got := b.positions(); !slices.Equal(got, []part{{"a", 30, 99, 10}}) {
		t.Errorf("restored %v", got)
	}
}

func TestSourceFaults(t *testing.T) {
	for _, c := range []struct {
		script, want string
		blame        operator.Blame
	}{
		{"boom", "user code failed: step \"numbers\" (uid \"src\"): panic: boom", operator.OfUser},
		{"err", "source \"numbers\" (uid \"src\"): poll: no such row", operator.OfConnector},
		{"x1", "records of split \"x\", which the reader does not hold", operator.OfEngine},
	} {
		b := openSource(t, c.script, ascending(), nil)
		_, err := b.op.Poll()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.script, err)
		}
		if got := operator.BlameFor(err); got != c.blame {
			t.Errorf("%s: blame %d, want %d", c.script, got, c.blame)
		}
		if err := b.op.Close(); err != nil || !b.src.reader.closed {
			t.Errorf("close: %v", err)
		}
	}
	b := openSource(t, "", nil, nil)
	b.add(part{Name: "a"})
	if err := b.op.AddSplits(encoded(t, part{Name: "a"})); err == nil {
		t.Error("a split is assigned twice")
	}
	if err := b.op.AddSplits([]byte("not splits")); err == nil {
		t.Error("nonsense is taken for splits")
	}
}

func TestReaderWakes(t *testing.T) {
	w := watermark.Ascending(byItself).Idle(time.Minute)
	b := openSource(t, "- -", &w, nil)
	start := b.now
	b.src.reader.rt.WakeAt(start.Add(time.Hour))
	if !b.wakeAt.Equal(start.Add(time.Hour)) {
		t.Fatalf("wakes after %v", b.wakeAt.Sub(start))
	}
	b.poll(1)
	if !b.wakeAt.Equal(start.Add(time.Minute)) {
		t.Fatalf("wakes after %v", b.wakeAt.Sub(start))
	}
	b.now = start.Add(time.Minute)
	if err := b.op.Tick(b.now); err != nil {
		t.Fatal(err)
	}
	if !b.wakeAt.Equal(start.Add(time.Hour)) {
		t.Fatalf("then after %v", b.wakeAt.Sub(start))
	}
}

func TestEnumerator(t *testing.T) {
	src := &numbersSource{}
	step, err := operator.Source(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !step.Bounded || step.Inputs != 0 {
		t.Errorf("bounded %v, inputs %d", step.Bounded, step.Inputs)
	}
	var sent []part
	rt := &readers{n: 3, assign: func(_ int, d []byte) {
		b := openSource(t, "", nil, nil)
		if err := b.op.AddSplits(d); err != nil {
			t.Error(err)
		}
		sent = append(sent, b.src.reader.parts...)
	}}
	e, err := step.NewEnumerator(t.Context(), rt, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		e.Assigned(1, encoded(t, part{Name: "x"})), e.Start(t.Context()), e.ReaderReady(2),
		e.AddBack(encoded(t, part{Name: "y"}, part{Name: "z"}), 0),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(sent, []part{{Name: "part 2", To: 3}}) || !slices.Equal(rt.more, []int{2}) {
		t.Errorf("assigned %v, no more for %v", sent, rt.more)
	}
	state, err := e.Snapshot(4)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = step.NewEnumerator(t.Context(), rt, state); err != nil {
		t.Fatal(err)
	}
	if again, _ := e.Snapshot(5); string(again) != string(state) {
		t.Errorf("restored %q, want %q", again, state)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "panic: close") {
		t.Errorf("close: %v", err)
	}
	if _, err := step.NewEnumerator(t.Context(), rt, []byte{9}); err == nil {
		t.Error("nonsense is taken for a state")
	}
}

func TestSourceTellsReader(t *testing.T) {
	b := openSource(t, "", nil, nil)
	for _, id := range []int64{1, 2, 4} {
		if err := b.op.Completed(id); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(b.src.reader.done, []int64{1, 2, 4}) {
		t.Errorf("reader was told of %d", b.src.reader.done)
	}
}
