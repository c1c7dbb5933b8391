// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/stream"
)

// Harness drives a piece of a pipeline, synchronously and, until Restart says otherwise, in one subtask a step.
type Harness[T, U any] struct {
	t   testing.TB
	p   *pipeline
	out *drain[U]
	_   func(T)
}

// New builds the piece of pipeline under test.
func New[T, U any](t testing.TB, build func(in stream.Stream[T]) stream.Stream[U]) *Harness[T, U] {
	t.Helper()
	h := &Harness[T, U]{t: t, out: &drain[U]{}}
	h.p = newPipeline(t, func(env *stream.Env) error {
		build(head[T](env, "in")).To("out", h.out)
		return nil
	})
	return h
}

// Push sends records at an event time.
func (h *Harness[T, U]) Push(at time.Time, in ...T) {
	h.t.Helper()
	push(h.p, "in", at, in)
}

// Watermark advances the event time of all inputs.
func (h *Harness[T, U]) Watermark(at time.Time) {
	h.t.Helper()
	h.p.watermark(at.UnixNano())
}

// Sleep lets processing time pass; it began at the Unix epoch.
func (h *Harness[T, U]) Sleep(d time.Duration) {
	h.t.Helper()
	h.p.sleep(d)
}

// End ends the input: all windows and event timers fire.
func (h *Harness[T, U]) End() {
	h.t.Helper()
	h.p.watermark(element.MaxWatermark)
	h.p.end()
}

// Take returns what came out since the last Take.
func (h *Harness[T, U]) Take() []U { return h.out.take() }

// Side returns what came out of a side output since the last call for it.
func (h *Harness[T, U]) Side[V any](tag stream.Tag[V]) []V {
	var all []V
	for _, v := range h.p.tapped[tag.Name()] {
		if r, ok := v.(V); ok {
			all = append(all, r)
		}
	}
	delete(h.p.tapped, tag.Name())
	return all
}

// State returns the row of a key; ok is false where there is none. S appears in no argument: State[openTx](...).
func (h *Harness[T, U]) State[S any, K comparable](uid stream.UID, key K) (row S, ok bool) {
	h.t.Helper()
	hash, err := keys.HasherFor[K]()
	if err != nil {
		h.t.Fatalf("key of %q: %v", uid, err)
	}
	type table interface {
		Lookup(hash uint64, key *K) *S
	}
	found := false
	group, _ := keys.Group(hash(&key), keyGroups)
	for _, step := range h.p.steps(string(uid)) {
		for _, s := range step.op.States() {
			t, is := s.(table)
			found = found || is
			if !is || !step.rt.KeyGroups().Contains(group) {
				continue
			}
			if row := t.Lookup(hash(&key), &key); row != nil {
				return *row, true
			}
		}
	}
	if !found {
		h.t.Fatalf("step %q has no state of %T by keys of %T", uid, row, key)
	}
	return row, false
}

// Restart snapshots, throws the steps away and restores them at another parallelism.
func (h *Harness[T, U]) Restart(parallelism int) {
	h.t.Helper()
	h.p.restart(parallelism)
}

// Harness2 drives a piece of a pipeline with two inputs.
type Harness2[A, B, U any] struct {
	Harness[A, U]
	_ func(B)
}

// New2 builds the piece of pipeline under test.
func New2[A, B, U any](
	t testing.TB, build func(a stream.Stream[A], b stream.Stream[B]) stream.Stream[U],
) *Harness2[A, B, U] {
	t.Helper()
	h := &Harness2[A, B, U]{
		Harness: Harness[A, U]{t: t, out: &drain[U]{}},
	}
	h.p = newPipeline(t, func(env *stream.Env) error {
		build(head[A](env, "in"), head[B](env, "in2")).To("out", h.out)
		return nil
	})
	return h
}

// Push2 sends records to the second input; Push sends to the first, Watermark advances both.
func (h *Harness2[A, B, U]) Push2(at time.Time, in ...B) {
	h.t.Helper()
	push(h.p, "in2", at, in)
}

// head begins a pipeline with a feed.
func head[T any](env *stream.Env, uid stream.UID) stream.Stream[T] {
	return stream.Inject[T](env, uid, func() operator.Operator { return &feed[T]{} })
}

// push sends rows through the feed of the first subtask.
func push[T any](p *pipeline, uid string, at time.Time, rows []T) {
	p.t.Helper()
	f, ok := p.steps(uid)[0].op.(*feed[T])
	if !ok {
		p.t.Fatalf("input %q takes no %T", uid, rows)
	}
	if len(rows) > 0 {
		p.check(f.send(at.UnixNano(), rows))
		p.flush()
	}
}
