// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// SourceConfig describes a source under test.
type SourceConfig[T any, S connector.Split, E any] struct {
	// New makes the source, and what it reads from. It is called once for each scenario, within its bubble.
	New func(t *testing.T) connector.Source[T, S, E]
	// Want are the records. A bounded source yields these, each once, and no others; an unbounded one yields these among
	// others, and none twice. A hundred or two, in several splits, are enough.
	Want []T
	// Key identifies a record; the default formats it.
	Key func(in *T) string
}

// Source checks that each record is read exactly once whatever fails, and that the reader keeps its contract: it never
// blocks, wakes the task, and leaves no goroutine behind.
func Source[T any, S connector.Split, E any](t *testing.T, c SourceConfig[T, S, E]) {
	t.Helper()
	if c.Key == nil {
		c.Key = keyOf[T]
	}
	scenario := func(name string, f func(t *testing.T)) {
		t.Helper()
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	for _, readers := range []int{1, 3} {
		for _, rows := range []int{1, 7, element.MaxRows} {
			scenario(fmt.Sprintf("read by %d in batches of %d", readers, rows), func(t *testing.T) {
				t.Helper()
				c.start(t, readers, rows).finish()
			})
		}
	}
	for _, readers := range [][2]int{{1, 1}, {1, 3}, {2, 3}, {3, 1}} {
		scenario(fmt.Sprintf("restore after each poll, from %d to %d readers", readers[0], readers[1]), func(t *testing.T) {
			t.Helper()
			c.afterEachPoll(t, readers[0], func(j *jobRun[T, S, E], cut int) {
				cp := j.checkpoint()
				j.polls(cut % 5) // read beyond the checkpoint, and lost
				j.restore(cp, readers[1])
			})
		})
	}
	scenario("a reader fails after each poll", func(t *testing.T) {
		t.Helper()
		c.afterEachPoll(t, 2, func(j *jobRun[T, S, E], cut int) {
			cp := j.checkpoint()
			j.polls(cut % 7)
			j.failReader(cp, cut%2)
		})
	})
	scenario("a reader fails without a checkpoint", func(t *testing.T) {
		t.Helper()
		c.afterEachPoll(t, 2, func(j *jobRun[T, S, E], cut int) { j.failReader(nil, cut%2) })
	})
	scenario("the enumerator is restored beside living readers", func(t *testing.T) {
		t.Helper()
		c.afterEachPoll(t, 2, func(j *jobRun[T, S, E], cut int) {
			cp := j.checkpoint()
			j.polls(cut % 7)
			j.replaceEnumerator(cp)
		})
	})
	scenario("the enumerator is replaced without a checkpoint", func(t *testing.T) {
		t.Helper()
		c.afterEachPoll(t, 2, func(j *jobRun[T, S, E], _ int) { j.replaceEnumerator(nil) })
	})
	scenario("an enumerator is restored beside readers, then everything from a checkpoint", func(t *testing.T) {
		t.Helper()
		c.afterEachPoll(t, 2, func(j *jobRun[T, S, E], cut int) {
			cp := j.checkpoint()
			j.polls(cut % 7)
			j.replaceEnumerator(cp)
			cp = j.checkpoint()
			j.polls(2)
			j.restore(cp, 2)
		})
	})
	scenario("a reader without splits", c.withoutSplits)
	scenario("closed in the middle", func(t *testing.T) {
		t.Helper()
		j := c.start(t, 2, 3)
		j.polls(3)
		j.close()
	})
}

// afterEachPoll runs the source again and again, lets fault happen after one more poll each time, and reads to the end.
func (c SourceConfig[T, S, E]) afterEachPoll(t *testing.T, readers int, fault func(j *jobRun[T, S, E], cut int)) {
	t.Helper()
	const runs = 40
	rows := max(1, len(c.Want)/20)
	for cut := range runs {
		j := c.start(t, readers, rows)
		ended := !j.polls(cut)
		fault(j, cut)
		j.finish()
		if ended || t.Failed() {
			return
		}
	}
}

// withoutSplits checks a reader that gets nothing to read.
func (c SourceConfig[T, S, E]) withoutSplits(t *testing.T) {
	t.Helper()
	rt := NewRuntime(0, 1, 1)
	r, err := c.New(t).NewReader(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	b := element.NewBatch[T](4)
	if _, err := r.Poll(b); !errors.Is(err, connector.ErrWait) {
		t.Fatalf("poll before a split was added: %v, want ErrWait", err)
	}
	if splits, err := r.Snapshot(1); err != nil || len(splits) > 0 {
		t.Errorf("snapshot without splits: %v, %v", splits, err)
	}
	if err := r.Completed(1); err != nil {
		t.Errorf("completed: %v", err)
	}
	r.NoMoreSplits()
	for {
		_, err := r.Poll(b)
		if errors.Is(err, io.EOF) {
			return
		}
		if !errors.Is(err, connector.ErrWait) {
			t.Fatalf("poll after NoMoreSplits: %v, want io.EOF", err)
		}
		rt.Wait(t)
	}
}
