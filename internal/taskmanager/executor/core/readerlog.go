// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"maps"
	"slices"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Limits of the log of one reader: what is older goes first, and then the reader can't outlive its JobMaster.
const (
	assignmentsMax      = 4096
	assignmentsBytesMax = 1 << 20
)

// readerLog keeps what was assigned to a reader since the last completed checkpoint. Only the reader and the enumerator
// know of it until the next one, and the enumerator goes with its JobMaster.
type readerLog struct {
	// assignments have the numbers after+1, after+2, ...
	after       int64
	assignments []*weirpb.AssignSplits
	bytes       int
	// numbers are those in the triggers of checkpoints that are not decided, oldest first.
	numbers []triggered
	waiting bool
	// superseded has, by subtask, the attempts that JobMasters gave up since: one entry a reader.
	superseded map[int32]int64
}

type triggered struct{ checkpoint, number int64 }

func (l *readerLog) assigned(s *weirpb.AssignSplits) {
	l.assignments = append(l.assignments, &weirpb.AssignSplits{
		Number: s.GetNumber(), Splits: s.GetSplits(), NoMoreSplits: s.GetNoMoreSplits(),
	})
	l.bytes += len(s.GetSplits())
	for _, x := range s.GetSuperseded() {
		if l.superseded == nil {
			l.superseded = map[int32]int64{}
		}
		l.superseded[x.GetSubtask()] = max(l.superseded[x.GetSubtask()], x.GetBelow())
	}
	for len(l.assignments) > assignmentsMax || l.bytes > assignmentsBytesMax {
		l.prune(l.after + 1)
	}
}

// triggered notes with which assignment a checkpoint ends.
func (l *readerLog) triggered(checkpoint, number int64) {
	if len(l.numbers) == takenMax {
		l.numbers = slices.Delete(l.numbers, 0, 1)
	}
	l.numbers = append(l.numbers, triggered{checkpoint, number})
}

// completed takes that a checkpoint completed. A reader that took no part in it though it had ended had read all by then.
func (l *readerLog) completed(checkpoint int64, ended bool) {
	at := slices.IndexFunc(l.numbers, func(t triggered) bool { return t.checkpoint == checkpoint })
	l.superseded = nil // no attempt that was given up before can have taken part
	switch {
	case at >= 0:
		l.prune(l.numbers[at].number)
	case ended && (len(l.numbers) == 0 || l.numbers[len(l.numbers)-1].checkpoint < checkpoint):
		l.prune(l.after + int64(len(l.assignments)))
	}
	l.numbers = slices.DeleteFunc(l.numbers, func(t triggered) bool { return t.checkpoint <= checkpoint })
}

// prune drops the assignments up to a number.
func (l *readerLog) prune(upTo int64) {
	for len(l.assignments) > 0 && l.after < upTo {
		l.bytes -= len(l.assignments[0].GetSplits())
		l.assignments[0] = nil
		l.assignments = l.assignments[1:]
		l.after++
	}
}

// from lists the assignments from a number on, if all of them are known.
func (l *readerLog) from(number int64) []*weirpb.AssignSplits {
	if number <= l.after || number > l.after+int64(len(l.assignments)) {
		return nil
	}
	return l.assignments[number-l.after-1:]
}

// report tells a JobMaster that takes over; nil for what is no reader.
func (l *readerLog) report() *weirpb.ReaderLog {
	if l.after == 0 && len(l.assignments) == 0 && !l.waiting {
		return nil
	}
	r := &weirpb.ReaderLog{After: l.after, Assignments: slices.Clone(l.assignments), Waiting: l.waiting}
	for _, k := range slices.Sorted(maps.Keys(l.superseded)) {
		r.Superseded = append(r.Superseded, &weirpb.Superseded{Subtask: k, Below: l.superseded[k]})
	}
	return r
}
