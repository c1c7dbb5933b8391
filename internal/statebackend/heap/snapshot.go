// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/statebackend"
)

// ErrReserve declines a checkpoint: its owner changed far more rows at once than can be held back for it.
var ErrReserve = errors.New("too many rows of the running snapshot were changed at once")

const (
	// blockRows and blockBytes are the sizes at which what is held back becomes a block.
	blockRows  = 1024
	blockBytes = 64 << 10
	// stepBytesMax ends a Step early where rows are large.
	stepBytesMax = 512 << 10
	// A slot that is looked at costs slotCost, one that is encoded rowCost more; a row of Step's budget is both.
	slotCost, rowCost = 1, 3
	// passed is the tag of a segment that has been scanned to its end.
	passed = math.MaxUint64
)

// snapshot is the one that runs. Which rows are still to be written is told by the epoch of a row and the place of its
// home, not by where it lies: so rows may move, by growth or deletes, while the scan is under way.
type snapshot struct {
	running bool
	id      int64
	// bound is the last epoch that belongs to the snapshot, base the last that does not since increments leave it out.
	bound, base uint64
	full        bool
	savepoint   bool
	lineage     lineage
	// The scan stands in segment index, at the rows with this tag and above.
	index int
	tag   uint64
	// scanning tells that the scan holds rows back, not a write.
	scanning bool
	// bytes were written. heldBytes wait, in buffers; failed tells why they are gone.
	bytes, heldBytes int64
	failed           error
	// writer is that of the last Step. A write to a row that finds pressAt bytes held back tries it.
	writer  statebackend.Writer
	pressAt int64
	// ready are the segments whose buffers hold a whole block, in the order in which they became so.
	ready []int
}

// needs reports whether the row or tombstone of a slot has still to be written as it is.
func (s *snapshot) needs(index int, meta uint64) bool {
	if !s.running || index < s.index || index == s.index && meta&tagMask < s.tag || meta&epochMask > s.bound {
		return false
	}
	return s.includes(meta)
}

// includes reports whether a slot not written after the snapshot began is part of it.
func (s *snapshot) includes(meta uint64) bool {
	if s.full {
		return meta&liveBit != 0
	}
	return meta&epochMask > s.base
}

// buffer holds rows of one key group back: some encoded, which begin with the header of a block, others as they are.
type buffer[K comparable, S any] struct {
	rows   []Entry[K, S]
	stamps []int64

	encoded     []byte
	encodedRows int
	queued      bool
}

// whole reports whether the buffer is worth a block.
func (b *buffer[K, S]) whole() bool {
	return b != nil && (len(b.rows)+b.encodedRows >= blockRows ||
		len(b.encoded)+len(b.rows)*int(unsafe.Sizeof(Entry[K, S]{})) >= blockBytes)
}

// Begin implements statebackend.State.
func (t *Table[K, S]) Begin(cp statebackend.Checkpoint) error {
	if !t.snap.running && t.epoch >= t.config.epochMax {
		t.renumber()
	}
	if err := t.snap.begin(t.config.Name, &t.chain, cp, t.epoch); err != nil {
		return err
	}
	t.setEpoch(t.epoch + 1)
	return nil
}

// begin starts a snapshot of what was written up to an epoch.
func (s *snapshot) begin(state string, c *chain, cp statebackend.Checkpoint, bound uint64) error {
	if s.running {
		return fmt.Errorf("state %s: checkpoint %d begins while %d is running", state, cp.ID, s.id)
	}
	*s = snapshot{
		running: true, id: cp.ID, bound: bound, savepoint: cp.Savepoint(),
		full:  cp.Full() || c.wantsFull(),
		ready: s.ready[:0],
	}
	if !s.full {
		s.base, s.lineage = c.clean, c.completed
	}
	if !s.savepoint {
		c.begin(cp.ID, bound)
	}
	return nil
}

// Step implements statebackend.State.
func (t *Table[K, S]) Step(w statebackend.Writer, rows int) (done bool, err error) {
	if err := t.snap.runs(t.config.Name); err != nil {
		return false, err
	}
	t.snap.writer, t.snap.pressAt = w, t.config.ReserveBytes
	done, err = t.step(w, max(1, rows)*(slotCost+rowCost))
	if done {
		t.large = nil
	}
	return t.snap.stepped(t.config.Name, &t.chain, done, err)
}

// runs returns what keeps a snapshot from going on.
func (s *snapshot) runs(state string) error {
	if !s.running {
		return fmt.Errorf("state %s: no snapshot is running", state)
	}
	if s.failed != nil {
		return fmt.Errorf("state %s: checkpoint %d: %w", state, s.id, s.failed)
	}
	return nil
}

// stepped takes note of what a step did.
func (s *snapshot) stepped(state string, c *chain, done bool, err error) (bool, error) {
	if err != nil {
		return false, fmt.Errorf("state %s: checkpoint %d: %w", state, s.id, err)
	}
	if done {
		s.running, s.writer = false, nil
		if !s.savepoint {
			c.written(s.id, s.lineage, s.bytes)
		}
	}
	return done, nil
}

