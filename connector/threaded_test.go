// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
)

// counter is a split of numbers; Next is the first that was not read.
type counter struct{ From, To, Next int64 }

func (c counter) SplitID() string { return strconv.FormatInt(c.From, 10) }

// counters is a source over Threaded. Its fetch brings what fits or less, sometimes nothing, and takes its time.
type counters struct{}

type toAssign struct{ Splits []counter }

func (counters) Boundedness() connector.Boundedness { return connector.Bounded }

func (counters) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[int64, counter], error) {
	calls := 0
	return connector.Threaded(rt, func(ctx context.Context, s *counter, b *element.Batch[int64]) error {
		if calls++; calls%4 == 1 {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for n := 0; n < calls%5 && !b.Full() && s.Next < s.To; n++ {
			*b.Append() = s.Next
			s.Next++
		}
		if s.Next == s.To {
			return io.EOF
		}
		return nil
	}), nil
}

func (counters) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[counter], restored *toAssign) (connector.Enumerator[counter, toAssign], error) {
	if restored == nil {
		restored = &toAssign{}
		for i := range int64(6) {
			restored.Splits = append(restored.Splits, counter{i * 20, i*20 + i*3, i * 20})
		}
	}
	return &counterEnumerator{rt: rt, left: restored.Splits}, nil
}

type counterEnumerator struct {
	rt   connector.EnumeratorContext[counter]
	left []counter
}

func (e *counterEnumerator) Assigned(_ int, splits []counter) error {
	for _, s := range splits {
		for i, o := range e.left {
			if o.From == s.From {
				e.left = append(e.left[:i:i], e.left[i+1:]...)
				break
			}
		}
	}
	return nil
}

func (e *counterEnumerator) Start(context.Context) error { return nil }

func (e *counterEnumerator) ReaderReady(reader int) error {
	if len(e.left) == 0 {
		e.rt.NoMoreSplits(reader)
		return nil
	}
	e.rt.Assign(reader, e.left[0])
	e.left = e.left[1:]
	return nil
}

func (e *counterEnumerator) AddBack(splits []counter, _ int) error {
	e.left = append(e.left, splits...)
	return nil
}

func (e *counterEnumerator) Snapshot(int64) (toAssign, error) {
	return toAssign{append([]counter(nil), e.left...)}, nil
}

func (e *counterEnumerator) Close() error { return nil }

// closed closes at the end of a test.
func closed(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestThreadedPassesTheSuite(t *testing.T) {
	var want []int64
	for i := range int64(6) {
		for n := range i * 3 {
			want = append(want, i*20+n)
		}
	}
	connectortest.Source(t, connectortest.SourceConfig[int64, counter, toAssign]{
		New:  func(*testing.T) connector.Source[int64, counter, toAssign] { return counters{} },
		Want: want,
	})
}

// TestThreadedSnapshotIgnoresWhatWasFetchedAhead lets the goroutine fill its queue before the first record is taken.
func TestThreadedSnapshotIgnoresWhatWasFetchedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int64
		r := connector.Threaded(connectortest.NewRuntime(0, 1, 1), func(_ context.Context, s *counter, b *element.Batch[int64]) error {
			*b.Append() = s.Next
			s.Next++
			fetched.Add(1)
			return nil
		})
		defer closed(t, r)
		if err := r.Add([]counter{{0, 1000, 0}, {5000, 6000, 5000}}); err != nil {
			t.Fatal(err)
		}
		b := element.NewBatch[int64](10)
		if _, err := r.Poll(b); !errors.Is(err, connector.ErrWait) {
			t.Fatalf("first poll: %v", err)
		}
		for i := range int64(5) {
			synctest.Wait()
			if ahead := fetched.Load() - i; ahead < 3 || ahead > 5 {
				t.Errorf("%d batches fetched ahead, want a few", ahead)
			}
			splits, err := r.Snapshot(1)
			if err != nil || len(splits) != 2 || splits[0].Next != i || splits[1].Next != 5000 {
				t.Fatalf("after %d records: snapshot %v, %v", i, splits, err)
			}
			b.Reset()
			if id, err := r.Poll(b); err != nil || id != "0" || b.Len() != 1 || b.Rows()[0] != i {
				t.Fatalf("poll %d: %q, %v, %v", i, id, err, b.Rows())
			}
		}
	})
}

