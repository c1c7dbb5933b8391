// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/window"
)

// Windows are those of a windowed step.
type Windows struct {
	Assigner window.Assigner
	// Lateness is how long a window is kept after the watermark has passed it; each record that still comes for it fires it
	// again for its key.
	Lateness time.Duration
	// Late is the tag of the side output for records that are too late for all of their windows. Where it is empty, they
	// are counted and dropped.
	Late string
}

func (w Windows) slicing() (heap.Slicing, error) {
	s := heap.Slicing{
		Size: int64(w.Assigner.Size()), Slide: int64(w.Assigner.Slide()), Shift: int64(w.Assigner.Shift()),
		Lateness: int64(w.Lateness),
	}
	switch {
	case s.Size <= 0 || s.Slide <= 0:
		return s, fmt.Errorf("windows of size %v every %v: both must be positive", w.Assigner.Size(), w.Assigner.Slide())
	case s.Lateness < 0:
		return s, fmt.Errorf("allowed lateness %v is negative", w.Lateness)
	}
	return s, nil
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

// windowsName is the name of the cells of a windowed step, beside heap.WatermarksName.
const windowsName = "windows"

// windowKind is what all subtasks of a windowed step share.
type windowKind[K comparable, T, A any] struct {
	windows Windows
	columns heap.ColumnsConfig[A]
	key     func(*T) K
	hash    func(*K) uint64
}

// newWindowStep makes a step of windows that hold a cell of A for each key and slice of time. newFirer is called for
// each subtask.
func newWindowStep[K comparable, T, A, U any](
	windows Windows, columns heap.ColumnsConfig[A], key func(*T) K, newFirer func(*windower[K, T, A, U]) firer[T, A],
) (Step, error) {
	slicing, err := windows.slicing()
	if err != nil {
		return Step{}, err
	}
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return Step{}, err
	}
	columns.Slicing, columns.Config = slicing, emptyConfig(windowsName)
	empty, err := heap.NewColumns[K](columns)
	if err != nil {
		return Step{}, err
	}
	seen, err := watermarkSpec()
	if err != nil {
		return Step{}, err
	}
	kind := &windowKind[K, T, A]{windows, columns, key, hash}
	return Step{
		Inputs: 1,
		States: []statebackend.Spec{{Name: windowsName, Kind: statebackend.Keyed, Schema: empty.Schema()}, seen},
		New: func() Operator {
			w := &windower[K, T, A, U]{kind: kind, slicing: slicing}
			w.window.Context = &w.ctx
			w.firer = newFirer(w)
			return w
		},
	}, nil
}

// firer is what distinguishes windowed steps: what becomes of a record, and of a window that fires.
type firer[T, A any] interface {
	// add puts a record into a cell.
	add(cell *A, in *T)
	// fire fires a window for each of its keys; of those that have fired already, enter says so.
	fire(start, end int64) error
	// fireKey fires a window again for one key.
	fireKey(id uint32, start, end int64) error
	// restored is called when all cells have been restored.
	restored()
}

// windower is a windowed step.
//
//	record -> slice -+- no window of it has fired: add
//	                 +- some are open: add, and fire those again that have fired
//	                 +- all are gone: late output
//	watermark -> fire windows that end, remove slices that no window needs
type windower[K comparable, T, A, U any] struct {
	base[U]
	kind    *windowKind[K, T, A]
	slicing heap.Slicing
	window  WindowContext[K]
	firer   firer[T, A]
	emit    *element.Out[U]

	columns *heap.Columns[K, A]
	seen    *heap.Watermarks
	// current is the watermark of the subtask, furthest the latest that a key group saw before the restore. While
	// current < furthest, the watermark of a key is that of its key group.
	current, furthest int64
	// fired is the time up to which windows have fired for all keys.
	fired int64

	hashes []uint64
	keys   []K
	ids    []uint32
	cells  [heap.PrefetchGroup]*A
}

var _ Operator = (*windower[int, int, int, int])(nil)

// Port is the one input.
func (w *windower[K, T, A, U]) Port(int) Port { return PortOf[T](w) }

