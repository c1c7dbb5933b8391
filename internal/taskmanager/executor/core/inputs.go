// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Input is where one channel of a task comes from.
type Input struct {
	// Attempt produces it, on that of its out edges, in the subpartition of this task.
	Attempt            int64
	Edge, Subpartition int
	Address            string
}

// Inputs lists the channels of a task in the order of the vertex's in edges and, within an edge, of its producers. The
// message has the producers of each edge; which of them feed the task, the graph says.
func Inputs(d *weirpb.DeployTasks, v *graph.JobVertex, subtask int) ([]Input, error) {
	var inputs []Input
	for i, edge := range v.In {
		at := slices.IndexFunc(d.GetEdges(), func(e *weirpb.EdgeProducers) bool {
			return int(e.GetVertex()) == v.Index && int(e.GetInput()) == i
		})
		if at < 0 {
			return nil, fmt.Errorf("the message has no producers of input %d of vertex %d", i, v.Index)
		}
		ranges := d.GetEdges()[at].GetProducers()
		for _, p := range edge.Producers(subtask) {
			n, found := slices.BinarySearchFunc(ranges, p, func(r *weirpb.ProducerRange, p int) int {
				if int(r.GetFirst()+r.GetCount()) <= p {
					return -1
				}
				return max(0, cmp.Compare(int(r.GetFirst()), p))
			})
			if !found || int(ranges[n].GetAddress()) >= len(d.GetAddresses()) || ranges[n].GetAddress() < 0 {
				return nil, fmt.Errorf("the message has no producer %d of input %d of vertex %d", p, i, v.Index)
			}
			inputs = append(inputs, Input{
				Attempt: ranges[n].GetFirstAttempt() + int64(p) - int64(ranges[n].GetFirst()),
				Edge:    edge.OutIndex, Subpartition: edge.Channel(subtask), Address: d.GetAddresses()[ranges[n].GetAddress()],
			})
		}
	}
	return inputs, nil
}
