// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// ColumnsConfig is what Columns are told.
type ColumnsConfig[A any] struct {
	Config
	Slicing Slicing
	// Merge folds from into acc, as if what from has came later. It is not needed where nothing is folded.
	Merge func(acc, from *A)
	// AppendOnly says that cells are changed by appending to their slices only, so that a plain copy of a cell stays as it
	// is.
	AppendOnly bool
}

// Columns is the keyed state of windows: a cell of type A for each key and slice of time, in a column for each slice. All
// calls come from the task's goroutine.
//
//	key -> id        slice 10:00   slice 10:01   slice 10:02
//	"a" ->  0        cell          cell
//	"b" ->  1                      cell          cell
//
// Keys that are in no slice any more give their ids back now and then, in Tend.
type Columns[K comparable, A any] struct {
	config ColumnsConfig[A]
	dict   dictionary[K]
	// slices are in order of time; recent has some of them by a hash of their start.
	slices []*Slice[A]
	recent [recentSlices]*Slice[A]
	// removedPages is the number of pages of the slice that was removed last, if those were filled well, else zero.
	removedPages int
	// due are key groups of which Tend looks for ids that are not in use.
	due []int
	// count is the number of cells, peak the most since the last removal, before that of the time before.
	count, peak, before int
	// tended is the group that Tend shrinks next; live is scratch.
	tended int
	live   []uint64

	spare  cells[A]
	merger merger[A]
	stacks stacks[A]

	epoch uint32
	chain chain
	snap  columnsSnapshot[K, A]

	codec  *codec.Codec[ColumnsRow[K, A]]
	schema []byte
	hash   func(*K) uint64
	// layout says what a copy of a cell shares with it.
	layout layout
	rows   []ColumnsRow[K, A]
	// created is noteNew.
	created func(id uint32)
}

// ColumnsRow is a cell as snapshots hold it. Slice is the start of the slice.
type ColumnsRow[K comparable, A any] struct {
	Key   K
	Slice int64
	Acc   A
}

// Slice is the column of one slice of time. It is valid until Remove or Tend.
type Slice[A any] struct {
	column[A]
	start int64
	// dirty is the epoch of the last write.
	dirty uint32
}

const recentSlices = 64

// NewColumns makes an empty store. The error names the field of A, or the part of K, that can't be stored.
func NewColumns[K comparable, A any](c ColumnsConfig[A]) (*Columns[K, A], error) {
	if err := c.Config.validate(); err != nil {
		return nil, err
	}
	if err := c.Slicing.validate(); err != nil {
		return nil, fmt.Errorf("state %s: %w", c.Name, err)
	}
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, fmt.Errorf("state %s: key: %w", c.Name, err)
	}
	rows, err := codec.For[ColumnsRow[K, A]]()
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", c.Name, err)
	}
	c.Config = c.Config.withDefaults()
	s := &Columns[K, A]{
		config: c, dict: newDictionary[K](c.Config), epoch: 1, hash: hash,
		codec: rows, schema: rows.Schema().Marshal(), layout: layoutOf(reflect.TypeFor[A]()),
	}
	s.created = s.noteNew
	s.merger = merger[A]{merge: c.Merge}
	if s.layout == layoutShared && c.Merge != nil {
		if s.merger.codec, err = codec.For[A](); err != nil {
			return nil, fmt.Errorf("state %s: %w", c.Name, err)
		}
	}
	if c.AppendOnly {
		s.layout = min(s.layout, layoutShallow)
	}
	return s, nil
}

// IDs writes the ids of keys with these hashes to ids. They are valid until Tend.
func (c *Columns[K, A]) IDs(keys []K, hashes []uint64, ids []uint32) {
	c.dict.ids(keys, hashes, ids, c.created)
}

func (c *Columns[K, A]) id(h uint64, k *K) uint32 {
	id, isNew := c.dict.id(h, k)
	if isNew {
		c.noteNew(id)
	}
	return id
}

func (c *Columns[K, A]) noteNew(id uint32) {
	group := c.dict.pages[id/pageCells].group
	if sg := &c.dict.segs[group]; sg.count >= max(sg.check, checkMin) && !slices.Contains(c.due, group) {
		c.due = append(c.due, group)
	}
}

// Key returns the key of an id, and its hash.
func (c *Columns[K, A]) Key(id uint32) (*K, uint64) { return c.dict.key(id) }

