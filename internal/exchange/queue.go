// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import "github.com/weir-stream/weir/element"

// entry is a batch and the control behind it that no other batch has followed yet. Status and watermarks run together in
// it: what is left of any run of them is that the channel came back, then the highest watermark, then that it went idle.
// A channel therefore holds no more entries than batches, barriers and ends, and one.
type entry struct {
	batch   element.Any
	at      int64
	barrier element.CheckpointBarrier
	// kinds has the bit of each control that follows the batch, in the order of inEntry.
	kinds kindSet
	next  int32
}

// kindSet is a set of kinds of control.
type kindSet uint8

func setOf(k element.Kind) kindSet { return 1 << k }

func (s kindSet) has(k element.Kind) bool { return s&setOf(k) != 0 }

// closing kinds end an entry: what follows them begins another.
func (s kindSet) closed() bool { return s&(setOf(element.Barrier)|setOf(element.EndOfInput)) != 0 }

// inEntry is the order in which the controls of an entry leave it.
var inEntry = [...]element.Kind{
	element.Active, element.Watermark, element.Idle, element.Barrier, element.EndOfInput,
}

// add puts a control behind what the entry holds.
func (e *entry) add(c element.Control) {
	switch c.Kind {
	case element.None:
		return
	case element.Watermark:
		if !e.kinds.has(element.Watermark) || c.At > e.at {
			e.at = c.At
		}
	case element.Active:
		e.kinds &^= setOf(element.Idle)
	case element.Barrier:
		e.barrier = c.Checkpoint
	case element.Idle, element.EndOfInput:
	}
	e.kinds |= setOf(c.Kind)
}

// take removes the batch and the first control behind it, and reports whether the entry is empty then.
func (e *entry) take() (b element.Any, c element.Control, empty bool) {
	b, e.batch = e.batch, nil
	for _, k := range inEntry {
		if !e.kinds.has(k) {
			continue
		}
		e.kinds &^= setOf(k)
		c.Kind = k
		switch k {
		case element.Watermark:
			c.At = e.at
		case element.Barrier:
			c.Checkpoint = e.barrier
		default: // the others carry nothing
		}
		break
	}
	return b, c, e.kinds == 0
}

// slab holds the entries of many queues in one slice, so that an empty queue costs eight bytes. Entries are named by
// their place plus one; the zero slab is empty.
type slab struct {
	entries []entry
	free    int32
	// used is the number of entries in queues.
	used int
}

// queue is a list of entries in a slab, oldest first. The zero queue is empty.
type queue struct{ head, tail int32 }

func (q *queue) empty() bool { return q.head == 0 }

// push appends a batch, a control, or both.
func (s *slab) push(q *queue, b element.Any, c element.Control) {
	if b == nil && c.Kind == element.None {
		return
	}
	if b != nil || q.tail == 0 || s.entries[q.tail-1].kinds.closed() {
		s.append(q, b)
	}
	s.entries[q.tail-1].add(c)
}

func (s *slab) append(q *queue, b element.Any) {
	at := s.free
	if at != 0 {
		s.free = s.entries[at-1].next
	} else {
		s.entries = append(s.entries, entry{})
		at = int32(len(s.entries))
	}
	s.entries[at-1] = entry{batch: b}
	s.used++
	if q.tail == 0 {
		q.head = at
	} else {
		s.entries[q.tail-1].next = at
	}
	q.tail = at
}

// pop removes the oldest batch with the control behind it, or a control alone. The queue must not be empty.
func (s *slab) pop(q *queue) (element.Any, element.Control) {
	at := q.head
	e := &s.entries[at-1]
	b, c, empty := e.take()
	if empty {
		q.head = e.next
		if q.head == 0 {
			q.tail = 0
		}
		*e = entry{next: s.free}
		s.free = at
		s.used--
	}
	return b, c
}

// drop empties the queue and returns its batches.
func (s *slab) drop(q *queue) []element.Any {
	var batches []element.Any
	for !q.empty() {
		if b, _ := s.pop(q); b != nil {
			batches = append(batches, b)
		}
	}
	return batches
}

// before yields the batches that the barrier of a checkpoint has not overtaken yet: all of them where it has not come.
func (s *slab) before(q *queue, checkpoint int64, yield func(element.Any)) {
	for at := q.head; at != 0; at = s.entries[at-1].next {
		e := &s.entries[at-1]
		if e.batch != nil {
			yield(e.batch)
		}
		if e.kinds.has(element.Barrier) && e.barrier.ID == checkpoint {
			return
		}
	}
}
