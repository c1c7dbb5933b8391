// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/statebackend"
)

// columnsSnapshot is the snapshot of Columns that runs. What it still has to write is told by the pages: by the epoch of
// their last write, and by the number of the last snapshot that took them.
type columnsSnapshot[K comparable, A any] struct {
	running bool
	id      int64
	number  uint32
	// bound is the last epoch that belongs to the snapshot, base the last that does not.
	bound, base     uint32
	full, savepoint bool
	lineage         lineage
	// slices are those that there were at Begin; the scan stands at a page of one of them.
	slices   []*Slice[A]
	at, page int
	// held are copies of pages that were about to be changed.
	held []heldPage[A]
	// buffers are by key group; ready are those that hold a whole block.
	buffers []columnsBuffer[K, A]
	ready   []int
	// bytes were written; heldBytes wait, copiedBytes of them in held. failed tells that they were too many and are gone.
	bytes, heldBytes, copiedBytes int64
	failed                        bool
}

type heldPage[A any] struct {
	start int64
	page[A]
}

type columnsBuffer[K comparable, A any] struct {
	rows        []ColumnsRow[K, A]
	encoded     []byte
	encodedRows int
	queued      bool
}

// buffersBytes is about what all buffers may hold.
const buffersBytes = 8 << 20

// Begin implements statebackend.State.
func (c *Columns[K, A]) Begin(cp statebackend.Checkpoint) error {
	if c.snap.running {
		return fmt.Errorf("state %s: checkpoint %d begins while %d is running", c.config.Name, cp.ID, c.snap.id)
	}
	old := c.snap
	c.snap = columnsSnapshot[K, A]{
		running: true, id: cp.ID, number: old.number + 1, bound: c.epoch, savepoint: cp.Savepoint(),
		full:    cp.Full() || c.chain.wantsFull(),
		slices:  append(old.slices[:0], c.slices...),
		buffers: old.buffers, held: old.held[:0], ready: old.ready[:0],
	}
	if c.snap.buffers == nil {
		c.snap.buffers = make([]columnsBuffer[K, A], len(c.dict.segs))
	}
	if !c.snap.full {
		c.snap.base, c.snap.lineage = uint32(c.chain.clean), c.chain.completed
	}
	if !c.snap.savepoint {
		c.chain.begin(cp.ID, uint64(c.epoch))
	}
	c.epoch++
	return nil
}

// needs reports whether a page has still to be written as it is.
func (s *columnsSnapshot[K, A]) needs(p *page[A]) bool {
	return s.running && p.epoch <= s.bound && p.taken != s.number && (s.full || p.epoch > s.base)
}

// touch prepares a page for its first write in this epoch.
func (c *Columns[K, A]) touch(s *Slice[A], p *page[A]) {
	snap := &c.snap
	if !snap.needs(p) || snap.failed {
		return
	}
	p.taken = snap.number
	if c.layout == layoutShared {
		c.gather(s.start, p)
		c.seal(c.groupOf(p))
	} else {
		held := heldPage[A]{s.start, *p}
		if len(p.cells) == pageCells {
			held.cells = c.spare.take()
			copy(held.cells, p.cells)
		} else {
			held.cells = slices.Clone(p.cells)
		}
		snap.held = append(snap.held, held)
		snap.heldBytes += pageBytes(p)
		snap.copiedBytes += pageBytes(p)
	}
	if snap.heldBytes > 2*c.config.ReserveBytes {
		c.dropHeld()
		snap.failed = true
	}
}

func pageBytes[A any](p *page[A]) int64 {
	var a A
	return int64(unsafe.Sizeof(*p)) + int64(len(p.cells))*int64(unsafe.Sizeof(a))
}

func (c *Columns[K, A]) groupOf(p *page[A]) int { return c.dict.pages[p.no].group }

