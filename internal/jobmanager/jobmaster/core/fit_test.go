// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/statebackend"
)

func schemaOf[T any](t *testing.T) []byte {
	t.Helper()
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c.Schema().Marshal()
}

func TestCheckFit(t *testing.T) {
	type total struct{ Sum int64 }
	type wider struct{ Sum, Count int64 }
	type other struct{ Sum string }
	stored := func(uid string, groups int, kind statebackend.Kind, name string, schema []byte) checkpoint.Operator {
		return checkpoint.Operator{
			ID: checkpoint.OperatorID(graph.OperatorIDOf(uid)), UID: uid, Name: uid, Parallelism: 1, MaxParallelism: groups,
			Subtasks: []checkpoint.Subtask{{State: checkpoint.StateHandle{
				Segments: []checkpoint.Segment{{Inline: []byte{1}}},
				States:   []checkpoint.State{{Name: name, Kind: kind, Schema: schema}},
			}}},
		}
	}
	declared := schemaOf[total](t)
	sg := &graph.StreamGraph{Nodes: []*graph.StreamNode{{
		ID: 0, UID: "sum", Name: "sum", MaxParallelism: 128,
		States: []statebackend.Spec{{Name: "rows", Kind: statebackend.Keyed, Schema: declared}},
	}}}
	g, err := graph.Build(sg, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	enumerator := checkpoint.Operator{
		ID: "x", UID: "gone", Parallelism: 1, MaxParallelism: 1, Subtasks: make([]checkpoint.Subtask, 1),
		Enumerator: &checkpoint.Enumerator{},
	}
	stateless := enumerator
	stateless.Enumerator = nil
	tests := []struct {
		name  string
		op    checkpoint.Operator
		left  string
		broke string
	}{
		{"the same", stored("sum", 128, statebackend.Keyed, "rows", declared), "", ""},
		{"a field more", stored("sum", 128, statebackend.Keyed, "rows", schemaOf[wider](t)), "", ""},
		{"another type", stored("sum", 128, statebackend.Keyed, "rows", schemaOf[other](t)), "", `uid "sum", state "rows"`},
		{"another kind", stored("sum", 128, statebackend.List, "rows", declared), "", "dealt out in another way"},
		{"other key groups", stored("sum", 256, statebackend.Keyed, "rows", declared), "", "max parallelism 256, the job 128"},
		{"no such state", stored("sum", 128, statebackend.Keyed, "old", declared), `uid "sum", state "old"`, ""},
		{"no such step", stored("gone", 128, statebackend.Keyed, "rows", declared), `uid "gone"`, ""},
		{"no such source", enumerator, `uid "gone"`, ""},
		{"a step without state", stateless, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			md := &checkpoint.Metadata{Operators: []checkpoint.Operator{tt.op}}
			for _, allow := range []bool{false, true} {
				want := tt.broke
				if !allow && tt.left != "" {
					want = tt.left
				}
				err := CheckFit(g, md, allow)
				switch {
				case want == "" && err == nil:
				case want == "" || err == nil || !strings.Contains(err.Error(), want):
					t.Errorf("allow %v: error %v, want %q", allow, err, want)
				case !errors.As(err, new(*MisfitError)):
					t.Errorf("allow %v: error is a %T", allow, err)
				}
			}
		})
	}
}
