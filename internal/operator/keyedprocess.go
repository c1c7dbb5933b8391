// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/internal/watermerge"
)

// Timer is a timer that fired.
type Timer struct {
	At         time.Time
	Processing bool
}

// KeyedFuncs are the functions of a keyed process step; one value is made for each subtask. Open, OnTimer and Close may
// be nil.
type KeyedFuncs[S, T, U, C any] struct {
	Open    func(ctx context.Context, rt *Runtime) error
	Process func(st *S, ctx *C, in *T, out *element.Out[U]) error
	OnTimer func(st *S, ctx *C, t Timer, out *element.Out[U]) error
	Close   func() error
}

// KeyedProcess calls Process with the row of the record's key, and OnTimer with that of the timer's. It fails if rows
// of S can't be stored, or K can't be a key. bind makes the context of the API around that of the step, once a subtask.
func KeyedProcess[K comparable, S, T, U, C any](
	key func(*T) K, bind func(*KeyedContext[K]) *C, funcs func() KeyedFuncs[S, T, U, C],
) (Step, error) {
	kind, err := newKeyedKind[K, S]()
	if err != nil {
		return Step{}, err
	}
	return Step{Inputs: 1, States: kind.states, KeepsText: keepsText[K, S](), New: func() Operator {
		f := funcs()
		p := newKeyedProcessor[K, S, U](kind, bind, lifecycle{start: f.Open, stop: f.Close}, f.OnTimer)
		p.ports = []Port{PortOf[T](&keyedInput[K, S, T, U, C]{p, p, key, f.Process})}
		return p
	}}, nil
}

// KeyedCoFuncs are the functions of a keyed process step with two inputs; one value is made for each subtask. Open,
// OnTimer and Close may be nil.
type KeyedCoFuncs[S, A, B, U, C any] struct {
	Open     func(ctx context.Context, rt *Runtime) error
	Process1 func(st *S, ctx *C, in *A, out *element.Out[U]) error
	Process2 func(st *S, ctx *C, in *B, out *element.Out[U]) error
	OnTimer  func(st *S, ctx *C, t Timer, out *element.Out[U]) error
	Close    func() error
}

// KeyedCoProcess is KeyedProcess with two inputs, whose functions share the row of a key and are never called at once.
func KeyedCoProcess[K comparable, S, A, B, U, C any](
	key1 func(*A) K, key2 func(*B) K, bind func(*KeyedContext[K]) *C, funcs func() KeyedCoFuncs[S, A, B, U, C],
) (Step, error) {
	kind, err := newKeyedKind[K, S]()
	if err != nil {
		return Step{}, err
	}
	return Step{Inputs: 2, States: kind.states, KeepsText: keepsText[K, S](), New: func() Operator {
		f, m := funcs(), watermerge.New(2)
		p := newKeyedProcessor[K, S, U](kind, bind, lifecycle{start: f.Open, stop: f.Close}, f.OnTimer)
		p.ports = []Port{
			PortOf[A](&keyedInput[K, S, A, U, C]{merged{0, m, p}, p, key1, f.Process1}),
			PortOf[B](&keyedInput[K, S, B, U, C]{merged{1, m, p}, p, key2, f.Process2}),
		}
		return p
	}}, nil
}

// keyedKind is what all subtasks of a keyed process step share.
type keyedKind[K comparable] struct {
	hash   func(*K) uint64
	states []statebackend.Spec
}

func newKeyedKind[K comparable, S any]() (keyedKind[K], error) {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return keyedKind[K]{}, err
	}
	rows, err := rowsSpec[K, S]()
	timers, err2 := timersSpec[K]()
	seen, err3 := watermarkSpec()
	return keyedKind[K]{hash, []statebackend.Spec{rows, timers, seen}}, errors.Join(err, err2, err3)
}

// keyedProcessor is the step without its inputs.
type keyedProcessor[K comparable, S, U, C any] struct {
	base[U]
	kind    keyedKind[K]
	key     KeyedContext[K]
	c       *C
	life    lifecycle
	onTimer func(st *S, ctx *C, t Timer, out *element.Out[U]) error
	ports   []Port
	emit    *element.Out[U]
	scratch []uint64
	keys    [heap.PrefetchGroup]K

	rows   keyedRows[K, S]
	timers *heap.Timers[K]
	seen   *heap.Watermarks
	// current is the watermark of the subtask, furthest the latest that a key group saw before the restore. While
	// current < furthest, the watermark of a call is that of its key group.
	current, furthest int64
	// woken is the time that Tick was last asked for, in Unix nanoseconds; zero where it was not.
	woken int64
}

