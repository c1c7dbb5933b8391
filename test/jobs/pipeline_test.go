// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// result is what all branches of the pipeline emit. Which fields mean what depends on Of, the branch.
type result struct {
	Of              string
	Key, At, N, Sum int64
	Text            string
}

// Periods of the windows and of the timers, in milliseconds.
const (
	bucket      = 100
	tumble      = 250
	slide, wide = 200, 600
)

// large is the side output of the tracking step.
var large = stream.NewTag[event]("large")

// hooks are where a test breaks a job from within; each may be nil.
type hooks struct {
	// mapped is called for each record that is mapped, tracked and joined for each one that these steps see.
	mapped, tracked, joined func(*event) error
}

func call(hook func(*event) error, e *event) error {
	if hook == nil {
		return nil
	}
	return hook(e)
}

// cook is the stateless head: a map, a filter and a flat map.
func cook(events stream.Stream[event], h hooks) stream.Stream[event] {
	return events.
		MapE(func(e *event) (event, error) {
			out := *e
			out.Amount = cooked(e.Amount)
			return out, call(h.mapped, e)
		}).
		Filter(kept).
		FlatMap(func(e *event, out *stream.Out[event]) {
			for part := range copies(e) {
				c := *e
				c.Part = part
				out.Emit(c)
			}
		})
}

func cooked(amount int64) int64 { return 3*amount + 1 }
func kept(e *event) bool        { return e.Seq%7 != 3 }

func copies(e *event) int8 {
	if e.Seq%5 == 0 {
		return 2
	}
	return 1
}

// inOrder sorts by event time, and by number where that is equal.
func inOrder(a, b event) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Part, b.Part))
}

// track goes through the records of a key in the order of their times: they wait in a list until a timer says that the
// bucket is complete.
type track struct {
	Count   int64
	Best    state.Value[int64]
	Waiting state.List[event]
	ByWord  state.Map[string, int64]
}

// forgetAfter is the number of records after which a key begins anew.
const forgetAfter = 50

// bucketEnd is the end of the bucket of a time.
func bucketEnd(at, size int64) int64 { return floor(at, size) + size }

// floor rounds down to a multiple of size.
func floor(at, size int64) int64 {
	if r := at % size; r < 0 {
		return at - r - size
	}
	return at - at%size
}

// tracking is the step with its hooks.
type tracking struct{ hooks }

func (h tracking) see(s *track, ctx *stream.Ctx[int64], in *event, _ *stream.Out[result]) error {
	s.Waiting.Append(*in)
	ctx.EventTimer(time.UnixMilli(bucketEnd(in.At, bucket)))
	if in.Amount%11 == 0 {
		ctx.Output(large, *in)
	}
	return call(h.tracked, in)
}

func (h tracking) fire(s *track, ctx *stream.Ctx[int64], t stream.Timer, out *stream.Out[result]) error {
	var due []event
	s.Waiting.DeleteFunc(func(e *event) bool {
		if e.At >= t.At.UnixMilli() {
			return false
		}
		due = append(due, *e)
		return true
	})
	slices.SortFunc(due, inOrder)
	for i := range due {
		out.Emit(s.take(ctx.Key(), &due[i]))
	}
	return nil
}

func (s *track) take(key int64, e *event) result {
	s.Count++
	if best, ok := s.Best.Get(); !ok || e.Amount > best {
		s.Best.Set(e.Amount)
	}
	*s.ByWord.At(e.Word)++
	best, _ := s.Best.Get()
	n, _ := s.ByWord.Get(e.Word)
	r := result{Of: "track", Key: key, At: e.At, N: s.Count, Sum: best, Text: fmt.Sprintf("%s:%d/%d", e.Word, n, s.ByWord.Len())}
	if s.Count == forgetAfter {
		s.Count = 0
		s.Best.Clear()
		s.ByWord.Clear()
	}
	return r
}

// pairs joins each event with the newest quote of its key that isn't newer than it.
type pairs struct {
	Events state.List[event]
	Quotes state.List[quote]
}

// joining is the step with its hooks.
type joining struct{ hooks }

func (h joining) event(s *pairs, ctx *stream.Ctx[int64], in *event, _ *stream.Out[result]) error {
	s.Events.Append(*in)
	ctx.EventTimer(in.time())
	return call(h.joined, in)
}

func (h joining) quote(s *pairs, _ *stream.Ctx[int64], in *quote, _ *stream.Out[result]) error {
	s.Quotes.Append(*in)
	return nil
}

func (h joining) fire(s *pairs, ctx *stream.Ctx[int64], t stream.Timer, out *stream.Out[result]) error {
	now := t.At.UnixMilli()
	var last quote
	found := false
	s.Quotes.DeleteFunc(func(q *quote) bool { // all but the newest of the past can go
		if q.At > now {
			return false
		}
		if !found || newer(*q, last) {
			last, found = *q, true
		}
		return true
	})
	if found {
		s.Quotes.Append(last)
	}
	s.Events.DeleteFunc(func(e *event) bool {
		if e.At != now {
			return false
		}
		out.Emit(joined(ctx.Key(), e, last))
		return true
	})
	return nil
}

func newer(a, b quote) bool {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Price, b.Price)) > 0
}

func joined(key int64, e *event, q quote) result {
	return result{Of: "join", Key: key, At: e.At, N: q.Price, Sum: e.Seq + int64(e.Part)}
}

func sumOf(ctx *stream.WindowCtx[string], sum *int64, out *stream.Out[result]) error {
	out.Emit(result{Of: "tumbling", At: ctx.Window().Start.UnixMilli(), Sum: *sum, Text: ctx.Key()})
	return nil
}

func spread(ctx *stream.WindowCtx[int64], in iter.Seq[*event], out *stream.Out[result]) error {
	r := result{Of: "sliding", Key: ctx.Key(), At: ctx.Window().Start.UnixMilli()}
	for e := range in {
		r.N++
		r.Sum += e.Amount
	}
	out.Emit(r)
	return nil
}

// pipeline is the family of steps: all that a job can be made of, between two sources and one stream of results.
func pipeline(source stream.Stream[event], quotes stream.Stream[quote], h hooks) stream.Stream[result] {
	events := cook(source, h)
	tracked := events.KeyBy((*event).key).ProcessTimed("track", tracking{h}.see, tracking{h}.fire)
	bigOnes := tracked.SideOutput(large).Map(func(e *event) result {
		return result{Of: "large", Key: e.Key, At: e.At, N: int64(e.Part), Sum: e.Amount}
	})
	counted := events.KeyBy((*event).word).Aggregate("count", aggregate.Count[event]()).
		Map(func(n *int64) result { return result{Of: "count", N: *n} })
	tumbling := events.KeyBy((*event).word).Window(window.Tumbling(tumble*time.Millisecond)).
		AggregateProcess("tumbling", aggregate.Sum((*event).amount), sumOf)
	sliding := events.KeyBy((*event).key).Window(window.Sliding(wide*time.Millisecond, slide*time.Millisecond)).
		Process("sliding", spread)
	pairs := events.KeyBy((*event).key).Connect(quotes.KeyBy((*quote).key)).
		ProcessTimed("join", joining{h}.event, joining{h}.quote, joining{h}.fire)
	return tracked.Union(bigOnes, counted, tumbling, sliding, pairs)
}
