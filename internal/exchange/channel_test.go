// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
)

func serde(t testing.TB) Serde {
	t.Helper()
	c, err := codec.For[event]()
	if err != nil {
		t.Fatal(err)
	}
	return SerdeOf(c, codec.Owned)
}

// rows copies the records of an event.
func rows(e Event) []event { return slices.Clone(e.Batch.(*element.Batch[event]).Rows()) }

func TestChannelKeepsOrder(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 7, Edge: 1}
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		send := partition(t, up, id, 1).Senders()[0]
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range int64(100) {
				should(t, send.Send(batch(0, 3*i, 3), watermark(3*i)))
				should(t, send.Send(nil, barrier(i)))
			}
			should(t, send.Send(nil, end))
		})
		var n, mark, checkpoint int64
		mark = -1
		for {
			e := k.take()
			must(t, e.Err)
			if e.Batch != nil {
				for _, r := range rows(e) {
					if r.N != n || r.Name != batch(0, n, 1).Rows()[0].Name {
						t.Fatalf("got %+v, want record %d", r, n)
					}
					n++
				}
				if got, want := e.Batch.(*element.Batch[event]).Times()[0], n-3; got != want {
					t.Fatalf("event time %d, want %d", got, want)
				}
				k.Release(e)
			}
			switch e.Control.Kind {
			case element.Watermark:
				if mark = e.Control.At; mark != n-3 {
					t.Fatalf("watermark %d behind record %d", mark, n)
				}
			case element.Barrier:
				if e.Control != barrier(checkpoint) || mark != n-3 {
					t.Fatalf("got %+v behind watermark %d, want barrier %d", e.Control, mark, checkpoint)
				}
				checkpoint++
			case element.EndOfInput:
				if n != 300 || checkpoint != 100 {
					t.Fatalf("%d records and %d barriers before the end", n, checkpoint)
				}
				wg.Wait()
				return
			default:
				if e.Batch == nil {
					t.Fatalf("unexpected %+v", e)
				}
			}
		}
	})
}

func TestSenderWaitsForCredit(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		p := partition(t, up, id, 2)
		slow, quick := p.Senders()[0], p.Senders()[1]
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		other := newTaker(t, 1)
		other.connect(t, down, up, 1, id)
		for i := range int64(Credits) {
			if !slow.Ready() {
				t.Fatalf("no credit for batch %d", i)
			}
			must(t, slow.Send(batch(0, i, 1), none))
		}
		if slow.Ready() {
			t.Fatal("credit exceeded")
		}
		must(t, slow.Send(nil, watermark(1))) // needs none

		// Taking is not enough; a slow consumer doesn't stop the other.
		e := k.take()
		if slow.Ready() {
			t.Fatal("credit before release")
		}
		for i := range int64(10 * Credits) {
			must(t, quick.Send(batch(0, i, 1), none))
			other.Release(other.take())
		}

		sent := make(chan error)
		go func() { sent <- slow.Send(batch(0, Credits, 1), end) }()
		select {
		case err := <-sent:
			t.Fatalf("send without credit returned %v", err)
		default:
		}
		k.Release(e)
		for n := int64(1); n <= Credits; n++ {
			e := k.take()
			for e.Batch == nil {
				e = k.take()
			}
			if got := rows(e)[0].N; got != n {
				t.Fatalf("record %d, want %d", got, n)
			}
			k.Release(e)
		}
		must(t, <-sent)
	})
}

func TestClosedGateStopsProducer(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		send := partition(t, up, id, 1).Senders()[0]
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		sent := make(chan error)
		go func() {
			for i := int64(0); ; i++ {
				if err := send.Send(batch(0, i, 1), none); err != nil {
					sent <- err
					return
				}
			}
		}()
		k.take()
		k.Close()
		if err := <-sent; !errors.Is(err, ErrClosed) {
			t.Fatalf("send returned %v", err)
		}
		if _, ok := k.Next(); ok {
			t.Fatal("a closed gate has events")
		}
	})
}