var _ Operator = (*keyedProcessor[int, int, int, int])(nil)

func newKeyedProcessor[K comparable, S, U, C any](
	kind keyedKind[K], bind func(*KeyedContext[K]) *C, life lifecycle,
	onTimer func(st *S, ctx *C, t Timer, out *element.Out[U]) error,
) *keyedProcessor[K, S, U, C] {
	p := &keyedProcessor[K, S, U, C]{kind: kind, life: life, onTimer: onTimer}
	p.key.Context = &p.ctx
	p.c = bind(&p.key)
	return p
}

// Port is one of the inputs.
func (p *keyedProcessor[K, S, U, C]) Port(input int) Port { return p.ports[input] }

// Open makes the state, restores it, and opens the user's value.
func (p *keyedProcessor[K, S, U, C]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := p.base.Open(ctx, rt); err != nil {
		return err
	}
	p.emit = p.emitter()
	p.current, p.furthest = element.MinWatermark, element.MinWatermark
	if p.rows, err = newKeyedRows[K, S](rt); err != nil {
		return err
	}
	if p.timers, err = heap.NewTimers[K](tableConfig(heap.TimersName, rt)); err != nil {
		return err
	}
	if p.seen, err = heap.NewWatermarks(rt.KeyGroups()); err != nil {
		return err
	}
	if p.onTimer != nil {
		p.key.timers = p.timers
	}
	if rt.Restored != nil {
		if err := p.restore(rt.Restored); err != nil {
			return err
		}
	}
	return p.life.open(ctx, rt)
}

// setNow tells processing time, once a batch, to rows that expire.
func (p *keyedProcessor[K, S, U, C]) setNow() {
	if p.rows.timed {
		p.rows.table.SetNow(p.rt.Now().UnixNano())
	}
}

func (p *keyedProcessor[K, S, U, C]) restore(from statebackend.Reader) error {
	p.setNow()
	for _, s := range p.States() {
		if err := s.Restore(from); err != nil {
			return err
		}
	}
	for groups, g := p.rt.KeyGroups(), 0; g < groups.Len(); g++ {
		p.furthest = max(p.furthest, p.seen.Seen(groups.First+g))
	}
	p.schedule()
	return nil
}

// States lists rows, timers and watermarks.
func (p *keyedProcessor[K, S, U, C]) States() []statebackend.State {
	return []statebackend.State{p.rows.state(), p.timers, p.seen}
}

// Close closes the user's value and gives the memory back.
func (p *keyedProcessor[K, S, U, C]) Close() error {
	err := p.life.close(p.rt)
	err = errors.Join(err, p.rows.close())
	if p.timers != nil {
		err = errors.Join(err, p.timers.Close())
	}
	return err
}

// enter prepares the context for a call; the key is set.
func (p *keyedProcessor[K, S, U, C]) enter(h uint64, at int64, isNew bool) {
	k := &p.key
	k.hash, k.isNew, k.deleted = h, isNew, false
	p.ctx.at = at
	p.emit.At(at)
	if p.current < p.furthest {
		p.lookBack(h)
	}
}

// lookBack sets the watermark of a call to what the key group has seen.
func (p *keyedProcessor[K, S, U, C]) lookBack(h uint64) {
	group, _ := keys.Group(h, p.rt.MaxParallelism)
	p.ctx.watermark = p.seen.Seen(group)
}

// Watermark fires the event-time timers that are due, in order of time, then of the hash of their keys, and passes it on.
func (p *keyedProcessor[K, S, U, C]) Watermark(at int64) (err error) {
	defer guard(&p.rt.Info, &err)
	p.note(at)
	p.current = at
	p.seen.Advance(at)
	if err := p.fire(heap.EventTime, at); err != nil {
		return err
	}
	return p.passWatermark(at)
}

