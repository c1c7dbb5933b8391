// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operatortest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// rig runs the subtasks of a case in one mode.
type rig struct {
	c      Case
	m      mode
	random *rand.Rand
	groups int

	tasks []*task
	store *statebackend.Memory
	log   log
	now   time.Time
	// at is the next event of each input.
	at []int

	// ids of checkpoints rise; completed is the newest that can be restored, nil before the first.
	id        int64
	completed *checkpoint
	// running is a snapshot that is not finished.
	running *checkpoint
	crashes int
}

// checkpoint is where a case stood at a barrier.
type checkpoint struct {
	cp      statebackend.Checkpoint
	at      []int
	lines   int
	now     time.Time
	writers []*statebackend.MemoryWriter
	// step is the state of each subtask that is written next.
	step []int
}

// task is one subtask.
type task struct {
	op     operator.Operator
	ports  []operator.Port
	checks []*checks
	wakeAt time.Time
	woken  atomic.Bool
	cancel context.CancelFunc
}

func newRig(c Case, m mode, seed uint64) *rig {
	groups := c.Groups
	if groups == 0 {
		groups = 8
	}
	return &rig{
		c: c, m: m, random: rand.New(rand.NewPCG(seed, 1)), groups: groups,
		store: statebackend.NewMemory(groups), now: Start(), at: make([]int, len(c.Inputs)),
	}
}

// Start is the time at which the clock of every run begins.
func Start() time.Time { return time.Unix(1_000_000, 0) }

// start makes and opens the subtasks, from the completed checkpoint if there is one.
func (r *rig) start(ctx context.Context, parallelism int) error {
	r.tasks = nil
	for i := range parallelism {
		t, err := r.open(ctx, i, parallelism)
		r.tasks = append(r.tasks, t)
		if err != nil {
			return fmt.Errorf("open subtask %d of %d: %w", i, parallelism, err)
		}
	}
	return nil
}

func (r *rig) open(ctx context.Context, subtask, parallelism int) (*task, error) {
	t := &task{op: r.c.Step.New()}
	for _, w := range r.c.Want {
		port, c := w.collect(&r.log)
		if err := t.op.Connect(w.name(), port); err != nil {
			return t, err
		}
		t.checks = append(t.checks, c)
	}
	rt := &operator.Runtime{
		Info: operator.Info{
			JobID: "job", JobName: "job", Vertex: "step", UID: "uid", Name: "step",
			Subtask: subtask, Parallelism: parallelism, MaxParallelism: r.groups, Attempt: r.id + 1,
		},
		Logger:  slog.New(slog.DiscardHandler),
		Metrics: operator.NewMetrics(),
		Now:     func() time.Time { return r.now },
		WakeAt:  func(at time.Time) { t.wakeAt = at },
		Wake:    func() { t.woken.Store(true) },
		RowsMax: r.m.rowsMax,
	}
	if r.completed != nil {
		restored, err := r.store.Reader(r.completed.cp.ID, parallelism, subtask)
		if err != nil {
			return t, err
		}
		rt.Restored = restored
	}
	ctx, t.cancel = context.WithCancel(ctx)
	rt.Canceled = ctx.Done()
	if err := t.op.Open(ctx, rt); err != nil {
		return t, err
	}
	for i := range r.c.Inputs {
		t.ports = append(t.ports, t.op.Port(i))
	}
	return t, t.checkStates(r.c.Step.States)
}

// checkStates compares the states of an operator with those that its step declared.
func (t *task) checkStates(want []statebackend.Spec) error {
	states := t.op.States()
	if len(states) != len(want) {
		return fmt.Errorf("operator has %d states, the step declares %d", len(states), len(want))
	}
	for i, s := range states {
		if w := want[i]; s.Name() != w.Name || string(s.Schema()) != string(w.Schema) {
			return fmt.Errorf("state %q differs from what the step declares as %q", s.Name(), w.Name)
		}
	}
	return nil
}

// stop ends the subtasks, also half opened ones.
func (r *rig) stop() error {
	var first error
	for _, t := range r.tasks {
		if err := t.op.Close(); err != nil && first == nil {
			first = err
		}
		if t.cancel != nil {
			t.cancel()
		}
	}
	r.tasks = nil
	return first
}

// all calls f for each subtask.
func (r *rig) all(f func(i int, t *task) error) error {
	for i, t := range r.tasks {
		if err := f(i, t); err != nil {
			return fmt.Errorf("subtask %d of %d: %w", i, len(r.tasks), err)
		}
	}
	return nil
}

// deliver feeds the next rows of an input, or the control that comes next, and returns how many events that were.
func (r *rig) deliver(input, limit int) error {
	in := r.c.Inputs[input]
	next := in.events()[r.at[input]:]
	if next[0].kind != row {
		r.at[input]++
		return r.control(input, next[0])
	}
	rows := make([][]int, len(r.tasks))
	for _, e := range next[:min(limit, len(next))] {
		if e.kind != row {
			break
		}
		r.at[input]++
		to := in.owner(e.row, r.groups, len(r.tasks))
		rows[to] = append(rows[to], e.row)
	}
	err := r.all(func(i int, t *task) error {
		if len(rows[i]) == 0 {
			return nil
		}
		return in.deliver(t.ports[input], rows[i], r.m.shared)
	})
	if err != nil {
		return err
	}
	return r.wake()
}

