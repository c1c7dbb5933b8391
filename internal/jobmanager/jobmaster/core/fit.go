// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/statebackend"
)

// MisfitError says that a checkpoint and a job don't fit together.
type MisfitError struct {
	// Left are pieces of state that the job has no place for; they may be dropped on request.
	Left []string
	// Broken are pieces that the job has a place for, but can't read.
	Broken []string
}

// Error lists all that does not fit.
func (e *MisfitError) Error() string {
	var b strings.Builder
	b.WriteString("the state does not fit the job:")
	for _, s := range e.Broken {
		b.WriteString("\n  " + s)
	}
	for _, s := range e.Left {
		b.WriteString("\n  " + s)
	}
	if len(e.Left) > 0 {
		b.WriteString("\nstate that has no place any more is dropped with --allow-non-restored-state")
	}
	return b.String()
}

// CheckFit compares a checkpoint with the job that is to start from it: operators by their ids, states by their names,
// kinds and schemas. The error is a MisfitError. With allowLeft, state that has no place in the job is no error.
func CheckFit(job *graph.JobGraph, md *checkpoint.Metadata, allowLeft bool) error {
	type place struct {
		node   *graph.StreamNode
		vertex *graph.JobVertex
	}
	places := map[checkpoint.OperatorID]place{}
	for _, v := range job.Vertices {
		for _, n := range v.Nodes {
			places[operatorID(n)] = place{n, v}
		}
	}
	e := &MisfitError{}
	for i := range md.Operators {
		op := &md.Operators[i]
		p, ok := places[op.ID]
		if !ok {
			if holdsState(op) {
				e.Left = append(e.Left, operatorName(op)+": the job has no such step")
			}
			continue
		}
		if op.MaxParallelism != p.vertex.MaxParallelism && hasKeyed(op) {
			e.Broken = append(e.Broken, fmt.Sprintf(
				"%s: the state has max parallelism %d, the job %d: it is fixed for the life of the state",
				operatorName(op), op.MaxParallelism, p.vertex.MaxParallelism))
		}
		e.checkStates(op, p.node)
	}
	if allowLeft {
		e.Left = nil
	}
	if len(e.Left)+len(e.Broken) == 0 {
		return nil
	}
	return e
}

func operatorName(op *checkpoint.Operator) string {
	if op.UID != "" {
		return fmt.Sprintf("uid %q", op.UID)
	}
	return fmt.Sprintf("step %q (id %s)", op.Name, op.ID)
}

func holdsState(op *checkpoint.Operator) bool {
	if op.Enumerator != nil {
		return true
	}
	for i := range op.Subtasks {
		if s := &op.Subtasks[i]; len(s.State.Segments) > 0 || len(s.Committables) > 0 {
			return true
		}
	}
	return false
}

func hasKeyed(op *checkpoint.Operator) bool {
	for i := range op.Subtasks {
		for _, s := range op.Subtasks[i].State.States {
			if s.Kind == statebackend.Keyed {
				return true
			}
		}
	}
	return false
}

// checkStates compares the pieces of state of an operator, each once though every subtask has it.
func (e *MisfitError) checkStates(op *checkpoint.Operator, n *graph.StreamNode) {
	seen := map[string]bool{}
	for i := range op.Subtasks {
		for _, stored := range op.Subtasks[i].State.States {
			key := stored.Name + "\x00" + string(stored.Schema)
			if seen[key] || stored.Kind == 0 {
				continue
			}
			seen[key] = true
			what := fmt.Sprintf("%s, state %q", operatorName(op), stored.Name)
			spec := specOf(n, stored.Name)
			switch {
			case spec == nil:
				e.Left = append(e.Left, what+": the step has no such state")
			case spec.Kind != stored.Kind:
				e.Broken = append(e.Broken, what+": it is dealt out in another way than the step declares")
			default:
				if err := canRead(spec.Schema, stored.Schema); err != nil {
					e.Broken = append(e.Broken, fmt.Sprintf("%s: %v", what, err))
				}
			}
		}
	}
}

func specOf(n *graph.StreamNode, name string) *statebackend.Spec {
	for i := range n.States {
		if n.States[i].Name == name {
			return &n.States[i]
		}
	}
	return nil
}

func canRead(declared, stored []byte) error {
	if string(declared) == string(stored) {
		return nil
	}
	d, err := codec.UnmarshalSchema(declared)
	if err != nil {
		return fmt.Errorf("declared schema: %w", err)
	}
	s, err := codec.UnmarshalSchema(stored)
	if err != nil {
		return fmt.Errorf("stored schema: %w", err)
	}
	return d.CanRead(s)
}
