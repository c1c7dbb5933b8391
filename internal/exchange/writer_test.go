// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
)

// recorder is a sender that keeps what it is sent.
type recorder struct {
	events []Event
	err    error
}

func (r *recorder) Ready() bool { return true }

func (r *recorder) Send(b element.Any, c element.Control) error {
	if r.err != nil {
		if b != nil {
			b.Release()
		}
		return r.err
	}
	r.events = append(r.events, Event{Batch: b, Control: c})
	return nil
}

// records returns the numbers of all records, and counts those that don't carry their own number as event time.
func (r *recorder) records(t failer) []int64 {
	var all []int64
	for _, e := range r.events {
		if e.Batch == nil {
			continue
		}
		b := e.Batch.(*element.Batch[event])
		for i, row := range b.Rows() {
			if b.Times()[i] != row.N {
				t.Errorf("record %d has time %d", row.N, b.Times()[i])
			}
			all = append(all, row.N)
		}
	}
	return all
}

func (r *recorder) controls() []element.Control {
	var all []element.Control
	for _, e := range r.events {
		if e.Control.Kind != element.None {
			all = append(all, e.Control)
		}
	}
	return all
}

func record(n int) ([]*recorder, []Sender) {
	recorders, senders := make([]*recorder, n), make([]Sender, n)
	for i := range recorders {
		recorders[i] = new(recorder)
		senders[i] = recorders[i]
	}
	return recorders, senders
}

var hasher = func() func(*int64) uint64 {
	h, err := keys.HasherFor[int64]()
	if err != nil {
		panic(err)
	}
	return h
}()

func hashOf(e *event) uint64 { return hasher(&e.N) }

// each hashes a column row by row.
func each[T any](hash func(*T) uint64) func(rows []T, hashes []uint64) {
	return func(rows []T, hashes []uint64) {
		for i := range rows {
			hashes[i] = hash(&rows[i])
		}
	}
}

var partitionings = []Partitioning{Forward, Hash, Rebalance, Shuffle, Broadcast, Global}

// TestWriterSendsEachRecordOnce writes batches of all sizes, flushed and closed by control here and there, and looks at
// what came out: every record where it belongs, in the order of its channel, ahead of the control that followed it.
func TestWriterSendsEachRecordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(partitionings).Draw(t, "partitioning")
		consumers := rapid.IntRange(1, 5).Draw(t, "consumers")
		groups := rapid.IntRange(consumers, 200).Draw(t, "groups")
		recorders, senders := record(consumers)
		w := NewWriter(WriterConfig[event]{
			Senders: senders, Subtask: 3, KeyGroups: groups, Partitioning: p, Hash: each(hashOf),
			RowsMax: rapid.IntRange(1, 20).Draw(t, "rows"),
		})
		var n, marks int64
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				must(t, w.Flush())
				if w.Pending() {
					t.Fatal("rows are held back after a flush")
				}
			case 1:
				must(t, w.Watermark(n))
				marks++
				for i, r := range recorders {
					if p == Broadcast && len(r.records(t)) != int(n) {
						t.Fatalf("channel %d has not all %d records at the watermark", i, n)
					}
				}
			case 2:
				if p != Hash && p != Forward {
					continue
				}
				c := rapid.IntRange(0, consumers-1).Draw(t, "consumer")
				if p == Forward {
					c = 0
				}
				must(t, w.FlushTo(c))
			default:
				b := batch(0, n, rapid.IntRange(0, 30).Draw(t, "size"))
				n += int64(b.Len())
				shared := rapid.Bool().Draw(t, "shared")
				if shared {
					b.Hold()
				}
				before := slices.Clone(b.Rows())
				must(t, w.Process(b))
				if shared && !slices.Equal(b.Rows(), before) {
					t.Fatal("shared batch was changed")
				}
			}
		}
		must(t, w.End())
		total := 0
		for i, r := range recorders {
			got := r.records(t)
			total += len(got)
			if !slices.IsSorted(got) {
				t.Fatalf("channel %d out of order: %v", i, got)
			}
			if c := r.controls(); len(c) != int(marks)+1 || c[marks] != end {
				t.Fatalf("channel %d got %v, want %d watermarks and the end", i, c, marks)
			}
			if p == Hash {
				checkOwner(t, r, i, consumers, groups)
			}
			if p == Broadcast && len(got) != int(n) {
				t.Fatalf("channel %d has %d of %d records", i, len(got), n)
			}
			if (p == Global || p == Forward) && i > 0 && len(got) > 0 {
				t.Fatalf("channel %d has records", i)
			}
		}
		if p != Broadcast && total != int(n) {
			t.Fatalf("%d of %d records", total, n)
		}
	})
}