// TestThreadedNeverBlocks polls beside a fetch that hangs until it is canceled.
func TestThreadedNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := connectortest.NewRuntime(0, 1, 1)
		r := connector.Threaded(rt, func(ctx context.Context, _ *counter, _ *element.Batch[int64]) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if err := r.Add([]counter{{}}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := r.Poll(element.NewBatch[int64](1)); !errors.Is(err, connector.ErrWait) {
				t.Fatalf("poll: %v, want ErrWait", err)
			}
			synctest.Wait()
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestThreadedAppendsToWhatTheBatchHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := connector.Threaded(connectortest.NewRuntime(0, 1, 1), func(_ context.Context, _ *counter, b *element.Batch[int64]) error {
			*b.AppendNanos(7) = 2
			return io.EOF
		})
		defer closed(t, r)
		if err := r.Add([]counter{{}}); err != nil {
			t.Fatal(err)
		}
		b := element.NewBatch[int64](4)
		*b.Append() = 1
		_, _ = r.Poll(b)
		synctest.Wait()
		id, err := r.Poll(b)
		if !errors.Is(err, connector.ErrSplitEnd) || id != "0" {
			t.Fatalf("poll: %q, %v", id, err)
		}
		if rows, times := b.Rows(), b.Times(); len(rows) != 2 || rows[0] != 1 || rows[1] != 2 ||
			len(times) != 2 || times[0] != element.NoTime || times[1] != 7 {
			t.Errorf("rows %v, times %v", rows, times)
		}
	})
}

func TestThreadedFailures(t *testing.T) {
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		fetch func() error
		want  string
	}{
		"error": {func() error { return broken }, "connection reset"},
		"panic": {func() error { panic("index out of range") }, "fetch of split 7: panic: index out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := connectortest.NewRuntime(0, 1, 1)
				r := connector.Threaded(rt, func(_ context.Context, _ *counter, b *element.Batch[int64]) error {
					*b.Append() = 1
					return test.fetch()
				})
				defer closed(t, r)
				if err := r.Add([]counter{{From: 7}}); err != nil {
					t.Fatal(err)
				}
				b := element.NewBatch[int64](4)
				_, err := r.Poll(b)
				for errors.Is(err, connector.ErrWait) {
					rt.Wait(t)
					_, err = r.Poll(b)
				}
				if err == nil || !strings.Contains(err.Error(), test.want) || b.Len() > 0 {
					t.Errorf("poll: %v with %d records, want %q", err, b.Len(), test.want)
				}
				if _, ofCode := errors.AsType[*connector.FunctionError](err); ofCode != (name == "panic") {
					t.Errorf("the error is of the job's code: %t", ofCode)
				}
				if _, again := r.Poll(b); again == nil || again.Error() != err.Error() {
					t.Errorf("second poll: %v, want the same error", again)
				}
			})
		})
	}
}

// TestThreadedReusesStorage counts allocations of a steady hand-over.
func TestThreadedReusesStorage(t *testing.T) {
	rt := connectortest.NewRuntime(0, 1, 1)
	r := connector.Threaded(rt, func(_ context.Context, s *counter, b *element.Batch[int64]) error {
		for !b.Full() {
			*b.Append() = s.Next
			s.Next++
		}
		return nil
	})
	defer closed(t, r)
	if err := r.Add([]counter{{To: 1 << 62}}); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[int64](512)
	next := func() {
		for {
			b.Reset()
			if _, err := r.Poll(b); err == nil {
				return
			}
			select {
			case <-time.After(time.Microsecond):
			case <-t.Context().Done():
			}
		}
	}
	for range 20 {
		next()
	}
	if got := testing.AllocsPerRun(200, func() {
		if _, err := r.Poll(b); err == nil {
			b.Reset()
		}
	}); got > 1 {
		t.Errorf("%v allocations a batch", got)
	}
}
