// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

// SubtaskID is one subtask of a job: the index of its vertex, and its own.
type SubtaskID struct{ Vertex, Subtask int }

// Regions are the pipelined regions: sets of subtasks connected by channels, which fail and restart together. They come
// in the order of their first subtask, and so do the subtasks in each.
func Regions(g *JobGraph) [][]SubtaskID {
	offset := make([]int, len(g.Vertices)+1)
	for i, v := range g.Vertices {
		offset[i+1] = offset[i] + v.Parallelism
	}
	sets := newUnionFind(offset[len(g.Vertices)])
	for _, e := range g.Edges {
		from, to := offset[e.From.Index], offset[e.To.Index]
		if e.forward() {
			for i := range e.To.Parallelism {
				sets.join(from+i, to+i)
			}
			continue
		}
		for i := range e.From.Parallelism {
			sets.join(from, from+i)
		}
		for i := range e.To.Parallelism {
			sets.join(from, to+i)
		}
	}
	place := map[int]int{}
	var regions [][]SubtaskID
	for _, v := range g.Vertices {
		for i := range v.Parallelism {
			root := sets.find(offset[v.Index] + i)
			at, ok := place[root]
			if !ok {
				at = len(regions)
				place[root] = at
				regions = append(regions, nil)
			}
			regions[at] = append(regions[at], SubtaskID{v.Index, i})
		}
	}
	return regions
}

// unionFind keeps disjoint sets of integers; the least of a set is its root.
type unionFind []int

func newUnionFind(n int) unionFind {
	u := make(unionFind, n)
	for i := range u {
		u[i] = i
	}
	return u
}

func (u unionFind) find(i int) int {
	for u[i] != i {
		u[i] = u[u[i]]
		i = u[i]
	}
	return i
}

func (u unionFind) join(i, j int) {
	i, j = u.find(i), u.find(j)
	u[max(i, j)] = min(i, j)
}
