// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
)

// process is a JobMaster that runs one file operation at a time, when it is told to: between two it may sleep for as
// long as it takes others to come and go.
type process struct {
	next func() (struct{}, bool)
	stop func()
	done bool
}

// newProcess makes work a coroutine that yields before each operation on its view of d.
func newProcess(d *faultfs.Disk, work func(*faultfs.FS)) *process {
	p := &process{}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		view := d.View()
		view.Before = func(faultfs.Op) error {
			if !yield(struct{}{}) {
				return context.Canceled
			}
			return nil
		}
		work(view)
	})
	return p
}

// step runs one operation.
func (p *process) step() {
	if _, more := p.next(); !more {
		p.done = true
	}
}

// history is what JobMasters were told, in the order in which they were told.
type history struct {
	won     map[int64]int64   // checkpoint -> epoch that was told it won
	ids     map[int64]int64   // first id of a block -> epoch
	found   map[int64][]int64 // epoch -> complete checkpoints at its take-over
	below   int64             // highest decided-below that was made durable
	deleted map[int64]bool
	errs    []error
}

func newHistory() *history {
	return &history{won: map[int64]int64{}, ids: map[int64]int64{}, found: map[int64][]int64{}, deleted: map[int64]bool{}}
}

// reign takes over, takes checkpoints and deletes old ones until it is deposed or has done its share.
func (h *history) reign(ctx context.Context, view *faultfs.FS) {
	fail := func(err error) {
		if !errors.Is(err, storage.ErrDeposed) && !errors.Is(err, context.Canceled) {
			h.errs = append(h.errs, err)
		}
	}
	r, err := store(view).Run(ctx, "job")
	if err != nil {
		fail(err)
		return
	}
	l, err := r.Acquire(ctx, "x")
	if err != nil {
		fail(err)
		return
	}
	to, err := l.TakeOver(ctx)
	if err != nil {
		fail(err)
		return
	}
	h.found[l.Epoch()] = to.Complete
	h.below = max(h.below, to.IDs.First)
	block, complete := to.IDs, to.Complete
	for range 2 {
		if e, taken := h.ids[block.First]; taken {
			h.errs = append(h.errs, fmt.Errorf("block %d belongs to epochs %d and %d", block.First, e, l.Epoch()))
		}
		h.ids[block.First] = l.Epoch()
		for id := block.First; id < block.First+2; id++ {
			if complete, err = h.checkpoint(ctx, l, id, complete); err != nil {
				fail(err)
				return
			}
		}
		if block, err = l.ReserveIDs(ctx); err != nil {
			fail(err)
			return
		}
	}
}

func (h *history) checkpoint(ctx context.Context, l *storage.Leader, id int64, complete []int64) ([]int64, error) {
	if _, err := l.WriteMetadata(ctx, metadata(l, id, checkpoint.Periodic)); err != nil {
		return nil, err
	}
	won, _, err := l.Claim(ctx, id, storage.Complete, checkpoint.Periodic)
	if err != nil {
		return nil, err
	}
	if !won {
		return nil, fmt.Errorf("%w: claim of %d lost", storage.ErrDeposed, id)
	}
	if e, taken := h.won[id]; taken {
		h.errs = append(h.errs, fmt.Errorf("checkpoint %d was won by epochs %d and %d", id, e, l.Epoch()))
	}
	h.won[id] = l.Epoch()
	complete = append(slices.Clone(complete), id)
	if len(complete) > 1 {
		d := storage.Deletion{Below: id + 1, Complete: complete[len(complete)-1:], IDs: complete[:len(complete)-1]}
		if err := l.Delete(ctx, d); err != nil {
			return nil, err
		}
		h.below = max(h.below, d.Below)
		for _, old := range d.IDs {
			h.deleted[old] = true
		}
		complete = d.Complete
	}
	return complete, nil
}

// check compares what was said with what a last leader finds.
func (h *history) check(t *testing.T, d *faultfs.Disk, when string) {
	t.Helper()
	if below := decidedBelow(t, d); below < h.below {
		t.Errorf("%s: decided-below went from %d to %d", when, h.below, below)
	}
	r, err := store(d.View()).Run(t.Context(), "job")
	must(t, err)
	l, to := lead(t, r, "last")
	for _, err := range h.errs {
		t.Errorf("%s: %v", when, err)
	}
	if e, taken := h.ids[to.IDs.First]; taken {
		t.Errorf("%s: block %d of epoch %d was handed out again", when, to.IDs.First, e)
	}
	h.found[l.Epoch()] = to.Complete
	for id, epoch := range h.won {
		// Who was told that it won may have committed: each later leader must know, unless it was superseded since.
		for later, found := range h.found {
			newest := int64(0)
			if len(found) > 0 {
				newest = found[len(found)-1]
			}
			if later > epoch && newest < id {
				t.Errorf("%s: epoch %d won checkpoint %d, epoch %d found only %v", when, epoch, id, later, found)
			}
		}
	}
	rec, err := r.Latest(t.Context(), verify)
	must(t, err)
	if n := len(to.Complete); n > 0 && (rec.Metadata == nil || rec.Metadata.ID != to.Complete[n-1]) {
		t.Errorf("%s: take-over found %v, recovery %+v", when, to.Complete, rec.Metadata)
	}
}

// decidedBelow reads the newest record of the log as it is stored.
func decidedBelow(t *testing.T, d *faultfs.Disk) int64 {
	t.Helper()
	tree := d.Tree()
	newest := ""
	for name := range tree {
		if strings.Contains(name, "/decided/0") {
			newest = max(newest, name)
		}
	}
	if newest == "" {
		return 0
	}
	var rec struct{ Below int64 }
	_, body, _ := strings.Cut(tree[newest], "{")
	must(t, json.Unmarshal([]byte("{"+body), &rec))
	return rec.Below
}

// TestSleepersAtEveryOperation stops a JobMaster before each of its operations, lets two others take over in turn and
// work, and wakes it.
func TestSleepersAtEveryOperation(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		d := faultfs.New()
		newRun(t, store(d.View()), "job")
		h := newHistory()
		sleeper := newProcess(d, func(v *faultfs.FS) { h.reign(t.Context(), v) })
		for range at {
			sleeper.step()
		}
		slept := !sleeper.done
		for range 2 {
			h.reign(t.Context(), d.View())
		}
		for !sleeper.done {
			sleeper.step()
		}
		sleeper.stop()
		h.check(t, d, fmt.Sprintf("asleep at operation %d", at))
		if !slept || t.Failed() {
			break
		}
	}
}

// TestRandomInterleavings lets several JobMasters run operation by operation in random order. The seed repeats all.
func TestRandomInterleavings(t *testing.T) {
	t.Parallel()
	seeds := uint64(120)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := faultfs.New()
		newRun(t, store(d.View()), "job")
		h := newHistory()
		var ps []*process
		for range 2 + rng.IntN(3) {
			ps = append(ps, newProcess(d, func(v *faultfs.FS) { h.reign(t.Context(), v) }))
		}
		// Whoever runs goes on for a while, so that each gets somewhere before it is put to sleep.
		for len(ps) > 0 {
			i := rng.IntN(len(ps))
			for n := rng.IntN(60); n >= 0 && !ps[i].done; n-- {
				ps[i].step()
			}
			if ps[i].done {
				ps[i].stop()
				ps = slices.Delete(ps, i, i+1)
			}
		}
		h.check(t, d, fmt.Sprintf("seed %d", seed))
		if t.Failed() {
			return
		}
	}
}
