// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"testing"

	"github.com/weir-stream/weir/element"
)

// TestBytesOfBatches sends batches of many sizes, some before the consumer comes: connections count their frames, and what
// stays in the process is counted as about what its frames would take.
func TestBytesOfBatches(t *testing.T) {
	everyTransport(t, func(w wired) {
		t, up, down := w.T, w.up, w.down
		id := PartitionID{Attempt: 7}
		p := partition(t, up, id, 1)
		send := p.Senders()[0]
		var frames, at int64
		ship := func(n int) {
			b := batch(0, at, n)
			at += int64(n)
			payload, err := serde(t).Append(nil, b)
			must(t, err)
			frames += headerBytes + int64(len(payload))
			must(t, send.Send(b, element.Control{}))
		}
		ship(500)
		k := newTaker(t, 1)
		k.connect(t, down, up, 0, id)
		for i := range 400 {
			k.Release(k.take())
			ship(100 + i%5*100)
		}
		k.Release(k.take())
		for name, got := range map[string]int64{"out of the partition": p.Bytes(), "into the gate": k.Bytes()} {
			off := float64(got-frames) / float64(frames)
			if up.network != nil && up != down && off != 0 || off < -0.05 || off > 0.05 {
				t.Errorf("%d bytes %s, the frames have %d", got, name, frames)
			}
		}
	})
}

// erring is a serde whose records can't be encoded.
type erring struct{ Serde }

func (erring) Append(dst []byte, _ element.Any) ([]byte, error) {
	return dst, errors.New("no such records")
}

func TestSizeOfFewRows(t *testing.T) {
	s := sizing{serde: serde(t)}
	first := s.count(batch(0, 0, 1000))
	for range 64 {
		s.count(batch(0, 0, 1))
	}
	if got := s.estimate(batch(0, 0, 1000)); got < first || got > 3*first {
		t.Errorf("a batch of 1000 rows is taken for %d bytes behind small ones, for %d before", got, first)
	}
	unknown := sizing{serde: erring{}}
	if got := unknown.count(batch(0, 0, 3)); got != 0 {
		t.Errorf("a batch that can't be encoded has %d bytes", got)
	}
}
