// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"math"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// measureEvery is how many batches of a partition pass between two that are measured, once it has sent as many. Of the
// first ones, those whose number is a power of two are.
const measureEvery = 256

// sizing estimates how many bytes batches would take as frames, for channels within a process, which never encode them. Now
// and then it encodes one, throws the bytes away, and takes it that the next rows are as large: exact for records of one
// size, and an average for others. It costs an encoding of one batch in measureEvery.
//
// The producing task calls all but estimate.
type sizing struct {
	serde Serde
	// batches counts what was sent in the process, next is the one that is measured next.
	batches, next uint64
	// bytes and rows are of the batches that were measured, each counting half as much as the next one: one of few rows
	// doesn't outweigh those of many.
	bytes, rows float64
	// perRow is the float of bytes over rows, zero before the first.
	perRow atomic.Uint64
}

// count takes a batch that is sent, and returns its size.
func (s *sizing) count(b element.Any) int64 {
	if s.batches >= s.next {
		s.measure(b)
		s.next = s.batches + min(max(s.batches, 1), measureEvery)
	}
	s.batches++
	return s.estimate(b)
}

// measure encodes a batch. One that can't be encoded, where a record's own method fails, leaves things as they are: nobody
// has asked for its bytes.
func (s *sizing) measure(b element.Any) {
	if s.serde == nil || b.Len() == 0 {
		return
	}
	frame, err := safely(func() ([]byte, error) { return s.serde.Append(nil, b) })
	if err != nil {
		return
	}
	s.bytes, s.rows = s.bytes/2+float64(len(frame)), s.rows/2+float64(b.Len())
	s.perRow.Store(math.Float64bits(s.bytes / s.rows))
}

// estimate is the size of a batch by what is known, zero before the first was measured. It may be called from any goroutine.
func (s *sizing) estimate(b element.Any) int64 {
	perRow := math.Float64frombits(s.perRow.Load())
	if perRow == 0 {
		return 0
	}
	return headerBytes + int64(math.Round(perRow*float64(b.Len())))
}
