// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/graph"
)

// committers makes the committer of each sink when it is needed first, and keeps it. One Commit of a sink is under way
// at a time, each on a goroutine of the JobMaster; different sinks commit at once.
type committers struct {
	nodes map[string]*graph.StreamNode // sinks by operator id
	made  map[string]*committer
}

// committer is used by one goroutine at a time.
type committer struct {
	node *graph.StreamNode
	made graph.Committer
}

func newCommitters(job *graph.JobGraph) *committers {
	c := &committers{nodes: map[string]*graph.StreamNode{}, made: map[string]*committer{}}
	for _, n := range job.Stream.Nodes {
		if n.Sink != nil {
			c.nodes[n.OperatorID] = n
		}
	}
	return c
}

// of returns the committer of a sink; to be called by the JobMaster's goroutine.
func (c *committers) of(operator string) *committer {
	k := c.made[operator]
	if k == nil {
		k = &committer{node: c.nodes[operator]}
		c.made[operator] = k
	}
	return k
}

// commit blocks until the committer has returned.
func (k *committer) commit(ctx context.Context, prepared [][]byte) error {
	return guarded(func() error {
		if k.made == nil {
			var err error
			if k.made, err = k.node.Sink.NewCommitter(ctx); err != nil {
				return fmt.Errorf("make committer: %w", err)
			}
			if k.made == nil {
				return fmt.Errorf("%w: the sink prepared commits but has no committer", connector.ErrPermanent)
			}
		}
		return k.made.Commit(ctx, prepared)
	})
}

// close closes all committers; none must be in use.
func (c *committers) close() error {
	var err error
	for _, k := range c.made {
		if k.made != nil {
			err = errors.Join(err, guarded(k.made.Close))
		}
	}
	return err
}
