// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/window"
)

// Windows are those of a windowed step.
type Windows struct {
	Assigner window.Assigner
	// Gap is the gap of sessions where each record chooses it: a func(*T) time.Duration for the records T of the step, or
	// nil. Assigner is not looked at then.
	Gap any
	// Lateness is how long a window is kept after the watermark has passed it; each record that still comes for it fires it
	// again for its key.
	Lateness time.Duration
	// Late is the tag of the side output for records that are too late for all of their windows. Where it is empty, they
	// are counted and dropped.
	Late string
}

// sessions reports whether the windows are sessions.
func (w Windows) sessions() bool {
	_, fixed := w.Assigner.Gap()
	return fixed || w.Gap != nil
}

// check returns what is wrong with the windows.
func (w Windows) check() error {
	gap, fixed := w.Assigner.Gap()
	switch a := w.Assigner; {
	case w.Lateness < 0:
		return fmt.Errorf("allowed lateness %v is negative", w.Lateness)
	case w.Gap != nil:
		return nil
	case fixed && gap <= 0:
		return fmt.Errorf("session windows with a gap of %v: it must be positive", gap)
	case fixed && a.Shift() != 0:
		return errors.New("session windows with an offset: they begin with their records")
	case !fixed && (a.Size() <= 0 || a.Slide() <= 0):
		return fmt.Errorf("windows of size %v every %v: both must be positive", a.Size(), a.Slide())
	}
	return nil
}

func (w Windows) slicing() heap.Slicing {
	return heap.Slicing{
		Size: int64(w.Assigner.Size()), Slide: int64(w.Assigner.Slide()), Shift: int64(w.Assigner.Shift()),
		Lateness: int64(w.Lateness),
	}
}

// WindowContext is the Context of a window of one key that fires.
type WindowContext[K comparable] struct {
	*Context
	key        K
	start, end int64
}

// Key is the key of the window.
func (c *WindowContext[K]) Key() K { return c.key }

// Start is the first moment of the window in Unix nanoseconds.
func (c *WindowContext[K]) Start() int64 { return c.start }

// End is the first moment behind the window in Unix nanoseconds.
func (c *WindowContext[K]) End() int64 { return c.end }

// accumulators says how the accumulators of windows come together.
type accumulators[A any] struct {
	// merge folds from into acc, as if what from has came later.
	merge func(acc, from *A)
	// appendOnly says that accumulators are changed by appending to their slices only. They are not folded then.
	appendOnly bool
}

// contents are what distinguishes windowed steps of a kind: what becomes of a window that fires.
type contents[A any] struct {
	// fire gets the accumulators of the window of a key: those of its slices in order of time, or the fold of them.
	fire func(accs []*A) error
	// restored sees each accumulator that was restored; it may be nil.
	restored func(acc *A)
}

// newWindowStep makes a step of windows with accumulators of A by key. newContents is called for each subtask, and returns
// also how a record is added to an accumulator.
func newWindowStep[K comparable, T, A, U any](
	windows Windows, how accumulators[A], key func(*T) K,
	newContents func(*windowBase[K, U]) (c contents[A], add func(acc *A, in *T)),
) (Step, error) {
	if windows.sessions() {
		return newSessionStep(windows, how, key, newContents)
	}
	kind, err := newWindowKind[K](windows, how)
	if err != nil {
		return Step{}, err
	}
	return Step{Inputs: 1, States: kind.states, KeepsText: keepsText[K, A](), New: func() Operator {
		w := newWindower[K, A, U](kind)
		c, add := newContents(&w.windowBase)
		w.contents = c
		in := &windowInput[K, T, A, U]{control: w, w: w, key: key, add: add, late: windows.Late}
		if !how.appendOnly {
			in.combined = PortOf[Combined[K, A]](&windowInput[K, Combined[K, A], A, U]{
				control: w, w: w, key: (*Combined[K, A]).key, records: (*Combined[K, A]).records,
				add: func(acc *A, in *Combined[K, A]) { how.merge(acc, &in.Acc) },
			})
		}
		w.ports = []Port{PortOf[T](in)}
		return w
	}}, nil
}