func TestReleasedPartitionFailsConsumer(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		p := partition(t, up, id, 1)
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		sent := make(chan error)
		go func() {
			for i := int64(0); ; i++ {
				if err := p.Senders()[0].Send(batch(0, i, 1), none); err != nil {
					sent <- err
					return
				}
			}
		}()
		k.take()
		up.Release(id)
		if err := <-sent; !errors.Is(err, ErrClosed) {
			t.Fatalf("send returned %v", err)
		}
		for {
			e := k.take()
			k.Release(e)
			if e.Err != nil {
				if !errors.Is(e.Err, ErrLost) {
					t.Fatalf("gate says %v", e.Err)
				}
				return
			}
		}
	})
}

func TestFinishedPartitionWaitsForConsumer(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		p := partition(t, up, id, 2)
		for _, s := range p.Senders() {
			must(t, s.Send(batch(0, 0, 2), watermark(5)))
			must(t, s.Send(nil, end))
		}
		p.Finish()
		for i := range 2 {
			if up.registry.lookup(id) == nil {
				t.Fatal("partition went before its last consumer came")
			}
			k := newTaker(t, 1)
			k.connect(t, down, up, i, id)
			e := k.take()
			if len(rows(e)) != 2 || e.Control.Kind != element.Watermark && e.Control.Kind != element.None {
				t.Fatalf("got %+v", e)
			}
			k.Release(e)
			for e.Control.Kind != element.EndOfInput {
				if e = k.take(); e.Err != nil {
					t.Fatal(e.Err)
				}
			}
		}
		if up.registry.lookup(id) != nil {
			t.Fatal("partition is kept after all was taken")
		}
	})
}

func TestUnknownPartitionTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, down := transports[1].open(t, Config{PartitionTimeout: time.Minute})
		k := newTaker(t, 2)
		start := time.Now()
		k.connect(t, down, up, 0, PartitionID{Attempt: 42, Edge: 3})
		e := k.take()
		if !errors.Is(e.Err, ErrLost) || time.Since(start) != time.Minute {
			t.Fatalf("after %v: %v", time.Since(start), e.Err)
		}
		if want := "partition 42/3 is unknown after 1m0s"; !cmp.Equal(e.Err.Error()[:len(want)], want) {
			t.Fatalf("error %q", e.Err)
		}
	})
}

func TestOldAttemptIsRefused(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		partition(t, up, id, 1).Release()
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		if e := k.take(); !errors.Is(e.Err, ErrLost) {
			t.Fatalf("got %+v", e)
		}
		if _, err := up.CreatePartition(id, 1, nil); err == nil {
			t.Fatal("a partition exists twice")
		}
	})
}

func TestSecondConsumerIsRefused(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 1}
		p := partition(t, up, id, 1)
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		must(t, p.Senders()[0].Send(batch(0, 0, 1), none))
		k.Release(k.take())
		late := newTaker(t, 1)
		late.connect(t, down, up, 0, id)
		if e := late.take(); !errors.Is(e.Err, ErrLost) {
			t.Fatalf("got %+v", e)
		}
		must(t, p.Senders()[0].Send(batch(0, 0, 1), none))
		k.Release(k.take())
	})
}

// TestCloseAtAnyTime ends both sides of many channels while they are busy; nothing hangs and nothing is left behind.
func TestCloseAtAnyTime(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		for attempt := range int64(40) {
			ids := []PartitionID{{attempt, 0}, {attempt, 1}}
			var partitions []*Partition
			var wg sync.WaitGroup
			var takers []*taker
			for i := range 2 {
				k := newTaker(t, 2)
				takers = append(takers, k)
				k.connect(t, down, up, i, ids...)
			}
			for _, id := range ids {
				p := partition(t, up, id, 2)
				partitions = append(partitions, p)
				wg.Go(func() {
					for i := int64(0); ; i++ {
						for _, s := range p.Senders() {
							if s.Send(batch(0, i, 2), watermark(i)) != nil {
								return
							}
						}
					}
				})
			}
			events := int(attempt % 7)
			for range events {
				e := takers[0].take()
				takers[0].Release(e)
			}
			if attempt%2 == 0 {
				wg.Go(takers[0].Close)
			}
			if attempt%3 == 0 {
				wg.Go(partitions[0].Release)
			}
			wg.Go(takers[1].Close)
			wg.Go(partitions[1].Release)
			wg.Go(takers[0].Close)
			wg.Go(partitions[0].Release)
			wg.Wait()
		}
	})
}
