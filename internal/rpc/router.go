// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Everyone is, as the receiver of an Envelope, each name bound in a Router and each of its peers, but where it came from.
const Everyone = "*"

// PeerNamesMax bounds the names that one peer can announce.
const PeerNamesMax = 16384

// Peer is a Router's end of a connection to another process.
type Peer interface {
	// Send passes f on and keeps nothing of it. It never blocks, and doesn't call the Router back; false tells that f was
	// dropped, because the queue is full or the peer is gone.
	Send(f *weirpb.Frame) bool
}

// Router is the Network of one process of a cluster. An Envelope goes to the name bound here, else to the peer that has
// announced the name, else to the uplink, else nowhere. Processes form a tree:
//
//	JobManager's Router <--- Names, Envelopes --- TaskManager's Router <--- Names, Envelopes --- executor's Router
//
// A Router with an uplink announces to it all names that are bound here or behind its other peers.
type Router struct {
	logger *slog.Logger
	// announcing is held while names are collected and handed to the uplink, so that a newer list is never overtaken by an
	// older one. Lock order: announcing, mu.
	announcing sync.Mutex
	mu         struct {
		sync.Mutex
		bound     map[string]*binding
		peers     []*Attachment          // the uplink is not among them; the newest is the last
		owner     map[string]*Attachment // of the names that peers announced
		uplink    *Attachment
		announced []string // what the uplink was told last; sorted
	}
}

// Attachment is the place of a peer in a Router. Its methods are called by the owner of the connection.
type Attachment struct {
	router *Router
	peer   Peer
	uplink bool
	// names and detached are guarded by the lock of the Router.
	names    map[string]bool
	detached bool
}

var _ Network = (*Router)(nil)

// NewRouter makes a Router without names and peers.
func NewRouter(logger *slog.Logger) *Router {
	r := &Router{logger: logger}
	r.mu.bound = map[string]*binding{}
	r.mu.owner = map[string]*Attachment{}
	return r
}

// Bind implements Network. A name that a peer has announced can be bound: messages then go to the one bound here.
func (r *Router) Bind(name string, deliver func(*weirpb.Envelope)) (func(), error) {
	if name == "" || name == Everyone {
		return nil, fmt.Errorf("bind %q: not a name of an endpoint", name)
	}
	b := &binding{deliver}
	r.mu.Lock()
	taken := r.mu.bound[name] != nil
	if !taken {
		r.mu.bound[name] = b
	}
	r.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("bind %q: the name is taken", name)
	}
	r.announce(false)
	return func() {
		r.mu.Lock()
		if r.mu.bound[name] == b {
			delete(r.mu.bound, name)
		}
		r.mu.Unlock()
		r.announce(false)
	}, nil
}

// Send implements Network.
func (r *Router) Send(e *weirpb.Envelope) { r.route(e, nil) }

// Attach adds a peer. uplink makes it the way to all names that are not known here; there is one at a time, and a new one
// takes the place of the one before.
func (r *Router) Attach(p Peer, uplink bool) *Attachment {
	a := &Attachment{router: r, peer: p, uplink: uplink, names: map[string]bool{}}
	r.mu.Lock()
	if uplink {
		r.mu.uplink = a
	} else {
		r.mu.peers = append(r.mu.peers, a)
	}
	r.mu.Unlock()
	if uplink {
		r.announce(true)
	}
	return a
}

// Receive takes a frame that came from the peer, which the Router then owns. Frames that are neither names nor Envelopes
// are not for a Router, and ignored; so are all after Detach.
func (a *Attachment) Receive(f *weirpb.Frame) {
	switch body := f.GetBody().(type) {
	case *weirpb.Frame_Names:
		a.router.named(a, body.Names.GetNames())
	case *weirpb.Frame_Envelope:
		if !a.gone() {
			a.router.route(body.Envelope, a)
		}
	}
}

func (a *Attachment) gone() bool {
	a.router.mu.Lock()
	defer a.router.mu.Unlock()
	return a.detached
}

// Detach removes the peer and its names. PeerLost with those names, where no other peer has them, goes to all names bound
// here and to all other peers. If the peer was the uplink, it names Everyone and goes to the names bound here alone: what
// is behind other peers notices by itself what it misses. Detach can be called again.
func (a *Attachment) Detach(reason string) {
	lost, first := a.router.remove(a)
	if !first || len(lost) == 0 {
		return
	}
	a.router.announce(false)
	e := &weirpb.Envelope{
		Protocol: Protocol, To: Everyone,
		Body: &weirpb.Envelope_PeerLost{PeerLost: &weirpb.PeerLost{Names: lost, Reason: reason}},
	}
	if a.uplink {
		a.router.toBound(e)
		return
	}
	a.router.broadcast(e, a)
}

// remove returns the names that nobody has any more, sorted, and whether the peer was attached.
func (r *Router) remove(a *Attachment) (lost []string, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.detached {
		return nil, false
	}
	a.detached = true
	if a.uplink {
		if r.mu.uplink != a {
			return nil, true // another has taken its place
		}
		r.mu.uplink, r.mu.announced = nil, nil
		return []string{Everyone}, true
	}
	r.mu.peers = slices.DeleteFunc(r.mu.peers, func(p *Attachment) bool { return p == a })
	for _, name := range slices.Sorted(maps.Keys(a.names)) {
		if r.disownLocked(name, a) {
			lost = append(lost, name)
		}
	}
	return lost, true
}

