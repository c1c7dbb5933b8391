// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// proxyBufferBytes is what a Proxy passes on at a time, so a delay holds back that much.
const proxyBufferBytes = 32 << 10

// Proxy is a network between two processes of a test that can fail. It listens on a loopback port or a unix socket and
// passes each connection on to a target.
//
//	client <--> Proxy <--> target
//
// Cut is what a killed process looks like, Freeze a machine or a network that is gone without a word, Delay a bad line.
type Proxy struct {
	network  string
	target   string
	listener net.Listener
	wg       sync.WaitGroup
	mu       struct {
		sync.Mutex
		open   chan struct{} // closed while bytes pass
		cut    bool          // connections are closed at once
		delay  time.Duration
		passed int64              // bytes, both ways
		dropAt int64              // reset all once so many have passed; 0 never
		pairs  map[*pair]struct{} // live connections
	}
}

// pair is a connection, which goes on to the target.
type pair struct {
	near  net.Conn
	once  sync.Once
	ended chan struct{} // closed by reset: then the connection to the target is reset, too
}

func (c *pair) reset() {
	c.once.Do(func() {
		close(c.ended)
		abort(c.near)
	})
}

// abort closes a connection as the kernel does for a process that was killed with input unread.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an error says that it is closed
	}
	_ = conn.Close()
}

// NewProxy listens on address, of network "tcp" or "unix", and passes on to target.
func NewProxy(network, address, target string) (*Proxy, error) {
	listener, err := net.Listen(network, address) //nolint:noctx // binding a socket doesn't wait
	if err != nil {
		return nil, err
	}
	p := &Proxy{network: network, target: target, listener: listener}
	p.mu.open = make(chan struct{})
	close(p.mu.open)
	p.mu.pairs = map[*pair]struct{}{}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where the Proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut resets all connections, and new ones, until Resume.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.mu.cut = true
	p.mu.Unlock()
	p.Drop()
}

// Drop resets all connections once; new ones pass.
func (p *Proxy) Drop() {
	p.mu.Lock()
	pairs := slices.Collect(maps.Keys(p.mu.pairs))
	p.mu.Unlock()
	for _, c := range pairs {
		c.reset()
	}
}

// DropAfter resets all connections once, when so many more bytes have passed.
func (p *Proxy) DropAfter(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.dropAt = p.mu.passed + bytes
}

// Passed counts the bytes that have passed, both ways.
func (p *Proxy) Passed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.passed
}

// Freeze lets nothing pass until Resume, not even the end of a connection. New connections are made and stay silent.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.mu.open:
		p.mu.open = make(chan struct{})
	default: // it is frozen
	}
}

// Delay holds back what passes for so long; zero ends that.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.delay = d
}

// Resume ends Cut and Freeze. What was held back passes.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.cut = false
	select {
	case <-p.mu.open:
	default:
		close(p.mu.open)
	}
}

// Close ends all connections and waits.
func (p *Proxy) Close() {
	_ = p.listener.Close() // there is nothing to flush
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		c := &pair{near: near, ended: make(chan struct{})}
		p.mu.Lock()
		cut := p.mu.cut
		if !cut {
			p.mu.pairs[c] = struct{}{}
		}
		p.mu.Unlock()
		if cut {
			c.reset()
			continue
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve dials the target and passes bytes both ways until the pair ends.
func (p *Proxy) serve(c *pair) {
	defer func() {
		p.mu.Lock()
		delete(p.mu.pairs, c)
		p.mu.Unlock()
	}()
	if !p.pass(c, 0) {
		return
	}
	far, err := net.Dial(p.network, p.target) //nolint:noctx // a socket of this machine answers at once
	if err != nil {
		c.reset()
		return
	}
	var both, reset sync.WaitGroup
	reset.Go(func() { <-c.ended; abort(far) })
	both.Go(func() { p.copy(c, c.near, far) })
	both.Go(func() { p.copy(c, far, c.near) })
	both.Wait()
	_, _ = far.Close(), c.near.Close() // after both ends have passed; or they are closed
	c.reset()
	reset.Wait()
}

// copy passes bytes on until the end of from, which it passes on too; an error resets the pair.
func (p *Proxy) copy(c *pair, to, from net.Conn) {
	buffer := make([]byte, proxyBufferBytes)
	for {
		n, err := from.Read(buffer)
		if !p.pass(c, n) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				c.reset()
				return
			}
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) && half.CloseWrite() == nil {
			return
		}
		if err != nil {
			c.reset()
			return
		}
	}
}

// pass waits until n bytes may pass; false when the pair has ended.
func (p *Proxy) pass(c *pair, n int) bool {
	p.mu.Lock()
	open, delay := p.mu.open, p.mu.delay
	p.mu.passed += int64(n)
	drop := p.mu.dropAt > 0 && p.mu.passed >= p.mu.dropAt
	if drop {
		p.mu.dropAt = 0
	}
	p.mu.Unlock()
	if drop {
		p.Drop()
		return false
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ended:
			return false
		}
	}
	select {
	case <-open:
		return true
	case <-c.ended:
		return false
	}
}