// gather puts the rows of a page into the buffer of its key group.
func (c *Columns[K, A]) gather(start int64, p *page[A]) {
	group := c.groupOf(p)
	b := &c.snap.buffers[group]
	keys := c.dict.pages[p.no]
	before := len(b.rows)
	for w := p.present; w != 0; w &= w - 1 {
		bit := uint32(bits.TrailingZeros64(w))
		b.rows = append(b.rows, ColumnsRow[K, A]{keys.keys[bit], start, *p.cell(bit)})
	}
	c.snap.heldBytes += int64(len(b.rows)-before) * c.rowBytes()
	if c.layout != layoutPlain || len(b.rows) >= c.sealRows() {
		c.seal(group)
	}
	if !b.queued && len(b.encoded) >= c.blockBytes() {
		b.queued = true
		c.snap.ready = append(c.snap.ready, group)
	}
}

func (c *Columns[K, A]) rowBytes() int64 { return int64(unsafe.Sizeof(ColumnsRow[K, A]{})) }

// sealRows is how many rows of a key group are encoded together, and blockBytes how many bytes are a block: less where
// there are so many key groups that their buffers would add up.
func (c *Columns[K, A]) sealRows() int {
	return min(512, max(pageCells, buffersBytes/int(c.rowBytes())/len(c.dict.segs)))
}

func (c *Columns[K, A]) blockBytes() int {
	return min(blockBytes, max(256, buffersBytes/len(c.dict.segs)))
}

// seal encodes the rows of a buffer.
func (c *Columns[K, A]) seal(group int) {
	b := &c.snap.buffers[group]
	if len(b.rows) == 0 {
		return
	}
	before := len(b.encoded)
	if before == 0 {
		b.encoded = c.appendHeader(b.encoded)
	}
	b.encoded = c.appendRows(b.encoded, b.rows)
	b.encodedRows += len(b.rows)
	c.snap.heldBytes += int64(len(b.encoded)-before) - int64(len(b.rows))*c.rowBytes()
	clear(b.rows)
	b.rows = b.rows[:0]
}

// Step implements statebackend.State.
func (c *Columns[K, A]) Step(w statebackend.Writer, rows int) (done bool, err error) {
	s := &c.snap
	if !s.running {
		return false, fmt.Errorf("state %s: no snapshot is running", c.config.Name)
	}
	if s.failed {
		return false, fmt.Errorf("state %s: checkpoint %d: %w", c.config.Name, s.id, ErrReserve)
	}
	done, err = c.step(w, max(1, rows)*(slotCost+rowCost))
	if err != nil {
		return false, fmt.Errorf("state %s: checkpoint %d: %w", c.config.Name, s.id, err)
	}
	if done {
		c.end()
		if !s.savepoint {
			c.chain.written(s.id, s.lineage, s.bytes)
		}
	}
	return done, nil
}

func (c *Columns[K, A]) step(w statebackend.Writer, budget int) (done bool, err error) {
	s := &c.snap
	if err := c.relieve(w); err != nil {
		return false, err
	}
	start := s.bytes + s.heldBytes
	// Writes may set pages aside faster than the budget has them encoded. It doesn't count then.
	crowded := func() bool { return s.copiedBytes > c.config.ReserveBytes/2 }
	for (budget > 0 || crowded()) && w.Room() {
		if n := len(s.held); n > 0 {
			h := &s.held[n-1]
			s.heldBytes -= pageBytes(&h.page)
			s.copiedBytes -= pageBytes(&h.page)
			c.gather(h.start, &h.page)
			budget -= slotCost + rowCost*bits.OnesCount64(h.present)
			c.spare.give(h.cells)
			s.held[n-1] = heldPage[A]{}
			s.held = s.held[:n-1]
		} else {
			used, more := c.scan(budget)
			if !more {
				return c.finish(w)
			}
			budget -= used
		}
		if err := c.relieve(w); err != nil {
			return false, err
		}
		if s.bytes+s.heldBytes-start > stepBytesMax && !crowded() {
			return false, nil
		}
	}
	return false, nil
}