// Open makes the state, and restores it.
func (w *windower[K, T, A, U]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := w.base.Open(ctx, rt); err != nil {
		return err
	}
	w.emit = w.emitter()
	w.current, w.furthest, w.fired = element.MinWatermark, element.MinWatermark, element.MinWatermark
	columns := w.kind.columns
	columns.Config = tableConfig(windowsName, rt)
	if w.columns, err = heap.NewColumns[K](columns); err != nil {
		return err
	}
	if w.seen, err = heap.NewWatermarks(rt.KeyGroups()); err != nil || rt.Restored == nil {
		return err
	}
	return w.restore(rt.Restored)
}

func (w *windower[K, T, A, U]) restore(from statebackend.Reader) error {
	if err := w.seen.Restore(from); err != nil {
		return err
	}
	if err := w.columns.RestoreAfter(from, w.seen.Seen); err != nil {
		return err
	}
	w.fired = element.MaxWatermark
	for groups, g := w.rt.KeyGroups(), 0; g < groups.Len(); g++ {
		seen := w.seen.Seen(groups.First + g)
		w.furthest, w.fired = max(w.furthest, seen), min(w.fired, seen)
	}
	w.firer.restored()
	return nil
}

// States lists cells and watermarks.
func (w *windower[K, T, A, U]) States() []statebackend.State {
	return []statebackend.State{w.columns, w.seen}
}

// Process handles a batch.
func (w *windower[K, T, A, U]) Process(b *element.Batch[T]) (err error) {
	defer guard(&w.rt.Info, &err)
	w.received(b.Len())
	hashes, err := hashed(b, w.kind.key, w.kind.hash, w.rt, &w.hashes)
	if err != nil {
		return err
	}
	if b.Times() == nil {
		return w.rt.failed(errNoTime)
	}
	if err := w.collect(b.Rows(), b.Times(), hashes); err != nil {
		return err
	}
	w.columns.Tend()
	return w.flush(w.emit)
}

var (
	errNoTime = errors.New("a record without an event time in a window: give the source, or the stream, watermarks")
	errTime   = errors.New("an event time so far off that its windows have none")
)

