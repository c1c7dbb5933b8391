// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// NewSeller is a person who opened an auction in the window in which she registered.
type NewSeller struct {
	ID    int64
	Name  string
	Start time.Time
}

// newUserPeriod is the window of q8.
const newUserPeriod = 10 * time.Second

// q8 finds who registers and opens an auction within the same ten seconds. Its output is appended to.
//
//	SELECT P.id, P.name, P.starttime FROM (person IN TUMBLE(10 s)) P JOIN (auction IN TUMBLE(10 s)) A
//	ON P.id = A.seller AND the windows are the same, DISTINCT
//
// A join of two streams by key and window is one window over both: it has seen the one, the other, or both. Join and CoGroup
// would keep all records of the window, to find that there is one.
func q8(events stream.Stream[Event]) stream.Stream[NewSeller] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[activity]) {
			switch e.Kind {
			case KindPerson:
				out.Emit(activity{ID: e.Person.ID, Name: e.Person.Name, Registers: true})
			case KindAuction:
				out.Emit(activity{ID: e.Auction.Seller})
			case KindBid:
			}
		}).
		KeyBy(func(a *activity) int64 { return a.ID }).
		Window(window.Tumbling(newUserPeriod)).
		AggregateProcess("new sellers", aggregate.Of((*newUser).add, (*newUser).merge, (*newUser).result),
			func(ctx *stream.WindowCtx[int64], u *newUser, out *stream.Out[NewSeller]) error {
				if u.Registered && u.Sells {
					out.Emit(NewSeller{ctx.Key(), u.Name, ctx.Window().Start})
				}
				return nil
			})
}

// activity is that a person registers, or else opens an auction.
type activity struct {
	ID        int64
	Name      string
	Registers bool
}

// newUser is what a person did in a window.
type newUser struct {
	Name              string
	Registered, Sells bool
}

func (u *newUser) add(a *activity) {
	if a.Registers {
		u.Registered, u.Name = true, a.Name
	} else {
		u.Sells = true
	}
}

func (u *newUser) merge(from *newUser) {
	if from.Registered {
		u.Registered, u.Name = true, from.Name
	}
	u.Sells = u.Sells || from.Sells
}

func (u *newUser) result() newUser { return *u }
