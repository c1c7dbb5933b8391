// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Decision is what a marker says of a checkpoint.
type Decision string

// The two decisions.
const (
	Complete Decision = "COMPLETE"
	Aborted  Decision = "ABORTED"
)

// Marker is the claim of a checkpoint.
type Marker struct {
	ID       int64           `json:"id"`
	Decision Decision        `json:"decision"`
	Epoch    int64           `json:"epoch"`
	Kind     checkpoint.Kind `json:"kind,omitempty"`
}

// String says who decided what.
func (m Marker) String() string {
	return fmt.Sprintf("checkpoint %d %s by epoch %d", m.ID, m.Decision, m.Epoch)
}

// decidedRecord says that all ids below Below are decided, and that of these exactly Complete are complete.
type decidedRecord struct {
	Epoch    int64   `json:"epoch"`
	Below    int64   `json:"below"`
	Complete []int64 `json:"complete"`
}

// counts reports whether a COMPLETE marker of id is believed.
func (d *decidedRecord) counts(id int64) bool {
	return id >= d.Below || slices.Contains(d.Complete, id)
}

func (r *Run) metaName(id int64) string { return r.path("chk/" + number(id) + ".meta") }
func (r *Run) markName(id int64) string { return r.path("chk/" + number(id) + ".mark") }

// MetadataPath is the path by which OpenSnapshot finds a checkpoint of the run.
func (r *Run) MetadataPath(id int64) string {
	return checkpoint.Join(r.objects.Location(), r.metaName(id))
}

// newestDecided returns the newest decided-below record and its number; both zero if there is none.
func (r *Run) newestDecided(ctx context.Context) (d decidedRecord, n int64, err error) {
	for {
		if n, err = r.decided.Newest(ctx); err != nil || n == 0 {
			return d, n, err
		}
		err = r.decided.Read(ctx, n, &d)
		if !errors.Is(err, fs.ErrNotExist) {
			return d, n, err
		}
		// Pruned since it was listed, so a newer one is there.
	}
}

func (r *Run) marker(ctx context.Context, id int64) (m Marker, err error) {
	err = GetRecord(ctx, r.objects, r.markName(id), "mark", &m)
	if err == nil && m.ID != id {
		err = fmt.Errorf("%s: %w: it is the marker of %d", checkpoint.Join(r.objects.Location(), r.markName(id)), checkpoint.ErrCorrupt, m.ID)
	}
	return m, err
}

// WriteMetadata stores the metadata of a checkpoint, which counts for nothing before it is claimed. It returns the size.
func (l *Leader) WriteMetadata(ctx context.Context, m *checkpoint.Metadata) (size int64, err error) {
	if m.Epoch != l.epoch || m.JobID != l.info.JobID {
		return 0, fmt.Errorf("write metadata: checkpoint %d of job %s, epoch %d by the leader of %s, epoch %d", m.ID, m.JobID, m.Epoch, l.info.JobID, l.epoch)
	}
	b, err := m.Encode()
	if err != nil {
		return 0, err
	}
	if err := l.objects.Put(ctx, l.metaName(m.ID), b); err != nil {
		return 0, fmt.Errorf("metadata of checkpoint %d: %w", m.ID, err)
	}
	return int64(len(b)), nil
}

// Claim makes the checkpoint COMPLETE or ABORTED, unless it is decided already. won tells whether the leader's own
// decision holds; if not, by is the marker that does, or the zero Marker where it is gone because all below a later id is
// decided. After an error that isn't ErrDeposed the outcome is not known: Claim has to be called again until it is.
func (l *Leader) Claim(ctx context.Context, id int64, d Decision, kind checkpoint.Kind) (won bool, by Marker, err error) {
	if won, by, err = l.claim(ctx, Marker{ID: id, Decision: d, Epoch: l.epoch, Kind: kind}); err != nil {
		return false, by, fmt.Errorf("claim checkpoint %d as %s: %w", id, d, err)
	}
	return won, by, nil
}

func (l *Leader) claim(ctx context.Context, mine Marker) (won bool, by Marker, err error) {
	if err := l.fence(ctx); err != nil {
		return false, by, err
	}
	created, err := createRecord(ctx, l.objects, l.markName(mine.ID), "mark", mine)
	if err != nil {
		return false, by, err
	}
	if !created {
		by, err = l.marker(ctx, mine.ID)
		if errors.Is(err, fs.ErrNotExist) {
			return false, Marker{}, l.fence(ctx) // removed since, so it was decided below
		}
		return false, by, err
	}
	// The create decides among those who try while the marker is there. It may be there no longer: a later leader that
	// aborted the id and removed its marker made a decided-below record first, so that is read after the create.
	decided, _, err := l.newestDecided(ctx)
	if err != nil {
		return false, by, err
	}
	if mine.ID < decided.Below {
		return false, Marker{}, l.fence(ctx)
	}
	// A later leader that has made its epoch decides for itself what it finds.
	return true, mine, l.fence(ctx)
}
