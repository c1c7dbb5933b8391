// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"slices"
	"testing"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
)

// sum is the second type of an edge of events.
type sum struct {
	Key string
	N   int64
}

func sums(n int64) *element.Batch[sum] {
	b := element.NewBatch[sum](4)
	*b.AppendNanos(n) = sum{"a", n}
	*b.AppendNanos(n + 1) = sum{"b", n + 1}
	return b
}

func TestEitherCarriesBothTypes(t *testing.T) {
	c, err := codec.For[sum]()
	must(t, err)
	one, other := serde(t), SerdeOf(c, codec.Owned)
	s := Either[event, sum](one, other)
	if f := s.Fingerprint(); f == one.Fingerprint() || f == other.Fingerprint() || f == Either[sum, event](other, one).Fingerprint() {
		t.Error("the fingerprint tells the types not apart")
	}
	var frames element.FramePool
	decode := func(p []byte) (element.Any, error) {
		f := frames.Get(len(p))
		defer f.Release()
		copy(f.Bytes(), p)
		return s.Decode(f)
	}
	for range 2 {
		p, err := s.Append([]byte("before"), sums(7))
		must(t, err)
		b, err := decode(p[len("before"):])
		must(t, err)
		got, ok := b.(*element.Batch[sum])
		if !ok || !slices.Equal(got.Rows(), sums(7).Rows()) || !slices.Equal(got.Times(), []int64{7, 8}) {
			t.Fatalf("sums became %T %v", b, b)
		}
		b.Release()
		p, err = s.Append(nil, batch(1, 5, 3))
		must(t, err)
		b, err = decode(p)
		must(t, err)
		if got, ok := b.(*element.Batch[event]); !ok || !slices.Equal(got.Rows(), batch(1, 5, 3).Rows()) {
			t.Fatalf("events became %T %v", b, b)
		}
		b.Release()
	}
	for _, p := range [][]byte{nil, {1, 0, 0, 0}, {1, 0, 0, 0, otherRows}, {1, 0, 0, 0, 8}} {
		if _, err := decode(p); !errors.Is(err, ErrCorrupt) {
			t.Errorf("% x: error %v", p, err)
		}
	}
}

// TestOtherBatchesTakeTheChannelOfTheirHash sends batches of a second type through a writer: to the channel that records
// with the hash take, behind what other outputs have for that consumer.
func TestOtherBatchesTakeTheChannelOfTheirHash(t *testing.T) {
	recorders, senders := record(3)
	var told []int
	w := NewWriter(WriterConfig[event]{
		Senders: senders, KeyGroups: 128, Partitioning: Hash, Hash: each(hashOf),
		Before: func(consumer int) error { told = append(told, consumer); return nil },
	})
	if w.Width() != 3 {
		t.Errorf("a writer of 3 channels has %d", w.Width())
	}
	b := batch(1, 100, 1)
	must(t, w.Process(b))
	must(t, w.Flush())
	for i, r := range recorders {
		for _, e := range r.events {
			for _, h := range e.Batch.(*element.Batch[event]).Hashes() {
				if c := w.Channel(h); c != i {
					t.Fatalf("records with hash %#x went to channel %d, others go to %d", h, i, c)
				}
			}
		}
	}
	must(t, w.SendOther(1, sums(3)))
	if last := recorders[1].events[len(recorders[1].events)-1]; last.Batch.Len() != 2 || !slices.Equal(told, []int{1}) {
		t.Errorf("sent %v, other outputs were told of %v", last, told)
	}
}
