// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
)

// local makes a gate whose channels come from partitions of an environment of its own.
func local(t testing.TB, inputs []int, signal func(), o GateOptions) (*Gate, []Sender) {
	t.Helper()
	up, _ := transports[0].open(t, Config{})
	g := NewGate(inputs, signal, o)
	senders := make([]Sender, len(inputs))
	for i := range inputs {
		id := PartitionID{Attempt: int64(i)}
		senders[i] = partition(t, up, id, 1).Senders()[0]
		must(t, up.Connect(g, i, Source{ID: id}, nil))
	}
	return g, senders
}

func TestGateSignalsOnceItWasFoundEmpty(t *testing.T) {
	signals := 0
	g, senders := local(t, []int{0, 1}, func() { signals++ }, GateOptions{})
	want := func(n int) {
		t.Helper()
		if signals != n {
			t.Fatalf("%d signals, want %d", signals, n)
		}
	}
	next := func() Event {
		t.Helper()
		e, ok := g.Next()
		if !ok {
			t.Fatal("gate is empty")
		}
		return e
	}
	must(t, senders[0].Send(batch(0, 0, 1), none))
	must(t, senders[1].Send(batch(0, 0, 1), none))
	want(1)
	next()
	if e := next(); e.Channel != 1 || e.Input != 1 {
		t.Fatalf("got %+v", e)
	}
	must(t, senders[0].Send(batch(0, 0, 1), none)) // the task hasn't seen it empty
	want(1)
	next()
	if _, ok := g.Next(); ok {
		t.Fatal("gate has too much")
	}
	must(t, senders[0].Send(nil, watermark(1)))
	want(2)
	next()
	g.Next()
	g.Block(0)
	must(t, senders[0].Send(nil, watermark(2)))
	want(2) // nothing that the task could take
	must(t, senders[1].Send(nil, watermark(2)))
	want(3)
}

func TestBlockedChannelIsWithheldInOrder(t *testing.T) {
	g, senders := local(t, []int{0, 0}, func() {}, GateOptions{})
	must(t, senders[0].Send(batch(0, 0, 1), barrier(1)))
	must(t, senders[0].Send(batch(0, 1, 1), none))
	must(t, senders[0].Send(batch(0, 2, 1), none))
	must(t, senders[1].Send(batch(1, 0, 1), none))
	must(t, senders[1].Send(batch(1, 1, 1), barrier(1)))
	var got []event
	drain := func() (last Event) {
		for {
			e, ok := g.Next()
			if !ok {
				return last
			}
			got = append(got, event{int32(e.Channel), rows(e)[0].N, ""})
			g.Release(e)
			if e.Control.Kind == element.Barrier {
				g.Block(e.Channel)
			}
			last = e
		}
	}
	if e := drain(); e.Channel != 1 || e.Control != barrier(1) {
		t.Fatalf("last is %+v", e)
	}
	must(t, senders[1].Send(batch(1, 2, 1), none))
	drain()
	want := []event{{0, 0, ""}, {1, 0, ""}, {1, 1, ""}}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	g.Unblock(0)
	drain()
	g.UnblockAll()
	drain()
	want = append(want, event{0, 1, ""}, event{0, 2, ""}, event{1, 2, ""})
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestChannelsTakeTurns(t *testing.T) {
	g, senders := local(t, []int{0, 0, 0}, func() {}, GateOptions{})
	for c, s := range senders {
		for i := range int64(3) {
			must(t, s.Send(batch(int32(c), i, 1), none))
		}
	}
	var got []int
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		got = append(got, e.Channel)
	}
	if want := []int{0, 1, 2, 0, 1, 2, 0, 1, 2}; !slices.Equal(got, want) {
		t.Fatalf("turns %v", got)
	}
}