// collect adds records to their slices. All ids are looked up first, and cells a group at a time, so that the misses of
// the cache overlap.
func (w *windower[K, T, A, U]) collect(rows []T, times []int64, hashes []uint64) error {
	w.lookUp(rows, hashes)
	ids, times := w.ids[:len(rows)], times[:len(rows)]
	for i := 0; i < len(rows); {
		start, end, covered, err := w.slice(times[i])
		if err != nil {
			return err
		}
		n := 1 // records of the same slice
		for i+n < len(rows) && times[i+n] >= start && times[i+n] < end {
			n++
		}
		if covered && w.slicing.FirstEnd(start)-1 > max(w.current, w.furthest) {
			w.addAll(w.columns.Slice(start), rows[i:i+n], ids[i:i+n])
			i += n
			continue
		}
		for ; n > 0; i, n = i+1, n-1 {
			if err := w.late(&rows[i], times[i], start, covered, ids[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// slice returns the slice of a time, and whether any window has it.
func (w *windower[K, T, A, U]) slice(t int64) (start, end int64, covered bool, err error) {
	switch {
	case t == element.NoTime:
		return 0, 0, false, w.rt.failed(errNoTime)
	case !w.slicing.Contains(t):
		return 0, 0, false, w.rt.failed(fmt.Errorf("%w: %v", errTime, time.Unix(0, t).UTC()))
	}
	start, end, covered = w.slicing.Slice(t)
	return start, end, covered, nil
}

// addAll adds records to a slice of which no window has fired.
func (w *windower[K, T, A, U]) addAll(slice *heap.Slice[A], rows []T, ids []uint32) {
	for len(rows) > 0 {
		n := min(len(rows), heap.PrefetchGroup)
		w.columns.Resolve(slice, ids[:n], &w.cells)
		for i := range rows[:n] {
			cell := w.cells[i%heap.PrefetchGroup]
			if cell == nil {
				cell = w.columns.Cell(slice, ids[i])
			}
			w.firer.add(cell, &rows[i])
		}
		rows, ids = rows[n:], ids[n:]
	}
}

func (w *windower[K, T, A, U]) lookUp(rows []T, hashes []uint64) {
	if n := len(rows); cap(w.ids) < n {
		w.ids, w.keys = make([]uint32, n), make([]K, n)
	}
	key, keys := w.kind.key, w.keys[:len(rows)]
	for i := range rows {
		keys[i] = key(&rows[i])
	}
	w.columns.IDs(keys, hashes, w.ids[:len(rows)])
}

// late handles a record that may be late for some of its windows, or for all.
func (w *windower[K, T, A, U]) late(in *T, t, start int64, covered bool, id uint32) error {
	_, h := w.columns.Key(id)
	watermark := w.watermarkOf(h)
	last := w.slicing.LastEnd(start)
	if !covered || w.slicing.Gone(last, watermark) {
		if w.slicing.Gone(t+1, watermark) {
			w.drop(in, t)
		}
		return nil
	}
	w.firer.add(w.columns.Cell(w.columns.Slice(start), id), in)
	w.columns.Changed(id, start)
	for end := w.slicing.FirstEnd(start); end <= last && end-1 <= watermark; end += w.slicing.Slide {
		if w.slicing.Gone(end, watermark) {
			continue
		}
		w.enter(id, end)
		if err := w.firer.fireKey(id, end-w.slicing.Size, end); err != nil {
			return err
		}
	}
	return nil
}

// drop gets rid of a late record.
func (w *windower[K, T, A, U]) drop(in *T, t int64) {
	if w.kind.windows.Late == "" {
		w.rt.Metrics.LateDropped.Add(1)
		return
	}
	w.ctx.at = t
	w.ctx.Output(w.kind.windows.Late, *in)
}

// watermarkOf is the watermark of the key group of a hash.
func (w *windower[K, T, A, U]) watermarkOf(h uint64) int64 {
	if w.current >= w.furthest {
		return w.current
	}
	group, _ := keys.Group(h, w.rt.MaxParallelism)
	return w.seen.Seen(group)
}

// enter prepares the context for a window of a key, and reports whether the window has not fired before.
func (w *windower[K, T, A, U]) enter(id uint32, end int64) (first bool) {
	key, h := w.columns.Key(id)
	w.window.key, w.window.start, w.window.end = *key, end-w.slicing.Size, end
	w.ctx.at = end - 1
	w.emit.At(end - 1)
	if w.current >= w.furthest {
		return true
	}
	seen := w.watermarkOf(h)
	w.ctx.watermark = max(w.rt.Metrics.Watermark.Load(), seen)
	return end-1 > seen
}

// Watermark fires the windows that end, in order of time, and passes it on.
func (w *windower[K, T, A, U]) Watermark(at int64) (err error) {
	defer guard(&w.rt.Info, &err)
	w.note(at)
	if err := w.fire(at); err != nil {
		return err
	}
	w.seen.Advance(at)
	w.current, w.fired = at, max(w.fired, at)
	w.note(at)
	w.columns.Remove(func(start int64) bool { return w.slicing.Gone(w.slicing.LastEnd(start), at) })
	w.columns.Tend()
	if err := w.flush(w.emit); err != nil {
		return err
	}
	return w.passWatermark(at)
}

// fire fires what ends up to the watermark. Time without records is leapt over.
func (w *windower[K, T, A, U]) fire(at int64) error {
	if w.fired == math.MaxInt64 {
		return nil
	}
	end := w.slicing.FirstEnd(w.fired + 1)
	for {
		first, ok := w.columns.First(w.slicing.Start(end))
		if !ok {
			return nil
		}
		if first >= end {
			end = w.slicing.FirstEnd(first)
		}
		if end-1 > at {
			return nil
		}
		if err := w.firer.fire(end-w.slicing.Size, end); err != nil {
			return err
		}
		end += w.slicing.Slide
	}
}
