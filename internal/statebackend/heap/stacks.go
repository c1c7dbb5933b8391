// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math"
	"slices"
)

// stacks fold the slices of a sliding window without folding all of them again each time, and without taking values
// out, which not every aggregate can. The slices of a window lie in two stacks:
//
//	front, slices before flip                          back, slices from flip on
//	 s0   s1   s2 | s3   s4   s5 | s6   s7   s8         s9   s10
//	 s0-8 s1-8 s2-8 s3-8           s6-8                 s9-10
//	 heads of the first block      head of each         one column, to which each
//	                               other block          new slice is added
//
// A window that starts at s1 is s1-8 and s9-10. When it leaves the first block, the heads of the next one are made, from
// the head behind it; when it leaves the front, all slices of the window become the new front. So a slice is folded three
// times, and about twice the square root of the slices of a window are kept as heads. Where even that is much more than
// the cells that there are (few keys in each slice), heads are not kept, and each window is folded anew: then that is no
// work to speak of for each key.
type stacks[A any] struct {
	valid bool
	// flip is the end of the front; the back has the slices from flip until end.
	flip, end int64
	// heads are of the slices of the first block and of the first slice of the others, in order of time.
	heads []head[A]
	// blocks are the starts of all blocks but the first; the head of each is in heads.
	blocks []int64
	back   column[A]
	// whole is the fold of a window whose heads were not kept.
	whole column[A]
}

// head is the fold of the slices of the front from one on.
type head[A any] struct {
	from int64
	column[A]
}

// window returns columns whose folds, front before back, are those of a window [from, to).
func (s *stacks[A]) window(
	m *merger[A], window []*Slice[A], from, to int64, spare *cells[A],
) (front, back *column[A]) {
	if s.whole.pages != nil {
		s.whole.release(spare)
	}
	if s.valid && from < s.flip && to >= s.end {
		for len(s.heads) > 0 && s.heads[0].from < from {
			s.pop(m, window, spare)
		}
		if len(s.heads) > 0 {
			s.advance(m, window, to, spare)
			return &s.heads[0].column, &s.back
		}
	}
	return s.turn(m, window, to, spare), nil
}

// pop drops the first head, and makes those of the next block if it was the last of its own.
func (s *stacks[A]) pop(m *merger[A], window []*Slice[A], spare *cells[A]) {
	s.heads[0].release(spare)
	s.heads = s.heads[1:]
	if len(s.heads) == 0 || len(s.blocks) == 0 || s.heads[0].from != s.blocks[0] {
		return
	}
	// The first head is now that of a block. Those of the slices between it and the next block are made from the latter.
	first, until := s.heads[0], s.flip
	if s.blocks = s.blocks[1:]; len(s.blocks) > 0 {
		until = s.blocks[0]
	}
	var made []head[A] // latest first
	behind := s.heads[1:]
	for i := len(window) - 1; i >= 0; i-- {
		if w := window[i]; w.start > first.from && w.start < until {
			h := head[A]{w.start, s.onto(m, w, behind, spare)}
			made = append(made, h)
			behind = made[len(made)-1:]
		}
	}
	slices.Reverse(made)
	s.heads = slices.Concat([]head[A]{first}, made, s.heads[1:])
}

// onto returns the fold of a slice and the first of the heads behind it, if there is one.
func (s *stacks[A]) onto(m *merger[A], w *Slice[A], behind []head[A], spare *cells[A]) column[A] {
	if len(behind) == 0 {
		return m.clone(&w.column, spare)
	}
	c := m.clone(&behind[0].column, spare)
	m.prepend(&c, &w.column, spare)
	return c
}

// advance adds the slices until to to the back.
func (s *stacks[A]) advance(m *merger[A], window []*Slice[A], to int64, spare *cells[A]) {
	for _, w := range window {
		if w.start >= s.end {
			m.append(&s.back, &w.column, spare)
		}
	}
	s.end = to
}

// turn makes all slices of a window the front, and returns the fold of it.
func (s *stacks[A]) turn(m *merger[A], window []*Slice[A], to int64, spare *cells[A]) *column[A] {
	s.drop(spare)
	n := len(window)
	block := int(math.Ceil(math.Sqrt(float64(n))))
	cells := 0
	for _, w := range window {
		cells += w.count
	}
	var sum column[A]
	var heads []head[A] // latest first
	kept, keep := 0, true
	for i := n - 1; i >= 0; i-- {
		w := window[i]
		m.prepend(&sum, &w.column, spare)
		if i > 0 && keep && (i < block || i%block == 0) {
			heads = append(heads, head[A]{w.start, m.clone(&sum, spare)})
			if i >= block {
				s.blocks = append(s.blocks, w.start)
			}
			kept += sum.count
			keep = kept <= keptCells*cells
		}
	}
	if !keep {
		for i := range heads {
			heads[i].release(spare)
		}
		s.blocks = s.blocks[:0]
		s.whole = sum
		return &s.whole
	}
	s.heads = append(s.heads[:0], head[A]{window[0].start, sum})
	for i := len(heads) - 1; i >= 0; i-- {
		s.heads = append(s.heads, heads[i])
	}
	slices.Reverse(s.blocks)
	s.valid, s.flip, s.end = true, to, to
	return &s.heads[0].column
}

// keptCells is how many cells the heads may have for each of the slices.
const keptCells = 2

// inserted tells that there is a new slice: if the stacks lack it, they are of no use.
func (s *stacks[A]) inserted(start int64, spare *cells[A]) {
	if s.valid && start < s.end {
		s.drop(spare)
	}
}

// drop forgets everything.
func (s *stacks[A]) drop(spare *cells[A]) {
	s.each(func(c *column[A]) { c.release(spare) })
	s.heads, s.blocks, s.valid = s.heads[:0], s.blocks[:0], false
}

// each calls f for each column.
func (s *stacks[A]) each(f func(*column[A])) {
	for i := range s.heads {
		f(&s.heads[i].column)
	}
	f(&s.back)
	f(&s.whole)
}

// Changed tells that the cell of an id was changed in a slice, or added to it, that Fold may have seen.
func (c *Columns[K, A]) Changed(id uint32, start int64) {
	s := &c.stacks
	if !s.valid || start >= s.end {
		return
	}
	if start >= s.flip {
		if acc := c.FoldKey(id, s.flip, s.end); acc != nil {
			_, cell, _ := s.back.obtain(id, false, &c.spare)
			*cell = *acc
		}
		return
	}
	// One walk from the last slice of the front to the first, which passes the heads in order.
	m, next, found := &c.merger, len(s.heads)-1, false
	hi, _ := c.search(s.flip)
	for i := hi - 1; i >= 0 && next >= 0 && c.slices[i].start >= s.heads[0].from; i-- {
		at := c.slices[i]
		if cell := at.lookup(id); cell != nil {
			acc := m.acc
			m.copyTo(&m.acc, cell)
			if found {
				m.from = acc
				m.merge(&m.acc, &m.from)
			}
			found = true
		}
		if s.heads[next].from != at.start {
			continue
		}
		if at.start <= start && found {
			_, cell, _ := s.heads[next].obtain(id, false, &c.spare)
			m.copyTo(cell, &m.acc)
		}
		next--
	}
}
