// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// inConn is the connection to a process that this one consumes from. One goroutine decodes batches into gates, one says
// what consumers want. Credit bounds what comes, so that the first never waits for a task.
type inConn struct {
	n       *network
	address string

	mu struct {
		sync.Mutex
		streams map[uint32]*inStream
		// last is the number of the stream that was made last.
		last uint32
		// talking are the streams that have something to say, each once.
		talking []*inStream
		closed  bool
	}
	work sync.Cond // of mu
}

// inStream is a channel on a connection, at the consumer's end.
type inStream struct {
	c       *inConn
	stream  uint32
	src     Source
	serde   Serde
	gate    *Gate
	channel int
	// given counts the batches that the task has released, reported those that it has made the connection tell of.
	given    atomic.Uint32
	reported uint32
	// received and sequence are the reader's.
	received, sequence uint32
	// What is to be said, guarded by c.mu. Invariant: the stream is in talking while any of them is set.
	subscribe, credit, leave bool
}

var _ origin = (*inStream)(nil)

func newInConn(n *network, address string) *inConn {
	c := &inConn{n: n, address: address}
	c.mu.streams = map[uint32]*inStream{}
	c.work.L = &c.mu
	return c
}

// subscribe asks for a channel, or returns false if the connection has ended.
func (c *inConn) subscribe(g *Gate, channel int, src Source, serde Serde) bool {
	s := &inStream{c: c, src: src, serde: serde, gate: g, channel: channel}
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		return false
	}
	c.mu.last++
	s.stream = c.mu.last
	c.mu.streams[s.stream] = s
	s.talkLocked(&s.subscribe)
	c.mu.Unlock()
	if !g.bind(channel, s) {
		s.gone()
	}
	return true
}

// talkLocked makes the writer say something.
func (s *inStream) talkLocked(what *bool) {
	if s.c.mu.closed {
		return
	}
	if !s.subscribe && !s.credit && !s.leave {
		s.c.mu.talking = append(s.c.mu.talking, s)
		s.c.work.Signal()
	}
	*what = true
}

func (s *inStream) talk(what *bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.talkLocked(what)
}

// released reports credit when half of it is due: the sender is not kept waiting, and most frames cause no answer.
func (s *inStream) released() {
	given := s.given.Add(1)
	if given-s.reported >= uint32(max(1, s.c.n.config.Credits/2)) {
		s.reported = given
		s.talk(&s.credit)
	}
}

func (s *inStream) gone() {
	s.c.forget(s)
	s.talk(&s.leave)
}

func (c *inConn) forget(s *inStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.streams, s.stream)
}

// run makes the connection and returns when it has ended.
func (c *inConn) run(kind, where string) {
	conn, err := c.n.dial(kind, where)
	if err == nil {
		err = c.serve(conn)
	}
	c.n.forget(c)
	for _, s := range c.close() {
		s.gate.fail(s.channel, fmt.Errorf("partition %v: %w", s.src.ID, lost("producer "+c.address, err)))
	}
}

// serve returns when a connection has ended, and says why.
func (c *inConn) serve(conn net.Conn) error {
	var helpers sync.WaitGroup
	done := make(chan struct{})
	helpers.Go(func() { c.write(conn) })
	helpers.Go(func() { c.n.keepPinging(conn, done) })
	err := c.read(conn)
	close(done)
	_ = conn.Close()
	c.close()
	helpers.Wait()
	c.n.drop(conn)
	return err
}

// close ends the writer and lets no new stream in; it returns those that are left.
func (c *inConn) close() []*inStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	c.work.Broadcast()
	return slices.Collect(maps.Values(c.mu.streams))
}

// write says what streams have to say until the connection ends.
func (c *inConn) write(conn net.Conn) {
	var buf []byte
	for {
		c.mu.Lock()
		for len(c.mu.talking) == 0 && !c.mu.closed {
			c.work.Wait()
		}
		if c.mu.closed {
			c.mu.Unlock()
			return
		}
		buf = buf[:0]
		for _, s := range c.mu.talking {
			buf = s.sayLocked(buf)
		}
		clear(c.mu.talking)
		c.mu.talking = c.mu.talking[:0]
		c.mu.Unlock()
		if _, err := conn.Write(buf); err != nil {
			_ = conn.Close() // read ends by it
			return
		}
		c.n.written.Add(int64(len(buf)))
	}
}

