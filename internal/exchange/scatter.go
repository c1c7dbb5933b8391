// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"math/bits"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
)

// router finds the channel of a key group.
type router struct {
	groups int
	// owners has the channel of each key group.
	owners []uint16
	// targets and hashes are columns of the batch that is being scattered.
	targets []uint16
	hashes  []uint64
}

// newRouter lays out the ranges [ceil(i*groups/consumers), ceil((i+1)*groups/consumers)-1] of consumers i.
func newRouter(groups, consumers int) router {
	r := router{groups: groups, owners: make([]uint16, groups)}
	for i := range consumers {
		first := (i*groups + consumers - 1) / consumers
		end := ((i+1)*groups + consumers - 1) / consumers
		for g := first; g < end; g++ {
			r.owners[g] = uint16(i)
		}
	}
	return r
}

// columns returns scratch for n rows.
func (r *router) columns(n int) ([]uint16, []uint64) {
	if n > cap(r.targets) {
		r.targets = make([]uint16, n)
		r.hashes = make([]uint64, n)
	}
	return r.targets[:n], r.hashes[:n]
}

// scatter copies each record into the builder of its channel: first all targets, then all copies, which keeps both loops
// free of calls into the other's memory.
func (w *Writer[T]) scatter(b *element.Batch[T]) error {
	if w.config.Partitioning == Shuffle {
		w.draw(b.Len())
		if b.Times() == nil {
			return w.scatterPlain(b.Rows())
		}
		return w.scatterTimed(b.Rows(), b.Times())
	}
	w.route(b.Rows())
	if b.Times() == nil {
		return w.scatterKeyed(b.Rows())
	}
	return w.scatterAll(b.Rows(), b.Times())
}

// route fills the columns of hashes and targets.
func (w *Writer[T]) route(rows []T) {
	targets, hashes := w.columns(len(rows))
	w.config.Hash(rows, hashes)
	owners, groups := w.owners, w.groups
	for i, h := range hashes {
		group, _ := keys.Group(h, groups)
		targets[i] = owners[group]
	}
}

// draw fills the column of targets with what a generator yields that is the same for each attempt of the subtask.
func (w *Writer[T]) draw(n int) {
	targets, _ := w.columns(n)
	for i := range targets {
		w.drawn++
		t, _ := bits.Mul64(mix(uint64(w.config.Subtask)<<48^w.drawn), uint64(len(w.senders)))
		targets[i] = uint16(t)
	}
}

// mix spreads a counter over all bits.
func mix(x uint64) uint64 {
	x *= 0x9E3779B97F4A7C15
	hi, lo := bits.Mul64(x^x>>32, 0xD6E8FEB86659FD93)
	return hi ^ lo
}

func (w *Writer[T]) scatterAll(rows []T, times []int64) error {
	targets, hashes := w.columns(len(rows))
	builders := w.builders
	for i, t := range targets {
		o := builders[t]
		if o == nil || o.n >= len(o.rows) {
			var err error
			if o, err = w.makeRoom(int(t)); err != nil {
				return err
			}
		}
		j := o.n
		o.rows[j] = rows[i]
		o.times[j] = times[i]
		o.hashes[j] = hashes[i]
		o.n = j + 1
	}
	return nil
}

func (w *Writer[T]) scatterKeyed(rows []T) error {
	targets, hashes := w.columns(len(rows))
	for i, t := range targets {
		o, err := w.room(int(t))
		if err != nil {
			return err
		}
		o.rows[o.n] = rows[i]
		o.hashes[o.n] = hashes[i]
		o.n++
	}
	return nil
}

func (w *Writer[T]) scatterTimed(rows []T, times []int64) error {
	targets, _ := w.columns(len(rows))
	for i, t := range targets {
		o, err := w.room(int(t))
		if err != nil {
			return err
		}
		o.rows[o.n] = rows[i]
		o.times[o.n] = times[i]
		o.n++
	}
	return nil
}

func (w *Writer[T]) scatterPlain(rows []T) error {
	targets, _ := w.columns(len(rows))
	for i, t := range targets {
		o, err := w.room(int(t))
		if err != nil {
			return err
		}
		o.rows[o.n] = rows[i]
		o.n++
	}
	return nil
}
