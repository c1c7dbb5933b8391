// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Versions of the messages.
const (
	// Protocol is the newest version that this build speaks.
	Protocol = 1
	// ProtocolMin is the oldest.
	ProtocolMin = 1
)

// Network takes messages from endpoints to endpoints.
type Network interface {
	// Bind makes deliver the receiver of what is sent to name, until unbind is called. deliver must not block, owns what
	// it is given and is called from any goroutine.
	Bind(name string, deliver func(*weirpb.Envelope)) (unbind func(), err error)
	// Send passes e on to e.To, now, later or never. It does not block and keeps nothing of e.
	Send(e *weirpb.Envelope)
}

// Local is a Network within the process. Messages to a name that nobody has bound are lost, as they would be between
// machines.
type Local struct {
	logger *slog.Logger
	mu     struct {
		sync.Mutex
		bound map[string]*binding
	}
}

type binding struct{ deliver func(*weirpb.Envelope) }

var _ Network = (*Local)(nil)

// NewLocal makes a network without endpoints.
func NewLocal(logger *slog.Logger) *Local {
	n := &Local{logger: logger}
	n.mu.bound = map[string]*binding{}
	return n
}

// Bind implements Network.
func (n *Local) Bind(name string, deliver func(*weirpb.Envelope)) (func(), error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.bound[name] != nil {
		return nil, fmt.Errorf("bind %q: the name is taken", name)
	}
	b := &binding{deliver}
	n.mu.bound[name] = b
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.mu.bound[name] == b {
			delete(n.mu.bound, name)
		}
	}, nil
}

// Send implements Network: the receiver gets a decoded copy.
func (n *Local) Send(e *weirpb.Envelope) {
	n.mu.Lock()
	b := n.mu.bound[e.GetTo()]
	n.mu.Unlock()
	if b == nil {
		return
	}
	decoded, err := encodedAndDecoded(e)
	if err != nil {
		n.logger.Error("message dropped", "from", e.GetFrom(), "to", e.GetTo(), "error", err)
		return
	}
	b.deliver(decoded)
}
