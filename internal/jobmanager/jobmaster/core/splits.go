// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"maps"
	"slices"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// source is the JobMaster's side of one source: the instance of its enumerator and, for each reader, the numbered
// assignments that may have to be said again or given back.
type source struct {
	vertex int
	// instance differs for each enumerator that was started; events of older ones are of the past.
	instance int
	started  bool
	readers  []reader
	// spread sources have readers in several regions, so that some may restart without the others.
	spread bool
	// snapshots are those of checkpoints under way.
	snapshots []enumeratorSnapshot
	// adopted are the logs of readers that live on beside the next enumerator.
	adopted map[int]reader
	// superseded has, by subtask or for all of them, below which attempts readers were given up. They may run on unheard, and
	// their splits go to others, who have to say so to the next JobMaster: it must not adopt both. Attempts that took no part
	// in the newest completed checkpoint are never adopted, so the next one empties it.
	superseded map[int]int64
}

// reader is the log of one reader, from where its current attempt began.
type reader struct {
	// last is the number of the newest assignment, covered that in the last completed checkpoint, both counted from the
	// start of the current attempt. Invariant: covered <= last.
	last, covered int64
	// sent is the number of the newest that was sent.
	sent int64
	// log has the assignments with numbers above pruned, up to last, without gaps.
	log    []assignment
	pruned int64
}

type assignment struct {
	splits []byte
	noMore bool
}

// enumeratorSnapshot is the state of an enumerator in a checkpoint, and what its readers had been assigned by then. Until
// the trigger is on its way, later assignments wait: a reader that applies one can't take its part any more.
type enumeratorSnapshot struct {
	checkpoint int64
	state      []byte
	assigned   []int64
	triggered  bool
}

// assign gives an assignment the next number.
func (r *reader) assign(a assignment) {
	r.last++
	r.log = append(r.log, a)
}

// between calls f for the assignments from a number to another that are still known.
func (r *reader) between(from, to int64, f func(number int64, a assignment)) {
	for n := max(from, r.pruned+1); n <= min(to, r.last); n++ {
		f(n, r.log[n-r.pruned-1])
	}
}

// prune drops the log up to a number.
func (r *reader) prune(upTo int64) {
	if upTo = min(upTo, r.last); upTo > r.pruned {
		r.log = slices.Clone(r.log[upTo-r.pruned:])
		r.pruned = upTo
	}
}

// restart begins the log of a new attempt and returns the splits that its restored state does not hold.
func (r *reader) restart() [][]byte {
	back := r.beyond()
	*r = reader{}
	return back
}

// beyond lists the splits that were assigned beyond the last completed checkpoint.
func (r *reader) beyond() [][]byte {
	var splits [][]byte
	r.between(r.covered+1, r.last, func(_ int64, a assignment) {
		if len(a.splits) > 0 {
			splits = append(splits, a.splits)
		}
	})
	return splits
}

// allReaders stands for every subtask among the superseded.
const allReaders = -1

// supersede notes below which attempts a reader is given up.
func (s *source) supersede(reader int, below int64) {
	if s.superseded == nil {
		s.superseded = map[int]int64{}
	}
	s.superseded[reader] = max(s.superseded[reader], below)
}

func (s *source) supersededReaders() []*weirpb.Superseded {
	var all []*weirpb.Superseded
	for _, k := range slices.Sorted(maps.Keys(s.superseded)) {
		all = append(all, &weirpb.Superseded{Subtask: int32(k), Below: s.superseded[k]})
	}
	return all
}

// applied tells which number the reader reports as its last. A log that may be given back is kept until a checkpoint
// covers it.
func (s *source) applied(reader int, number int64) {
	r := &s.readers[reader]
	if s.spread {
		number = min(number, r.covered)
	}
	r.prune(number)
}

// snapshot notes the state of the enumerator for a checkpoint.
func (s *source) snapshot(checkpoint int64, state []byte) enumeratorSnapshot {
	snap := enumeratorSnapshot{checkpoint: checkpoint, state: state}
	for i := range s.readers {
		snap.assigned = append(snap.assigned, s.readers[i].last)
	}
	s.snapshots = append(s.snapshots, snap)
	return snap
}

// sendable is the number of the last assignment to a reader that may be sent.
func (s *source) sendable(reader int) int64 {
	for _, snap := range s.snapshots { // oldest first
		if !snap.triggered {
			return snap.assigned[reader]
		}
	}
	return s.readers[reader].last
}

// triggered tells that the trigger of a checkpoint is on its way.
func (s *source) triggered(checkpoint int64) {
	for i := range s.snapshots {
		if s.snapshots[i].checkpoint == checkpoint {
			s.snapshots[i].triggered = true
		}
	}
}

// completed tells that a checkpoint completed: what it holds needs not be given back any more.
func (s *source) completed(checkpoint int64) {
	s.superseded = nil
	for _, snap := range s.snapshots {
		if snap.checkpoint != checkpoint {
			continue
		}
		for i, n := range snap.assigned {
			s.readers[i].covered = max(s.readers[i].covered, n)
			if s.spread {
				s.readers[i].prune(n)
			}
		}
	}
	s.forget(checkpoint)
}

// forget drops the snapshot of a checkpoint that is decided.
func (s *source) forget(checkpoint int64) {
	s.snapshots = slices.DeleteFunc(s.snapshots, func(x enumeratorSnapshot) bool { return x.checkpoint == checkpoint })
}

func assignMessage(attempt, number int64, a assignment, superseded []*weirpb.Superseded) *weirpb.Envelope {
	return &weirpb.Envelope{Body: &weirpb.Envelope_AssignSplits{AssignSplits: &weirpb.AssignSplits{
		Attempt: attempt, Number: number, Splits: a.splits, NoMoreSplits: a.noMore, Superseded: superseded,
	}}}
}