func (t *Table[K, S]) step(w statebackend.Writer, budget int) (done bool, err error) {
	s := &t.snap
	if err := t.relieve(w); err != nil {
		return false, err
	}
	start := s.bytes + s.heldBytes
	for s.index < len(t.segs) {
		sg := &t.segs[s.index]
		if s.tag == passed {
			if empty, err := t.flush(w, sg); err != nil || !empty {
				return false, err
			}
			s.index, s.tag = s.index+1, 0
			continue
		}
		if budget <= 0 || s.bytes+s.heldBytes-start > stepBytesMax || !w.Room() {
			return false, nil
		}
		budget -= slotCost // for a segment without rows
		if s.full && sg.live == 0 || !s.full && sg.dirty <= s.base {
			s.tag = passed // but older versions of rows may be held back
			continue
		}
		budget = t.scan(sg, budget)
		if s.failed != nil {
			return false, s.failed
		}
		if err := t.settle(w, sg); err != nil {
			return false, err
		}
	}
	return true, nil
}

// scan holds back the rows of sg from the tag of the snapshot on, until the budget is used up.
func (t *Table[K, S]) scan(sg *segment[K, S], budget int) int {
	s := &t.snap
	held := s.heldBytes
	from, bound, base, full := s.tag, s.bound, s.base, s.full // needs, without loads
	s.scanning = true
	defer func() { s.scanning = false }()
	for i := sg.home(s.tag); i < len(sg.slots); i++ {
		m := sg.slots[i].meta
		if m == 0 {
			// All rows with a home before i have been seen, none with a later one.
			if budget <= 0 || s.heldBytes-held > stepBytesMax {
				if tag, ok := sg.tagAt(i); ok {
					s.tag = tag
					return budget
				}
				break
			}
			continue
		}
		budget -= slotCost
		if epoch := m & epochMask; epoch > bound || epoch <= base && !full || full && m&liveBit == 0 || m&tagMask < from {
			continue
		}
		if t.ttl != nil && m&liveBit != 0 && t.dropExpired(sg, i) {
			continue
		}
		budget -= rowCost
		t.hold(sg, i)
	}
	s.tag = passed
	return budget
}

// settle encodes what the scan gathered, if the rows could be changed in place before the next Step, and writes it when
// it is worth a block.
func (t *Table[K, S]) settle(w statebackend.Writer, sg *segment[K, S]) error {
	if t.shared && sg.rows != nil {
		t.seal(sg, sg.rows)
	}
	if !sg.rows.whole() && !sg.tombs.whole() {
		return nil
	}
	_, err := t.flush(w, sg)
	return err
}

// hold copies the row or tombstone in slot i into the buffer of its segment.
func (t *Table[K, S]) hold(sg *segment[K, S], i int) {
	s, slot := &t.snap, &sg.slots[i]
	if s.failed != nil {
		return
	}
	b := &sg.rows
	if slot.meta&deadBit != 0 {
		b = &sg.tombs
	}
	if *b == nil {
		*b = t.newBuffer()
	}
	(*b).rows = append((*b).rows, Entry[K, S]{slot.key, slot.state})
	if slot.meta&liveBit != 0 && sg.width > 0 {
		(*b).stamps = append((*b).stamps, sg.stampsOf(i)...)
	}
	s.heldBytes += t.rowBytes()
	if t.shared && (!s.scanning || len((*b).rows) >= sharedRows) {
		t.seal(sg, *b)
	}
	if sg.index != s.index && !(*b).queued && (*b).whole() {
		(*b).queued = true
		s.ready = append(s.ready, sg.index)
	}
	if s.heldBytes > t.config.ReserveBytes && !s.scanning {
		t.press()
	}
}

// pressBytes are held back, at most, between two tries of a writer that has no room.
const pressBytes = 256 << 10

// press is called while its owner goes on changing rows though the reserve is used up: in a large batch, or as many timers
// fire at one watermark. If the writer has room it takes some at once. If not, at twice the reserve, all is given up.
func (t *Table[K, S]) press() {
	s := &t.snap
	if s.writer != nil && s.heldBytes > s.pressAt {
		s.failed = t.relieve(s.writer)
		if s.pressAt = t.config.ReserveBytes; s.heldBytes > s.pressAt {
			s.pressAt = s.heldBytes + min(pressBytes, t.config.ReserveBytes/8)
		}
	}
	if s.failed == nil && s.heldBytes > 2*t.config.ReserveBytes {
		s.failed = ErrReserve
	}
	if s.failed != nil {
		t.dropHeld()
	}
}

// sharedRows is how many rows the scan gathers before it encodes them, where rows can be large.
const sharedRows = 32

func (t *Table[K, S]) rowBytes() int64 {
	n := int64(unsafe.Sizeof(Entry[K, S]{}))
	if t.ttl != nil {
		n += int64(t.ttl.width()) * 8
	}
	return n
}

