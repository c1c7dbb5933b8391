// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"slices"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Retained is a complete checkpoint in the store.
type Retained struct {
	ID int64
	// Files are the paths that it refers to: checkpoint.Metadata.Files.
	Files []string
}

// files counts who refers to each state file of the run, and knows what can go.
type files struct {
	// refs counts retained, dropped and open checkpoints that refer to a path, once for each reference.
	refs map[string]int
	// retained are complete and stay, oldest first.
	retained []Retained
	dropped  []dropped
	// garbage are ids of which something is in the store that nobody needs.
	garbage []int64
	// below is the newest decided-below that was asked for.
	below int64
}

// dropped is complete but superseded. Checkpoints that were open by then may build on it: it goes when they are decided.
type dropped struct {
	Retained
	lastOpen int64
}

func newFiles(retained []Retained) files {
	f := files{refs: map[string]int{}}
	for _, r := range retained {
		r.Files = slices.DeleteFunc(slices.Clone(r.Files), checkpoint.IsAbs)
		for _, p := range r.Files {
			f.refs[p]++
		}
		f.retained = append(f.retained, r)
	}
	return f
}

// release takes references back and returns the paths that nothing refers to any more, in order of paths.
func (f *files) release(paths []string) (gone []string) {
	for _, p := range paths {
		if f.refs[p]--; f.refs[p] <= 0 {
			delete(f.refs, p)
			gone = append(gone, p)
		}
	}
	return gone
}

// drop supersedes all but the newest keep.
func (f *files) drop(keep int, lastOpen int64) {
	for len(f.retained) > keep {
		f.dropped = append(f.dropped, dropped{f.retained[0], lastOpen})
		f.retained = f.retained[1:]
	}
}

// releasable reports whether something dropped can go now that all below an id is decided.
func (f *files) releasable(below int64) bool {
	return slices.ContainsFunc(f.dropped, func(d dropped) bool { return d.lastOpen < below })
}

// delete makes the Delete of all that can go.
func (f *files) delete(below int64) Delete {
	d := Delete{Below: below}
	kept := f.dropped[:0]
	for _, x := range f.dropped {
		if x.lastOpen >= below {
			kept = append(kept, x)
			d.Complete = append(d.Complete, x.ID)
			continue
		}
		d.IDs = append(d.IDs, x.ID)
		d.Files = append(d.Files, f.release(x.Files)...)
	}
	f.dropped = kept
	for _, r := range f.retained {
		if r.ID < below {
			d.Complete = append(d.Complete, r.ID)
		}
	}
	f.garbage = slices.DeleteFunc(f.garbage, func(id int64) bool {
		if id < below {
			d.IDs = append(d.IDs, id)
		}
		return id < below
	})
	slices.Sort(d.IDs)
	slices.Sort(d.Complete)
	d.Files = unique(d.Files)
	f.below = below
	return d
}

// unique sorts paths and leaves each once.
func unique(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

// decidedBelow is the id below which all are decided.
func (c *Coordinator) decidedBelow() int64 {
	if len(c.open) > 0 {
		return c.open[0].id
	}
	return c.ids.next
}

// settle deletes what can go now that a checkpoint has ended.
func (c *Coordinator) settle() {
	if c.files.releasable(c.decidedBelow()) {
		c.delete()
	}
}

func (c *Coordinator) delete() { c.do(c.files.delete(c.decidedBelow())) }