func (r *rig) control(input int, e event) error {
	if e.kind == clock {
		return r.sleep(time.Duration(e.at))
	}
	return r.all(func(_ int, t *task) error {
		switch p := t.ports[input]; e.kind {
		case watermark:
			return p.Watermark(e.at)
		case idle, active:
			return p.Status(e.kind == idle)
		default:
			return p.End()
		}
	})
}

// sleep advances the clock and wakes the subtasks at the times that they asked for.
func (r *rig) sleep(d time.Duration) error {
	to := r.now.Add(d)
	for {
		next := to
		for _, t := range r.tasks {
			if !t.wakeAt.IsZero() && t.wakeAt.Before(next) {
				next = t.wakeAt
			}
		}
		if next.After(r.now) {
			r.now = next
		}
		if err := r.wake(); err != nil {
			return err
		}
		if next.Equal(to) {
			return nil
		}
	}
}

// wake calls Tick of the subtasks whose time has come.
func (r *rig) wake() error {
	return r.all(func(_ int, t *task) error {
		for t.woken.Swap(false) || !t.wakeAt.IsZero() && !t.wakeAt.After(r.now) {
			t.wakeAt = time.Time{}
			if err := t.op.Tick(r.now); err != nil {
				return err
			}
		}
		return nil
	})
}

// begin passes a barrier and starts the snapshot.
func (r *rig) begin() error {
	r.id++
	c := &checkpoint{
		cp: statebackend.Checkpoint{ID: r.id}, at: append([]int(nil), r.at...), lines: len(r.log.lines), now: r.now,
		step: make([]int, len(r.tasks)),
	}
	if r.random.IntN(4) == 0 {
		c.cp.Flags = element.Full
	}
	r.running = c
	return r.all(func(i int, t *task) error {
		before := len(r.log.lines)
		if err := t.op.Barrier(c.cp); err != nil {
			return fmt.Errorf("barrier: %w", err)
		}
		c.lines += len(r.log.lines) - before // sent on before the barrier went on
		c.writers = append(c.writers, r.store.Writer(c.cp.ID, len(r.tasks), i))
		for _, s := range t.op.States() {
			if err := s.Begin(c.cp); err != nil {
				return fmt.Errorf("begin: %w", err)
			}
		}
		return nil
	})
}

// slice writes a slice of the running snapshot, and ends it when all is written.
func (r *rig) slice(rows int) error {
	c, finished := r.running, true
	err := r.all(func(i int, t *task) error {
		states := t.op.States()
		if c.step[i] == len(states) {
			return nil
		}
		s := states[c.step[i]]
		c.writers[i].Full = r.random.IntN(5) == 0 && rows == 1
		done, err := s.Step(c.writers[i], rows)
		if err != nil {
			return fmt.Errorf("step: %w", err)
		}
		if done {
			c.writers[i].Done(s)
			c.step[i]++
		}
		finished = finished && c.step[i] == len(states)
		return nil
	})
	if err != nil || !finished {
		return err
	}
	r.running = nil
	if r.m.abort && r.random.IntN(3) == 0 {
		return r.notify(c, statebackend.State.Aborted, operator.Operator.Aborted)
	}
	r.completed = c
	return r.notify(c, statebackend.State.Completed, operator.Operator.Completed)
}

func (r *rig) notify(
	c *checkpoint, state func(statebackend.State, int64) error, op func(operator.Operator, int64) error,
) error {
	return r.all(func(_ int, t *task) error {
		for _, s := range t.op.States() {
			if err := state(s, c.cp.ID); err != nil {
				return err
			}
		}
		return op(t.op, c.cp.ID)
	})
}

// crash throws the subtasks away and goes back to the completed checkpoint, at another parallelism.
func (r *rig) crash(ctx context.Context, parallelism int) error {
	if err := r.stop(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	r.running = nil
	r.crashes++
	lines := 0
	r.now = Start()
	clear(r.at)
	if c := r.completed; c != nil {
		copy(r.at, c.at)
		lines, r.now = c.lines, c.now
	}
	r.log.lines = r.log.lines[:lines]
	if err := r.start(ctx, parallelism); err != nil {
		return err
	}
	return r.resend()
}

// resend says again what each input said of itself before the checkpoint: its end, whether it is idle, and in some runs
// how far its time had come.
func (r *rig) resend() error {
	again := r.random.IntN(2) == 0
	for input, in := range r.c.Inputs {
		var status, mark, last event
		for _, e := range in.events()[:r.at[input]] {
			switch e.kind {
			case idle, active:
				status = e
			case watermark:
				mark = e
			case end:
				last = e
			case row, clock:
			}
		}
		for _, e := range []event{mark, status, last} {
			skip := e.kind == watermark && !again && e.at != element.MaxWatermark || e.kind == active
			if e.kind == row || skip {
				continue
			}
			if err := r.control(input, e); err != nil {
				return fmt.Errorf("resend: %w", err)
			}
		}
	}
	return nil
}
