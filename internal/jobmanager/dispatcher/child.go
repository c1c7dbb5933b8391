// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// child is a process of a job program; process.Process says what the methods do.
type child interface {
	Send(f *weirpb.Frame) bool
	Done() <-chan struct{}
	Exit() process.Exit
	Stop(grace time.Duration)
}

// starter starts a program in a role, as process.StartRole does.
type starter func(
	ctx context.Context, c process.Config, spec *weirpb.RoleSpec, timeout time.Duration,
) (child, *process.Answer, error)

func startProcess(
	ctx context.Context, c process.Config, spec *weirpb.RoleSpec, timeout time.Duration,
) (child, *process.Answer, error) {
	p, a, err := process.StartRole(ctx, c, spec, timeout)
	if err != nil {
		return nil, nil, err // not a nil *Process in an interface
	}
	return p, a, nil
}

// stopGrace is how long a process may take to end after its link was closed.
const stopGrace = 5 * time.Second

// master is a JobMaster process and its place in the network.
type master struct {
	attachment *rpc.Attachment
	// failed has why the process gives up its role, having taken it on.
	failed chan *weirpb.RoleFailed
	mu     struct {
		sync.Mutex
		child child // nil until it has taken on its role
		// early is what was sent to it before that was known here: its first message may be faster than the answer that
		// makes it a child, and what it is asked for then must not be lost.
		early []*weirpb.Frame
	}
}

// earlyMax is how many frames wait for a process to take on its role; more are lost.
const earlyMax = 1024

var _ rpc.Peer = (*master)(nil)

// startMaster starts a JobMaster process and waits until it has taken on its role.
func (d *Dispatcher) startMaster(
	ctx context.Context, c process.Config, spec *weirpb.RoleSpec,
) (*master, *weirpb.RoleReady, error) {
	m := &master{failed: make(chan *weirpb.RoleFailed, 1)}
	m.attachment = d.config.Router.Attach(m, false)
	c.Receive, c.Logger = m.receive, d.config.Logger
	p, answer, err := d.config.start(ctx, c, spec, d.config.ReadyTimeout)
	if err == nil && answer.Ready == nil {
		p.Stop(0)
		err = fmt.Errorf("%w: it described its jobs where it was to be a JobMaster", process.ErrProtocol)
	}
	if err != nil {
		m.attachment.Detach("no JobMaster came about")
		return nil, nil, err
	}
	m.adopt(p)
	return m, answer.Ready, nil
}

// adopt takes a process that has taken on its role.
func (m *master) adopt(p child) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.child = p
	for _, f := range m.mu.early {
		p.Send(f) // one that has ended by now takes nothing
	}
	m.mu.early = nil
}

// Send implements rpc.Peer. What is sent to a process that does not take on its role is lost.
func (m *master) Send(f *weirpb.Frame) bool {
	m.mu.Lock()
	c := m.mu.child
	if c == nil {
		kept := len(m.mu.early) < earlyMax
		if kept {
			m.mu.early = append(m.mu.early, f)
		}
		m.mu.Unlock()
		return kept
	}
	m.mu.Unlock()
	return c.Send(f)
}

func (m *master) process() child {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.child
}

// receive takes the frames of the process, one after the other.
func (m *master) receive(f *weirpb.Frame) {
	if failed := f.GetFailed(); failed != nil {
		select {
		case m.failed <- failed:
		default: // it has said so before
		}
		return
	}
	m.attachment.Receive(f)
}

// end stops the process, at once or after a grace, waits for its end and takes it out of the network.
func (m *master) end(grace time.Duration, reason string) {
	m.process().Stop(grace)
	m.attachment.Detach(reason)
}

// gone is why the process has ended.
func (m *master) gone() error {
	select {
	case f := <-m.failed:
		return &process.Refused{Text: f.GetError(), Kind: f.GetKind()}
	default:
		return fmt.Errorf("the process %v", m.process().Exit())
	}
}