// Slice returns the column of the slice that starts at start, an empty one if there is none.
func (c *Columns[K, A]) Slice(start int64) *Slice[A] {
	r := &c.recent[uint64(start)*0x9e3779b97f4a7c15>>(64-6)]
	if s := *r; s != nil && s.start == start {
		return s
	}
	i, ok := c.search(start)
	if !ok {
		s := &Slice[A]{start: start, dirty: c.epoch}
		s.pages = make([]page[A], 0, c.pagesBefore(i))
		c.slices = slices.Insert(c.slices, i, s)
		c.stacks.inserted(start, &c.spare)
	}
	*r = c.slices[i]
	return *r
}

// search returns the place of the first slice that starts at start or later.
func (c *Columns[K, A]) search(start int64) (i int, ok bool) {
	return slices.BinarySearchFunc(c.slices, start, func(s *Slice[A], start int64) int {
		switch {
		case s.start < start:
			return -1
		case s.start > start:
			return 1
		default:
			return 0
		}
	})
}

// Cell lends the cell of an id in a slice for writing, a zero one if there was none. It is valid until the next call.
func (c *Columns[K, A]) Cell(s *Slice[A], id uint32) *A {
	no, bit := id/pageCells, id%pageCells
	if p := s.find(no); p != nil && p.epoch == c.epoch && p.has(bit) {
		return p.cell(bit)
	}
	return c.open(s, id)
}

// Resolve finds the cells of up to PrefetchGroup ids in a slice, of those that take no work: for others, Cell does it, and
// they are nil. Cells that are found stay valid until the next call of any other method but Cell.
func (c *Columns[K, A]) Resolve(s *Slice[A], ids []uint32, list *[PrefetchGroup]*A) {
	ids = ids[:min(len(ids), PrefetchGroup)]
	for i, id := range ids {
		list[i%PrefetchGroup] = nil
		no, bit := id/pageCells, id%pageCells
		if p := s.find(no); p != nil && p.epoch == c.epoch && p.has(bit) && len(p.cells) == pageCells {
			list[i%PrefetchGroup] = &p.cells[bit]
		}
	}
	var a A
	if canPrefetch && s.count*int(unsafe.Sizeof(a)) >= prefetchBytesMin {
		prefetch((*addresses)(unsafe.Pointer(list)), len(ids))
	}
}

// open is Cell for a page that is not written in this epoch yet, or lacks the cell.
func (c *Columns[K, A]) open(s *Slice[A], id uint32) *A {
	p := s.find(id / pageCells)
	if p != nil && p.epoch != c.epoch {
		c.touch(s, p)
	}
	dense := p == nil && c.dense(s)
	p, cell, isNew := s.obtain(id, dense, &c.spare)
	p.epoch, s.dirty = c.epoch, c.epoch
	if isNew {
		c.count++
		c.peak = max(c.peak, c.count)
	}
	return cell
}

// dense guesses whether a new page of a slice will be filled: by the slice before.
func (c *Columns[K, A]) dense(s *Slice[A]) bool {
	i, _ := c.search(s.start)
	return c.pagesBefore(i) > 0
}

// pagesBefore is the number of pages of the slice before place i, if they are filled well, else zero.
func (c *Columns[K, A]) pagesBefore(i int) int {
	if i == 0 {
		return c.removedPages
	}
	return c.slices[i-1].wellFilled()
}

// wellFilled is the number of pages, if a quarter of their places is taken, else zero.
func (s *Slice[A]) wellFilled() int {
	if s.count < pageCells || s.count*4 < len(s.pages)*pageCells {
		return 0
	}
	return len(s.pages)
}

// First returns the start of the first slice that starts at start or later and isn't empty.
func (c *Columns[K, A]) First(start int64) (at int64, ok bool) {
	for i, _ := c.search(start); i < len(c.slices); i++ {
		if s := c.slices[i]; s.count > 0 {
			return s.start, true
		}
	}
	return 0, false
}

// Remove drops all slices for which gone holds; they are the earliest.
func (c *Columns[K, A]) Remove(gone func(start int64) bool) {
	n := 0
	for n < len(c.slices) && gone(c.slices[n].start) {
		n++
	}
	if n == 0 {
		return
	}
	for _, s := range c.slices[:n] {
		c.count -= s.count
		c.removedPages = s.wellFilled()
		if !c.snap.running { // else the snapshot may want it
			s.release(&c.spare)
		}
	}
	c.slices = slices.Delete(c.slices, 0, n)
	c.recent = [recentSlices]*Slice[A]{}
	c.before, c.peak = c.peak, c.count
}