func TestBarrierIsAnnouncedAndDataInFlightCaptured(t *testing.T) {
	var announced []int64
	g, senders := local(t, []int{0, 0}, func() {}, GateOptions{Announce: func(channel int, b element.CheckpointBarrier) {
		announced = append(announced, int64(channel), b.ID)
	}})
	must(t, senders[0].Send(batch(0, 0, 1), none))
	must(t, senders[0].Send(batch(0, 1, 1), barrier(9)))
	must(t, senders[0].Send(batch(0, 2, 1), none))
	must(t, senders[1].Send(batch(1, 0, 1), none))
	if want := []int64{0, 9}; !slices.Equal(announced, want) {
		t.Fatalf("announced %v", announced)
	}
	captured := g.InFlight(0, 9)
	if len(captured) != 2 || len(g.InFlight(1, 9)) != 1 {
		t.Fatalf("captured %d", len(captured))
	}
	e, _ := g.Next()
	if b := e.Batch.(*element.Batch[event]); !b.Shared() {
		t.Fatal("captured batch may be changed by its consumer")
	}
	g.Release(e)
	if n := captured[0].(*element.Batch[event]).Rows()[0].N; n != 0 {
		t.Fatalf("captured record %d", n)
	}
	for _, b := range captured {
		b.Release()
	}
}

func TestGateCountsBatches(t *testing.T) {
	g, senders := local(t, []int{0}, func() {}, GateOptions{})
	check := func(queued, inUse int) {
		t.Helper()
		if g.Queued() != queued || g.InUse() != inUse {
			t.Fatalf("queued %d, in use %d, want %d and %d", g.Queued(), g.InUse(), queued, inUse)
		}
	}
	must(t, senders[0].Send(batch(0, 0, 1), none))
	must(t, senders[0].Send(batch(0, 0, 1), watermark(3)))
	check(2, 2)
	e, _ := g.Next()
	check(1, 2)
	g.Release(e)
	check(1, 1)
	if n := senders[0].(*subpartition).p.InUse(); n != 1 {
		t.Fatalf("partition has %d batches in flight", n)
	}
	g.Close()
	check(0, 0)
}

// TestQueueAgainstList compares a queue with a plain list of what was pushed: batches, barriers and ends come out as they
// went in, and what a reader knows of time and status is the same at each of them.
func TestQueueAgainstList(t *testing.T) {
	type view struct {
		n    int64 // of the batch, barrier or end
		kind element.Kind
		at   int64
		idle bool
	}
	step := func(v *view, b element.Any, c element.Control) (seen []view) {
		if b != nil {
			v.kind, v.n = element.None, b.(*element.Batch[event]).Rows()[0].N
			seen = append(seen, *v)
		}
		switch c.Kind {
		case element.Watermark:
			v.at = max(v.at, c.At)
		case element.Idle, element.Active:
			v.idle = c.Kind == element.Idle
		case element.Barrier, element.EndOfInput:
			v.kind, v.n = c.Kind, c.Checkpoint.ID
			seen = append(seen, *v)
		default:
		}
		return seen
	}
	rapid.Check(t, func(t *rapid.T) {
		var s slab
		queues := make([]queue, 2)
		want, got := make([][]view, 2), make([][]view, 2)
		in, out := make([]view, 2), make([]view, 2)
		solid := make([]int, 2) // batches, barriers and ends in a queue
		pop := func(i int) {
			b, c := s.pop(&queues[i])
			seen := step(&out[i], b, c)
			solid[i] -= len(seen)
			got[i] = append(got[i], seen...)
		}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "queue")
			if rapid.IntRange(0, 3).Draw(t, "op") == 0 {
				if !queues[i].empty() {
					pop(i)
				}
				continue
			}
			n := rapid.Int64Range(1, 1000).Draw(t, "n")
			c := element.Control{Kind: element.Kind(rapid.IntRange(0, int(element.EndOfInput)).Draw(t, "kind"))}
			switch c.Kind {
			case element.Watermark:
				c.At = n
			case element.Barrier:
				c.Checkpoint.ID = n
			default:
			}
			var b element.Any
			if rapid.Bool().Draw(t, "batch") {
				b = batch(0, n, 1)
			}
			s.push(&queues[i], b, c)
			seen := step(&in[i], b, c)
			solid[i] += len(seen)
			want[i] = append(want[i], seen...)
			if s.used > solid[0]+solid[1]+2 {
				t.Fatalf("%d entries for %v batches and barriers", s.used, solid)
			}
		}
		for i := range queues {
			for !queues[i].empty() {
				pop(i)
			}
			if !slices.Equal(got[i], want[i]) || in[i] != out[i] {
				t.Fatalf("queue %d: got %+v, want %+v", i, got[i], want[i])
			}
		}
		if s.used != 0 {
			t.Fatalf("%d entries left", s.used)
		}
	})
}
