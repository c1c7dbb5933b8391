// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Takeover is what a new leader finds.
type Takeover struct {
	// IDs is the leader's first block; all ids before it are decided.
	IDs Block
	// Complete are the checkpoints that recovery can use, ascending.
	Complete []int64
	// Aborted counts the checkpoints that were open.
	Aborted int
}

// TakeOver closes what earlier leaders left open, and sweeps what they left behind. It is to be called once, before
// anything else; after an error it may be called again.
func (l *Leader) TakeOver(ctx context.Context) (*Takeover, error) {
	t, err := l.takeOver(ctx)
	if err != nil {
		return nil, fmt.Errorf("take over run %s with epoch %d: %w", l.info.JobID, l.epoch, err)
	}
	return t, nil
}

func (l *Leader) takeOver(ctx context.Context) (*Takeover, error) {
	// In each log the order is: look for the newest record, check the epoch, make the next. A later leader makes its epoch
	// before its first record, so whoever still passes the check has not seen a record of one, and its own is refused.
	//
	// First the log of ids is closed to earlier leaders: what they reserved is below this block.
	var t Takeover
	for won := false; !won; {
		n, err := l.ids.Newest(ctx)
		if err == nil {
			err = l.fence(ctx)
		}
		if err == nil {
			won, err = l.ids.Append(ctx, n+1, idsRecord{l.epoch})
		}
		if err != nil {
			return nil, err
		}
		t.IDs = blockOf(n + 1)
	}
	for won := false; !won; {
		decided, n, err := l.newestDecided(ctx)
		if err == nil {
			err = l.fence(ctx)
		}
		if err != nil {
			return nil, err
		}
		t.Complete, err = l.decideBelow(ctx, decided, &t)
		if err == nil {
			won, err = l.decided.Append(ctx, n+1, decidedRecord{l.epoch, t.IDs.First, t.Complete})
		}
		// Not won, or a marker that vanished: an earlier leader was deleting just now. Look again.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if won {
			err = l.decided.Prune(ctx, n+1)
		}
		if won && err != nil {
			return nil, err
		}
	}
	return &t, l.sweep(ctx, t.IDs.First, t.Complete)
}

// decideBelow makes an ABORTED marker for each open id below the leader's first, and returns those that are complete.
func (l *Leader) decideBelow(ctx context.Context, decided decidedRecord, t *Takeover) (complete []int64, err error) {
	for id := max(decided.Below, 1); id < t.IDs.First; id++ {
		m, err := l.marker(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			m = Marker{ID: id, Decision: Aborted, Epoch: l.epoch}
			created, cerr := createRecord(ctx, l.objects, l.markName(id), "mark", m)
			if err = cerr; err == nil && !created {
				m, err = l.marker(ctx, id)
			} else if created {
				t.Aborted++
			}
		}
		switch {
		case errors.Is(err, checkpoint.ErrCorrupt):
			complete = append(complete, id) // it may have been: it stays, for Latest to report
		case err != nil:
			return nil, err
		case m.Decision == Complete && m.Kind.Recoverable():
			complete = append(complete, id)
		}
	}
	// What the record already lists counts only as long as its marker is there.
	for _, id := range slices.Backward(decided.Complete) {
		_, err := l.objects.Get(ctx, l.markName(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if id < decided.Below {
			complete = slices.Insert(complete, 0, id)
		}
	}
	return complete, nil
}

// sweep removes the garbage below an id that all below is decided of: what isn't complete has neither marker nor
// metadata nor state. If the metadata of a complete one can't be read, state files stay: it may need them.
func (l *Leader) sweep(ctx context.Context, below int64, complete []int64) error {
	for _, dir := range []string{"epoch", "ids", "chk", "decided"} {
		if err := SweepTemporary(ctx, l.objects, l.path(dir)); err != nil {
			return err
		}
	}
	names, err := l.objects.List(ctx, l.path("chk"))
	if err != nil {
		return err
	}
	var garbage []string
	for _, name := range names {
		digits, _, _ := strings.Cut(name, ".")
		if id, ok := parseNumber(digits); ok && id < below && !slices.Contains(complete, id) {
			garbage = append(garbage, l.path("chk/"+name))
		}
	}
	states, err := l.garbageState(ctx, below, complete)
	if err != nil {
		return err
	}
	if err := l.ids.Prune(ctx, (below-1)/IDBlock); err != nil {
		return err
	}
	return l.objects.Remove(ctx, append(garbage, states...)...)
}

func (l *Leader) garbageState(ctx context.Context, below int64, complete []int64) ([]string, error) {
	needed := map[string]bool{}
	for _, id := range complete {
		m, err := l.Metadata(ctx, id)
		if errors.Is(err, checkpoint.ErrCorrupt) || errors.Is(err, checkpoint.ErrVersion) || errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, f := range m.Files() {
			needed[f] = true
		}
	}
	names, err := l.objects.List(ctx, l.path("state"))
	if err != nil {
		return nil, err
	}
	var garbage []string
	for _, name := range names {
		digits, _, _ := strings.Cut(name, "-")
		if id, ok := parseNumber(digits); ok && id < below && !needed["state/"+name] {
			garbage = append(garbage, l.path("state/"+name))
		}
	}
	return garbage, nil
}
