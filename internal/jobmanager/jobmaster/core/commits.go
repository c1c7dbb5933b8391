// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
)

// commitRun is the commit of one checkpoint, by all sinks at once. The coordinator asks for one at a time, and again for
// one that failed.
type commitRun struct {
	id   int64
	left int // sinks that have not answered
	err  error
	// permanent tells that one of the errors can never be mended.
	permanent bool
}

// beginCommit hands the committables of a checkpoint to the committers of their sinks.
func (m *Master) beginCommit(a coordinator.Commit) {
	run := &commitRun{id: a.ID}
	m.checks.commit = run
	for _, n := range m.config.Graph.Stream.Nodes {
		if n.Sink == nil {
			continue
		}
		op := a.Metadata.Operator(operatorID(n))
		if op == nil {
			continue
		}
		if prepared := committables(op); len(prepared) > 0 {
			run.left++
			m.do(Commit{Sink: n.OperatorID, Checkpoint: a.ID, Prepared: prepared})
		}
	}
	if run.left == 0 {
		m.committed(run)
	}
}

// committables are those of a sink, one element for each subtask that has some.
func committables(op *checkpoint.Operator) [][]byte {
	var prepared [][]byte
	for i := range op.Subtasks {
		if c := op.Subtasks[i].Committables; len(c) > 0 {
			prepared = append(prepared, c)
		}
	}
	return prepared
}

// Committed answers Commit.
func (m *Master) Committed(c Commit, err error, permanent bool, now time.Time) {
	run := m.checks.commit
	if run == nil || run.id != c.Checkpoint || m.status.Ended() {
		return
	}
	if err != nil {
		run.err = fmt.Errorf("commit of %s: %w", m.sinkName(c.Sink), err)
		run.permanent = run.permanent || permanent
	}
	run.left--
	if run.left == 0 {
		m.committed(run)
	}
	m.advance(now)
}

// committed tells the coordinator how a commit ended.
func (m *Master) committed(run *commitRun) {
	m.checks.commit = nil
	if run.err != nil {
		m.tell(coordinator.CommitFailed{ID: run.id, Err: run.err, Permanent: run.permanent})
		return
	}
	m.tell(coordinator.Committed{ID: run.id})
}

func (m *Master) sinkName(operator string) string {
	for _, n := range m.config.Graph.Stream.Nodes {
		if n.OperatorID == operator {
			return n.UID
		}
	}
	return operator
}
