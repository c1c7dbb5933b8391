// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// windowsName is the name of the cells of a windowed step, beside heap.WatermarksName.
const windowsName = "windows"

// windowKind is what all subtasks of a step of windows share.
type windowKind[K comparable, A any] struct {
	columns heap.ColumnsConfig[A]
	hash    func(*K) uint64
	states  []statebackend.Spec
}

func newWindowKind[K comparable, A any](windows Windows, how accumulators[A]) (*windowKind[K, A], error) {
	if err := windows.check(); err != nil {
		return nil, err
	}
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, err
	}
	columns := heap.ColumnsConfig[A]{
		Config: emptyConfig(windowsName), Slicing: windows.slicing(), Merge: how.merge, AppendOnly: how.appendOnly,
	}
	empty, err := heap.NewColumns[K](columns)
	if err != nil {
		return nil, err
	}
	seen, err := watermarkSpec()
	if err != nil {
		return nil, err
	}
	return &windowKind[K, A]{columns, hash, []statebackend.Spec{
		{Name: windowsName, Kind: statebackend.Keyed, Schema: empty.Schema()}, seen,
	}}, nil
}

// windower is a step of windows that are rows of slices of time: tumbling and sliding ones.
//
//	record -> slice -+- no window of it has fired: add
//	                 +- some are open: add, and fire those again that have fired
//	                 +- all are gone: late output
//	watermark -> fire windows that end, remove slices that no window needs
type windower[K comparable, A, U any] struct {
	windowBase[K, U]
	kind     *windowKind[K, A]
	slicing  heap.Slicing
	columns  *heap.Columns[K, A]
	contents contents[A]
	// fired is the time up to which windows have fired for all keys.
	fired int64
	// accs are the accumulators of the window at hand.
	accs []*A
}

var _ Operator = (*windower[int, int, int])(nil)

func newWindower[K comparable, A, U any](kind *windowKind[K, A]) *windower[K, A, U] {
	w := &windower[K, A, U]{kind: kind, slicing: kind.columns.Slicing, accs: make([]*A, 1)}
	w.hash = kind.hash
	return w
}

// Open makes the state, and restores it.
func (w *windower[K, A, U]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := w.windowBase.Open(ctx, rt); err != nil {
		return err
	}
	w.fired = element.MinWatermark
	columns := w.kind.columns
	columns.Config = tableConfig(windowsName, rt)
	if w.columns, err = heap.NewColumns[K](columns); err != nil || rt.Restored == nil {
		return err
	}
	if w.fired, err = w.time.restore(rt); err != nil {
		return err
	}
	if err := w.columns.RestoreAfter(rt.Restored, w.time.seen.Seen); err != nil || w.contents.restored == nil {
		return err
	}
	return w.columns.Gather(math.MinInt64, math.MaxInt64, func(_ uint32, accs []*A) error {
		for _, a := range accs {
			w.contents.restored(a)
		}
		return nil
	})
}

// States lists cells and watermarks.
func (w *windower[K, A, U]) States() []statebackend.State {
	return []statebackend.State{w.columns, w.time.seen}
}

// enterID is enter for the key of an id.
func (w *windower[K, A, U]) enterID(id uint32, end int64) (first bool) {
	key, h := w.columns.Key(id)
	return w.enter(key, h, end-w.slicing.Size, end)
}

// fireLate fires windows of a key again that have fired: all that have a slice and are not gone.
func (w *windower[K, A, U]) fireLate(id uint32, start, last, watermark int64) error {
	w.columns.Changed(id, start)
	for end := w.slicing.FirstEnd(start); end <= last && end-1 <= watermark; end += w.slicing.Slide {
		if w.slicing.Gone(end, watermark) {
			continue
		}
		w.enterID(id, end)
		if w.kind.columns.AppendOnly {
			w.accs = w.columns.Cells(w.accs[:0], id, end-w.slicing.Size, end)
		} else {
			w.accs = append(w.accs[:0], w.columns.FoldKey(id, end-w.slicing.Size, end))
		}
		if err := w.contents.fire(w.accs); err != nil {
			return err
		}
	}
	return nil
}

// Watermark fires the windows that end, in order of time, and passes it on.
func (w *windower[K, A, U]) Watermark(at int64) (err error) {
	defer guard(&w.rt.Info, &err)
	w.note(at)
	if err := w.fire(at); err != nil {
		return err
	}
	w.time.advance(at)
	w.fired = max(w.fired, at)
	w.note(at)
	w.columns.Remove(func(start int64) bool { return w.slicing.Gone(w.slicing.LastEnd(start), at) })
	w.columns.Tend()
	if err := w.flush(w.emit); err != nil {
		return err
	}
	return w.passWatermark(at)
}

// fire fires what ends up to the watermark. Time without records is leapt over.
func (w *windower[K, A, U]) fire(at int64) error {
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
		if err := w.fireAll(end-w.slicing.Size, end); err != nil {
			return err
		}
		end += w.slicing.Slide
	}
}

