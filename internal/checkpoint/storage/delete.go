// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Deletion says what is no longer needed.
type Deletion struct {
	// Below: all ids below it are decided. It never goes down.
	Below int64
	// Complete are the checkpoints below Below that stay, ascending.
	Complete []int64
	// IDs are checkpoints to be removed, below Below and not in Complete.
	IDs []int64
	// Files are paths of state files that nothing that stays refers to. Absolute ones are another's and are refused.
	Files []string
}

// Delete makes the deletion durable in the decided-below log, then removes. After an error it may be repeated; what was
// left is also swept by the next leader.
func (l *Leader) Delete(ctx context.Context, d Deletion) error {
	if err := l.delete(ctx, d); err != nil {
		return fmt.Errorf("delete checkpoints %v: %w", d.IDs, err)
	}
	return nil
}

func (l *Leader) delete(ctx context.Context, d Deletion) error {
	names := make([]string, 0, 2*len(d.IDs)+len(d.Files))
	for _, id := range d.IDs {
		if id >= d.Below {
			return fmt.Errorf("checkpoint %d is not below %d", id, d.Below)
		}
		names = append(names, l.markName(id), l.metaName(id))
	}
	for _, f := range d.Files {
		if checkpoint.IsAbs(f) {
			return fmt.Errorf("file %s belongs to another", f)
		}
		names = append(names, l.path(f))
	}
	// The order list, fence, append: a later leader makes its epoch before it makes a record here.
	old, n, err := l.newestDecided(ctx)
	if err == nil {
		err = l.fence(ctx)
	}
	if err != nil {
		return err
	}
	if d.Below < old.Below {
		return fmt.Errorf("decided below %d already, not %d", old.Below, d.Below)
	}
	won, err := l.decided.Append(ctx, n+1, decidedRecord{l.epoch, d.Below, d.Complete})
	if err == nil && !won {
		err = fmt.Errorf("%w: record %d is another's", ErrDeposed, n+1)
	}
	if err != nil {
		return err
	}
	if err := l.decided.Prune(ctx, n+1); err != nil {
		return err
	}
	if err := l.ids.Prune(ctx, (d.Below-1)/IDBlock); err != nil {
		return err
	}
	return l.objects.Remove(ctx, names...)
}

// RemoveFiles removes state files that no complete checkpoint ever referred to: those of an aborted one.
func (l *Leader) RemoveFiles(ctx context.Context, paths []string) error {
	names := make([]string, len(paths))
	for i, p := range paths {
		if checkpoint.IsAbs(p) {
			return fmt.Errorf("file %s belongs to another", p)
		}
		names[i] = l.path(p)
	}
	if err := l.fence(ctx); err != nil {
		return err
	}
	return l.objects.Remove(ctx, names...)
}
