// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package rpc carries the messages of weirpb between the endpoints of the control plane: Dispatcher, ResourceManager,
// JobMasters and TaskManagers.
//
//	handler --Send--> Network ==bytes==> mailbox --one goroutine--> handler
//
// An endpoint is a name, a bounded mailbox and one goroutine, which alone touches the state of its handler. A network
// may lose, delay, double and reorder messages, so every message is idempotent and what must arrive is said again; the
// sequence number of an Envelope lets a receiver tell which of two whole states is the newer.
//
// Local is the network of one process. It encodes and decodes every message as a wire would: no pointer is shared, so
// the embedded cluster can't hide a bug of the protocol.
//
// Router is the network of a process in a cluster of processes: what is bound in the process, and peers behind
// connections. A peer is a Link to a process of the same machine, over an inherited socket, or a connection of package
// remote to another machine. Both carry weirpb.Frames through a Queue, which is bounded: Envelopes are dropped when it is
// full, what is said once never.
//
// Non-obvious: the names behind a connection are gone only when all that came by it has been delivered, so PeerLost is the
// last that is heard of them.
//
// Non-obvious: messages are dropped when a mailbox is full, but functions that an endpoint's own helpers post are not:
// there are as many of them as helpers.
package rpc
