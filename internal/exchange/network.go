// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weir-stream/weir/element"
)

// network is the part of an Environment that has sockets: one listener for consumers of other processes, or two, and one
// connection to each process that this one consumes from. Data flows to the side that dialed, credit back.
type network struct {
	config    Config
	registry  *registry
	address   string
	listeners []net.Listener
	// ctx ends with the network; dialing stops then.
	ctx    context.Context
	cancel context.CancelFunc
	// wg counts the goroutines of the listeners and of all connections.
	wg     sync.WaitGroup
	frames element.FramePool
	// written and read count bytes on all connections.
	written, read atomic.Int64

	mu struct {
		sync.Mutex
		closed bool
		// conns are all sockets that are open, in are the connections by the address of the producers.
		conns map[net.Conn]bool
		in    map[string]*inConn
	}
}

func openNetwork(c Config, r *registry) (*network, error) {
	n := &network{config: c, registry: r}
	//nolint:forbidigo // it lives as long as the environment, whose Close ends it
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.mu.conns = map[net.Conn]bool{}
	n.mu.in = map[string]*inConn{}
	if err := n.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for consumers: %w", err), n.close())
	}
	for _, l := range n.listeners {
		n.wg.Go(func() { n.accept(l) })
	}
	return n, nil
}

// keepAlive finds the other end of an idle connection dead after seconds, where the system would take hours.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}
}

// listen opens the listeners and makes the address.
func (n *network) listen() error {
	open := net.ListenConfig{KeepAliveConfig: keepAlive()}
	network := n.config.Network
	if network == "both" {
		network = "tcp"
	}
	l, err := open.Listen(n.ctx, network, n.config.Listen)
	if err != nil {
		return err
	}
	if n.config.Network != "both" {
		n.listeners = []net.Listener{l}
		n.address = network + ":" + l.Addr().String()
		return nil
	}
	secured := l
	if n.config.Secure.Listener != nil {
		secured = n.config.Secure.Listener(l)
	}
	n.listeners = []net.Listener{secured}
	tcp, err := n.config.advertised(l.Addr())
	if err != nil {
		return err
	}
	a := address{hostID: n.config.HostID, socket: n.config.Socket, tcp: tcp}
	if err := a.validate(); err != nil {
		return err
	}
	n.address = a.String()
	socket, err := n.listenUnix(&open)
	if err != nil {
		return err
	}
	n.listeners = append(n.listeners, socket)
	return nil
}

// listenUnix opens the socket, also where that of a process is left that was killed.
func (n *network) listenUnix(open *net.ListenConfig) (net.Listener, error) {
	path := n.config.Socket
	l, err := open.Listen(n.ctx, "unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	other, dialed := new(net.Dialer).DialContext(n.ctx, "unix", path)
	if dialed == nil {
		_ = other.Close() // somebody lives there
		return nil, err
	}
	if !errors.Is(dialed, syscall.ECONNREFUSED) {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return open.Listen(n.ctx, "unix", path)
}

// hello is what this side says of itself.
func (n *network) hello() hello {
	return hello{version: wireVersion, credits: uint16(n.config.Credits), job: n.config.Job}
}

// accept serves consumers until the listener is closed.
func (n *network) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many files: connections that are open go on, the one that failed is made again
			select {
			case <-n.ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if n.adopt(conn) {
			n.wg.Go(func() { newOutConn(n, conn).serve() })
		}
	}
}

// acceptPause keeps a listener that can't accept from spinning.
const acceptPause = 50 * time.Millisecond

// adopt makes close close the socket, too.
func (n *network) adopt(conn net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		_ = conn.Close()
		return false
	}
	n.mu.conns[conn] = true
	return true
}

// drop closes a socket.
func (n *network) drop(conn net.Conn) {
	_ = conn.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.conns, conn)
}

// connect asks the producer's process for a channel. The connection is made if there is none.
func (n *network) connect(g *Gate, channel int, src Source, serde Serde) error {
	kind, where, err := n.config.way(src.Address)
	if err != nil {
		return fmt.Errorf("connect to producer: %w", err)
	}
	for {
		n.mu.Lock()
		if n.mu.closed {
			n.mu.Unlock()
			return ErrClosed
		}
		c := n.mu.in[src.Address]
		if c == nil {
			c = newInConn(n, src.Address)
			n.mu.in[src.Address] = c
			n.wg.Go(func() { c.run(kind, where) })
		}
		n.mu.Unlock()
		if c.subscribe(g, channel, src, serde) {
			return nil
		}
		n.forget(c) // it has just failed; what comes now belongs to the next
	}
}

func (n *network) forget(c *inConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.in[c.address] == c {
		delete(n.mu.in, c.address)
	}
}

// dial makes a connection and greets.
func (n *network) dial(kind, where string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.config.DialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive()}).DialContext(ctx, kind, where)
	if err != nil {
		return nil, err
	}
	if kind == "tcp" && n.config.Secure.Conn != nil {
		if conn, err = n.config.Secure.Conn(ctx, conn, where); err != nil {
			return nil, fmt.Errorf("secure connection: %w", err)
		}
	}
	if !n.adopt(conn) {
		return nil, net.ErrClosed
	}
	if err := n.greet(conn); err != nil {
		n.drop(conn)
		return nil, err
	}
	return conn, nil
}

func (n *network) greet(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(n.config.DialTimeout)); err != nil {
		return err
	}
	mine := n.hello()
	if _, err := conn.Write(mine.bytes()); err != nil {
		return err
	}
	theirs, err := readHello(conn)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if theirs.refusal != "" {
		return fmt.Errorf("refused: %s", theirs.refusal)
	}
	if refusal := mine.refuse(theirs); refusal != "" {
		return fmt.Errorf("other side has %s", refusal)
	}
	return conn.SetDeadline(time.Time{})
}

// answer is greet of the side that was dialed.
func (n *network) answer(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(n.config.DialTimeout)); err != nil {
		return err
	}
	theirs, err := readHello(conn)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	mine := n.hello()
	mine.refusal = mine.refuse(theirs)
	if _, err := conn.Write(mine.bytes()); err != nil {
		return err
	}
	if mine.refusal != "" {
		return errors.New(mine.refusal)
	}
	return conn.SetDeadline(time.Time{})
}

// close breaks all connections and waits for their goroutines.
func (n *network) close() error {
	n.mu.Lock()
	n.mu.closed = true
	conns := slices.Collect(maps.Keys(n.mu.conns)) // there will be no more
	n.mu.Unlock()
	n.cancel()
	for _, conn := range conns {
		_ = conn.Close() // one that is protected may say so to the other side
	}
	var errs error
	for _, l := range n.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = errors.Join(errs, err)
		}
	}
	n.wg.Wait()
	return errs
}

// countReader counts what is read.
type countReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// lost is the error of the channels of a connection that broke.
func lost(address string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("connection with %s was closed: %w", address, ErrLost)
	}
	return fmt.Errorf("connection with %s: %w: %w", address, err, ErrLost)
}
