// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"slices"

	"github.com/weir-stream/weir/connector"
)

// ledger is what a source knows of its splits, for an enumerator that is restored beside it: the checkpoint that the
// enumerator comes from may be older than what the reader has done since.
type ledger[S connector.Split] struct {
	// held are unfinished splits by id, as they were assigned; order is that of assignment.
	held  map[string]S
	order []string
	// finished splits stay until a completed checkpoint no longer holds them.
	finished []finishedSplit[S]
}

type finishedSplit[S connector.Split] struct {
	split S
	// checkpoint is the first without the split; zero until there was one.
	checkpoint int64
}

func (l *ledger[S]) add(s S) error {
	id := s.SplitID()
	if _, ok := l.held[id]; ok {
		return fmt.Errorf("split %q was assigned twice", id)
	}
	l.held[id] = s
	l.order = append(l.order, id)
	return nil
}

func (l *ledger[S]) finish(id string) error {
	s, ok := l.held[id]
	if !ok {
		return fmt.Errorf("end of split %q, which the reader does not hold", id)
	}
	delete(l.held, id)
	l.order = slices.DeleteFunc(l.order, func(o string) bool { return o == id })
	l.finished = append(l.finished, finishedSplit[S]{split: s})
	return nil
}

// finishAll finishes what is held still.
func (l *ledger[S]) finishAll() {
	for _, id := range l.order {
		l.finished = append(l.finished, finishedSplit[S]{split: l.held[id]})
	}
	clear(l.held)
	l.order = nil
}

// barrier tells that a checkpoint without the finished splits has begun.
func (l *ledger[S]) barrier(checkpoint int64) {
	for i := range l.finished {
		if f := &l.finished[i]; f.checkpoint == 0 {
			f.checkpoint = checkpoint
		}
	}
}

// completed forgets the splits that finished before that checkpoint.
func (l *ledger[S]) completed(checkpoint int64) {
	l.finished = slices.DeleteFunc(l.finished, func(f finishedSplit[S]) bool {
		return f.checkpoint != 0 && f.checkpoint <= checkpoint
	})
}

// list returns finished splits, then those held.
func (l *ledger[S]) list() []S {
	all := make([]S, 0, len(l.finished)+len(l.held))
	for _, f := range l.finished {
		all = append(all, f.split)
	}
	for _, id := range l.order {
		all = append(all, l.held[id])
	}
	return all
}
