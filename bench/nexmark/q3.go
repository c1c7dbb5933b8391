// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// LocalItem is an auction and who sells it.
type LocalItem struct {
	Name, City, State string
	Auction           int64
}

// seller is a person, as q3 needs her.
type seller struct {
	ID                int64
	Name, City, State string
}

// offered is an auction, as q3 needs it.
type offered struct{ ID, Seller int64 }

// q3 finds who sells items of category 10 in Oregon, Idaho and California. Its output is appended to.
//
//	SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
//	WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')
//
// An auction may come before its seller, and waits for her then. All people take part in the join, so that no auction waits
// for one who lives elsewhere.
func q3(events stream.Stream[Event]) stream.Stream[LocalItem] {
	auctions := events.FlatMap(func(e *Event, out *stream.Out[offered]) {
		if e.Kind == KindAuction && e.Auction.Category == firstCategory {
			out.Emit(offered{e.Auction.ID, e.Auction.Seller})
		}
	})
	people := events.FlatMap(func(e *Event, out *stream.Out[seller]) {
		if e.Kind == KindPerson {
			out.Emit(seller{e.Person.ID, e.Person.Name, e.Person.City, e.Person.State})
		}
	})
	return auctions.KeyBy(func(a *offered) int64 { return a.Seller }).
		Connect(people.KeyBy(func(p *seller) int64 { return p.ID })).
		Process("local", (*sellerItems).offer, (*sellerItems).register)
}

// sellerItems is what is known of a seller.
type sellerItems struct {
	Known   bool
	Seller  seller
	Waiting state.List[int64]
}

func (s *sellerItems) offer(_ *stream.Ctx[int64], a *offered, out *stream.Out[LocalItem]) error {
	if !s.Known {
		s.Waiting.Append(a.ID)
		return nil
	}
	s.emit(a.ID, out)
	return nil
}

func (s *sellerItems) register(_ *stream.Ctx[int64], p *seller, out *stream.Out[LocalItem]) error {
	s.Known, s.Seller = true, *p
	for id := range s.Waiting.All() {
		s.emit(*id, out)
	}
	s.Waiting.Clear()
	return nil
}

func (s *sellerItems) emit(auction int64, out *stream.Out[LocalItem]) {
	if isLocal(s.Seller.State) {
		out.Emit(LocalItem{s.Seller.Name, s.Seller.City, s.Seller.State, auction})
	}
}

func isLocal(state string) bool { return state == "OR" || state == "ID" || state == "CA" }
