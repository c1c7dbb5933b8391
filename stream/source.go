// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"

	"github.com/weir-stream/weir/connector"
	printer "github.com/weir-stream/weir/connector/print"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/watermark"
)

// From reads a source.
func (e *Env) From[T any, S connector.Split, E any, Src connector.Source[T, S, E]](uid UID, src Src) Stream[T] {
	e.claim(uid, "From")
	if r := e.replaced[uid]; r != nil {
		if add, ok := r.add.(func(*Env, UID) Stream[T]); ok {
			r.used = true
			return add(e, uid)
		}
	}
	src, err := resolve(e, src)
	if err != nil {
		e.fail("%s: %w", describe("From", uid), err)
		return broken[T](e)
	}
	return addSource[T, S, E](e, uid, src)
}

// resolve makes the paths of a connector absolute, or refuses those that are not.
func resolve[C any](e *Env, c C) (C, error) {
	l, ok := any(c).(connector.Locator[C])
	switch {
	case !ok:
		return c, nil
	case e.absolute:
		return l.Resolve("")
	}
	return l.Resolve(cmp.Or(e.dir, "."))
}

func addSource[T any, S connector.Split, E any](e *Env, uid UID, src connector.Source[T, S, E]) Stream[T] {
	node := &graph.StreamNode{Verb: "Source", UID: string(uid), Name: "Source: " + string(uid), RecordType: typeName[T]()}
	id := e.add(node)
	fill := func(w *watermark.Strategy[T]) {
		step, err := operator.Source(src, w)
		if err != nil {
			e.fail("%s: %w", describe("From", uid), err)
			return
		}
		node.New, node.States = step.New, step.States
		node.Source = &graph.SourceSpec{Bounded: step.Bounded, NewEnumerator: step.NewEnumerator}
	}
	fill(nil)
	e.unmarked[id] = fill
	return stepStream[T](e, id)
}

// Watermarks sets event times and watermarks: for each split directly behind From, else for each subtask.
func (s Stream[T]) Watermarks[W watermark.Strategy[T]](strategy W) Stream[T] {
	w := watermark.Strategy[T](strategy)
	if err := w.Validate(); err != nil {
		s.env.fail("Watermarks: %w", err)
		return s
	}
	if fill, ok := s.env.unmarked[s.step].(func(*watermark.Strategy[T])); ok && s.step >= 0 {
		delete(s.env.unmarked, s.step)
		fill(&w)
		return s
	}
	return apply[T, T](s, "Watermarks", false, func() operator.Step { return operator.TimestampsAndWatermarks(w) })
}

// To writes the stream to a sink.
func (s Stream[T]) To[W, C any, S connector.Sink[T, W, C]](uid UID, sink S) Sink {
	s.env.claim(uid, "To")
	if r := s.env.replaced[uid]; r != nil {
		if add, ok := r.add.(func(Stream[T], UID) Sink); ok {
			r.used = true
			return add(s, uid)
		}
	}
	sink, err := resolve(s.env, sink)
	if err != nil {
		s.env.fail("%s: %w", describe("To", uid), err)
		return Sink{env: s.env, step: brokenStep}
	}
	return addSink[T, W, C](s, uid, sink)
}

func addSink[T, W, C any](s Stream[T], uid UID, sink connector.Sink[T, W, C]) Sink {
	c := s.records()
	if c == nil {
		return Sink{env: s.env, step: brokenStep}
	}
	step, err := operator.Sink(sink)
	if err != nil {
		s.env.fail("%s: %w", describe("To", uid), err)
		return Sink{env: s.env, step: brokenStep}
	}
	id := s.env.add(&graph.StreamNode{
		Verb: "Sink", UID: string(uid), Name: "Sink: " + string(uid), Inputs: 1, New: step.New, States: step.States,
		Sink: &graph.SinkSpec{NewCommitter: step.NewCommitter, Probe: step.Probe, Withdraw: step.Withdraw, Reach: step.Reach},
	})
	connect(s.env, s.origins, c, id, 0)
	return Sink{env: s.env, step: id}
}

// Print writes the stream to standard output, for a look at it.
func (s Stream[T]) Print[U ~string](uid U) Sink { return s.To(UID(uid), printer.New[T]()) }

// Inject begins a stream with an operator that has no inputs. It is for test kits.
func Inject[T any](e *Env, uid UID, op func() operator.Operator) Stream[T] {
	e.claim(uid, "Inject")
	return stepStream[T](e, e.add(&graph.StreamNode{Verb: "Source", UID: string(uid), New: op, RecordType: typeName[T]()}))
}

// Replacement is a connector that a test puts in place of the job's own.
type Replacement struct {
	uid UID
	// add is func(*Env, UID) Stream[T] or func(Stream[T], UID) Sink.
	add any
}

type replacement struct {
	Replacement
	used bool
}

// ReplaceSource puts src in place of the source of that uid, which must have the same record type.
func ReplaceSource[T any, S connector.Split, E any](uid UID, src connector.Source[T, S, E]) Replacement {
	return Replacement{uid, func(e *Env, uid UID) Stream[T] { return addSource(e, uid, src) }}
}

// ReplaceSink puts sink in place of the sink of that uid, which must have the same record type.
func ReplaceSink[T, W, C any](uid UID, sink connector.Sink[T, W, C]) Replacement {
	return Replacement{uid, func(s Stream[T], uid UID) Sink { return addSink(s, uid, sink) }}
}