// windowBase is what steps of windows and of sessions share.
type windowBase[K comparable, U any] struct {
	base[U]
	window WindowContext[K]
	emit   *element.Out[U]
	ports  []Port
	time   groupTime
	hash   func(*K) uint64
	hashes []uint64
}

// Port is one of the inputs.
func (w *windowBase[K, U]) Port(input int) Port { return w.ports[input] }

// Open makes what all have.
func (w *windowBase[K, U]) Open(ctx context.Context, rt *Runtime) error {
	if err := w.base.Open(ctx, rt); err != nil {
		return err
	}
	w.window.Context = &w.ctx
	w.emit = w.emitter()
	return w.time.open(rt)
}

// enter prepares the context for a window of a key with hash h, and reports whether the window has not fired before.
func (w *windowBase[K, U]) enter(key *K, h uint64, start, end int64) (first bool) {
	w.window.key, w.window.start, w.window.end = *key, start, end
	w.ctx.at = end - 1
	w.emit.At(end - 1)
	if w.time.settled() {
		return true
	}
	seen := w.time.of(h)
	w.ctx.watermark = max(w.rt.Metrics.Watermark.Load(), seen)
	return end-1 > seen
}

// take counts the records of a batch, which are as many as its rows, or as records tells.
func (w *windowBase[K, U]) take[T any](rows []T, records func(*T) int64) {
	if records == nil {
		w.received(len(rows))
		return
	}
	n := int64(0)
	for i := range rows {
		n += records(&rows[i])
	}
	w.received(int(n))
}

// drop gets rid of a late record, or of as many as records tells.
func (w *windowBase[K, U]) drop[T any](in *T, t int64, tag string, records func(*T) int64) {
	switch {
	case records != nil:
		w.rt.Metrics.LateDropped.Add(records(in))
		return
	case tag == "":
		w.rt.Metrics.LateDropped.Add(1)
		return
	}
	w.ctx.at = t
	w.ctx.Output(tag, *in)
}

var (
	errNoTime = errors.New("a record without an event time in a window: give the source, or the stream, watermarks")
	errTime   = errors.New("an event time so far off that its windows have none")
)

// groupTime is the event time of the key groups of a subtask: its watermark or, where that is later, what the group has
// seen before a restore, which may bring groups of different subtasks together.
type groupTime struct {
	seen   *heap.Watermarks
	groups int
	// current is the watermark of the subtask, furthest the latest that a key group saw before the restore. While
	// current < furthest, the watermark of a key is that of its key group.
	current, furthest int64
}

func (g *groupTime) open(rt *Runtime) (err error) {
	g.groups, g.current, g.furthest = rt.MaxParallelism, element.MinWatermark, element.MinWatermark
	g.seen, err = heap.NewWatermarks(rt.KeyGroups())
	return err
}

// restore returns what all key groups have seen.
func (g *groupTime) restore(rt *Runtime) (least int64, err error) {
	if err := g.seen.Restore(rt.Restored); err != nil {
		return 0, err
	}
	least = element.MaxWatermark
	for groups, i := rt.KeyGroups(), 0; i < groups.Len(); i++ {
		seen := g.seen.Seen(groups.First + i)
		g.furthest, least = max(g.furthest, seen), min(least, seen)
	}
	return least, nil
}

// settled reports whether the watermark has passed what all key groups have seen.
func (g *groupTime) settled() bool { return g.current >= g.furthest }

// of is the watermark of the key group of a hash.
func (g *groupTime) of(h uint64) int64 {
	if g.settled() {
		return g.current
	}
	group, _ := keys.Group(h, g.groups)
	return g.seen.Seen(group)
}

// advance tells that the watermark has come to at.
func (g *groupTime) advance(at int64) {
	g.seen.Advance(at)
	g.current = at
}
