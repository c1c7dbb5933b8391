// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import "math"

// touch adds records to accumulators whose sessions they touch. Those that go on in both directions grow; what touches two
// of them makes the receiver merge them.
//
// An accumulator from start on goes before the watermark start-1: no session that ends by an earlier one touches it.
func (c *Combiner[K, T, A]) touch(rows []T, times []int64, hashes []uint64) error {
	gap, watermark, sets, tags, shift, key, add := c.gap, c.watermark, c.sets, c.tags, c.shift, c.key, c.add
	times, hashes = times[:len(rows)], hashes[:len(rows)]
	for i := range rows {
		if c.gapOf != nil {
			gap = int64(c.gapOf(&rows[i]))
		}
		t, h := times[i], hashes[i]
		if t <= watermark+1 || gap <= 0 || t > math.MaxInt64-gap {
			if err := c.alone(&rows[i], t, gap, h); err != nil {
				return err
			}
			continue
		}
		k := key(&rows[i])
		set, way := h>>shift, 0
		if tags[set][1] == h {
			way = 1
		}
		p := &sets[set][way]
		if !p.touches(&k, t, gap) {
			if p = &sets[set][1-way]; !p.touches(&k, t, gap) {
				var err error
				if p, err = c.place(h); err != nil {
					return err
				}
				p.at, p.row.Key, p.row.Span = t, k, gap
			}
		}
		end := max(p.at+p.row.Span, t+gap)
		p.at = min(p.at, t)
		p.row.Span = end - p.at
		p.due = p.at - 1
		c.due = min(c.due, p.due)
		p.row.Records++
		add(&p.row.Acc, &rows[i])
	}
	return nil
}

// touches reports whether an accumulator is of a key, and of sessions that [t, t+gap) touches.
func (p *held[K, A]) touches(k *K, t, gap int64) bool {
	return t <= p.at+p.row.Span && t+gap >= p.at && p.row.Key == *k
}
