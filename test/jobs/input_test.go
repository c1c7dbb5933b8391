// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"time"

	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

const (
	// step is the event time between two records, in milliseconds; disorder is how far one may be behind.
	step     = 2
	disorder = 150
	// keyCount and wordCount are the numbers of keys.
	keyCount  = 31
	wordCount = 12
	// quoteEvery is how many events there are for a quote.
	quoteEvery = 8
)

// event is the main input. At is in milliseconds; Part tells copies apart.
type event struct {
	Seq, At, Key, Amount int64
	Part                 int8
	Word                 string
}

func (e *event) time() time.Time { return time.UnixMilli(e.At) }
func (e *event) key() int64      { return e.Key }
func (e *event) word() string    { return e.Word }
func (e *event) amount() int64   { return e.Amount }

// quote is the second input.
type quote struct{ At, Key, Price int64 }

func (q *quote) time() time.Time { return time.UnixMilli(q.At) }
func (q *quote) key() int64      { return q.Key }

// input is what a job reads, a function of its seed.
type input struct {
	seed   uint64
	events int64
}

// mix makes a number of the seed, the position and what it is for.
func (in input) mix(i int64, salt uint64) int64 {
	x := in.seed*0x9e3779b97f4a7c15 + uint64(i)*0xbf58476d1ce4e5b9 + salt*0x94d049bb133111eb
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int64((x ^ x>>31) >> 1)
}

var words = [wordCount]string{
	"", "a", "weir", "sluice", "lock", "a longer word that no small buffer holds", "ford", "mill", "ü", "bank", "bed", "mouth",
}

// event makes the i-th record: a tenth of them has the hot key.
func (in input) event(i int64, out *event) {
	out.Seq = i
	out.At = i*step - in.mix(i, 1)%(disorder+1)
	if in.mix(i, 2)%10 > 0 {
		out.Key = in.mix(i, 3) % keyCount
	}
	out.Amount = in.mix(i, 4)%1000 - 300
	out.Word = words[in.mix(i, 5)%wordCount]
}

// quotesOf is the number of quotes that cover the time of so many events.
func quotesOf(events int64) int64 { return (events + quoteEvery - 1) / quoteEvery }

// quote makes the i-th quote.
func (in input) quote(i int64, out *quote) {
	out.At = i*quoteEvery*step - in.mix(i, 6)%(disorder+1)
	out.Key = in.mix(i, 7) % keyCount
	out.Price = in.mix(i, 8) % 100
}

func (in input) allEvents() []event {
	all := make([]event, in.events)
	for i := range all {
		in.event(int64(i), &all[i])
	}
	return all
}

func (in input) allQuotes() []quote {
	all := make([]quote, quotesOf(in.events))
	for i := range all {
		in.quote(int64(i), &all[i])
	}
	return all
}

// readEvents begins a job with the events.
func (in input) readEvents(env *stream.Env) stream.Stream[event] {
	return env.From("events", generator.New(in.event).Limit(in.events)).
		Watermarks(watermark.BoundedOutOfOrderness(disorder*time.Millisecond, (*event).time))
}

// readQuotes begins a job with the quotes.
func (in input) readQuotes(env *stream.Env) stream.Stream[quote] {
	return env.From("quotes", generator.New(in.quote).Limit(quotesOf(in.events))).
		Watermarks(watermark.BoundedOutOfOrderness(disorder*time.Millisecond, (*quote).time))
}
