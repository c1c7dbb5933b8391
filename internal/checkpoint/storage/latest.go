// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Recovered is what a recovery goes on from.
type Recovered struct {
	// Metadata is that of the newest complete checkpoint that can be read, nil if there never was one.
	Metadata *checkpoint.Metadata
	// Skipped says of each newer one what is wrong with it, naming the file.
	Skipped []error
}

// Verify checks one segment of a state file, as statefile.Verify does.
type Verify func(r io.ReaderAt, size int64, s *checkpoint.Segment) error

// Latest lists the store for the newest complete checkpoint whose metadata and state files are whole; with verify nil,
// only the presence and size of state files are looked at. What can't be read now, but isn't known to be corrupt, is an
// error. If there are complete ones but none is usable, the error is
// ErrNoneUsable: starting from nothing instead would be wrong.
func (r *Run) Latest(ctx context.Context, verify Verify) (*Recovered, error) {
	ids, err := r.complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the latest checkpoint of run %s: %w", r.info.JobID, err)
	}
	var rec Recovered
	for _, id := range slices.Backward(ids) {
		m, err := r.usable(ctx, id, verify)
		switch {
		case err != nil && !unusable(err):
			return nil, fmt.Errorf("checkpoint %d of run %s: %w", id, r.info.JobID, err)
		case err != nil:
			rec.Skipped = append(rec.Skipped, fmt.Errorf("checkpoint %d: %w", id, err))
		case m != nil:
			rec.Metadata = m
			return &rec, nil
		}
	}
	if len(rec.Skipped) > 0 {
		return nil, fmt.Errorf("run %s: %w: %w", r.info.JobID, ErrNoneUsable, errors.Join(rec.Skipped...))
	}
	return &rec, nil
}

// unusable tells what is wrong with a checkpoint itself, now and later, from a disk or a network that fails to read it.
// The latter must not lead to an older one: the output of the newer may be committed already.
func unusable(err error) bool {
	return errors.Is(err, checkpoint.ErrCorrupt) || errors.Is(err, checkpoint.ErrVersion) || errors.Is(err, fs.ErrNotExist)
}

// complete lists the ids that have a marker and may be complete, ascending.
func (r *Run) complete(ctx context.Context) ([]int64, error) {
	decided, _, err := r.newestDecided(ctx)
	if err != nil {
		return nil, err
	}
	names, err := r.objects.List(ctx, r.path("chk"))
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, name := range names {
		digits, isMark := strings.CutSuffix(name, ".mark")
		if id, ok := parseNumber(digits); ok && isMark && decided.counts(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// usable returns the metadata of a checkpoint that recovery can use, nil if it is aborted or a savepoint.
func (r *Run) usable(ctx context.Context, id int64, verify Verify) (*checkpoint.Metadata, error) {
	mark, err := r.marker(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // deleted since it was listed
	}
	if err != nil {
		return nil, err
	}
	if mark.Decision != Complete || !mark.Kind.Recoverable() {
		return nil, nil
	}
	m, err := r.Metadata(ctx, id)
	if err != nil {
		return nil, err
	}
	return m, CheckFiles(ctx, m.Rebased(r.Location()), r.Open, verify)
}

// Metadata reads the metadata of a checkpoint; the error names the file.
func (r *Run) Metadata(ctx context.Context, id int64) (*checkpoint.Metadata, error) {
	m, err := readMetadata(ctx, r.objects, r.metaName(id))
	if err == nil && (m.ID != id || m.JobID != r.info.JobID) {
		err = fmt.Errorf("%s: %w: it is checkpoint %d of job %s", checkpoint.Join(r.objects.Location(), r.metaName(id)), checkpoint.ErrCorrupt, m.ID, m.JobID)
	}
	return m, err
}

func readMetadata(ctx context.Context, o Objects, name string) (*checkpoint.Metadata, error) {
	b, err := o.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	m, err := checkpoint.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.Join(o.Location(), name), err)
	}
	return m, nil
}

// CheckFiles looks at each state file that a checkpoint needs: is it there, as long as it was, and, with verify, whole.
func CheckFiles(ctx context.Context, m *checkpoint.Metadata, open func(context.Context, string) (Object, error), verify Verify) error {
	type file struct{ segments []*checkpoint.Segment }
	byPath := map[string]*file{}
	var paths []string
	m.Handles(func(_ *checkpoint.Operator, _ int, h *checkpoint.StateHandle) {
		for i := range h.Segments {
			s := &h.Segments[i]
			if s.Path == "" {
				continue
			}
			f := byPath[s.Path]
			if f == nil {
				f = &file{}
				byPath[s.Path] = f
				paths = append(paths, s.Path)
			}
			f.segments = append(f.segments, s)
		}
	})
	for _, p := range paths {
		if err := checkFile(ctx, p, byPath[p].segments, open, verify); err != nil {
			return err
		}
	}
	return nil
}

func checkFile(ctx context.Context, path string, segments []*checkpoint.Segment, open func(context.Context, string) (Object, error), verify Verify) (err error) {
	o, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	checked := map[uint32]bool{} // operators of one chain share a file and its checksum
	for _, s := range segments {
		if o.Size() != s.Size {
			return fmt.Errorf("%s: %w: %d bytes, want %d", path, checkpoint.ErrCorrupt, o.Size(), s.Size)
		}
		if verify != nil && !checked[s.Checksum] {
			checked[s.Checksum] = true
			if err := verify(o, o.Size(), s); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}
