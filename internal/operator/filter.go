// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"

	"github.com/weir-stream/weir/element"
)

// Filter keeps the records for which keep is true: it compacts a batch in place, or copies what it keeps of a shared one.
func Filter[T any](keep func(in *T) bool) Step {
	return sift(
		func(rows []T, times []int64, _ *Info) (int, error) {
			n := 0
			for i := range rows {
				if !keep(&rows[i]) {
					continue
				}
				if i != n {
					rows[n] = rows[i]
					if times != nil {
						times[n] = times[i]
					}
				}
				n++
			}
			return n, nil
		},
		func(rows []T, pick []int32, _ *Info) ([]int32, error) {
			for i := range rows {
				if keep(&rows[i]) {
					pick = append(pick, int32(i))
				}
			}
			return pick, nil
		})
}

// FilterE is Filter for a function that can fail the task.
func FilterE[T any](keep func(in *T) (bool, error)) Step {
	pick := func(rows []T, pick []int32, info *Info) ([]int32, error) {
		for i := range rows {
			ok, err := keep(&rows[i])
			if err != nil {
				return nil, info.failed(err)
			}
			if ok {
				pick = append(pick, int32(i))
			}
		}
		return pick, nil
	}
	return sift(nil, pick)
}

// sift makes a step that keeps some rows. compact does so in place and returns how many it kept; pick lists them. A step
// with the latter only is sifted by it in place too.
func sift[T any](
	compact func(rows []T, times []int64, info *Info) (int, error),
	pick func(rows []T, pick []int32, info *Info) ([]int32, error),
) Step {
	return stateless(func() Operator { return &sifter[T]{compact: compact, pick: pick} })
}

type sifter[T any] struct {
	base[T]
	compact func(rows []T, times []int64, info *Info) (int, error)
	pick    func(rows []T, pick []int32, info *Info) ([]int32, error)
	picked  []int32
	batch   *element.Batch[T]
	spare   []int64
}

var _ Operator = (*sifter[int])(nil)

// Port is the one input.
func (s *sifter[T]) Port(int) Port { return PortOf[T](s) }

// Open prepares the batch for what must not be changed.
func (s *sifter[T]) Open(ctx context.Context, rt *Runtime) error {
	s.batch = element.NewBatch[T](rowsFor[T](rt))
	return s.base.Open(ctx, rt)
}

// Process handles a batch. A batch of which nothing is left goes no further.
func (s *sifter[T]) Process(b *element.Batch[T]) (err error) {
	defer guard(&s.rt.Info, &err)
	s.received(b.Len())
	if b.Shared() {
		return s.copyPicked(b)
	}
	var n int
	if s.compact != nil {
		n, err = s.compact(b.Rows(), b.Times(), &s.rt.Info)
	} else {
		n, err = s.compactPicked(b)
	}
	if err != nil || n == 0 {
		return err
	}
	b.SetHashes(nil)
	b.Resize(n)
	return s.out.Process(b)
}

func (s *sifter[T]) compactPicked(b *element.Batch[T]) (int, error) {
	picked, err := s.pick(b.Rows(), s.picked[:0], &s.rt.Info)
	if err != nil {
		return 0, err
	}
	s.picked = picked
	rows, times := b.Rows(), b.Times()
	for n, i := range picked {
		rows[n] = rows[i]
		if times != nil {
			times[n] = times[i]
		}
	}
	return len(picked), nil
}

func (s *sifter[T]) copyPicked(b *element.Batch[T]) error {
	picked, err := s.pick(b.Rows(), s.picked[:0], &s.rt.Info)
	if err != nil {
		return err
	}
	if s.picked = picked; len(picked) == 0 {
		return nil
	}
	rows, times := b.Rows(), b.Times()
	out := blank(s.batch, len(picked), &s.spare)
	for n, i := range picked {
		out[n] = rows[i]
	}
	if times != nil {
		column := s.batch.Timed()
		for n, i := range picked {
			column[n] = times[i]
		}
	}
	if err := s.out.Process(s.batch); err != nil {
		return err
	}
	mangle(s.batch)
	return nil
}