// seal encodes the rows of a buffer.
func (t *Table[K, S]) seal(sg *segment[K, S], b *buffer[K, S]) {
	if len(b.rows) == 0 {
		return
	}
	before := len(b.encoded)
	if before == 0 {
		b.encoded = t.ttl.appendHeader(b.encoded, sg.live)
	}
	b.encoded = t.appendRows(b.encoded, b.rows, b.stamps)
	b.encodedRows += len(b.rows)
	t.snap.heldBytes += int64(len(b.encoded)-before) - int64(len(b.rows))*t.rowBytes()
	clear(b.rows)
	b.rows, b.stamps = b.rows[:0], b.stamps[:0]
}

// relieve writes whole blocks of segments that the scan has not reached, and parts of blocks if much is held back.
func (t *Table[K, S]) relieve(w statebackend.Writer) error {
	s := &t.snap
	n := 0
	for ; n < len(s.ready) && w.Room(); n++ {
		if _, err := t.flush(w, &t.segs[s.ready[n]]); err != nil {
			return err
		}
	}
	s.ready = slices.Delete(s.ready, 0, n)
	for i := s.index; i < len(t.segs) && s.heldBytes > t.config.ReserveBytes/2 && w.Room(); i++ {
		if _, err := t.flush(w, &t.segs[i]); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is held back of a segment and reports whether there was room for all.
func (t *Table[K, S]) flush(w statebackend.Writer, sg *segment[K, S]) (empty bool, err error) {
	for _, part := range []struct {
		kind statebackend.Kind
		b    **buffer[K, S]
	}{{statebackend.Keyed, &sg.rows}, {statebackend.Deleted, &sg.tombs}} {
		b := *part.b
		if b == nil {
			continue
		}
		if !w.Room() {
			return false, nil
		}
		t.seal(sg, b)
		t.snap.heldBytes -= int64(len(b.encoded))
		t.snap.bytes += int64(len(b.encoded))
		err := w.Write(statebackend.Block{
			State: t.config.Name, Kind: part.kind, KeyGroup: sg.index + int(t.probe.first), Rows: b.encodedRows, Data: b.encoded,
		})
		*part.b = nil
		t.recycle(b)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// Crowded implements statebackend.State.
func (t *Table[K, S]) Crowded() bool {
	return t.snap.running && t.snap.heldBytes > t.config.ReserveBytes
}

// Base implements statebackend.State.
func (t *Table[K, S]) Base() []int64 { return slices.Clone(t.snap.lineage.ids) }

// Completed implements statebackend.State.
func (t *Table[K, S]) Completed(checkpoint int64) error {
	t.chain.complete(checkpoint)
	return nil
}

// Aborted implements statebackend.State.
func (t *Table[K, S]) Aborted(checkpoint int64) error {
	if t.snap.running && t.snap.id == checkpoint {
		t.dropHeld()
		t.snap.running, t.snap.writer, t.large = false, nil, nil
	}
	t.chain.abort(checkpoint)
	return nil
}

// renumber makes the epochs small again, by one walk over all slots.
func (t *Table[K, S]) renumber() {
	mapped, cur := t.chain.renumber()
	for g := range t.segs {
		sg := &t.segs[g]
		for i := range sg.slots {
			if m := sg.slots[i].meta; m != 0 {
				sg.slots[i].meta = m&^epochMask | mapped(m&epochMask)
			}
		}
		sg.dirty = mapped(sg.dirty)
	}
	t.setEpoch(cur)
}

const (
	// buffersKept is how many buffers wait for their next use that have no more room than bufferBytes and bufferRows.
	buffersKept = 64
	bufferBytes = 4 * blockBytes
	bufferRows  = 4 * blockRows
	// largeBytes bounds the room of the one that the scan keeps until the snapshot ends, for rows that need more: such a
	// buffer grows a column at a time, which costs several times what the rows do.
	largeBytes = 8 << 20
)

func (t *Table[K, S]) newBuffer() *buffer[K, S] {
	if b := t.large; b != nil && t.snap.scanning {
		t.large = nil
		return b
	}
	if n := len(t.free); n > 0 {
		b := t.free[n-1]
		t.free = t.free[:n-1]
		return b
	}
	return &buffer[K, S]{}
}

func (t *Table[K, S]) recycle(b *buffer[K, S]) {
	clear(b.rows)
	*b = buffer[K, S]{rows: b.rows[:0], stamps: b.stamps[:0], encoded: b.encoded[:0]}
	switch room := cap(b.encoded); {
	case cap(b.rows) > bufferRows || room > largeBytes:
	case room > bufferBytes:
		if t.snap.running && (t.large == nil || cap(t.large.encoded) < room) {
			t.large = b
		}
	case len(t.free) < buffersKept:
		t.free = append(t.free, b)
	}
}

func (t *Table[K, S]) dropHeld() {
	for i := range t.segs {
		for _, b := range []**buffer[K, S]{&t.segs[i].rows, &t.segs[i].tombs} {
			if *b != nil {
				t.recycle(*b)
				*b = nil
			}
		}
	}
	t.snap.heldBytes, t.snap.ready = 0, t.snap.ready[:0]
}
