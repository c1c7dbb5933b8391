// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package generator

import (
	"io"
	"slices"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// reader fills batches in a loop; it takes its splits in turn, a batch of each.
type reader[T any] struct {
	rt     connector.RuntimeContext
	fill   func(i int64, out *T)
	pacer  *connector.Pacer
	splits []held
	turn   int
	noMore bool
}

// held is a split with its id, which is made once.
type held struct {
	Split
	id string
}

func (r *reader[T]) Add(splits []Split) error {
	for _, s := range splits {
		r.splits = append(r.splits, held{s, s.SplitID()})
	}
	r.rt.Wake()
	return nil
}

func (r *reader[T]) NoMoreSplits() {
	r.noMore = true
	r.rt.Wake()
}

func (r *reader[T]) Poll(b *element.Batch[T]) (string, error) {
	if len(r.splits) == 0 {
		if r.noMore {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	due := r.pacer.Due()
	if due == 0 {
		return "", connector.ErrWait
	}
	if r.turn >= len(r.splits) {
		r.turn = 0
	}
	s := &r.splits[r.turn]
	left := (s.To-s.Next-1)/s.Step + 1
	if s.Next >= s.To {
		left = 0
	}
	n := int(min(int64(max(1, b.Limit()-b.Len())), int64(due), left))
	r.generate(b, &s.Split, n)
	r.pacer.Took(n)
	if int64(n) < left {
		r.turn++
		return s.id, nil
	}
	id := s.id
	r.splits = slices.Delete(r.splits, r.turn, r.turn+1)
	return id, connector.ErrSplitEnd
}

// generate appends the next n records of s to b.
func (r *reader[T]) generate(b *element.Batch[T], s *Split, n int) {
	from := b.Len()
	b.Resize(from + n)
	if times := b.Times(); times != nil {
		for i := range times[from:] {
			times[from+i] = element.NoTime
		}
	}
	rows, i := b.Rows()[from:], s.Next
	clear(rows)
	for row := range rows {
		r.fill(i, &rows[row])
		i += s.Step
	}
	s.Next = i
}

func (r *reader[T]) Snapshot(int64) ([]Split, error) {
	var splits []Split
	for _, s := range r.splits {
		splits = append(splits, s.Split)
	}
	return splits, nil
}

func (r *reader[T]) Completed(int64) error { return nil }

func (r *reader[T]) Close() error { return nil }
