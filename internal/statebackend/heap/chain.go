// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import "slices"

const (
	// deltasMax is the most increments on one full checkpoint.
	deltasMax = 10
	// undecidedMax is the most checkpoints that may be neither completed nor aborted; of more, the oldest is taken for
	// aborted.
	undecidedMax = 4
)

// chain knows which checkpoints an increment builds on, and what has been written since.
type chain struct {
	// clean is the epoch up to which rows are as the last completed checkpoint has them: those of a later one are dirty.
	clean uint64
	// completed is what a restore of the last completed checkpoint reads; empty if the next one must be full.
	completed lineage
	// undecided are checkpoints that may complete still, oldest first.
	undecided []undecided
}

// lineage is a full checkpoint and the increments on it, oldest first.
type lineage struct {
	ids                   []int64
	fullBytes, deltaBytes int64
}

type undecided struct {
	id int64
	// bound is the last epoch that belongs to the checkpoint.
	bound uint64
	// lineage is complete once the snapshot is written.
	lineage lineage
}

// tellsDeletes reports whether there is, or may be, a checkpoint to which an increment has to tell what was deleted.
func (c *chain) tellsDeletes() bool { return len(c.completed.ids) > 0 || len(c.undecided) > 0 }

// wantsFull reports whether the increments outweigh what a full checkpoint saves.
func (c *chain) wantsFull() bool {
	l := c.completed
	return len(l.ids) == 0 || len(l.ids) > deltasMax || 2*l.deltaBytes > l.fullBytes
}

// begin adds a checkpoint whose last epoch is bound.
func (c *chain) begin(id int64, bound uint64) {
	if len(c.undecided) == undecidedMax {
		c.undecided = slices.Delete(c.undecided, 0, 1)
	}
	c.undecided = append(c.undecided, undecided{id: id, bound: bound})
}

// written tells what a checkpoint consists of.
func (c *chain) written(id int64, base lineage, bytes int64) {
	i := slices.IndexFunc(c.undecided, func(u undecided) bool { return u.id == id })
	if i < 0 {
		return
	}
	l := lineage{ids: append(slices.Clone(base.ids), id), fullBytes: base.fullBytes, deltaBytes: base.deltaBytes + bytes}
	if len(base.ids) == 0 {
		l.fullBytes, l.deltaBytes = bytes, 0
	}
	c.undecided[i].lineage = l
}

// complete makes a checkpoint the one that increments build on. Those before it can't be that any more.
func (c *chain) complete(id int64) {
	i := slices.IndexFunc(c.undecided, func(u undecided) bool { return u.id == id })
	if i < 0 || len(c.undecided[i].lineage.ids) == 0 {
		return
	}
	c.clean, c.completed = c.undecided[i].bound, c.undecided[i].lineage
	c.undecided = slices.Delete(c.undecided, 0, i+1)
}

func (c *chain) abort(id int64) {
	c.undecided = slices.DeleteFunc(c.undecided, func(u undecided) bool { return u.id == id })
}

// forget makes the next checkpoint full, and later ones build on none that exists.
func (c *chain) forget() { c.completed, c.undecided = lineage{}, nil }

// renumber returns the function that maps epochs to the least numbers that keep apart what must be kept apart, and
// applies it to the chain itself. cur is the epoch that follows.
func (c *chain) renumber() (mapped func(epoch uint64) uint64, cur uint64) {
	bounds := []uint64{c.clean}
	for i := range c.undecided {
		bounds = append(bounds, c.undecided[i].bound)
		c.undecided[i].bound = uint64(i + 1)
	}
	c.clean = 0
	return func(epoch uint64) uint64 {
		i, _ := slices.BinarySearch(bounds, epoch)
		return uint64(i)
	}, uint64(len(bounds))
}