// Tick fires the processing-time timers that are due.
func (p *keyedProcessor[K, S, U, C]) Tick(now time.Time) (err error) {
	defer guard(&p.rt.Info, &err)
	if p.woken != 0 && p.woken <= now.UnixNano() {
		p.woken = 0
	}
	p.key.rescheduled = true
	return p.fire(heap.ProcessingTime, now.UnixNano())
}

// fire calls OnTimer for all timers up to a time, also for those that are registered meanwhile.
func (p *keyedProcessor[K, S, U, C]) fire(d heap.Domain, until int64) error {
	if p.onTimer == nil {
		return nil
	}
	p.setNow()
	for {
		t, ok := p.timers.Pop(d, until)
		if !ok {
			return p.settle()
		}
		if err := p.fireOne(d, t); err != nil {
			return err
		}
	}
}

func (p *keyedProcessor[K, S, U, C]) fireOne(d heap.Domain, t heap.Timer[K]) error {
	p.key.key = t.Key
	row, isNew := p.rows.row(t.Hash, &p.key.key)
	at := t.Time
	if d == heap.ProcessingTime {
		at = element.NoTime
	}
	p.enter(t.Hash, at, isNew)
	p.rows.enter(row)
	timer := Timer{At: time.Unix(0, t.Time).UTC(), Processing: d == heap.ProcessingTime}
	if err := p.onTimer(row, p.c, timer, p.emit); err != nil {
		return p.rt.failed(err)
	}
	p.rows.leave(row)
	// A timer may outlive its row. Lending it a zero one must not bring the row back, unless the call wrote to it.
	if p.key.deleted || isNew && p.rows.vacant(row) {
		p.rows.delete(t.Hash, &p.key.key)
	}
	return nil
}

// settle ends a round of calls: what was emitted is sent on, and the next processing-time timer is asked for.
func (p *keyedProcessor[K, S, U, C]) settle() error {
	if p.key.rescheduled {
		p.schedule()
	}
	return p.flush(p.emit)
}

func (p *keyedProcessor[K, S, U, C]) schedule() {
	p.key.rescheduled = false
	if at, ok := p.timers.Next(heap.ProcessingTime); ok && (p.woken == 0 || at < p.woken) {
		p.woken = at
		p.rt.WakeAt(time.Unix(0, at))
	}
}

// keyedInput is one input of a keyedProcessor.
type keyedInput[K comparable, S, T, U, C any] struct {
	control
	p   *keyedProcessor[K, S, U, C]
	key func(*T) K
	f   func(st *S, ctx *C, in *T, out *element.Out[U]) error
}

// Process handles a batch.
func (in *keyedInput[K, S, T, U, C]) Process(b *element.Batch[T]) (err error) {
	p := in.p
	defer guard(&p.rt.Info, &err)
	p.received(b.Len())
	hashes, err := hashed(b, in.key, p.kind.hash, p.rt, &p.scratch)
	if err != nil {
		return err
	}
	p.setNow()
	for from := 0; from < b.Len(); from += heap.PrefetchGroup {
		if err := in.group(b.Rows(), b.Times(), hashes, from); err != nil {
			return err
		}
	}
	return p.settle()
}

// group handles the group of records from rows[from] on.
func (in *keyedInput[K, S, T, U, C]) group(rows []T, times []int64, hashes []uint64, from int) error {
	p, f := in.p, in.f
	ctx, emit, timed := p.c, p.emit, p.rows.timed
	at := int64(element.NoTime)
	keys := keysOf(&p.keys, rows[from:], in.key)
	found := p.rows.resolve(hashes, from, keys)
	rows, hashes = rows[from:][:len(keys)], hashes[from:][:len(keys)]
	if times != nil {
		times = times[from:][:len(keys)]
	}
	for i := range keys {
		if times != nil {
			at = times[i]
		}
		p.key.key = keys[i]
		row, isNew := found[i%heap.PrefetchGroup], false
		if row == nil {
			row, isNew = p.rows.row(hashes[i], &p.key.key)
		}
		p.enter(hashes[i], at, isNew)
		if timed {
			p.rows.table.Enter(row)
		}
		if err := f(row, ctx, &rows[i], emit); err != nil {
			return p.rt.failed(err)
		}
		if timed {
			p.rows.table.Leave(row)
		}
		if p.key.deleted {
			p.rows.delete(hashes[i], &p.key.key)
		}
	}
	return nil
}
