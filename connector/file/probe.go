// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-stream/weir/connector"
)

// ErrOccupied is wrapped by the refusal of a run whose directory holds what another run wrote. Continue that run, let
// Overwrite delete its results, or choose another directory.
var ErrOccupied = errors.New("output directory holds the results of another run")

// probe makes the directory and claims it for the run by a marker, which only one of several runs can create. Results of
// the run that this one goes on from stay. With overwrite all others are deleted first, the markers last: a crash on the
// way leaves an occupied directory.
func probe(ctx context.Context, d disk, dir string, run connector.NewRun, overwrite bool) error {
	if err := makeDir(d, dir); err != nil {
		return err
	}
	c, err := look(d, dir)
	if err == nil {
		err = c.lookBelow(d, dir, "", 0)
	}
	if err != nil {
		return fmt.Errorf("probe output directory %s: %w", dir, err)
	}
	stay := c.markers[:c.heritage(run)]
	later := c.markers[len(stay):]
	foreign := c.foreign(run.JobID, stay)
	if len(later) > 0 || len(foreign) > 0 {
		if err := c.refusal(run, later, foreign, overwrite); err != nil {
			return fmt.Errorf("%w: %s %w", ErrOccupied, dir, err)
		}
		if err := overwriteAll(ctx, d, dir, later, foreign); err != nil {
			return fmt.Errorf("overwrite %s: %w", dir, err)
		}
	}
	next := 1
	if n := len(stay); n > 0 {
		if stay[n-1].run == run.JobID {
			return nil
		}
		next = stay[n-1].number + 1
	}
	return writeMarker(d, dir, marker{number: next, run: run.JobID})
}

// content is what a directory holds that concerns its runs.
type content struct {
	// markers are those of the runs that the directory has belonged to, in that order; the last is its owner.
	markers []marker
	// parts are files, finished or not, with the names that this package gives.
	parts []found
}

// found is a part; file is its path below the directory.
type found struct {
	part
	file string
}

// depthMax is how many parts the path of a partition has at most.
const depthMax = 16

// lookBelow adds the finished parts of partitions.
func (c *content) lookBelow(d disk, dir, at string, depth int) error {
	entries, err := d.ReadDir(filepath.Join(dir, at))
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := filepath.Join(at, e.Name())
		switch p, ok := parseName(e.Name()); {
		case e.IsDir() && !strings.HasPrefix(e.Name(), ".") && depth < depthMax:
			if err := c.lookBelow(d, dir, file, depth+1); err != nil {
				return err
			}
		case ok && p.committed && at != "" && e.Type().IsRegular():
			c.parts = append(c.parts, found{p, file})
		}
	}
	return nil
}

// look is at the directory itself, which has all but the finished parts of partitions.
func look(d disk, dir string) (c content, err error) {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		if p, ok := parseName(e.Name()); ok && e.Type().IsRegular() {
			c.parts = append(c.parts, found{p, e.Name()})
		}
		m, ok := parseMarker(e.Name())
		if !ok {
			continue
		}
		if m.run, err = readMarker(d, dir, m); errors.Is(err, fs.ErrNotExist) {
			continue // gone since it was listed
		}
		if err != nil {
			return c, err
		}
		c.markers = append(c.markers, m)
	}
	slices.SortFunc(c.markers, func(a, b marker) int { return a.number - b.number })
	return c, nil
}

// heritage is how many of the markers, from the first on, are those of runs whose results a run goes on from: up to its
// own, or else up to that of the run it begins from, if nothing followed there.
func (c *content) heritage(run connector.NewRun) int {
	of := func(id string) int {
		return slices.IndexFunc(c.markers, func(m marker) bool { return m.run == id }) + 1
	}
	if n := of(run.JobID); n > 0 || run.From == "" || !run.Newest {
		return n
	}
	return of(run.From)
}

// foreign lists the parts of other runs than those whose results stay.
func (c *content) foreign(jobID string, stay []marker) []found {
	return slices.DeleteFunc(slices.Clone(c.parts), func(f found) bool {
		return f.job == jobID || slices.ContainsFunc(stay, func(m marker) bool { return m.run == f.job })
	})
}

