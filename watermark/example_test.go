// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package watermark_test

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/watermark"
)

// Bid has its event time in it; the last one of an auction says so.
type Bid struct {
	At   time.Time
	Last bool
}

func (b *Bid) time() time.Time { return b.At }

func bid(minute int) Bid { return Bid{At: time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)} }

// follow prints the watermark behind each batch of one split.
func follow(name string, s watermark.Strategy[Bid], batches ...[]Bid) {
	split := s.Track()
	fmt.Print(name, ":")
	for _, rows := range batches {
		b := element.NewBatch[Bid](len(rows))
		for _, r := range rows {
			*b.Append() = r
		}
		split.Batch(b)
		if at := split.Watermark(); at == element.MinWatermark {
			fmt.Print(" none")
		} else {
			fmt.Print(" ", time.Unix(0, at).UTC().Format("15:04:05.999999999"))
		}
	}
	fmt.Println()
}

// Watermarks follow the latest time that a split has seen. A record at 12:09 may be followed by another one of that
// instant, so the watermark stays just before it; with a bound, it stays before all that may still come.
func Example() {
	first, second, third := []Bid{bid(3), bid(9)}, []Bid{bid(5)}, []Bid{bid(14)}
	follow("ascending", watermark.Ascending((*Bid).time), first, second, third)
	follow("bounded", watermark.BoundedOutOfOrderness(4*time.Minute, (*Bid).time), first, second, third)
	// Output:
	// ascending: 12:08:59.999999999 12:08:59.999999999 12:13:59.999999999
	// bounded: 12:04:59.999999999 12:04:59.999999999 12:09:59.999999999
}

// lastBids knows more than the clock of the records: behind the last bid of an auction there is none at or before it.
type lastBids struct{}

func (lastBids) OnRecord(in *Bid, at time.Time, out *watermark.Output) {
	if in.Last {
		out.Emit(at)
	}
}

func (lastBids) OnPeriod(*watermark.Output) {}

// A generator of one's own sees every record of its split.
func ExampleCustom() {
	last := bid(9)
	last.Last = true
	strategy := watermark.Custom((*Bid).time, func() watermark.Generator[Bid] { return lastBids{} })
	follow("auctions", strategy, []Bid{bid(3), bid(7)}, []Bid{bid(5), last}, []Bid{bid(14)})
	// Output:
	// auctions: none 12:09:00 12:09:00
}
