// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/tasktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The job of these tests counts: splits of rising numbers are read, each number is a record of key number%keys with the
// value one, a keyed sum makes of it the how-manieth of its key it is, and a two-phase sink commits it. So whatever the
// order, the committed rows of a key with n numbers are 1, 2, ... n, and any record that is lost or doubled shows.

type row struct{ Key, N int64 }

func rowSerde(strings codec.Strings) exchange.Serde {
	c, err := codec.For[row]()
	if err != nil {
		panic(err) // integers are native kinds
	}
	return exchange.SerdeOf(c, strings)
}

const keyCount = 7

// span is a split: the numbers from Next to below To.
type span struct {
	Name     string
	Next, To int64
}

func (s span) SplitID() string { return s.Name }

// numbers is the source: spans of spanSize numbers.
type numbers struct {
	spans, spanSize int
	// pace is the time between two batches of a reader; zero reads at full speed.
	pace time.Duration
	rows int
	// polls counts those of all readers.
	polls atomic.Int64
}

func (n *numbers) Boundedness() connector.Boundedness { return connector.Bounded }

func (n *numbers) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[row, span], error) {
	return &numberReader{numbers: n, rt: rt}, nil
}

type remaining struct{ Spans []span }

func (n *numbers) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[span], restored *remaining,
) (connector.Enumerator[span, remaining], error) {
	e := &numberEnumerator{rt: rt}
	if restored != nil {
		e.Spans = restored.Spans
		return e, nil
	}
	for i := range n.spans {
		from := int64(i * n.spanSize)
		e.Spans = append(e.Spans, span{fmt.Sprint("span ", i), from, from + int64(n.spanSize)})
	}
	return e, nil
}

type numberEnumerator struct {
	remaining
	rt connector.EnumeratorContext[span]
}

func (e *numberEnumerator) Assigned(int, []span) error  { return nil }
func (e *numberEnumerator) Start(context.Context) error { return nil }
func (e *numberEnumerator) AddBack(spans []span, _ int) error {
	e.Spans = append(e.Spans, spans...)
	return nil
}

func (e *numberEnumerator) Snapshot(int64) (remaining, error) {
	return remaining{slices.Clone(e.Spans)}, nil
}
func (e *numberEnumerator) Close() error { return nil }

func (e *numberEnumerator) ReaderReady(reader int) error {
	if len(e.Spans) == 0 {
		e.rt.NoMoreSplits(reader)
		return nil
	}
	e.rt.Assign(reader, e.Spans[0])
	e.Spans = e.Spans[1:]
	return nil
}

type numberReader struct {
	*numbers
	rt     connector.RuntimeContext
	spans  []span
	noMore bool
	next   time.Time
}

func (r *numberReader) Add(spans []span) error {
	r.spans = append(r.spans, spans...)
	return nil
}