// scan takes the next page that is to be written, and returns what that cost; more is false if there is none.
func (c *Columns[K, A]) scan(budget int) (used int, more bool) {
	s := &c.snap
	for ; s.at < len(s.slices); s.at, s.page = s.at+1, 0 {
		slice := s.slices[s.at]
		if !s.full && slice.dirty <= s.base {
			used += slotCost
			continue
		}
		for s.page < len(slice.pages) {
			p := &slice.pages[s.page]
			s.page++
			used += slotCost
			if s.needs(p) {
				p.taken = s.number
				c.gather(slice.start, p)
				return used + rowCost*bits.OnesCount64(p.present), true
			}
			if used >= budget {
				return used, true
			}
		}
	}
	return used, false
}

// relieve writes blocks that are whole, and others too if much is held back.
func (c *Columns[K, A]) relieve(w statebackend.Writer) error {
	s := &c.snap
	n := 0
	for ; n < len(s.ready) && w.Room(); n++ {
		if err := c.flush(w, s.ready[n]); err != nil {
			return err
		}
	}
	s.ready = slices.Delete(s.ready, 0, n)
	for group := 0; group < len(s.buffers) && s.heldBytes-s.copiedBytes > c.config.ReserveBytes/2 && w.Room(); group++ {
		if err := c.flush(w, group); err != nil {
			return err
		}
	}
	return nil
}

// finish writes what is left in the buffers.
func (c *Columns[K, A]) finish(w statebackend.Writer) (done bool, err error) {
	for group := range c.snap.buffers {
		if b := &c.snap.buffers[group]; len(b.encoded)+len(b.rows) == 0 {
			continue
		}
		if !w.Room() {
			return false, nil
		}
		if err := c.flush(w, group); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c *Columns[K, A]) flush(w statebackend.Writer, group int) error {
	c.seal(group)
	b := &c.snap.buffers[group]
	if len(b.encoded) == 0 {
		return nil
	}
	err := w.Write(statebackend.Block{
		State: c.config.Name, Kind: statebackend.Keyed, KeyGroup: group + int(c.dict.first), Rows: b.encodedRows, Data: b.encoded,
	})
	c.snap.bytes += int64(len(b.encoded))
	c.snap.heldBytes -= int64(len(b.encoded))
	b.encoded, b.encodedRows, b.queued = b.encoded[:0], 0, false
	if cap(b.encoded) > 4*c.blockBytes() {
		b.encoded = nil
	}
	return err
}

// end lets go of what the snapshot holds.
func (c *Columns[K, A]) end() {
	c.dropHeld()
	s := &c.snap
	s.running = false
	clear(s.slices)
	s.slices = s.slices[:0]
}

func (c *Columns[K, A]) dropHeld() {
	s := &c.snap
	for i := range s.held {
		c.spare.give(s.held[i].cells)
	}
	clear(s.held)
	for i := range s.buffers {
		b := &s.buffers[i]
		clear(b.rows)
		*b = columnsBuffer[K, A]{rows: b.rows[:0], encoded: b.encoded[:0]}
	}
	s.held, s.ready, s.heldBytes, s.copiedBytes = s.held[:0], s.ready[:0], 0, 0
}

// Crowded implements statebackend.State.
func (c *Columns[K, A]) Crowded() bool {
	return c.snap.running && c.snap.heldBytes > c.config.ReserveBytes
}

// Base implements statebackend.State.
func (c *Columns[K, A]) Base() []int64 { return slices.Clone(c.snap.lineage.ids) }

// Completed implements statebackend.State.
func (c *Columns[K, A]) Completed(checkpoint int64) error {
	c.chain.complete(checkpoint)
	return nil
}

// Aborted implements statebackend.State.
func (c *Columns[K, A]) Aborted(checkpoint int64) error {
	if c.snap.running && c.snap.id == checkpoint {
		c.end()
	}
	c.chain.abort(checkpoint)
	return nil
}
