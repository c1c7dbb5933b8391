// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
)

// IDBlock is how many checkpoint ids are reserved at once.
const IDBlock = 16

// epochRecord is made once. Nobody asks whether its holder lives: whoever makes the next one has deposed it.
type epochRecord struct {
	Epoch  int64  `json:"epoch"`
	Holder string `json:"holder"`
}

// EpochInfo is the newest epoch record of a run.
type EpochInfo struct {
	Epoch  int64
	Holder string
}

// Epoch returns the newest epoch record, the zero EpochInfo if there is none.
func (r *Run) Epoch(ctx context.Context) (EpochInfo, error) {
	n, err := r.epochs.Newest(ctx)
	if err != nil || n == 0 {
		return EpochInfo{}, err
	}
	var rec epochRecord
	if err := r.epochs.Read(ctx, n, &rec); err != nil {
		return EpochInfo{}, err
	}
	return EpochInfo{Epoch: n, Holder: rec.Holder}, nil
}

// Acquire makes the caller the JobMaster of the run: it gets the next epoch, and whoever had one is deposed. holder
// says who it is, for people. Call TakeOver next.
func (r *Run) Acquire(ctx context.Context, holder string) (*Leader, error) {
	for {
		n, err := r.epochs.Newest(ctx)
		if err != nil {
			return nil, fmt.Errorf("acquire epoch: %w", err)
		}
		n++
		b, err := encodeRecord(r.epochs.kind, epochRecord{Epoch: n, Holder: holder})
		if err != nil {
			return nil, err
		}
		// Not createRecord: a record with the same bytes may be that of another with the same holder text.
		created, err := r.objects.Create(ctx, r.epochs.name(n), b)
		if err != nil {
			return nil, fmt.Errorf("acquire epoch %d: %w", n, err)
		}
		if created {
			return &Leader{Run: r, epoch: n}, nil
		}
	}
}

// Leader is a run with an epoch. Every method that writes returns an error that wraps ErrDeposed once a higher epoch
// exists; what it wrote then counts for nothing, unless the later Leader found it when it took over.
type Leader struct {
	*Run
	epoch int64
}

// Epoch is the leader's own.
func (l *Leader) Epoch() int64 { return l.epoch }

// Check tells whether the leader still leads. It is to be called again and again. It writes nothing and waits for no
// disk, so it costs little and says so on a full one too.
func (l *Leader) Check(ctx context.Context) error { return l.fence(ctx) }

// fence returns an error unless the leader's epoch is the highest. What it sees need not be durable: its own record is, and
// whoever sees a later one only goes.
func (l *Leader) fence(ctx context.Context) error {
	e, err := l.epochs.Look(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("check epoch %d: %w", l.epoch, err)
	case e > l.epoch:
		return fmt.Errorf("epoch %d: %w: epoch %d exists", l.epoch, ErrDeposed, e)
	case e < l.epoch:
		return fmt.Errorf("epoch %d: its record is gone from %s: was the directory removed?", l.epoch, l.Location())
	}
	return nil
}

// Block is a range of reserved checkpoint ids: First and the Count-1 after it.
type Block struct {
	First int64
	Count int
}

type idsRecord struct {
	Epoch int64 `json:"epoch"`
}

// ReserveIDs makes the next block of ids the leader's, for good: ids are never handed out again, used or not.
func (l *Leader) ReserveIDs(ctx context.Context) (Block, error) {
	n, err := l.ids.Newest(ctx)
	if err == nil {
		err = l.fence(ctx)
	}
	won := false
	if err == nil {
		won, err = l.ids.Append(ctx, n+1, idsRecord{l.epoch})
	}
	if err == nil && !won {
		// Only a later leader makes records beside this one, and it does so before anything else.
		err = fmt.Errorf("%w: block %d of ids is another's", ErrDeposed, n+1)
	}
	if err != nil {
		return Block{}, fmt.Errorf("reserve checkpoint ids: %w", err)
	}
	return blockOf(n + 1), nil
}

func blockOf(n int64) Block { return Block{First: (n-1)*IDBlock + 1, Count: IDBlock} }

// WriteResult stores how the job ended; it can be said once.
func (l *Leader) WriteResult(ctx context.Context, res Result) error {
	if err := l.fence(ctx); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	res.Epoch = l.epoch
	created, err := createRecord(ctx, l.objects, l.path("result"), "result", res)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if !created {
		return fmt.Errorf("write result: the job %s has ended before", l.info.JobID)
	}
	return nil
}