// disownLocked gives a name of a, which a no longer has, to the newest other peer that has announced it; true if there is
// none. So a process that came back by a new connection doesn't lose its names with the old one.
func (r *Router) disownLocked(name string, a *Attachment) bool {
	if r.mu.owner[name] != a {
		return false
	}
	for _, p := range slices.Backward(r.mu.peers) {
		if p != a && p.names[name] {
			r.mu.owner[name] = p
			return false
		}
	}
	delete(r.mu.owner, name)
	return true
}

// named replaces the names of a peer.
func (r *Router) named(a *Attachment, names []string) {
	if a.uplink {
		return // an uplink knows all names that are not known here; it has none of its own
	}
	if len(names) > PeerNamesMax {
		r.logger.Error("a peer announces too many names: they are ignored", "names", len(names), "names_max", PeerNamesMax)
		return
	}
	r.mu.Lock()
	if a.detached {
		r.mu.Unlock()
		return
	}
	before := a.names
	a.names = make(map[string]bool, len(names))
	for _, name := range names {
		a.names[name] = true
		if !before[name] {
			r.mu.owner[name] = a
		}
	}
	for name := range before {
		if !a.names[name] {
			r.disownLocked(name, a)
		}
	}
	r.mu.Unlock()
	r.announce(false)
}

// announce tells the uplink all names, if they have changed since it was told last, or always.
func (r *Router) announce(always bool) {
	r.announcing.Lock()
	defer r.announcing.Unlock()
	r.mu.Lock()
	uplink := r.mu.uplink
	if uplink == nil {
		r.mu.Unlock()
		return
	}
	names := slices.Collect(maps.Keys(r.mu.bound))
	names = slices.AppendSeq(names, maps.Keys(r.mu.owner))
	slices.Sort(names)
	names = slices.Compact(names)
	changed := always || !slices.Equal(names, r.mu.announced)
	r.mu.announced = names
	r.mu.Unlock()
	if changed {
		uplink.peer.Send(&weirpb.Frame{Body: &weirpb.Frame_Names{Names: &weirpb.Names{Names: names}}})
	}
}

// route sends e on its way; from is the peer that it came from, nil if it was sent here.
func (r *Router) route(e *weirpb.Envelope, from *Attachment) {
	to := e.GetTo()
	if to == Everyone {
		if from == nil {
			e = r.copied(e)
		}
		r.broadcast(e, from)
		return
	}
	r.mu.Lock()
	b, a := r.mu.bound[to], r.mu.owner[to]
	if a == nil {
		a = r.mu.uplink
	}
	r.mu.Unlock()
	switch {
	case b != nil:
		if from == nil {
			e = r.copied(e) // what came from a peer is decoded, and nobody else's
		}
		if e != nil {
			b.deliver(e)
		}
	case a != nil && a != from:
		r.pass(e, a)
	}
}

// broadcast delivers e to all names bound here and all peers but from. Each name gets a copy of its own.
func (r *Router) broadcast(e *weirpb.Envelope, from *Attachment) {
	if e == nil {
		return
	}
	r.toBound(e)
	r.mu.Lock()
	peers := slices.Clone(r.mu.peers)
	if r.mu.uplink != nil {
		peers = append(peers, r.mu.uplink)
	}
	r.mu.Unlock()
	for _, a := range peers {
		if a != from {
			r.pass(e, a)
		}
	}
}

// toBound delivers e to all names bound here but its sender, in the order of names.
func (r *Router) toBound(e *weirpb.Envelope) {
	r.mu.Lock()
	bound := maps.Clone(r.mu.bound)
	r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(bound)) {
		if name == e.GetFrom() {
			continue
		}
		if c := r.copied(e); c != nil {
			c.To = name
			bound[name].deliver(c)
		}
	}
}

// pass hands e to a peer.
func (r *Router) pass(e *weirpb.Envelope, a *Attachment) {
	if a.peer.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: e}}) {
		return
	}
	log := r.logger.With("from", e.GetFrom(), "to", e.GetTo())
	if size := proto.Size(e); size > FrameBytesMax-frameOverheadBytes {
		log.Error("message dropped: it is too long", "bytes", size, "bytes_max", FrameBytesMax)
	} else if _, err := proto.Marshal(e); err != nil {
		log.Error("message dropped: it can't be encoded", "error", err)
	} else {
		log.Debug("message dropped: the peer is gone or slow")
	}
}

// frameOverheadBytes is at least what a Frame needs around an Envelope.
const frameOverheadBytes = 8

// copied returns e as a wire would make it of e; nil, and a line in the log, if that can't be.
func (r *Router) copied(e *weirpb.Envelope) *weirpb.Envelope {
	c, err := encodedAndDecoded(e)
	if err != nil {
		r.logger.Error("message dropped", "from", e.GetFrom(), "to", e.GetTo(), "error", err)
	}
	return c
}

// encodedAndDecoded returns a copy of e that has been through its encoding.
func encodedAndDecoded(e *weirpb.Envelope) (*weirpb.Envelope, error) {
	raw, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	decoded := &weirpb.Envelope{}
	if err := proto.Unmarshal(raw, decoded); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return decoded, nil
}
