// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"math"
	"math/bits"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
)

// router finds the channel of a key group.
type router struct {
	groups int
	// consumers is their number, and inverse 2^64/groups, rounded up.
	consumers, inverse uint64
	// targets and hashes are columns of the batch that is being scattered.
	targets []uint16
	hashes  []uint64
}

// newRouter lays out the ranges [ceil(i*groups/consumers), ceil((i+1)*groups/consumers)-1] of consumers i.
func newRouter(groups, consumers int) router {
	return router{groups: groups, consumers: uint64(consumers), inverse: math.MaxUint64/uint64(groups) + 1}
}

// consumerOf is the channel of a key group, floor(group*consumers/groups): the consumer of whose range the first is at or before
// it, and the next one's is not. The product has 32 bits, for which the upper word of the multiplication by the inverse is
// the quotient exactly. A table would say the same, and take 64 KB a writer of the caches that records need. With one key
// group the inverse is none, but the product is zero then.
func (r *router) consumerOf(group uint64) uint16 {
	quotient, _ := bits.Mul64(group*r.consumers, r.inverse)
	return uint16(quotient)
}

// fill finds the channel of each hash.
func (r *router) fill(targets []uint16, hashes []uint64) {
	targets = targets[:len(hashes)]
	if n := int(r.consumers); r.groups%n == 0 { // all have as many groups, so that a hash falls to who it would to without these
		for i, h := range hashes {
			owner, _ := keys.Group(h, n)
			targets[i] = uint16(owner)
		}
		return
	}
	k := *r
	for i, h := range hashes {
		group, _ := keys.Group(h, k.groups)
		targets[i] = k.consumerOf(uint64(group))
	}
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
	w.fill(targets, hashes)
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
