// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statebackend

import "fmt"

// The rules by which a checkpoint of one parallelism is dealt out to the subtasks of another. They are pure functions
// of numbers that the checkpoint's metadata holds.

// Wants reports whether a block concerns the subtask with that range of key groups.
func Wants(b Block, groups KeyGroupRange) bool {
	switch b.Kind {
	case Keyed, Deleted:
		return groups.Contains(b.KeyGroup)
	default:
		return true
	}
}

// Overlap returns the subtasks first..last of parallelism that own key groups of r: those whose keyed blocks the owner of
// r has to read. first > last if there are none.
func Overlap(r KeyGroupRange, groups, parallelism int) (first, last int) {
	if r.Len() == 0 {
		return 0, -1
	}
	return ownerOf(r.First, groups, parallelism), ownerOf(r.Last, groups, parallelism)
}

// ownerOf is the subtask that owns a key group: the inverse of KeyGroupsOf.
func ownerOf(group, groups, parallelism int) int { return group * parallelism / groups }

// ListShareOf returns the half-open range of rows that a subtask takes of a List state, of which old subtask i stored
// counts[i] rows; rows are numbered in order of old subtask. With unchanged parallelism each keeps its own.
func ListShareOf(counts []int, parallelism, subtask int) (from, to int) {
	total := 0
	for i, n := range counts {
		if i == subtask {
			from = total
		}
		total += n
		if i == subtask {
			to = total
		}
	}
	if len(counts) == parallelism {
		return from, to
	}
	return subtask * total / parallelism, (subtask + 1) * total / parallelism
}

// CheckRescale reports why state of groups key groups can't be restored into a step of newGroups at parallelism.
func CheckRescale(groups, newGroups, parallelism int) error {
	if groups != newGroups {
		return fmt.Errorf("state has max parallelism %d, the step has %d: it is fixed for the life of the state", groups, newGroups)
	}
	if parallelism > groups {
		return fmt.Errorf("parallelism %d is above the max parallelism %d of the state", parallelism, groups)
	}
	return nil
}