// shrinkGroups is how many key groups one Tend shrinks.
const shrinkGroups = 16

// Tend gives back ids of keys that are in no slice, a few key groups at a time. Ids and slices that were returned before
// are not valid afterwards.
func (c *Columns[K, A]) Tend() {
	if c.snap.running { // it has pages by their number
		return
	}
	for _, group := range c.due {
		c.compact(group)
	}
	c.due = c.due[:0]
	if c.dict.count <= 4*max(c.peak, c.before)+checkMin*len(c.dict.segs) {
		return
	}
	for range min(shrinkGroups, len(c.dict.segs)) {
		c.compact(c.tended)
		c.tended = (c.tended + 1) % len(c.dict.segs)
	}
}

// compact gives back ids of a key group of which less than half are in use. Keys that come and go leave whole pages, in
// which no column has cells. Where that doesn't do, the ids in use get new numbers.
func (c *Columns[K, A]) compact(group int) {
	sg := &c.dict.segs[group]
	live, n := c.live[:0], 0
	for i, no := range sg.pages {
		live = append(live, 0)
		for _, s := range c.slices {
			if p := s.find(no); p != nil {
				live[i] |= p.present
			}
		}
		n += bits.OnesCount64(live[i])
	}
	c.live = live
	sg.check = 2 * n
	if 2*n > sg.count {
		return
	}
	c.dict.dropPages(group, live)
	if sg.count <= 2*n {
		sg.check = 2 * sg.count
		return
	}
	c.renumber(group, live)
}

// renumber gives the ids of a key group that are in use new numbers; live has them by page.
func (c *Columns[K, A]) renumber(group int, live []uint64) {
	old := slices.Clone(c.dict.segs[group].pages)
	live = slices.DeleteFunc(live, func(w uint64) bool { return w == 0 })
	c.stacks.drop(&c.spare)
	var from, to []uint32
	c.dict.renumber(group, live, func(f, t uint32) { from, to = append(from, f), append(to, t) })
	for _, s := range c.slices {
		c.renumberSlice(s, old, from, to)
	}
}

// renumberSlice moves the cells of ids from to ids to; old are the pages in which the former lie.
func (c *Columns[K, A]) renumberSlice(s *Slice[A], old, from, to []uint32) {
	var was column[A]
	for i := len(s.pages) - 1; i >= 0; i-- {
		if slices.Contains(old, s.pages[i].no) {
			was.pages = append(was.pages, s.pages[i])
			last := len(s.pages) - 1
			s.pages[i] = s.pages[last]
			s.pages[last] = page[A]{}
			s.pages = s.pages[:last]
		}
	}
	if len(was.pages) == 0 {
		return
	}
	was.reindex(0)
	s.reindex(0)
	s.count = 0
	for i := range s.pages {
		s.count += bits.OnesCount64(s.pages[i].present)
	}
	for i, id := range from {
		if a := was.lookup(id); a != nil {
			p, cell, _ := s.obtain(to[i], false, &c.spare)
			*cell = *a
			p.epoch = max(p.epoch, was.find(id/pageCells).epoch)
		}
	}
	was.release(&c.spare)
}

// Name implements statebackend.State.
func (c *Columns[K, A]) Name() string { return c.config.Name }

// Schema implements statebackend.State.
func (c *Columns[K, A]) Schema() []byte { return c.schema }

// Size implements statebackend.State. What cells point to is not counted.
func (c *Columns[K, A]) Size() statebackend.Size {
	var a A
	n := statebackend.Size{Rows: int64(c.count), Bytes: c.snap.heldBytes}
	count := func(col *column[A]) {
		for i := range col.pages {
			n.Bytes += int64(cap(col.pages[i].cells)) * int64(unsafe.Sizeof(a))
		}
		n.Bytes += int64(cap(col.pages))*int64(unsafe.Sizeof(page[A]{})) + int64(cap(col.at))*4
	}
	for _, s := range c.slices {
		count(&s.column)
	}
	c.stacks.each(count)
	for i := range c.dict.segs {
		sg := &c.dict.segs[i]
		n.Bytes += int64(len(sg.slots))*8 + int64(len(sg.pages))*int64(unsafe.Sizeof(keyPage[K]{}))
	}
	return n
}

var _ statebackend.State = (*Columns[int64, int64])(nil)
