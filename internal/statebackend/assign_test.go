// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statebackend

import (
	"testing"

	"pgregory.net/rapid"
)

// Every key group has exactly one owner, and Overlap finds exactly the old owners of a range.
func TestKeyGroupsAreDealtOutOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(1, 300).Draw(t, "groups")
		parallelism := rapid.IntRange(1, groups).Draw(t, "parallelism")
		owner := make([]int, groups)
		next := 0
		for i := range parallelism {
			r := KeyGroupsOf(groups, parallelism, i)
			if r.First != next || r.Len() == 0 {
				t.Fatalf("subtask %d has %v, want one from %d on", i, r, next)
			}
			for g := r.First; g <= r.Last; g++ {
				owner[g] = i
			}
			next = r.Last + 1
		}
		if next != groups {
			t.Fatalf("%d of %d groups are dealt out", next, groups)
		}
		first := rapid.IntRange(0, groups-1).Draw(t, "first")
		last := rapid.IntRange(first, groups-1).Draw(t, "last")
		if a, b := Overlap(KeyGroupRange{first, last}, groups, parallelism); a != owner[first] || b != owner[last] {
			t.Fatalf("owners of [%d, %d]: %d..%d, want %d..%d", first, last, a, b, owner[first], owner[last])
		}
	})
	if a, b := Overlap(KeyGroupRange{3, 2}, 8, 4); a <= b {
		t.Fatalf("owners of an empty range: %d..%d", a, b)
	}
}

func TestListShareDealsOutEvenly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 8).Draw(t, "counts")
		parallelism := rapid.IntRange(1, 12).Draw(t, "parallelism")
		total, next := 0, 0
		for _, n := range counts {
			total += n
		}
		for i := range parallelism {
			from, to := ListShareOf(counts, parallelism, i)
			if from != next || to < from {
				t.Fatalf("subtask %d takes [%d, %d), want it from %d on", i, from, to, next)
			}
			next = to
			switch n := to - from; {
			case parallelism == len(counts) && n != counts[i]:
				t.Fatalf("subtask %d takes %d rows, had %d", i, n, counts[i])
			case parallelism != len(counts) && (n < total/parallelism || n > total/parallelism+1):
				t.Fatalf("subtask %d takes %d of %d rows", i, n, total)
			}
		}
		if next != total {
			t.Fatalf("%d of %d rows are dealt out", next, total)
		}
	})
}

func TestCheckRescale(t *testing.T) {
	t.Parallel()
	if err := CheckRescale(128, 128, 128); err != nil {
		t.Error(err)
	}
	if CheckRescale(128, 256, 2) == nil {
		t.Error("another max parallelism passes")
	}
	if CheckRescale(8, 8, 9) == nil {
		t.Error("more subtasks than key groups pass")
	}
}