func (s *inStream) sayLocked(buf []byte) []byte {
	if s.subscribe {
		buf = header{length: subscribeBytes, stream: s.stream, kind: frameSubscribe}.append(buf)
		buf = subscribe{s.src.ID, uint32(s.src.Subpartition), s.serde.Fingerprint()}.append(buf)
	}
	if s.credit {
		buf = header{stream: s.stream, kind: frameCredit, sequence: s.given.Load()}.append(buf)
	}
	if s.leave {
		buf = header{stream: s.stream, kind: frameLeave}.append(buf)
	}
	s.subscribe, s.credit, s.leave = false, false, false
	return buf
}

// read passes frames on until the connection breaks.
func (c *inConn) read(conn net.Conn) error {
	r := bufio.NewReaderSize(countReader{readerOf(conn), &c.n.read}, readBytes)
	for {
		h, err := readHeader(r)
		if err != nil {
			return err
		}
		if h.kind == framePing {
			continue
		}
		c.mu.Lock()
		s, last := c.mu.streams[h.stream], c.mu.last
		c.mu.Unlock()
		if h.stream == 0 || h.stream > last || h.kind < frameData {
			return fmt.Errorf("frame of kind %d on stream %d: %w", h.kind, h.stream, ErrCorrupt)
		}
		if s == nil { // its gate is closed, and the producer doesn't know yet
			if _, err := r.Discard(int(h.length)); err != nil {
				return err
			}
			continue
		}
		f, err := readPayload(r, &c.n.frames, int(h.length))
		if err != nil {
			return err
		}
		err = s.handle(h, f)
		f.Release()
		if err != nil {
			return err
		}
	}
}

// payloadStep is how much memory a frame is given before its bytes have come: a corrupt length costs no more.
const payloadStep = 1 << 20

func readPayload(r io.Reader, pool *element.FramePool, length int) (*element.Frame, error) {
	f := pool.Get(min(length, payloadStep))
	for done := 0; ; {
		if _, err := io.ReadFull(r, f.Bytes()[done:]); err != nil {
			f.Release()
			return nil, err
		}
		if done = len(f.Bytes()); done == length {
			return f, nil
		}
		f.Grow(min(length, 2*done))
	}
}

// handle takes a frame. An error is one of the connection; what concerns the stream alone fails its channel.
func (s *inStream) handle(h header, f *element.Frame) error {
	if h.kind == frameFailed {
		s.fail(fmt.Errorf("%s: %w", f.Bytes(), ErrLost))
		return nil
	}
	if s.sequence++; h.sequence != s.sequence {
		return fmt.Errorf("frame %d on stream %d, want %d: %w", h.sequence, h.stream, s.sequence, ErrCorrupt)
	}
	if h.kind == frameControl {
		c, err := parseControl(f.Bytes())
		if err != nil {
			return err
		}
		_ = s.gate.push(s.channel, nil, c, 0) // a closed gate has said that it leaves
		return nil
	}
	s.received++
	if s.received-s.given.Load() > uint32(s.c.n.config.Credits) {
		return fmt.Errorf("stream %d sends without credit: %w", h.stream, ErrCorrupt)
	}
	b, err := safely(func() (element.Any, error) { return s.serde.Decode(f) })
	if err != nil {
		s.fail(fmt.Errorf("batch of partition %v: %w: %w", s.src.ID, err, ErrLost))
		s.talk(&s.leave)
		return nil
	}
	_ = s.gate.push(s.channel, b, element.Control{}, headerBytes+int64(h.length)) // a closed gate has said that it leaves
	return nil
}

// fail ends the stream.
func (s *inStream) fail(err error) {
	s.c.forget(s)
	s.gate.fail(s.channel, err)
}
