// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
)

// combine lets the producers of a step of windows add records to accumulators of A before they send them, if the step can
// take those.
func combine[K comparable, T, A any](p *place, by any) {
	c, ok := by.(*operator.Combine[K, T, A])
	if !ok || p.step == brokenStep {
		return
	}
	for _, edge := range p.env.graph.Edges {
		if edge.To == p.step && edge.Partitioning == exchange.Hash {
			combineEdge(edge, p.env.graph.Nodes[p.step], c)
		}
	}
}

func combineEdge[K comparable, T, A any](edge *graph.StreamEdge, to *graph.StreamNode, c *operator.Combine[K, T, A]) {
	plain, serde := edge.NewOutput, edge.Serde
	edge.NewOutput = func(cfg graph.OutputConfig) (exchange.Output, operator.Port) {
		out, port := plain(cfg)
		w, ok := out.(*exchange.Writer[T])
		if !ok || cfg.Partitioning != exchange.Hash {
			return out, port
		}
		info := operator.Info{UID: to.UID, Name: to.Name, Subtask: cfg.Subtask}
		combiner := operator.NewCombiner(c, info, w, cfg.RowsMax)
		return combinedOutput{w, combiner.Clear}, operator.PortOf[T](combiner)
	}
	combined := serdes(c.Codec)
	edge.Serde = func(s codec.Strings) exchange.Serde {
		return exchange.Either[T, operator.Combined[K, A]](serde(s), combined(s))
	}
}

// combinedOutput is a writer with a combiner before it, which holds nothing back at a barrier.
type combinedOutput struct {
	exchange.Output
	clear func() error
}

// Barrier sends what is held back first.
func (o combinedOutput) Barrier(b element.CheckpointBarrier) error {
	if err := o.clear(); err != nil {
		return err
	}
	return o.Output.Barrier(b)
}
