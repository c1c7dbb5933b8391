// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Config says how an Environment reaches others.
type Config struct {
	// Network is "local", "tcp", "unix" or "both". The zero value is "local": no socket is opened, and only environments
	// of the same Hub are reached. "both" serves consumers on the same host by a unix socket, those on others by TCP.
	Network string
	// Listen is the address on which consumers of other processes are served: host and port (zero takes a free one), or,
	// of "unix", the path of a socket. Unused by "local".
	Listen string
	// Socket is the path of the unix socket of "both". One that a process left there which is gone is replaced.
	Socket string
	// HostID, of "both", is the same for all processes that can reach each other's unix sockets, and for no others.
	HostID string
	// Host is what others reach this host by, of "both"; empty for the IP that is listened on.
	Host string
	// Secure protects connections by TCP of "both"; the zero value leaves them in plain text.
	Secure Secure
	// Hub makes environments of one process reach each other without a socket. Nil for an environment on its own.
	Hub *Hub
	// Job is compared when processes connect: both must be part of the same job.
	Job string
	// Credits is the number of batches in flight on a channel; zero is the constant Credits. It must be the same in all
	// environments of a job.
	Credits int
	// PartitionTimeout is how long a consumer waits for a partition that nobody has created; zero is 30 s.
	PartitionTimeout time.Duration
	// DialTimeout bounds the making of a connection, handshake included; zero is 10 s.
	DialTimeout time.Duration
}