// checkOwner compares with the formula of ranges, not with the table made from it.
func checkOwner(t failer, r *recorder, subtask, consumers, groups int) {
	t.Helper()
	ceil := func(a, b int) int { return (a + b - 1) / b }
	for _, e := range r.events {
		if e.Batch == nil {
			continue
		}
		b := e.Batch.(*element.Batch[event])
		for i := range b.Rows() {
			h := hashOf(&b.Rows()[i])
			if b.Hashes()[i] != h {
				t.Fatalf("record %d travels with the hash of another", b.Rows()[i].N)
			}
			g, _ := keys.Group(h, groups)
			if g < ceil(subtask*groups, consumers) || g > ceil((subtask+1)*groups, consumers)-1 {
				t.Fatalf("key group %d of %d came to subtask %d of %d", g, groups, subtask, consumers)
			}
		}
	}
}

// TestFullBatchComesBehindWhatOthersHave writes one record in ten by an edge of its own to the same consumers.
func TestFullBatchComesBehindWhatOthersHave(t *testing.T) {
	for _, consumers := range []int{1, 3} {
		recorders, senders := record(consumers)
		c := WriterConfig[event]{Senders: senders, KeyGroups: 8, RowsMax: 20, Partitioning: Hash, Hash: each(hashOf)}
		few := NewWriter(c)
		c.Before = few.FlushTo
		many := NewWriter(c)
		const n = 1000
		for i := range int64(n) {
			w := many
			if i%10 == 0 {
				w = few
			}
			must(t, w.Process(batch(0, i, 1)))
		}
		if first := recorders[0].events[0].Batch; first.Len() > 10 {
			t.Errorf("%d consumers: the first batch has %d rows", consumers, first.Len())
		}
		must(t, few.Flush())
		must(t, many.Flush())
		total := 0
		for i, r := range recorders {
			latest := int64(-1)
			for _, id := range r.records(t) {
				if id%10 == 0 && id < latest {
					t.Errorf("consumer %d of %d: record %d came behind %d", i, consumers, id, latest)
				}
				latest = max(latest, id)
				total++
			}
		}
		if total != n {
			t.Errorf("%d consumers: %d records", consumers, total)
		}
	}
}

func TestForwardSwapsStorage(t *testing.T) {
	recorders, senders := record(1)
	w := NewWriter(WriterConfig[event]{Senders: senders, RowsMax: 4, Partitioning: Forward})
	b := batch(0, 0, 4)
	first := &b.Rows()[0]
	must(t, w.Process(b))
	sent := recorders[0].events[0].Batch.(*element.Batch[event])
	if &sent.Rows()[0] != first || b.Len() != 0 {
		t.Fatal("a full batch was copied")
	}
}

func TestBroadcastSharesOneBatch(t *testing.T) {
	recorders, senders := record(3)
	w := NewWriter(WriterConfig[event]{Senders: senders, RowsMax: 4, Partitioning: Broadcast})
	must(t, w.Process(batch(0, 0, 4)))
	b := recorders[0].events[0].Batch
	for _, r := range recorders {
		if r.events[0].Batch != b || !b.(*element.Batch[event]).Shared() {
			t.Fatal("not one batch, shared")
		}
	}
	b.Release()
	b.Release()
	if b.(*element.Batch[event]).Shared() {
		t.Fatal("shared by its last holder")
	}
}

func TestFailedBroadcastReleasesAllHolds(t *testing.T) {
	recorders, senders := record(3)
	recorders[1].err = ErrClosed
	w := NewWriter(WriterConfig[event]{Senders: senders, RowsMax: 4, Partitioning: Broadcast})
	if err := w.Process(batch(0, 0, 4)); !errors.Is(err, ErrClosed) {
		t.Fatalf("process returned %v", err)
	}
	if recorders[0].events[0].Batch.(*element.Batch[event]).Shared() {
		t.Fatal("holds of channels that were not sent to are kept")
	}
}

func TestTrickleReachesAllTargetsOfRebalance(t *testing.T) {
	recorders, senders := record(3)
	w := NewWriter(WriterConfig[event]{Senders: senders, Subtask: 2, Partitioning: Rebalance})
	for i := range int64(6) {
		must(t, w.Process(batch(0, i, 1)))
		must(t, w.Flush())
	}
	for i, want := range [][]int64{{1, 4}, {2, 5}, {0, 3}} {
		if got := recorders[i].records(t); !slices.Equal(got, want) {
			t.Errorf("channel %d: %v, want %v", i, got, want)
		}
	}
}

