// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// ErrOccupied is wrapped by the refusal of a run whose directory holds what another run wrote. Continue that run, let
// Overwrite delete its results, or choose another directory.
var ErrOccupied = errors.New("output directory holds the results of another run")

// probe makes the directory and claims it for the run by the marker, which only one of several runs can create. With
// overwrite it deletes first what other runs left, the marker last: a crash on the way leaves an occupied directory.
func probe(ctx context.Context, d disk, dir, jobID string, overwrite bool) error {
	if err := makeDir(d, dir); err != nil {
		return err
	}
	owner, marked, err := readMarker(d, dir)
	if err != nil {
		return err
	}
	foreign, err := foreignParts(d, dir, jobID)
	if err != nil {
		return err
	}
	occupied := marked && owner != jobID
	if occupied || len(foreign) > 0 {
		if !overwrite {
			return fmt.Errorf("%w: %s (%s): continue that run with --restore latest, or replace its results with --overwrite",
				ErrOccupied, dir, describe(owner, occupied, foreign))
		}
		for _, f := range foreign {
			if err := errors.Join(ctx.Err(), d.Remove(filepath.Join(dir, f))); err != nil {
				return fmt.Errorf("overwrite %s: %w", dir, err)
			}
		}
	}
	if occupied {
		if err := d.Remove(filepath.Join(dir, markerName)); err != nil {
			return fmt.Errorf("overwrite %s: %w", dir, err)
		}
		marked = false
	}
	if marked {
		return nil
	}
	return writeMarker(d, dir, jobID)
}

// withdraw gives the directory up again. What overwriting has deleted does not come back.
func withdraw(d disk, dir, jobID string) error {
	owner, marked, err := readMarker(d, dir)
	if err != nil || !marked || owner != jobID {
		return err
	}
	if err := d.Remove(filepath.Join(dir, markerName)); err != nil {
		return fmt.Errorf("withdraw from %s: %w", dir, err)
	}
	return nil
}

func describe(owner string, marked bool, foreign []string) string {
	switch {
	case !marked:
		return fmt.Sprintf("%d files, %s for one", len(foreign), foreign[0])
	case owner == "":
		return "its marker " + markerName + " is empty"
	default:
		return fmt.Sprintf("run %s, %d files", owner, len(foreign))
	}
}

// readMarker returns the run that a directory belongs to. The marker is empty if its writer died.
func readMarker(d disk, dir string) (owner string, ok bool, err error) {
	text, err := d.ReadFile(filepath.Join(dir, markerName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("probe output directory %s: %w", dir, err)
	}
	return strings.TrimSpace(string(text)), true, nil
}

func writeMarker(d disk, dir, jobID string) error {
	f, err := d.Create(filepath.Join(dir, markerName))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s: another run has just claimed it", ErrOccupied, dir)
	}
	if err != nil {
		return fmt.Errorf("mark output directory %s: %w", dir, err)
	}
	_, err = f.Write([]byte(jobID + "\n"))
	if err := errors.Join(err, f.Sync(), f.Close(), d.SyncDir(dir)); err != nil {
		return fmt.Errorf("mark output directory %s: %w", dir, err)
	}
	return nil
}

// foreignParts lists files, finished or not, that other runs wrote.
func foreignParts(d disk, dir, jobID string) ([]string, error) {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("probe output directory %s: %w", dir, err)
	}
	var files []string
	for _, e := range entries {
		if p, ok := parseName(e.Name()); ok && p.job != jobID && e.Type().IsRegular() {
			files = append(files, e.Name())
		}
	}
	return files, nil
}
