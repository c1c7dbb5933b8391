// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Object is a file open for reading. storage.Object is one.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Share says which part of an operator's state a subtask takes.
type Share struct{ Subtask, Parallelism, MaxParallelism int }

// Reader gives one subtask its share of the state of an operator, as statebackend.Reader asks. It belongs to one
// goroutine. It opens files while it yields blocks, and keeps none open.
type Reader struct {
	op     *checkpoint.Operator
	share  Share
	groups statebackend.KeyGroupRange
	open   func(path string) (Object, error)
	// indexes of the files read so far, by path and checksum.
	indexes map[indexKey]*index
}

type indexKey struct {
	path     string
	checksum uint32
}

var _ statebackend.Reader = (*Reader)(nil)

// NewReader makes a reader of an operator's state. It fails where the key groups of the state don't fit the share.
func NewReader(op *checkpoint.Operator, s Share, open func(path string) (Object, error)) (*Reader, error) {
	r := &Reader{
		op: op, share: s, open: open, indexes: map[indexKey]*index{},
		groups: statebackend.KeyGroupsOf(s.MaxParallelism, s.Parallelism, s.Subtask),
	}
	if r.keyed() {
		if err := statebackend.CheckRescale(op.MaxParallelism, s.MaxParallelism, s.Parallelism); err != nil {
			return nil, fmt.Errorf("restore %s: %w", op.ID, err)
		}
	}
	return r, nil
}

// keyed reports whether any state has rows by key group.
func (r *Reader) keyed() bool {
	for i := range r.op.Subtasks {
		for _, s := range r.op.Subtasks[i].State.States {
			if s.Kind == statebackend.Keyed {
				return true
			}
		}
	}
	return false
}

// state returns a state of an old subtask, nil if it has none of the name.
func (r *Reader) state(subtask int, name string) *checkpoint.State {
	states := r.op.Subtasks[subtask].State.States
	for i := range states {
		if states[i].Name == name {
			return &states[i]
		}
	}
	return nil
}

// Schema implements statebackend.Reader.
func (r *Reader) Schema(name string) []byte {
	for i := range r.op.Subtasks {
		if s := r.state(i, name); s != nil {
			return s.Schema
		}
	}
	return nil
}

// kind is that of the rows of a state, 0 if it has none.
func (r *Reader) kind(name string) statebackend.Kind {
	for i := range r.op.Subtasks {
		if s := r.state(i, name); s != nil && s.Kind != 0 {
			return s.Kind
		}
	}
	return 0
}

// Blocks implements statebackend.Reader.
func (r *Reader) Blocks(name string) iter.Seq2[statebackend.Block, error] {
	return func(yield func(statebackend.Block, error) bool) {
		first, last := r.sources(name)
		for old := first; old <= last; old++ {
			if s := r.state(old, name); s != nil && !r.blocks(old, s, yield) {
				return
			}
		}
	}
}

// sources are the old subtasks first..last that have something of a state for the share.
func (r *Reader) sources(name string) (first, last int) {
	all := len(r.op.Subtasks) - 1
	switch r.kind(name) {
	case statebackend.Keyed:
		return statebackend.Overlap(r.groups, r.op.MaxParallelism, r.op.Parallelism)
	case statebackend.List:
		first, last, _, _ = r.listSources(name)
		return first, last
	default:
		return 0, all
	}
}

// listSources are the old subtasks that hold rows from..to of a list, counted from the first row of the first of them.
func (r *Reader) listSources(name string) (first, last, from, to int) {
	counts := make([]int, len(r.op.Subtasks))
	for i := range counts {
		if s := r.state(i, name); s != nil {
			counts[i] = int(s.Rows)
		}
	}
	from, to = statebackend.ListShareOf(counts, r.share.Parallelism, r.share.Subtask)
	start := 0
	for first < len(counts) && start+counts[first] <= from {
		start += counts[first]
		first++
	}
	end := start
	for last = first - 1; last+1 < len(counts) && end < to; {
		last++
		end += counts[last]
	}
	return first, last, from - start, to - start
}

// ListShare implements statebackend.Reader: Blocks yields the blocks of those old subtasks only that hold some of the
// share.
func (r *Reader) ListShare(name string) (from, to int, err error) {
	_, _, from, to = r.listSources(name)
	return from, to, nil
}

// blocks yields what an old subtask has of a state, segment by segment. It reports whether to go on.
func (r *Reader) blocks(old int, s *checkpoint.State, yield func(statebackend.Block, error) bool) bool {
	h := &r.op.Subtasks[old].State
	// An old subtask may have stored key groups that were another's by then.
	owned := statebackend.KeyGroupsOf(r.op.MaxParallelism, r.op.Parallelism, old)
	wants := func(k *indexBlock) bool {
		group := int(k.keyGroup)
		return group == statebackend.NoKeyGroup || owned.Contains(group) && r.groups.Contains(group)
	}
	for _, i := range s.Segments {
		goOn, err := r.segment(&h.Segments[i], s.Name, wants, yield)
		if err != nil {
			yield(statebackend.Block{}, fmt.Errorf("state %s of %s, subtask %d: %w", s.Name, r.op.ID, old, err))
			return false
		}
		if !goOn {
			return false
		}
	}
	return true
}

func (r *Reader) segment(seg *checkpoint.Segment, state string, wants func(*indexBlock) bool, yield func(statebackend.Block, error) bool) (goOn bool, err error) {
	name := seg.Path
	var f Object = inlineObject{bytes.NewReader(seg.Inline)}
	if name != "" {
		if f, err = r.open(name); err != nil {
			return false, err
		}
	} else {
		name = fmt.Sprintf("inline state of checkpoint %d", seg.Checkpoint)
	}
	defer func() {
		if cerr := f.Close(); cerr != nil || err != nil {
			err = fmt.Errorf("%s: %w", name, errors.Join(err, cerr))
		}
	}()
	x, err := r.index(f, seg)
	if err != nil {
		return false, err
	}
	s := x.find(r.op.ID, state)
	if s == nil {
		return false, fmt.Errorf("%w: it holds nothing of the state", checkpoint.ErrCorrupt)
	}
	b := blockReader{r: f, end: dataEnd(x)}
	defer b.close()
	for i := range s.blocks {
		k := &s.blocks[i]
		if !wants(k) {
			continue
		}
		h, data, err := b.read(k)
		if err != nil {
			return false, err
		}
		if !yield(statebackend.Block{State: state, Kind: h.kind, KeyGroup: int(h.keyGroup), Rows: int(h.rows), Data: data}, nil) {
			return false, nil
		}
	}
	return true, nil
}

func (r *Reader) index(f Object, seg *checkpoint.Segment) (*index, error) {
	key := indexKey{seg.Path, seg.Checksum}
	if x := r.indexes[key]; x != nil && seg.Path != "" {
		return x, nil
	}
	x, err := readIndex(f, f.Size(), seg)
	if err == nil {
		r.indexes[key] = x
	}
	return x, err
}

type inlineObject struct{ *bytes.Reader }

func (inlineObject) Close() error { return nil }