// refusal says why a run may not have the directory, or is nil.
func (c *content) refusal(run connector.NewRun, later []marker, foreign []found, overwrite bool) error {
	from := func(f found) bool { return f.job == run.From }
	switch {
	case run.From != "" && slices.ContainsFunc(foreign, from):
		// What the run begins from may need some of these files, and the rest of them came later.
		return fmt.Errorf("(%s): run %s has gone on behind what is restored, or may have: begin from its newest checkpoint "+
			"or from a savepoint that stopped it, or write to another directory", describe(later, foreign), run.From)
	case overwrite:
		return nil
	default:
		return fmt.Errorf("(%s): continue that run with --restore latest, replace its results with --overwrite (Overwrite of "+
			"the sink, if the job has no such flag), or write to another directory", describe(later, foreign))
	}
}

func describe(later []marker, foreign []found) string {
	if len(later) == 0 {
		return fmt.Sprintf("%d files, %s for one", len(foreign), foreign[0].file)
	}
	owner := later[len(later)-1]
	if owner.run == "" {
		return "its marker " + owner.file() + " is empty"
	}
	return fmt.Sprintf("run %s, %d files", owner.run, len(foreign))
}

func overwriteAll(ctx context.Context, d disk, dir string, later []marker, foreign []found) error {
	for _, f := range foreign {
		if err := errors.Join(ctx.Err(), d.Remove(filepath.Join(dir, f.file))); err != nil {
			return err
		}
	}
	for _, m := range slices.Backward(later) {
		if err := d.Remove(filepath.Join(dir, m.file())); err != nil {
			return err
		}
	}
	return nil
}

// withdraw gives the directory up again. What overwriting has deleted does not come back.
func withdraw(d disk, dir, jobID string) error {
	c, err := look(d, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if n := len(c.markers); n > 0 && c.markers[n-1].run == jobID {
			err = d.Remove(filepath.Join(dir, c.markers[n-1].file()))
		}
	}
	if err != nil {
		return fmt.Errorf("withdraw from %s: %w", dir, err)
	}
	return nil
}

// probeName is the file by which a process sees whether it can write.
const probeName = ".weir-probe-"

// reach looks for the marker that the run has left in its directory, and writes beside it.
func reach(d disk, dir, jobID, by string) error {
	c, err := look(d, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("output directory %s is not there: %w", dir, err)
	case err != nil:
		return fmt.Errorf("output directory %s can't be read: %w", dir, err)
	case !slices.ContainsFunc(c.markers, func(m marker) bool { return m.run == jobID }):
		return fmt.Errorf("output directory %s is not the JobMaster's: it has no marker of the run of this job", dir)
	}
	name := filepath.Join(dir, probeName+by)
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // its writer died
		return fmt.Errorf("output directory %s: nothing can be removed from it: %w", dir, err)
	}
	f, err := d.Create(name)
	if err != nil {
		return fmt.Errorf("output directory %s can't be written: %w", dir, err)
	}
	_, err = f.Write([]byte(by + "\n"))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("output directory %s can't be written: %w", dir, err)
	}
	if err := d.Remove(name); err != nil {
		return fmt.Errorf("output directory %s: nothing can be removed from it: %w", dir, err)
	}
	return nil
}

// readMarker returns the run that a marker names: none if its writer died.
func readMarker(d disk, dir string, m marker) (run string, err error) {
	text, err := d.ReadFile(filepath.Join(dir, m.file()))
	return strings.TrimSpace(string(text)), err
}

func writeMarker(d disk, dir string, m marker) error {
	f, err := d.Create(filepath.Join(dir, m.file()))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s: another run has just claimed it", ErrOccupied, dir)
	}
	if err != nil {
		return fmt.Errorf("mark output directory %s: %w", dir, err)
	}
	_, err = f.Write([]byte(m.run + "\n"))
	if err := errors.Join(err, f.Sync(), f.Close(), d.SyncDir(dir)); err != nil {
		return fmt.Errorf("mark output directory %s: %w", dir, err)
	}
	return nil
}