func TestShuffleIsEvenAndTheSameForEachAttempt(t *testing.T) {
	run := func(subtask int) (counts []int) {
		recorders, senders := record(4)
		w := NewWriter(WriterConfig[event]{Senders: senders, Subtask: subtask, Partitioning: Shuffle})
		must(t, w.Process(batch(0, 0, 4000)))
		must(t, w.End())
		for _, r := range recorders {
			counts = append(counts, len(r.records(t)))
		}
		return counts
	}
	a, b := run(1), run(2)
	if !slices.Equal(a, run(1)) || slices.Equal(a, b) {
		t.Fatalf("shuffle of subtask 1 %v, of subtask 2 %v", a, b)
	}
	for _, n := range append(a, b...) {
		if n < 850 || n > 1150 {
			t.Fatalf("uneven: %v %v", a, b)
		}
	}
}

func TestTimedAndUntimedBatchesMix(t *testing.T) {
	for _, p := range partitionings {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			recorders, senders := record(2)
			w := NewWriter(WriterConfig[event]{Senders: senders, KeyGroups: 8, Partitioning: p, Hash: each(hashOf)})
			plain := element.NewBatch[event](1)
			plain.Append().N = -1
			for i := range int64(4) {
				must(t, w.Process(batch(0, i, 1)))
				must(t, w.Process(plain))
			}
			must(t, w.End())
			for _, r := range recorders {
				for _, e := range r.events {
					if e.Batch == nil {
						continue
					}
					b := e.Batch.(*element.Batch[event])
					for i, row := range b.Rows() {
						if (row.N < 0) != (b.Times() == nil || b.Times()[i] == element.NoTime) {
							t.Fatalf("record %d has times %v", row.N, b.Times())
						}
					}
				}
			}
		})
	}
}

// TestLentStringsAreCopiedBeforeTheyAreSent sends records whose names lie in a frame, as they came and changed, and gives the
// frame back before the consumer looks.
func TestLentStringsAreCopiedBeforeTheyAreSent(t *testing.T) {
	c, err := codec.For[event]()
	must(t, err)
	for _, p := range partitionings {
		for _, n := range []int{1, 3, element.RowsFor[event](1)} {
			var frames element.FramePool
			loan := new(element.Loan)
			recorders, senders := record(2)
			w := NewWriter(WriterConfig[event]{
				Senders: senders, KeyGroups: 8, Partitioning: p, Hash: each(hashOf), Loan: loan,
			})
			b := roundTrip(t, SerdeOf(c, codec.Borrowed), &frames, batch(0, 0, n))
			if !b.Borrowed() {
				t.Fatal("the batch borrows nothing")
			}
			loan.Begin(b.TakeFrame())
			lent := loan.Memory()
			must(t, w.Process(b))
			b.Release()
			loan.End()
			clear(lent)
			must(t, w.Flush())
			checkNames(t, recorders, p, n)
		}
	}
}

// checkNames looks for n records with the names that they should have.
func checkNames(t *testing.T, recorders []*recorder, p Partitioning, n int) {
	t.Helper()
	if p == Broadcast {
		n *= len(recorders)
	}
	for _, r := range recorders {
		for _, e := range r.events {
			for _, row := range e.Batch.(*element.Batch[event]).Rows() {
				if row.Name != fmt.Sprint("record ", row.N) {
					t.Fatalf("%v: record %d is called %q", p, row.N, row.Name)
				}
				n--
			}
		}
	}
	if n != 0 {
		t.Errorf("%v: %d records are missing", p, n)
	}
}

// TestOwners compares the channels of hashes with the ranges of key groups that the consumers' state is laid out in.
func TestOwners(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 2, 3, 7, 100, 128, 1000, 32767, 32768} {
		// The first and the last hash of each group.
		var hashes []uint64
		for g := range uint64(groups) {
			first, rest := bits.Div64(g, 0, uint64(groups))
			if rest > 0 {
				first++
			}
			hashes = append(hashes, first)
			if first > 0 {
				hashes = append(hashes, first-1)
			}
		}
		hashes = append(hashes, math.MaxUint64)
		for _, consumers := range []int{1, 2, 3, 5, 63, 64, 127, 1000, 32767, 32768} {
			if consumers > groups {
				continue
			}
			r := newRouter(groups, consumers)
			targets := make([]uint16, len(hashes))
			r.fill(targets, hashes)
			for i, h := range hashes {
				group, _ := keys.Group(h, groups)
				of := int(targets[i])
				first, next := (of*groups+consumers-1)/consumers, ((of+1)*groups+consumers-1)/consumers
				if group < first || group >= next {
					t.Fatalf("%d key groups, %d consumers: group %d goes to consumer %d, who has %d to %d", groups, consumers, group, of, first, next-1)
				}
			}
		}
	}
}
