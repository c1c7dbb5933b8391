// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"reflect"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
)

// Stream is a stream of records of T, a small value to copy and pass. T is a value type (no pointer, no interface).
type Stream[T any] struct {
	*place
	_ [0]func(T)
}

// place is where a stream comes from, whatever its records are. It is never changed. What is done with one is a function,
// so that it is compiled once; methods would be promoted to each type of stream.
type place struct {
	env *Env
	// origins are the outputs that the stream unites; more than one only behind Union.
	origins []origin
	// step is the node that settings concern, or noStep.
	step int
}

// origin is one output of a step, and how its records are to find the next one.
type origin struct {
	node         int
	tag          string
	partitioning exchange.Partitioning
}

const (
	// noStep marks a stream that is no step of its own: settings on it are an error.
	noStep = -1
	// brokenStep marks the stream of a step that could not be made.
	brokenStep = -2
)

// Out takes what a function emits.
type Out[T any] = element.Out[T]

// Tag names a side output and its type; make it a package variable.
type Tag[T any] struct{ name string }

// NewTag names a side output; a step emits to it, SideOutput of the step's stream reads it.
func NewTag[T any](name string) Tag[T] { return Tag[T]{name} }

// Name is what the side output is called.
func (t Tag[T]) Name() string { return t.name }

// None is the key of a stream that has none.
type None struct{}

// SideOutput reads what the step that made s emitted to tag.
func (s Stream[T]) SideOutput[U any](tag Tag[U]) Stream[U] {
	return Stream[U]{place: sideOutput(s.place, tag.name)}
}

func sideOutput(p *place, tag string) *place {
	if tag == "" {
		p.env.fail("SideOutput: the tag has no name; make it with NewTag")
	}
	switch p.step {
	case brokenStep:
		return p
	case noStep:
		p.env.fail("SideOutput(%q): read it from the stream of the step that emits it, not behind a partitioning verb or Union", tag)
		return &place{env: p.env, step: brokenStep}
	}
	return &place{env: p.env, step: noStep, origins: []origin{{node: p.step, tag: tag}}}
}

// Union merges streams of one type; the watermark is the least of theirs.
func (s Stream[T]) Union(others ...Stream[T]) Stream[T] {
	u := copyOf(s.place)
	for _, o := range others {
		unite(u, o.place)
	}
	return Stream[T]{place: u}
}

func unite(u, o *place) {
	if o.env != u.env {
		u.env.fail("Union: the streams belong to different jobs")
	}
	u.origins = append(u.origins, o.origins...)
}

// Rebalance deals records out in turn to all subtasks of the next step, for a skewed input.
func (s Stream[T]) Rebalance() Stream[T] {
	return Stream[T]{place: partitioned(s.place, exchange.Rebalance)}
}

// Shuffle picks a subtask of the next step by the hash of a counter.
func (s Stream[T]) Shuffle() Stream[T] {
	return Stream[T]{place: partitioned(s.place, exchange.Shuffle)}
}

// Broadcast sends every record to all subtasks of the next step.
func (s Stream[T]) Broadcast() Stream[T] {
	return Stream[T]{place: partitioned(s.place, exchange.Broadcast)}
}

// Global sends every record to the first subtask of the next step.
func (s Stream[T]) Global() Stream[T] { return Stream[T]{place: partitioned(s.place, exchange.Global)} }

// partitioned are the origins of p on their way to the next step by another partitioning.
func partitioned(p *place, by exchange.Partitioning) *place {
	out := copyOf(p)
	for i := range out.origins {
		out.origins[i].partitioning = by
	}
	return out
}

// copyOf has the origins of p, and is no step.
func copyOf(p *place) *place {
	return &place{env: p.env, step: noStep, origins: append([]origin(nil), p.origins...)}
}

// Parallelism is the number of subtasks of the step that made s; as the settings below, on a partitioning verb, Union or
// SideOutput it is an error of build.
func (s Stream[T]) Parallelism(n int) Stream[T] {
	s.env.setParallelism(s.step, n)
	return s
}

// MaxParallelism fixes the key groups of the step.
func (s Stream[T]) MaxParallelism(n int) Stream[T] {
	s.env.setMaxParallelism(s.step, n)
	return s
}

// Name is shown in plans and metrics.
func (s Stream[T]) Name(name string) Stream[T] {
	s.env.setName(s.step, name)
	return s
}

// StartNewChain begins a task of its own at the step; the steps behind may join it.
func (s Stream[T]) StartNewChain() Stream[T] {
	s.env.setChaining(s.step, "StartNewChain", graph.ChainHead)
	return s
}

// DisableChaining gives the step a task of its own.
func (s Stream[T]) DisableChaining() Stream[T] {
	s.env.setChaining(s.step, "DisableChaining", graph.ChainNever)
	return s
}

// Sink is the end of a stream, with the settings of a step.
type Sink struct {
	env  *Env
	step int
}

// Parallelism is the number of subtasks of the sink.
func (s Sink) Parallelism(n int) Sink {
	s.env.setParallelism(s.step, n)
	return s
}

// Name is shown in plans and metrics.
func (s Sink) Name(name string) Sink {
	s.env.setName(s.step, name)
	return s
}

// DisableChaining gives the sink a task of its own.
func (s Sink) DisableChaining() Sink {
	s.env.setChaining(s.step, "DisableChaining", graph.ChainNever)
	return s
}

// set applies a setting to a step.
func (e *Env) set(step int, setting string, apply func(*graph.StreamNode)) {
	switch step {
	case brokenStep:
	case noStep:
		e.fail("%s: there is no step here to set it on; set it on the step before or behind", setting)
	default:
		apply(e.graph.Nodes[step])
	}
}

func (e *Env) setName(step int, name string) {
	e.set(step, "Name", func(n *graph.StreamNode) { n.Name = name })
}

func (e *Env) setChaining(step int, setting string, c graph.Chaining) {
	e.set(step, setting, func(n *graph.StreamNode) { n.Chaining = c })
}

func (e *Env) setParallelism(step, n int) {
	e.set(step, "Parallelism", func(node *graph.StreamNode) {
		if n < 1 {
			e.fail("step %q: parallelism is %d; it is at least 1", node.Name, n)
		}
		if node.Parallelism == 1 && node.Verb == "WindowAll" && n != 1 {
			e.fail("step %q: a window over the whole stream runs in one subtask", node.Name)
			return
		}
		node.Parallelism = n
	})
}

func (e *Env) setMaxParallelism(step, n int) {
	e.set(step, "MaxParallelism", func(node *graph.StreamNode) {
		if n < 1 {
			e.fail("step %q: max parallelism is %d; it is at least 1", node.Name, n)
		}
		node.MaxParallelism = n
	})
}

// typeName is how plans name the record type.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }
