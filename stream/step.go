// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
)

// add appends a step; a step with a uid is named after it.
func (e *Env) add(n *graph.StreamNode) int {
	n.ID = len(e.graph.Nodes)
	if n.Name == "" {
		n.Name = n.Verb
		if n.UID != "" {
			n.Name = n.UID
		}
	}
	e.graph.Nodes = append(e.graph.Nodes, n)
	return n.ID
}

// connect leads streams of T into an input of a step.
func connect[T any](e *Env, from []origin, c *codec.Codec[T], to, input int) {
	for _, o := range from {
		link(e, o, to, input, o.partitioning, nil, c)
	}
}

// connectKeyed leads streams of T, partitioned by key, into an input of a step.
func connectKeyed[K comparable, T any](e *Env, from []origin, c *codec.Codec[T], key func(*T) K, to, input int) {
	hash, err := keys.ColumnHasherFor(key)
	if err != nil {
		e.fail("KeyBy before step %q: %w", e.graph.Nodes[to].Name, err)
		return
	}
	for _, o := range from {
		link(e, o, to, input, exchange.Hash, hash, c)
	}
}

// records returns the codec of the records of s; nil, with the error noted for the step that emits them, where they
// have none, and where s itself is broken.
func (s Stream[T]) records() *codec.Codec[T] {
	if len(s.origins) == 0 {
		return nil
	}
	c, err := codec.For[T]()
	if t := reflect.TypeFor[T](); !storable(s.place, t, err) {
		return nil
	}
	return c
}

// storable reports whether records of t can be sent and stored, err being what the codec says of them.
func storable(p *place, t reflect.Type, err error) bool {
	step := p.env.graph.Nodes[p.origins[0].node]
	switch k := t.Kind(); {
	case k == reflect.Pointer || k == reflect.Interface:
		p.env.fail("step %q emits %s: records are values, so emit what it points to, or a struct with the choice in a field",
			step.Name, t)
		return false
	case err != nil:
		p.env.fail("step %q emits %s, which can't be encoded: %w", step.Name, t, err)
		return false
	}
	return true
}

func link[T any](e *Env, o origin, to, input int, p exchange.Partitioning, hash func(rows []T, hashes []uint64), c *codec.Codec[T]) {
	e.graph.Edges = append(e.graph.Edges, &graph.StreamEdge{
		From: o.node, To: to, Tag: o.tag, Input: input, Partitioning: p,
		NewOutput: func(cfg graph.OutputConfig) (exchange.Output, operator.Port) {
			wc := exchange.WriterConfig[T]{
				Senders: cfg.Senders, Subtask: cfg.Subtask, KeyGroups: cfg.KeyGroups, RowsMax: cfg.RowsMax,
				Partitioning: cfg.Partitioning, Hash: hash, Before: cfg.Before, Loan: cfg.Loan,
			}
			w := exchange.NewWriter(wc)
			return w, operator.PortOf[T](w)
		},
		Serde: serdes(c),
	})
}

// serdes makes the serdes of an edge: one of each kind, as its pool serves all channels.
func serdes[T any](c *codec.Codec[T]) func(codec.Strings) exchange.Serde {
	owned := sync.OnceValue(func() exchange.Serde { return exchange.SerdeOf(c, codec.Owned) })
	borrowed := sync.OnceValue(func() exchange.Serde { return exchange.SerdeOf(c, codec.Borrowed) })
	return func(s codec.Strings) exchange.Serde {
		if s == codec.Borrowed {
			return borrowed()
		}
		return owned()
	}
}

// unary adds a step with one input that reads s.
func unary[T, U any](s Stream[T], n *graph.StreamNode) Stream[U] {
	c := s.records()
	if c == nil {
		return broken[U](s.env)
	}
	n.Inputs = 1
	n.RecordType = typeName[U]()
	id := s.env.add(n)
	connect(s.env, s.origins, c, id, 0)
	return stepStream[U](s.env, id)
}

// broken is the stream of a step that could not be made; what is wrong has been noted, and nothing more is said of what
// is built on it.
func broken[U any](e *Env) Stream[U] { return Stream[U]{place: &place{env: e, step: brokenStep}} }

// stepStream is the main output of a step.
func stepStream[U any](e *Env, id int) Stream[U] {
	return Stream[U]{place: &place{env: e, step: id, origins: []origin{{node: id}}}}
}

// describe names a verb and uid in messages.
func describe(verb string, uid UID) string { return fmt.Sprintf("%s %q", verb, string(uid)) }
