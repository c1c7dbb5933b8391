// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Event is of a key, at the time when it is due.
type Event struct {
	Key int64
	At  time.Time
}

func (e *Event) key() int64      { return e.Key }
func (e *Event) time() time.Time { return e.At }

// feed sends events as they become due, at a rate for a time. Each reader has an equal share of them: of n readers, reader i
// has the numbers i, i+n and so on.
type feed struct {
	rate     float64
	duration time.Duration
	keys     uint64
	start    *start
}

// start is when the first reader began: the time of event number zero.
type start struct {
	once sync.Once
	at   time.Time
}

func (s *start) begin(now time.Time) time.Time {
	s.once.Do(func() { s.at = now })
	return s.at
}

// share is the split of a reader: the next number, and how far it is to the one behind it.
type share struct{ Next, Step int64 }

// SplitID names the share.
func (s share) SplitID() string { return fmt.Sprintf("share-of-%d", s.Step) }

func (f feed) Boundedness() connector.Boundedness { return connector.Bounded }

func (f feed) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[share], _ *connector.None,
) (connector.Enumerator[share, connector.None], error) {
	return dealer{rt}, nil
}

func (f feed) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[Event, share], error) {
	return &reader{rt: rt, feed: f, total: int64(f.rate * f.duration.Seconds())}, nil
}

var _ connector.Source[Event, share, connector.None] = feed{}

// dealer gives each reader its share as it starts. A measurement that fails is not continued.
type dealer struct {
	rt connector.EnumeratorContext[share]
}

func (d dealer) Start(context.Context) error {
	readers := d.rt.Readers()
	for i, r := range readers {
		d.rt.Assign(r, share{int64(i), int64(len(readers))})
		d.rt.NoMoreSplits(r)
	}
	return nil
}

func (d dealer) Assigned(int, []share) error            { return nil }
func (d dealer) ReaderReady(int) error                  { return nil }
func (d dealer) AddBack([]share, int) error             { return nil }
func (d dealer) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (d dealer) Close() error                           { return nil }

// pause is how long a reader waits at least: no timer is finer.
const pause = time.Millisecond

// reader sends what is due.
type reader struct {
	rt    connector.RuntimeContext
	feed  feed
	total int64
	held  []share
	done  bool
}

func (r *reader) Add(splits []share) error {
	r.held = append(r.held, splits...)
	r.rt.Wake()
	return nil
}

func (r *reader) NoMoreSplits() {
	r.done = true
	r.rt.Wake()
}

func (r *reader) Poll(b *element.Batch[Event]) (string, error) {
	if len(r.held) == 0 {
		if r.done {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	s, now := &r.held[0], r.rt.Now()
	began := r.feed.start.begin(now)
	due := min(int64(now.Sub(began).Seconds()*r.feed.rate), r.total) // numbers below it are due
	from := b.Len()
	for ; s.Next < due && b.Len() < b.Limit(); s.Next += s.Step {
		*b.Append() = Event{Key: int64(mix(uint64(s.Next)) % r.feed.keys), At: began.Add(r.after(s.Next))}
	}
	switch {
	case s.Next >= r.total:
		r.held = nil
		return s.SplitID(), connector.ErrSplitEnd
	case b.Len() > from:
		return s.SplitID(), nil
	}
	next := began.Add(r.after(s.Next))
	if soonest := now.Add(pause); next.Before(soonest) {
		next = soonest
	}
	r.rt.WakeAt(next)
	return "", connector.ErrWait
}

// after is when an event is due, from the start.
func (r *reader) after(n int64) time.Duration {
	return time.Duration(float64(n) / r.feed.rate * float64(time.Second))
}

func (r *reader) Snapshot(int64) ([]share, error) { return append([]share(nil), r.held...), nil }
func (r *reader) Completed(int64) error           { return nil }
func (r *reader) Close() error                    { return nil }

// mix spreads numbers over keys (the finaliser of splitmix64, by Sebastiano Vigna).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