// Secure wraps connections by TCP, as TLS does. Both functions are set, or neither.
type Secure struct {
	// Listener wraps the one that consumers of other hosts connect to. Its Accept must not wait for a handshake; that is
	// done by the first read or write of the connection.
	Listener func(net.Listener) net.Listener
	// Conn wraps a connection that was dialed to address and does the handshake, or closes it. It returns when ctx ends.
	Conn func(ctx context.Context, conn net.Conn, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	c.Network = cmp.Or(c.Network, "local")
	c.Credits = cmp.Or(c.Credits, Credits)
	c.PartitionTimeout = cmp.Or(c.PartitionTimeout, 30*time.Second)
	c.DialTimeout = cmp.Or(c.DialTimeout, 10*time.Second)
	return c
}

func (c Config) validate() error {
	if err := c.validateNetwork(); err != nil {
		return err
	}
	switch {
	case c.Credits < 1 || c.Credits > CreditsMax:
		return fmt.Errorf("exchange credits %d: want 1 to %d", c.Credits, CreditsMax)
	case len(c.Job) > jobBytesMax:
		return fmt.Errorf("exchange job id has %d bytes: want at most %d", len(c.Job), jobBytesMax)
	case c.PartitionTimeout < 0 || c.DialTimeout < 0:
		return fmt.Errorf("exchange timeouts %v and %v: want none below zero", c.PartitionTimeout, c.DialTimeout)
	}
	return nil
}

func (c Config) validateNetwork() error {
	secured := c.Secure.Listener != nil || c.Secure.Conn != nil
	switch c.Network {
	case "local":
		return nil
	case "tcp", "unix":
		if secured {
			return fmt.Errorf("exchange network %s: connections are protected by both alone", c.Network)
		}
	case "both":
		if err := errors.Join(validateHostID(c.HostID), validateSocket(c.Socket)); err != nil {
			return fmt.Errorf("exchange network both: %w", err)
		}
		if secured && (c.Secure.Listener == nil || c.Secure.Conn == nil) {
			return errors.New("exchange network both: the listener and connections are protected, or neither")
		}
	default:
		return fmt.Errorf("exchange network %q: want local, tcp, unix or both", c.Network)
	}
	if c.Listen == "" {
		return fmt.Errorf("exchange network %s: no address to listen on", c.Network)
	}
	return nil
}

// Environment is the exchange of one executor: the partitions that its tasks produce, the connections to those of
// others. Its methods may be called from any goroutine.
type Environment struct {
	config   Config
	address  string
	registry *registry
	network  *network
}

// Source is where a channel of a gate comes from.
type Source struct {
	ID PartitionID
	// Subpartition is that of the consumer; Address is of the producer's environment, empty for the same one.
	Subpartition int
	Address      string
}

// NewEnvironment makes an environment; with a network it listens when it returns.
func NewEnvironment(c Config) (*Environment, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	e := &Environment{config: c, registry: newRegistry(c.PartitionTimeout)}
	if c.Network != "local" {
		n, err := openNetwork(c, e.registry)
		if err != nil {
			return nil, err
		}
		e.network = n
		e.address = n.address
	}
	if c.Hub != nil {
		e.address = c.Hub.join(e)
	}
	return e, nil
}

// Address is what consumers in other environments name in their Source.
func (e *Environment) Address() string { return e.address }

// CreatePartition makes the partition of a producing task, with a channel to each consumer. Consumers may have asked for
// it before. serde may be nil where no consumer will be in another process.
func (e *Environment) CreatePartition(id PartitionID, consumers int, serde Serde) (*Partition, error) {
	p := newPartition(id, consumers, serde, e.config.Credits, e.registry.remove)
	if err := e.registry.add(p); err != nil {
		return nil, fmt.Errorf("create partition: %w", err)
	}
	return p, nil
}

// Release ends a partition, as its own Release does, if it exists.
func (e *Environment) Release(id PartitionID) {
	if p := e.registry.lookup(id); p != nil {
		p.Release()
	}
}

// Connect attaches a channel of a gate to the partition of a producer, which may not exist yet. It does not wait: that
// the producer can't be reached or never comes is an event of the gate, as its loss is later. serde decodes what comes
// from another process.
func (e *Environment) Connect(g *Gate, channel int, src Source, serde Serde) error {
	if channel < 0 || channel >= g.Channels() {
		return fmt.Errorf("connect channel %d of %d", channel, g.Channels())
	}
	registry, err := e.near(src.Address)
	if err != nil {
		return err
	}
	if registry == nil {
		if serde == nil {
			return fmt.Errorf("connect to partition %v at %s: no serde", src.ID, src.Address)
		}
		return e.network.connect(g, channel, src, serde)
	}
	if p := registry.lookup(src.ID); p != nil {
		if err := p.attachGate(src.Subpartition, g, channel); err != nil {
			g.fail(channel, err)
		}
		return nil
	}
	s := &localSubscription{gate: g, channel: channel, registry: registry}
	s.subscription = subscription{id: src.ID, subpartition: src.Subpartition, consumer: s}
	if g.bind(channel, s) {
		registry.subscribe(&s.subscription)
	}
	return nil
}

// Bytes is how many bytes all connections have read and written so far.
func (e *Environment) Bytes() (read, written int64) {
	if e.network == nil {
		return 0, 0
	}
	return e.network.read.Load(), e.network.written.Load()
}

// near returns the registry at an address that is reached without a socket, nil where one is needed.
func (e *Environment) near(address string) (*registry, error) {
	if address == "" || address == e.address {
		return e.registry, nil
	}
	if e.config.Hub != nil {
		if o := e.config.Hub.find(address); o != nil {
			return o.registry, nil
		}
	}
	if e.network == nil {
		return nil, fmt.Errorf("environment %q is not reached without a network: %w", address, ErrLost)
	}
	return nil, nil
}

// Close releases all partitions, breaks all connections and waits for their goroutines.
func (e *Environment) Close() error {
	if e.config.Hub != nil {
		e.config.Hub.leave(e)
	}
	e.registry.close()
	if e.network == nil {
		return nil
	}
	return e.network.close()
}

// localSubscription is the other end of a gate's channel until the producer comes.
type localSubscription struct {
	subscription
	registry *registry
	gate     *Gate
	channel  int
}

func (s *localSubscription) attach(sub *subpartition) error { return sub.attachGate(s.gate, s.channel) }

func (s *localSubscription) refuse(err error) { s.gate.fail(s.channel, err) }

// released isn't called: no batch has come.
func (s *localSubscription) released() {}

func (s *localSubscription) gone() { s.registry.cancel(&s.subscription) }

// Hub makes the environments of one process known to each other. The zero Hub is empty.
type Hub struct {
	mu struct {
		sync.Mutex
		environments map[string]*Environment
		next         int
	}
}

// join adds an environment under its address, or makes one for it.
func (h *Hub) join(e *Environment) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	address := e.address
	if address == "" {
		h.mu.next++
		address = fmt.Sprintf("local:%d", h.mu.next)
	}
	if h.mu.environments == nil {
		h.mu.environments = map[string]*Environment{}
	}
	h.mu.environments[address] = e
	return address
}

func (h *Hub) leave(e *Environment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.environments, e.address)
}

func (h *Hub) find(address string) *Environment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.environments[address]
}
