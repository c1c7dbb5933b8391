// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
	"github.com/weir-stream/weir/window"
)

// score is of a player, with the number of the game.
type score struct {
	Player string
	Points int
	Game   int
}

func (s *score) player() string { return s.Player }

// highest comes first.
func highest(a, b *score) int { return cmp.Compare(b.Points, a.Points) }

type place struct {
	Rank  int
	Score score
}

// scores are many of a few players, with points that are often equal.
func scores(seed uint64, n int) []score {
	r := rand.New(rand.NewPCG(seed, 1))
	all := make([]score, n)
	for i := range all {
		all[i] = score{fmt.Sprint("player-", r.IntN(4)), r.IntN(20), i}
	}
	return all
}

// push feeds a step in pieces, restarting it between them, and returns all that it emitted.
func push[U any](t *testing.T, in []score, build func(stream.Stream[score]) stream.Stream[U]) (out []U) {
	t.Helper()
	h := streamtest.New(t, build)
	for n := 0; len(in) > 0; n++ {
		size := min(len(in), 1+7*n)
		h.Push(time.Time{}, in[:size]...)
		in = in[size:]
		out = append(out, h.Take()...)
		h.Restart(1 + n%3)
	}
	h.End()
	return append(out, h.Take()...)
}

// byPlayer has the scores of each, in their order.
func byPlayer(in []score) map[string][]score {
	by := map[string][]score{}
	for _, s := range in {
		by[s.Player] = append(by[s.Player], s)
	}
	return by
}

// TestTopN applies the upserts and compares the view with a sort of everything, for several n.
func TestTopN(t *testing.T) {
	for _, n := range []int{1, 3, 1000} {
		in := scores(uint64(n), 200)
		view := map[string]map[int]score{}
		for _, p := range push(t, in, func(s stream.Stream[score]) stream.Stream[place] {
			return s.KeyBy((*score).player).TopN("top", n, highest, func(rank int, in *score, out *place) {
				*out = place{rank, *in}
			})
		}) {
			if view[p.Score.Player] == nil {
				view[p.Score.Player] = map[int]score{}
			}
			view[p.Score.Player][p.Rank] = p.Score
		}
		want := map[string]map[int]score{}
		for player, all := range byPlayer(in) {
			slices.SortStableFunc(all, func(a, b score) int { return highest(&a, &b) })
			want[player] = map[int]score{}
			for i, s := range all[:min(n, len(all))] {
				want[player][i+1] = s
			}
		}
		if !maps.EqualFunc(view, want, maps.Equal) {
			t.Errorf("top %d: %v, want %v", n, view, want)
		}
	}
}

// TestTopNEmitsWhatChanges counts the upserts of single records.
func TestTopNEmitsWhatChanges(t *testing.T) {
	h := streamtest.New(t, func(s stream.Stream[score]) stream.Stream[string] {
		return s.KeyBy((*score).player).TopN("top", 2, highest, func(rank int, in *score, out *string) {
			*out = fmt.Sprintf("%d: %d of game %d", rank, in.Points, in.Game)
		})
	})
	for _, step := range []struct {
		in   score
		want []string
	}{
		{score{"a", 5, 1}, []string{"1: 5 of game 1"}},
		{score{"a", 7, 2}, []string{"1: 7 of game 2", "2: 5 of game 1"}},
		{score{"a", 5, 3}, nil}, // an equal one that comes later
		{score{"a", 6, 4}, []string{"2: 6 of game 4"}},
		{score{"b", 1, 5}, []string{"1: 1 of game 5"}},
	} {
		h.Push(time.Time{}, step.in)
		if got := h.Take(); !slices.Equal(got, step.want) {
			t.Errorf("%v: %q, want %q", step.in, got, step.want)
		}
	}
}

func TestDeduplicate(t *testing.T) {
	in := scores(1, 100)
	got := push(t, in, func(s stream.Stream[score]) stream.Stream[score] {
		return s.KeyBy((*score).player).Deduplicate("first")
	})
	var want []score
	for _, all := range byPlayer(in) {
		want = append(want, all[0])
	}
	sameScores(t, got, want)
}

// TestLatestBy has every record out that is not behind one before it.
func TestLatestBy(t *testing.T) {
	in := scores(2, 100)
	got := push(t, in, func(s stream.Stream[score]) stream.Stream[score] {
		return s.KeyBy((*score).player).LatestBy("latest", func(s *score) int { return s.Points })
	})
	var want []score
	for _, all := range byPlayer(in) {
		most := -1
		for _, s := range all {
			if s.Points >= most {
				most = s.Points
				want = append(want, s)
			}
		}
	}
	sameScores(t, got, want)
}

func sameScores(t *testing.T, got, want []score) {
	t.Helper()
	byGame := func(a, b score) int { return cmp.Compare(a.Game, b.Game) }
	slices.SortFunc(got, byGame)
	slices.SortFunc(want, byGame)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCountDistinct follows exact counts over restarts.
func TestCountDistinct(t *testing.T) {
	in := scores(3, 150)
	counts := push(t, in, func(s stream.Stream[score]) stream.Stream[int64] {
		return s.KeyBy(func(*score) stream.None { return stream.None{} }).
			Aggregate("points", aggregate.CountDistinct(func(s *score) int { return s.Points }))
	})
	seen := map[int]bool{}
	for i, s := range in {
		if seen[s.Points] = true; counts[i] != int64(len(seen)) {
			t.Fatalf("after %d scores: %d, want %d", i+1, counts[i], len(seen))
		}
	}
}

// TestCountDistinctInWindows merges the sets of slices, which stay as they are.
func TestCountDistinctInWindows(t *testing.T) {
	h := streamtest.New(t, func(s stream.Stream[score]) stream.Stream[int64] {
		return s.KeyBy(func(*score) stream.None { return stream.None{} }).
			Window(window.Sliding(3*time.Second, time.Second)).
			Aggregate("points", aggregate.CountDistinct(func(s *score) int { return s.Points }))
	})
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	for second, points := range [][]int{{1, 2}, {2, 3}, {}, {1}, {4, 4, 1}} {
		for _, p := range points {
			h.Push(at(second), score{Points: p})
		}
	}
	h.End()
	// The windows end at seconds 1 to 7.
	if got, want := h.Take(), []int64{2, 3, 3, 3, 2, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
