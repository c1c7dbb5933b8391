// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/weir-stream/weir/internal/codec"
)

// merger folds cells. An accumulator that points to memory which is changed in place is copied whole before another one
// may come to share it.
type merger[A any] struct {
	merge func(acc, from *A)
	// codec is set where a plain copy is not enough.
	codec *codec.Codec[A]
	// acc and from are accumulators at hand: user code is given pointers, and these cost no allocation.
	acc, from A
	encoded   []byte
	one       [1]A
}

// copyTo makes dst an accumulator of its own with the value of src.
func (m *merger[A]) copyTo(dst, src *A) {
	if m.codec == nil {
		*dst = *src
		return
	}
	m.one[0] = *src
	m.encoded = m.codec.Append(m.encoded[:0], m.one[:])
	if _, err := m.codec.Decode(m.encoded, m.one[:], codec.Owned); err != nil {
		panic(fmt.Sprintf("copy an accumulator: %v", err)) // bytes of our own
	}
	*dst = m.one[0]
}

// into folds src into dst, and leaves src alone.
func (m *merger[A]) into(dst, src *A) {
	if m.codec == nil {
		m.merge(dst, src)
		return
	}
	m.copyTo(&m.from, src)
	m.merge(dst, &m.from)
}

// append folds the cells of src into dst, as the later ones.
func (m *merger[A]) append(dst, src *column[A], spare *cells[A]) {
	for i := range src.pages {
		p := &src.pages[i]
		dense := len(p.cells) == pageCells
		for w := p.present; w != 0; w &= w - 1 {
			bit := uint32(bits.TrailingZeros64(w))
			_, cell, isNew := dst.obtain(p.no*pageCells+bit, dense, spare)
			if isNew {
				m.copyTo(cell, p.cell(bit))
			} else {
				m.into(cell, p.cell(bit))
			}
		}
	}
}

// prepend folds the cells of src into dst, as the earlier ones.
func (m *merger[A]) prepend(dst, src *column[A], spare *cells[A]) {
	for i := range src.pages {
		p := &src.pages[i]
		dense := len(p.cells) == pageCells
		for w := p.present; w != 0; w &= w - 1 {
			bit := uint32(bits.TrailingZeros64(w))
			_, cell, isNew := dst.obtain(p.no*pageCells+bit, dense, spare)
			if isNew {
				m.copyTo(cell, p.cell(bit))
				continue
			}
			m.copyTo(&m.acc, p.cell(bit))
			m.merge(&m.acc, cell)
			*cell = m.acc
		}
	}
}

// clone copies a column, cells and all.
func (m *merger[A]) clone(c *column[A], spare *cells[A]) column[A] {
	d := c.clone(spare)
	if m.codec == nil {
		return d
	}
	for i := range d.pages {
		p := &d.pages[i]
		for w := p.present; w != 0; w &= w - 1 {
			cell := p.cell(uint32(bits.TrailingZeros64(w)))
			m.copyTo(cell, cell)
		}
	}
	return d
}

// Fold calls f for each key that is in a slice that starts in [from, to), with all of its cells folded; acc is f's during
// the call. Keys come in an order that is the same whenever the same records came in the same order. It is quickest for
// windows in order of time, whose slices don't change any more.
func (c *Columns[K, A]) Fold(from, to int64, f func(id uint32, acc *A) error) error {
	lo, _ := c.search(from)
	hi, _ := c.search(to)
	window := c.slices[lo:hi]
	switch len(window) {
	case 0:
		return nil
	case 1:
		return c.emit(&window[0].column, nil, f)
	}
	front, back := c.stacks.window(&c.merger, window, from, to, &c.spare)
	return c.emit(front, back, f)
}

// emit calls f for each cell of two columns, folded; back may be nil.
func (c *Columns[K, A]) emit(front, back *column[A], f func(id uint32, acc *A) error) error {
	m := &c.merger
	for i := range front.pages {
		p := &front.pages[i]
		var q *page[A]
		if back != nil {
			q = back.find(p.no)
		}
		for w := p.present; w != 0; w &= w - 1 {
			bit := uint32(bits.TrailingZeros64(w))
			m.copyTo(&m.acc, p.cell(bit))
			if q != nil && q.has(bit) {
				m.into(&m.acc, q.cell(bit))
			}
			if err := f(p.no*pageCells+bit, &m.acc); err != nil {
				return err
			}
		}
	}
	if back == nil {
		return nil
	}
	for i := range back.pages {
		q := &back.pages[i]
		w := q.present
		if p := front.find(q.no); p != nil {
			w &^= p.present
		}
		for ; w != 0; w &= w - 1 {
			bit := uint32(bits.TrailingZeros64(w))
			m.copyTo(&m.acc, q.cell(bit))
			if err := f(q.no*pageCells+bit, &m.acc); err != nil {
				return err
			}
		}
	}
	return nil
}

// FoldKey returns the fold of the cells of one id in slices that start in [from, to), nil if there are none. It is valid
// until the next call.
func (c *Columns[K, A]) FoldKey(id uint32, from, to int64) *A {
	lo, _ := c.search(from)
	m, found := &c.merger, false
	for _, s := range c.slices[lo:] {
		if s.start >= to {
			break
		}
		cell := s.lookup(id)
		switch {
		case cell == nil:
		case found:
			m.into(&m.acc, cell)
		default:
			m.copyTo(&m.acc, cell)
			found = true
		}
	}
	if !found {
		return nil
	}
	return &m.acc
}

// Cells appends the cells of one id in slices that start in [from, to), in order of time. They are not to be changed.
func (c *Columns[K, A]) Cells(list []*A, id uint32, from, to int64) []*A {
	lo, _ := c.search(from)
	for _, s := range c.slices[lo:] {
		if s.start >= to {
			break
		}
		if cell := s.lookup(id); cell != nil {
			list = append(list, cell)
		}
	}
	return list
}

// Gather calls f for each key that is in a slice that starts in [from, to), with its cells in order of time: they are not
// to be changed, and the list is valid during the call. Keys come in an order as that of Fold.
func (c *Columns[K, A]) Gather(from, to int64, f func(id uint32, list []*A) error) error {
	lo, _ := c.search(from)
	hi, _ := c.search(to)
	// order has, by id, the place of a key among all; starts and ids are by that place.
	var order column[uint32]
	var spare cells[uint32]
	var ids, starts []uint32
	total := 0
	each := func(visit func(id uint32, cell *A)) {
		for _, s := range c.slices[lo:hi] {
			for i := range s.pages {
				p := &s.pages[i]
				for w := p.present; w != 0; w &= w - 1 {
					bit := uint32(bits.TrailingZeros64(w))
					visit(p.no*pageCells+bit, p.cell(bit))
				}
			}
		}
	}
	each(func(id uint32, _ *A) {
		_, n, isNew := order.obtain(id, false, &spare)
		if isNew {
			*n = uint32(len(ids))
			ids, starts = append(ids, id), append(starts, 0)
		}
		starts[*n]++
		total++
	})
	end := uint32(total)
	for i := len(starts) - 1; i >= 0; i-- {
		end -= starts[i]
		starts[i] = end
	}
	list := make([]*A, total)
	next := slices.Clone(starts)
	each(func(id uint32, cell *A) {
		n := *order.lookup(id)
		list[next[n]] = cell
		next[n]++
	})
	for i, id := range ids {
		if err := f(id, list[starts[i]:next[i]]); err != nil {
			return err
		}
	}
	return nil
}