// fireAll fires a window for each of its keys, but for those for which it has fired already.
func (w *windower[K, A, U]) fireAll(start, end int64) error {
	fire := w.contents.fire
	if w.kind.columns.AppendOnly {
		return w.columns.Gather(start, end, func(id uint32, accs []*A) error {
			if !w.enterID(id, end) {
				return nil
			}
			return fire(accs)
		})
	}
	one := w.accs[:1]
	return w.columns.Fold(start, end, func(id uint32, acc *A) error {
		if !w.enterID(id, end) {
			return nil
		}
		one[0] = acc
		return fire(one)
	})
}

// windowInput is one input of a windower.
type windowInput[K comparable, T, A, U any] struct {
	control
	w   *windower[K, A, U]
	key func(*T) K
	add func(acc *A, in *T)
	// late is the tag for late records, or empty.
	late string
	// records tells how many records a row stands for; nil is one. combined is for rows that stand for several, or nil.
	records  func(*T) int64
	combined Port
	keys     []K
	ids      []uint32
	cells    [heap.PrefetchGroup]*A
}

func (in *windowInput[K, T, A, U]) combinedPort() Port { return in.combined }

// Process handles a batch.
func (in *windowInput[K, T, A, U]) Process(b *element.Batch[T]) (err error) {
	w := in.w
	defer guard(&w.rt.Info, &err)
	w.take(b.Rows(), in.records)
	hashes, err := hashed(b, in.key, w.hash, w.rt, &w.hashes)
	if err != nil {
		return err
	}
	if b.Times() == nil {
		return w.rt.failed(errNoTime)
	}
	if err := in.collect(b.Rows(), b.Times(), hashes); err != nil {
		return err
	}
	w.columns.Tend()
	return w.flush(w.emit)
}

// collect adds records to their slices. All ids are looked up first, and cells a group at a time, so that the misses of
// the cache overlap.
func (in *windowInput[K, T, A, U]) collect(rows []T, times []int64, hashes []uint64) error {
	in.lookUp(rows, hashes)
	w, ids, times := in.w, in.ids[:len(rows)], times[:len(rows)]
	for i := 0; i < len(rows); {
		start, end, covered, err := sliceOf(&w.slicing, times[i], w.rt)
		if err != nil {
			return err
		}
		n := 1 // records of the same slice
		for i+n < len(rows) && times[i+n] >= start && times[i+n] < end {
			n++
		}
		if covered && w.slicing.FirstEnd(start)-1 > max(w.time.current, w.time.furthest) {
			in.addAll(w.columns.Slice(start), rows[i:i+n], ids[i:i+n])
			i += n
			continue
		}
		for ; n > 0; i, n = i+1, n-1 {
			if err := in.addLate(&rows[i], times[i], start, covered, ids[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sliceOf returns the slice of a time, and whether any window has it.
func sliceOf(s *heap.Slicing, t int64, rt *Runtime) (start, end int64, covered bool, err error) {
	switch {
	case t == element.NoTime:
		return 0, 0, false, rt.failed(errNoTime)
	case !s.Contains(t):
		return 0, 0, false, rt.failed(fmt.Errorf("%w: %v", errTime, time.Unix(0, t).UTC()))
	}
	start, end, covered = s.Slice(t)
	return start, end, covered, nil
}

// addAll adds records to a slice of which no window has fired.
func (in *windowInput[K, T, A, U]) addAll(slice *heap.Slice[A], rows []T, ids []uint32) {
	columns, add := in.w.columns, in.add
	for len(rows) > 0 {
		n := min(len(rows), heap.PrefetchGroup)
		columns.Resolve(slice, ids[:n], &in.cells)
		for i := range rows[:n] {
			cell := in.cells[i%heap.PrefetchGroup]
			if cell == nil {
				cell = columns.Cell(slice, ids[i])
			}
			add(cell, &rows[i])
		}
		rows, ids = rows[n:], ids[n:]
	}
}

func (in *windowInput[K, T, A, U]) lookUp(rows []T, hashes []uint64) {
	if n := len(rows); cap(in.ids) < n {
		in.ids, in.keys = make([]uint32, n), make([]K, n)
	}
	key, keys := in.key, in.keys[:len(rows)]
	for i := range rows {
		keys[i] = key(&rows[i])
	}
	in.w.columns.IDs(keys, hashes, in.ids[:len(rows)])
}

// addLate handles a record that may be late for some of its windows, or for all.
func (in *windowInput[K, T, A, U]) addLate(r *T, t, start int64, covered bool, id uint32) error {
	w := in.w
	_, h := w.columns.Key(id)
	watermark := w.time.of(h)
	last := w.slicing.LastEnd(start)
	if !covered || w.slicing.Gone(last, watermark) {
		if w.slicing.Gone(t+1, watermark) {
			w.drop(r, t, in.late, in.records)
		}
		return nil
	}
	in.add(w.columns.Cell(w.columns.Slice(start), id), r)
	return w.fireLate(id, start, last, watermark)
}