func (r *numberReader) Poll(b *element.Batch[row]) (string, error) {
	r.polls.Add(1)
	if len(r.spans) == 0 {
		if r.noMore {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	if now := r.rt.Now(); r.pace > 0 {
		if now.Before(r.next) {
			r.rt.WakeAt(r.next)
			return "", connector.ErrWait
		}
		r.next = now.Add(r.pace)
	}
	s := &r.spans[0]
	for i := 0; i < cmp.Or(r.rows, 8) && !b.Full() && s.Next < s.To; i++ {
		*b.Append() = row{Key: s.Next % keyCount, N: 1}
		s.Next++
	}
	name := s.Name
	if s.Next == s.To {
		r.spans = r.spans[1:]
		return name, connector.ErrSplitEnd
	}
	return name, nil
}

func (r *numberReader) NoMoreSplits()                  { r.noMore = true }
func (r *numberReader) Snapshot(int64) ([]span, error) { return slices.Clone(r.spans), nil }
func (r *numberReader) Completed(int64) error          { return nil }
func (r *numberReader) Close() error                   { return nil }

// pile is a committable.
type pile struct {
	ID   string
	Rows []row
}

// world is what the job has done to it: the rows of committed piles.
type world struct {
	piles map[string][]row
	// fault fails every write; hold, if set, lets none return until it is closed.
	fault error
	hold  chan struct{}
	// widest is the most rows that a batch had.
	widest atomic.Int64
}

func (w *world) NewWriter(_ context.Context, rt connector.RuntimeContext, _ []connector.None) (connector.Writer[row, connector.None, pile], error) {
	return &writer{world: w, rt: rt}, nil
}
func (w *world) NewCommitter(context.Context) (connector.Committer[pile], error) { return w, nil }
func (w *world) Close() error                                                    { return nil }

// Commit is idempotent by the id of the pile.
func (w *world) Commit(_ context.Context, piles []pile) error {
	for _, p := range piles {
		w.piles[p.ID] = p.Rows
	}
	return nil
}

type writer struct {
	world *world
	rt    connector.RuntimeContext
	rows  []row
}

func (w *writer) Write(ctx context.Context, b *element.Batch[row]) error {
	if w.world.hold != nil {
		select {
		case <-w.world.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for n := int64(b.Len()); ; {
		widest := w.world.widest.Load()
		if n <= widest || w.world.widest.CompareAndSwap(widest, n) {
			break
		}
	}
	w.rows = append(w.rows, b.Rows()...)
	return w.world.fault
}

func (w *writer) PrepareCommit(_ context.Context, checkpoint int64) ([]pile, error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	p := pile{fmt.Sprintf("%d/%d", w.rt.Attempt(), checkpoint), w.rows}
	w.rows = nil
	return []pile{p}, nil
}
func (w *writer) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (w *writer) Close() error                           { return nil }

// counted returns how often each row was committed.
func (w *world) counted() map[row]int {
	counts := map[row]int{}
	for _, rows := range w.piles {
		for _, r := range rows {
			counts[r]++
		}
	}
	return counts
}

// want is what must have been committed of that many numbers.
func want(numbers int) map[row]int {
	counts := map[row]int{}
	for i := range int64(numbers) {
		counts[row{i % keyCount, i/keyCount + 1}]++
	}
	return counts
}

// job is the description of the job, and what lives longer than its attempts.
type job struct {
	t       *testing.T
	source  *numbers
	world   *world
	storage *tasktest.Storage
	// files, if set, keep the state instead of storage.
	files *run
	// extra, if set, is a step between source and sum.
	extra   *operator.Step
	rowsMax int
	credits int
	atLeast bool
	// clock, if set, makes that of each task.
	clock         func() task.Clock
	bufferTimeout time.Duration
	// attempt and last are the ids given out last; neither repeats.
	attempt, last int64

	sourceStep operator.SourceStep
	sinkStep   operator.SinkStep
}

func newJob(t *testing.T, source *numbers) *job {
	t.Helper()
	j := &job{t: t, source: source, world: &world{piles: map[string][]row{}}, storage: &tasktest.Storage{}}
	var err error
	if j.sourceStep, err = operator.Source(source, nil); err != nil {
		t.Fatal(err)
	}
	if j.sinkStep, err = operator.Sink(j.world); err != nil {
		t.Fatal(err)
	}
	return j
}

func edge(from, to int, p exchange.Partitioning) *graph.StreamEdge {
	hash, err := keys.ColumnHasherFor(func(r *row) int64 { return r.Key })
	if err != nil {
		panic(err)
	}
	return &graph.StreamEdge{
		From: from, To: to, Partitioning: p, Serde: rowSerde,
		NewOutput: func(c graph.OutputConfig) (exchange.Output, operator.Port) {
			w := exchange.NewWriter(exchange.WriterConfig[row]{
				Senders: c.Senders, Subtask: c.Subtask, KeyGroups: c.KeyGroups, RowsMax: c.RowsMax, Partitioning: p,
				Hash: hash, Before: c.Before,
			})
			return w, operator.PortOf[row](w)
		},
	}
}

// graph is source -> map [-> extra] -> hash -> sum -> rebalance -> sink.
func (j *job) graph(parallelism int) *graph.JobGraph {
	j.t.Helper()
	sum, err := operator.Sum(func(r *row) int64 { return r.Key }, func(r *row) *int64 { return &r.N })
	if err != nil {
		j.t.Fatal(err)
	}
	middle := operator.Map(func(r *row) row { return *r })
	if j.extra != nil {
		middle = *j.extra
	}
	node := func(id int, uid string, s operator.Step) *graph.StreamNode {
		return &graph.StreamNode{ID: id, UID: uid, Name: uid, Inputs: s.Inputs, New: s.New, States: s.States}
	}
	src := node(0, "numbers", j.sourceStep.Step)
	src.Source = &graph.SourceSpec{Bounded: true, NewEnumerator: j.sourceStep.NewEnumerator}
	sink := node(3, "out", j.sinkStep.Step)
	sink.Sink = &graph.SinkSpec{NewCommitter: j.sinkStep.NewCommitter}
	g, err := graph.Build(&graph.StreamGraph{
		Name: "count", Parallelism: parallelism, MaxParallelism: 16,
		Nodes: []*graph.StreamNode{src, node(1, "map", middle), node(2, "sum", sum), sink},
		Edges: []*graph.StreamEdge{
			edge(0, 1, exchange.Forward), edge(1, 2, exchange.Hash), edge(2, 3, exchange.Rebalance),
		},
	}, graph.Options{})
	if err != nil {
		j.t.Fatal(err)
	}
	return g
}

// checkpointed is a checkpoint that a master triggered.
type checkpointed struct {
	id         int64
	flags      element.BarrierFlags
	enumerator []byte
	acks       map[int64]task.Acknowledgement
	declined   error
	// completed once all tasks that had not finished acknowledged.
	completed bool
}

// master is one run of the job: it deploys the tasks, hands out splits, triggers checkpoints and commits.
type master struct {
	*job
	env      *exchange.Environment
	tasks    map[int64]task.Task
	deployed map[int64]task.Config
	// sources are the attempts of the source by subtask.
	sources    []int64
	enumerator graph.Enumerator
	assigned   [][]assigned
	ready      map[int64]int64
	statuses   map[int64][]task.Status
	errs       map[int64]error
	// failures are the attempts that failed, in order.
	failures   []int64
	inputEnded map[int64]bool
	// restored is the checkpoint that the run began with, zero for none.
	restored  int64
	triggered []*checkpointed
	done      []*checkpointed
	// deliver hands assignments over; a test may lose, double or reorder them.
	deliver func(to task.Task, number int64, a assigned)
	// asked counts questions for assignments; the first mute ones are lost.
	asked, mute int
	// heartbeat, if not zero, is how often readers are told all that they have not reported as applied.
	heartbeat time.Duration

	events chan func()
}

type assigned struct {
	splits []byte
	noMore bool
}

// start deploys the job, from a checkpoint unless that is nil.
func (j *job) start(parallelism int, from *checkpointed) *master {
	j.t.Helper()
	return j.startGraph(j.graph(parallelism), from)
}

func (j *job) startGraph(g *graph.JobGraph, from *checkpointed) *master {
	j.t.Helper()
	env, err := exchange.NewEnvironment(exchange.Config{Credits: j.credits})
	if err != nil {
		j.t.Fatal(err)
	}
	m := &master{
		job: j, env: env, tasks: map[int64]task.Task{}, deployed: map[int64]task.Config{}, ready: map[int64]int64{},
		statuses: map[int64][]task.Status{}, errs: map[int64]error{}, inputEnded: map[int64]bool{},
		events:  make(chan func(), 1<<16),
		deliver: func(to task.Task, number int64, a assigned) { to.Assign(number, a.splits, a.noMore) },
	}
	var restored []byte
	if from != nil {
		m.restored = from.id
		restored = from.enumerator
		m.commit(from) // as it may not have been
	}
	if m.enumerator, err = j.sourceStep.NewEnumerator(j.t.Context(), enumeratorRuntime{m}, restored); err != nil {
		j.t.Fatal(err)
	}
	if err := m.enumerator.Start(j.t.Context()); err != nil {
		j.t.Fatal(err)
	}
	m.deploy(g)
	return m
}

func (m *master) deploy(g *graph.JobGraph) {
	attempts := map[[2]int]int64{}
	for _, v := range g.Vertices {
		for i := range v.Parallelism {
			m.attempt++
			attempts[[2]int{v.Index, i}] = m.attempt
			if v.Source() != nil {
				m.sources = append(m.sources, m.attempt)
			}
		}
	}
	m.assigned = make([][]assigned, len(m.sources))
	for _, v := range slices.Backward(g.Vertices) {
		for i := range v.Parallelism {
			c := m.config(v, i, attempts)
			m.deployed[c.Attempt] = c
			m.tasks[c.Attempt] = task.Start(c)
		}
	}
}

// config is that of a task; attempts are by vertex and subtask.
func (m *master) config(v *graph.JobVertex, subtask int, attempts map[[2]int]int64) task.Config {
	c := task.Config{
		JobID: "job", JobName: "count", Vertex: v, Subtask: subtask, Attempt: attempts[[2]int{v.Index, subtask}],
		Exchange: m.env, Reporter: reporter{m}, Logger: slog.New(slog.DiscardHandler),
		RowsMax: m.rowsMax, BufferTimeout: m.bufferTimeout,
	}
	c.State = m.storage.Task(subtaskOf(c), m.restored)
	if m.files != nil {
		c.State = m.files.storageOf(m.t, c, m.restored)
	}
	if m.clock != nil {
		c.Clock = m.clock()
	}
	for _, e := range v.In {
		for _, p := range e.Producers(subtask) {
			c.Inputs = append(c.Inputs, task.InputChannel{
				Producer:     exchange.PartitionID{Attempt: attempts[[2]int{e.From.Index, p}], Edge: e.OutIndex},
				Subpartition: e.Channel(subtask),
			})
		}
	}
	return c
}

func subtaskOf(c task.Config) tasktest.Subtask {
	return tasktest.Subtask{Index: c.Subtask, Parallelism: c.Vertex.Parallelism, MaxParallelism: c.Vertex.MaxParallelism}
}

// until handles events until the condition holds.
func (m *master) until(what string, cond func() bool) {
	m.t.Helper()
	if !m.handle(time.Minute, cond) {
		m.t.Fatalf("waited in vain for %s: %v, %v", what, m.statuses, m.errs)
	}
}

// pass lets time pass, of the bubble.
func (m *master) pass(d time.Duration) { m.handle(d, func() bool { return false }) }

// handle handles events until the condition holds, for d of the bubble's time at most.
func (m *master) handle(d time.Duration, cond func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	var beat <-chan time.Time
	if m.heartbeat > 0 {
		ticker := time.NewTicker(m.heartbeat)
		defer ticker.Stop()
		beat = ticker.C
	}
	for !cond() {
		select {
		case f := <-m.events:
			f()
		case <-beat:
			for _, a := range m.sources {
				m.assignFrom(a, m.tasks[a].Progress().Assigned+1)
			}
		case <-limit.C:
			return false
		}
	}
	return true
}

// assignFrom says assignments again.
func (m *master) assignFrom(attempt, number int64) {
	reader := slices.Index(m.sources, attempt)
	for i := int(number) - 1; i < len(m.assigned[reader]); i++ {
		m.tasks[attempt].Assign(int64(i+1), m.assigned[reader][i].splits, m.assigned[reader][i].noMore)
	}
}

func (m *master) status(attempt int64) task.Status {
	if s := m.statuses[attempt]; len(s) > 0 {
		return s[len(s)-1]
	}
	return task.Initializing
}

func (m *master) all(s task.Status) func() bool {
	return func() bool {
		for a := range m.tasks {
			if m.status(a) != s {
				return false
			}
		}
		return true
	}
}

// running waits until all tasks are, or were.
func (m *master) running() {
	m.t.Helper()
	m.until("all to run", func() bool {
		for a := range m.tasks {
			if len(m.statuses[a]) < 2 || m.status(a) > task.Finished {
				return false
			}
		}
		return true
	})
}

// trigger starts a checkpoint at the tasks without a running producer.
func (m *master) trigger(flags element.BarrierFlags) *checkpointed {
	m.t.Helper()
	m.last++
	if m.atLeast {
		flags |= element.AtLeastOnce
	}
	state, err := m.enumerator.Snapshot(m.last)
	if err != nil {
		m.t.Fatal(err)
	}
	c := &checkpointed{id: m.last, flags: flags, enumerator: state, acks: map[int64]task.Acknowledgement{}}
	m.triggered = append(m.triggered, c)
	for a, t := range m.tasks {
		if m.status(a) == task.Finished {
			continue
		}
		if i := slices.Index(m.sources, a); i >= 0 {
			t.Trigger(c.id, flags, int64(len(m.assigned[i])))
		} else if m.sourcesFinished() {
			t.Trigger(c.id, flags, 0)
		}
	}
	return c
}

func (m *master) sourcesFinished() bool {
	return !slices.ContainsFunc(m.sources, func(a int64) bool { return m.status(a) != task.Finished })
}

// checkpoint takes one to its end, and reports whether it completed.
func (m *master) checkpoint(flags element.BarrierFlags) *checkpointed {
	m.t.Helper()
	c := m.trigger(flags)
	m.until("checkpoint", func() bool { return c.declined != nil || m.acknowledged(c) })
	m.decide(c)
	return c
}

func (m *master) acknowledged(c *checkpointed) bool {
	for a := range m.tasks {
		if _, ok := c.acks[a]; !ok && m.status(a) != task.Finished {
			return false
		}
	}
	return true
}

// decide completes or aborts, and tells the tasks.
func (m *master) decide(c *checkpointed) {
	c.completed = c.declined == nil
	for _, t := range m.tasks {
		if c.completed {
			t.Completed(c.id)
		} else {
			t.Aborted(c.id)
		}
	}
	if !c.completed {
		return
	}
	if m.files != nil {
		m.files.completed(m, c)
	}
	for a, d := range m.deployed {
		if _, ok := c.acks[a]; ok {
			continue
		}
		for _, n := range d.Vertex.Nodes {
			m.storage.Finished(subtaskOf(d), c.id, n.OperatorID)
		}
	}
	if c.flags.Has(element.Savepoint) && !c.flags.Has(element.Terminal) {
		return
	}
	m.commit(c)
	for _, t := range m.tasks {
		t.Committed(c.id)
	}
}

func (m *master) commit(c *checkpointed) {
	m.t.Helper()
	committer, err := m.sinkStep.NewCommitter(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, a := range slices.Sorted(maps.Keys(c.acks)) {
		for _, data := range c.acks[a].Prepared {
			if err := committer.Commit(m.t.Context(), [][]byte{data}); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// finish takes final checkpoints until all tasks have finished.
func (m *master) finish() {
	m.t.Helper()
	for !m.all(task.Finished)() {
		m.until("the end of input", func() bool {
			for a := range m.tasks {
				if m.status(a) != task.Finished && !m.inputEnded[a] {
					return false
				}
			}
			return true
		})
		if m.all(task.Finished)() {
			return
		}
		m.checkpoint(0)
		m.pass(time.Millisecond)
	}
}

// records is what the sources have read.
func (m *master) records() (n int64) {
	for _, a := range m.sources {
		n += m.tasks[a].Metrics().Operators[0].Metrics.RecordsOut.Load()
	}
	return n
}

var errTest = errors.New("the test wants it so")

// close cancels what runs and waits for it.
func (m *master) close() {
	m.t.Helper()
	for _, t := range m.tasks {
		t.Cancel()
	}
	for a, t := range m.tasks {
		select {
		case <-t.Done():
		case <-time.After(time.Minute):
			m.t.Fatalf("task %d does not end", a)
		}
	}
	m.storage.Wait()
	if m.files != nil {
		for _, s := range m.files.made {
			s.Wait()
		}
	}
	if err := m.env.Close(); err != nil {
		m.t.Error(err)
	}
	for {
		select {
		case f := <-m.events:
			f()
		default:
			return
		}
	}
}

type enumeratorRuntime struct{ m *master }

func (e enumeratorRuntime) Readers() int { return len(e.m.sources) }
func (e enumeratorRuntime) Assign(reader int, splits []byte) {
	e.m.assign(reader, assigned{splits: splits})
}
func (e enumeratorRuntime) NoMoreSplits(reader int) { e.m.assign(reader, assigned{noMore: true}) }
func (e enumeratorRuntime) Fail(err error)          { e.m.t.Error(err) }
func (e enumeratorRuntime) Logger() *slog.Logger    { return slog.New(slog.DiscardHandler) }

func (m *master) assign(reader int, a assigned) {
	m.assigned[reader] = append(m.assigned[reader], a)
	m.deliver(m.tasks[m.sources[reader]], int64(len(m.assigned[reader])), a)
}

// reporter brings reports to the goroutine of the test.
type reporter struct{ m *master }

func (r reporter) Changed(attempt int64, s task.Status, err error) {
	r.m.events <- func() {
		r.m.statuses[attempt] = append(r.m.statuses[attempt], s)
		if err != nil {
			r.m.errs[attempt] = err
			r.m.failures = append(r.m.failures, attempt)
		}
	}
}

func (r reporter) InputsEnded(attempt int64) { r.m.events <- func() { r.m.inputEnded[attempt] = true } }

func (r reporter) Acknowledge(attempt int64, a task.Acknowledgement) {
	r.m.events <- func() {
		for _, c := range r.m.triggered {
			if c.id == a.Checkpoint {
				c.acks[attempt] = a
			}
		}
	}
}

func (r reporter) Decline(_ int64, checkpoint int64, reason error) {
	r.m.events <- func() {
		for _, c := range r.m.triggered {
			if c.id == checkpoint && c.declined == nil {
				c.declined = reason
			}
		}
	}
}

func (r reporter) ReaderReady(attempt int64, ready int64) {
	r.m.events <- func() {
		for range ready - r.m.ready[attempt] {
			if err := r.m.enumerator.ReaderReady(slices.Index(r.m.sources, attempt)); err != nil {
				r.m.t.Error(err)
			}
		}
		r.m.ready[attempt] = max(r.m.ready[attempt], ready)
	}
}

func (r reporter) MissingAssignments(attempt int64, from int64) {
	r.m.events <- func() {
		if r.m.asked++; r.m.asked > r.m.mute {
			r.m.assignFrom(attempt, from)
		}
	}
}
