// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"math/bits"
	"slices"
)

// pageCells is the number of ids whose cells share a page.
const pageCells = 64

// spreadCells is the number of cells above which a page has a place for each id.
const spreadCells = pageCells / 2

// page holds the cells of up to pageCells ids of one key group in one column.
type page[A any] struct {
	no uint32
	// epoch is that of the last write, taken the number of the last snapshot that has the page.
	epoch, taken uint32
	present      uint64
	// cells has pageCells places by the bit of the id, or as many as are present, in order of their bits. Places of
	// ids that are not present are zero.
	cells []A
}

// cell returns the cell of a bit that is present.
func (p *page[A]) cell(bit uint32) *A {
	if len(p.cells) == pageCells {
		return &p.cells[bit]
	}
	return &p.cells[bits.OnesCount64(p.present&(1<<bit-1))]
}

// has reports whether there is a cell of a bit.
func (p *page[A]) has(bit uint32) bool { return p.present>>bit&1 == 1 }

// insert adds a zero cell for a bit that is not present.
func (p *page[A]) insert(bit uint32, spare *cells[A]) *A {
	p.present |= 1 << bit
	if len(p.cells) != pageCells && bits.OnesCount64(p.present) > spreadCells {
		spread := spare.take()
		i := 0
		for w := p.present &^ (1 << bit); w != 0; w &= w - 1 {
			spread[bits.TrailingZeros64(w)] = p.cells[i]
			i++
		}
		p.cells = spread
	}
	if len(p.cells) == pageCells {
		return &p.cells[bit]
	}
	i := bits.OnesCount64(p.present & (1<<bit - 1))
	p.cells = slices.Insert(p.cells, i, *new(A))
	return &p.cells[i]
}

// cells keeps the storage of pages that are gone, each pageCells zero cells.
type cells[A any] struct{ free [][]A }

// freePagesMax bounds what is kept.
const freePagesMax = 1 << 14

func (s *cells[A]) take() []A {
	n := len(s.free)
	if n == 0 {
		return make([]A, pageCells)
	}
	c := s.free[n-1]
	s.free[n-1] = nil
	s.free = s.free[:n-1]
	return c
}

func (s *cells[A]) give(c []A) {
	if len(c) == pageCells && len(s.free) < freePagesMax {
		clear(c)
		s.free = append(s.free, c)
	}
}

// column holds a cell for some of the ids: a list of pages in the order in which they were made, and an index of it that
// costs little for each page.
type column[A any] struct {
	pages []page[A]
	// count is the number of cells.
	count int
	// at has, by number of page, its place in pages plus one; nil where it would be mostly empty. Then by has the places,
	// once there are more than scanPages.
	at []uint32
	by map[uint32]uint32
}

const (
	scanPages = 8
	// indexSpan is how many entries of at a page may cost.
	indexSpan = 16
)

// find returns the page of that number, or nil; it is valid until the next page is made.
func (c *column[A]) find(no uint32) *page[A] {
	if int(no) < len(c.at) {
		if i := c.at[no]; i != 0 {
			return &c.pages[i-1]
		}
		return nil
	}
	if c.at != nil {
		return nil
	}
	return c.search(no)
}

func (c *column[A]) search(no uint32) *page[A] {
	if c.by != nil {
		if i := c.by[no]; i != 0 {
			return &c.pages[i-1]
		}
		return nil
	}
	for i := range c.pages {
		if c.pages[i].no == no {
			return &c.pages[i]
		}
	}
	return nil
}

// add makes an empty page, of a number that the column does not have.
func (c *column[A]) add(no uint32) *page[A] {
	c.pages = append(c.pages, page[A]{no: no})
	n := len(c.pages)
	switch {
	case int(no) < len(c.at):
		c.at[no] = uint32(n)
	case int(no) < indexSpan*n:
		if c.at == nil {
			c.reindex(int(no) + 1)
		} else {
			c.at = append(c.at, make([]uint32, int(no)+1-len(c.at))...)
			c.at[no] = uint32(n)
		}
	case c.by != nil:
		c.by[no] = uint32(n)
	case c.at != nil || n > scanPages:
		c.reindex(0)
	}
	return &c.pages[n-1]
}

// reindex makes at with that many entries, if they are enough for all pages, else the map where it is wanted.
func (c *column[A]) reindex(entries int) {
	c.at, c.by = nil, nil
	for i := range c.pages {
		entries = max(entries, int(c.pages[i].no)+1)
	}
	if entries <= indexSpan*len(c.pages) {
		c.at = make([]uint32, entries)
		for i := range c.pages {
			c.at[c.pages[i].no] = uint32(i + 1)
		}
		return
	}
	if len(c.pages) <= scanPages {
		return
	}
	c.by = make(map[uint32]uint32, len(c.pages))
	for i := range c.pages {
		c.by[c.pages[i].no] = uint32(i + 1)
	}
}

// obtain returns the cell of an id, adding a zero one where there is none. dense gives new pages a place for each id.
func (c *column[A]) obtain(id uint32, dense bool, spare *cells[A]) (p *page[A], cell *A, isNew bool) {
	no, bit := id/pageCells, id%pageCells
	p = c.find(no)
	if p == nil {
		p = c.add(no)
		if dense {
			p.cells = spare.take()
		}
	}
	if p.has(bit) {
		return p, p.cell(bit), false
	}
	c.count++
	return p, p.insert(bit, spare), true
}

// lookup returns the cell of an id, or nil.
func (c *column[A]) lookup(id uint32) *A {
	if p := c.find(id / pageCells); p != nil && p.has(id%pageCells) {
		return p.cell(id % pageCells)
	}
	return nil
}

// clone copies the column. Cells are copied as they are.
func (c *column[A]) clone(spare *cells[A]) column[A] {
	d := column[A]{pages: slices.Clone(c.pages), count: c.count}
	for i := range d.pages {
		from := c.pages[i].cells
		var to []A
		if len(from) == pageCells {
			to = spare.take()
		} else {
			to = make([]A, len(from))
		}
		copy(to, from)
		d.pages[i].cells = to
	}
	d.reindex(0)
	return d
}

// release gives the storage back.
func (c *column[A]) release(spare *cells[A]) {
	for i := range c.pages {
		spare.give(c.pages[i].cells)
	}
	*c = column[A]{}
}
