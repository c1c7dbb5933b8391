// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

import (
	"context"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// sinkRun plays the JobMaster and the tasks of a sink, behind a source that is replayed from the last checkpoint.
type sinkRun[T, W, C any] struct {
	t     *testing.T
	c     SinkConfig[T, W, C]
	place Place[T, W, C]

	committer connector.Committer[C]
	writers   []connector.Writer[T, W, C]
	cancel    context.CancelFunc
	// dead are writers of attempts that crashed; they are closed at the end only, so that they leave what a process that
	// is killed leaves.
	dead    []connector.Writer[T, W, C]
	attempt int64
	id      int64
	// next is the number of the next record.
	next int
	// kept are committables that are not known to be committed.
	kept []C
	// prepared and last are the checkpoint under way and the last that completed.
	prepared, last *sinkCheckpoint[W, C]
	// The records before committed are visible, each once; those before partly may be.
	committed, partly int
}

type sinkCheckpoint[W, C any] struct {
	next         int
	states       []W
	committables []C
}

func (c SinkConfig[T, W, C]) start(t *testing.T) *sinkRun[T, W, C] {
	t.Helper()
	r := &sinkRun[T, W, C]{t: t, c: c, place: c.New(t), last: &sinkCheckpoint[W, C]{}}
	r.open(2)
	return r
}

// open starts a new attempt of all, from the last checkpoint: first its commits, then the writers.
func (r *sinkRun[T, W, C]) open(parallelism int) {
	r.t.Helper()
	committer, err := r.place.Sink.NewCommitter(r.t.Context())
	if err != nil {
		r.t.Fatalf("new committer: %v", err)
	}
	r.committer, r.writers, r.prepared, r.kept, r.next = committer, nil, nil, nil, r.last.next
	if len(r.last.committables) > 0 {
		r.commit(1)
	}
	restored := make([][]W, parallelism)
	for i, state := range r.last.states {
		restored[i%parallelism] = append(restored[i%parallelism], state)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel = cancel
	r.attempt++
	for i := range parallelism {
		w, err := r.place.Sink.NewWriter(ctx, NewRuntime(i, parallelism, r.attempt), restored[i])
		if err != nil {
			r.t.Fatalf("new writer: %v", err)
		}
		r.writers = append(r.writers, w)
	}
}

// write hands n records to the writers in turn, each with a batch of its own.
func (r *sinkRun[T, W, C]) write(n int) {
	r.t.Helper()
	for i, w := range r.writers {
		b := element.NewBatch[T](n + 1)
		for k := i; k < n; k += len(r.writers) {
			*b.Append() = r.c.Row(r.next + k)
		}
		if b.Len() == 0 {
			continue
		}
		if err := w.Write(r.t.Context(), b); err != nil {
			r.t.Fatalf("write: %v", err)
		}
		clear(b.Rows()) // a writer that kept the batch finds out
	}
	r.next += n
}

// prepare takes a checkpoint as far as the acknowledgements.
func (r *sinkRun[T, W, C]) prepare() {
	r.t.Helper()
	r.id++
	cp := &sinkCheckpoint[W, C]{next: r.next}
	for _, w := range r.writers {
		committables, err := w.PrepareCommit(r.t.Context(), r.id)
		if err != nil {
			r.t.Fatalf("prepare commit: %v", err)
		}
		state, err := w.Snapshot(r.id)
		if err != nil {
			r.t.Fatalf("snapshot: %v", err)
		}
		r.kept = append(r.kept, committables...)
		cp.states = append(cp.states, state)
	}
	cp.committables = stored(r.t, r.kept)
	cp.states = stored(r.t, cp.states)
	r.prepared = cp
}

func (r *sinkRun[T, W, C]) complete() { r.last, r.prepared = r.prepared, nil }

func (r *sinkRun[T, W, C]) abort() { r.prepared = nil }

// commit commits a part of the last checkpoint, 1 for all of it.
func (r *sinkRun[T, W, C]) commit(part float64) {
	r.t.Helper()
	r.partly = max(r.partly, r.last.next)
	if r.committer == nil {
		return
	}
	all := r.last.committables
	some := all[:int(part*float64(len(all)))]
	if err := r.committer.Commit(r.t.Context(), some); err != nil {
		r.t.Fatalf("commit: %v", err)
	}
	if len(some) == len(all) {
		r.committed, r.kept = r.last.next, nil
	}
}

func (r *sinkRun[T, W, C]) checkpoint() {
	r.t.Helper()
	r.prepare()
	r.complete()
	r.commit(1)
}

// crash ends all at once and goes on from the last checkpoint.
func (r *sinkRun[T, W, C]) crash(parallelism int) {
	r.t.Helper()
	r.cancel()
	r.dead = append(r.dead, r.writers...)
	r.closeCommitter()
	r.open(parallelism)
}

// rescale goes on with another number of writers before anything was written.
func (r *sinkRun[T, W, C]) rescale(parallelism int) {
	r.t.Helper()
	r.crash(parallelism)
}

// end commits the rest, as the final checkpoint does, and compares.
func (r *sinkRun[T, W, C]) end() {
	r.t.Helper()
	r.checkpoint()
	r.check("at the end")
}

// check compares what is visible with what was committed.
func (r *sinkRun[T, W, C]) check(when string) {
	r.t.Helper()
	count := map[string]int{}
	visible := r.place.Visible()
	for i := range visible {
		count[r.c.Key(&visible[i])]++
	}
	must, may := r.committed, max(r.committed, r.partly)
	if r.committer == nil {
		must, may = r.last.next, r.next
	}
	for i := range max(may, r.next) {
		row := r.c.Row(i)
		key := r.c.Key(&row)
		n := count[key]
		delete(count, key)
		switch {
		case n == 0 && i < must:
			r.t.Errorf("%s: record %d was committed but is not visible", when, i)
		case r.committer == nil:
		case n > 1:
			r.t.Errorf("%s: record %d is visible %d times", when, i, n)
		case n > 0 && i >= may:
			r.t.Errorf("%s: record %d is visible but was not committed", when, i)
		}
	}
	if r.committer != nil && len(count) > 0 {
		r.t.Errorf("%s: %d records are visible that were never written: %v", when, len(count), count)
	}
}

func (r *sinkRun[T, W, C]) closeCommitter() {
	r.t.Helper()
	if r.committer == nil {
		return
	}
	if err := r.committer.Close(); err != nil {
		r.t.Errorf("close committer: %v", err)
	}
}

func (r *sinkRun[T, W, C]) close() {
	r.t.Helper()
	r.cancel()
	r.closeCommitter()
	for _, w := range append(r.dead, r.writers...) {
		if err := w.Close(); err != nil {
			r.t.Errorf("close writer: %v", err)
		}
	}
	r.check("after the close")
}
