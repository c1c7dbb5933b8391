// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

const (
	// writeBytes is how much a connection gathers before it writes: small frames share a write, a large one is one.
	writeBytes = 64 << 10
	// keepBytes bounds the buffer that a connection keeps between writes.
	keepBytes = 1 << 20
	readBytes = 16 << 10
)

// outConn is a connection that a consumer's process made: streams of this process's partitions leave by it. One
// goroutine reads what the consumers say, one takes batches from streams in turn, encodes and writes them. Neither waits
// for a task.
type outConn struct {
	n    *network
	conn net.Conn

	mu struct {
		sync.Mutex
		// first and last are the ends of the list of streams that have something to send, each once.
		first, last *outStream
		// failed are the streams that have to say why they ended.
		failed  []*outStream
		streams map[uint32]*outStream
		closed  bool
	}
	work sync.Cond // of mu
}

// outStream is a channel on a connection, at the producer's end.
type outStream struct {
	subscription
	c           *outConn
	stream      uint32
	fingerprint uint64
	sub         atomic.Pointer[subpartition]
	// left tells that the consumer or the connection went away: whoever attaches later leaves at once.
	left atomic.Bool
	// listed is set while the stream is among those with something to send, or about to be; guarded by the partition's
	// lock. next is its successor there, guarded by c.mu.
	listed bool
	next   *outStream
	// sequence is the writer's; batches counts those that it has sent.
	sequence uint32
	batches  atomic.Uint32
	// failure is guarded by c.mu.
	failure error
}

var _ consumer = (*outStream)(nil)

func newOutConn(n *network, conn net.Conn) *outConn {
	c := &outConn{n: n, conn: conn}
	c.mu.streams = map[uint32]*outStream{}
	c.work.L = &c.mu
	return c
}

// serve returns when the connection has ended.
func (c *outConn) serve() {
	err := c.n.answer(c.conn)
	if err == nil {
		var helpers sync.WaitGroup
		done := make(chan struct{})
		helpers.Go(c.write)
		helpers.Go(func() { c.n.keepPinging(c.conn, done) })
		err = c.read()
		close(done)
		c.stop()
		helpers.Wait()
	}
	c.n.drop(c.conn)
	reason := lost("consumer "+c.conn.RemoteAddr().String(), err)
	for _, o := range c.mu.streams { // the goroutines have ended
		o.leave(reason)
	}
}

// stop ends the writer.
func (c *outConn) stop() {
	_ = c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	c.work.Broadcast()
}

// read handles what consumers say until the connection breaks.
func (c *outConn) read() error {
	r := bufio.NewReaderSize(countReader{readerOf(c.conn), &c.n.read}, readBytes)
	var payload [messageBytesMax]byte
	for {
		h, err := readHeader(r)
		if err != nil {
			return err
		}
		if h.kind == framePing {
			continue
		}
		if h.kind == frameData {
			return fmt.Errorf("data from a consumer: %w", ErrCorrupt)
		}
		if _, err := io.ReadFull(r, payload[:h.length]); err != nil {
			return err
		}
		if err := c.handle(h, payload[:h.length]); err != nil {
			return err
		}
	}
}

func (c *outConn) handle(h header, payload []byte) error {
	if h.kind == frameSubscribe {
		return c.subscribe(h.stream, payload)
	}
	c.mu.Lock()
	o := c.mu.streams[h.stream]
	c.mu.Unlock()
	if o == nil { // it has ended here, and the consumer didn't know yet
		return nil
	}
	switch h.kind {
	case frameCredit:
		return o.credit(h.sequence)
	case frameLeave:
		c.forget(o)
		o.leave(nil)
		return nil
	default:
		return fmt.Errorf("frame of kind %d from a consumer: %w", h.kind, ErrCorrupt)
	}
}

func (c *outConn) subscribe(stream uint32, payload []byte) error {
	s, err := parseSubscribe(payload)
	if err != nil {
		return err
	}
	o := &outStream{c: c, stream: stream, fingerprint: s.fingerprint}
	o.subscription = subscription{id: s.id, subpartition: int(s.subpartition), consumer: o}
	c.mu.Lock()
	taken := c.mu.streams[stream] != nil
	if !taken {
		c.mu.streams[stream] = o
	}
	c.mu.Unlock()
	if taken {
		return fmt.Errorf("stream %d exists: %w", stream, ErrCorrupt)
	}
	c.n.registry.subscribe(&o.subscription)
	return nil
}

func (c *outConn) forget(o *outStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.streams, o.stream)
}

// attach connects the stream to its producer.
//
// The consumer may leave meanwhile: either it finds sub set and ends it, or left is seen here.
func (o *outStream) attach(s *subpartition) error {
	if s.p.serde == nil {
		return fmt.Errorf("partition %v is for consumers in its process: %w", s.p.id, ErrLost)
	}
	if mine := s.p.serde.Fingerprint(); mine != o.fingerprint {
		return fmt.Errorf("partition %v has records of schema %016x, not %016x: %w", s.p.id, mine, o.fingerprint, ErrLost)
	}
	if err := s.attachStream(o); err != nil {
		return err
	}
	if o.left.Load() {
		s.leave(nil)
	}
	return nil
}

func (o *outStream) refuse(err error) { o.fail(err) }

// leave ends the stream because the consumer did; reason is nil if that was in good order.
func (o *outStream) leave(reason error) {
	o.left.Store(true)
	o.c.n.registry.cancel(&o.subscription)
	if s := o.sub.Load(); s != nil {
		s.leave(reason)
	}
}

// credit takes the number of batches that the consumer has released so far.
func (o *outStream) credit(released uint32) error {
	s := o.sub.Load()
	if s == nil || o.batches.Load()-released > s.p.credits || released-s.given.Load() > s.p.credits {
		return fmt.Errorf("credit up to %d on stream %d: %w", released, o.stream, ErrCorrupt)
	}
	s.given.Store(released)
	s.credited()
	return nil
}

// enqueue makes the writer take from the stream.
func (o *outStream) enqueue() {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.c.mu.last == nil {
		o.c.mu.first = o
	} else {
		o.c.mu.last.next = o
	}
	o.c.mu.last = o
	o.c.work.Signal()
}

// fail makes the writer tell the consumer why the stream ends.
func (o *outStream) fail(err error) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.failure == nil {
		o.failure = err
		o.c.mu.failed = append(o.c.mu.failed, o)
		o.c.work.Signal()
	}
}

// write sends what streams have until the connection ends. A write that fails ends it.
func (c *outConn) write() {
	var buf []byte
	for c.wait() {
		buf = buf[:0]
		for len(buf) < writeBytes {
			o, failure := c.pop()
			if o == nil {
				break
			}
			if failure != nil {
				buf = o.appendFailure(buf, failure)
			} else {
				buf = o.append(buf)
			}
		}
		if _, err := c.conn.Write(buf); err != nil {
			_ = c.conn.Close() // read ends by it
			return
		}
		c.n.written.Add(int64(len(buf)))
		if cap(buf) > keepBytes {
			buf = nil
		}
	}
}

// wait returns when there is work, or false when the connection has ended.
func (c *outConn) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.mu.first == nil && len(c.mu.failed) == 0 && !c.mu.closed {
		c.work.Wait()
	}
	return !c.mu.closed
}

// pop takes the next stream, or nil; with a failure that is all that is left to send of it.
func (c *outConn) pop() (o *outStream, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.mu.failed); n > 0 {
		o = c.mu.failed[n-1]
		c.mu.failed = c.mu.failed[:n-1]
		return o, o.failure
	}
	for {
		o = c.mu.first
		if o == nil {
			return nil, nil
		}
		if c.mu.first = o.next; c.mu.first == nil {
			c.mu.last = nil
		}
		o.next = nil
		if o.failure == nil {
			return o, nil
		}
	}
}

// append encodes the next batch of the stream, and the control behind it.
func (o *outStream) append(buf []byte) []byte {
	s := o.sub.Load()
	b, c, more := s.take()
	if more {
		o.enqueue()
	}
	if b != nil {
		start := len(buf)
		var err error
		buf, err = o.appendData(buf, s.p.serde, b)
		b.Release()
		if err != nil {
			s.leave(fmt.Errorf("encode a batch of partition %v: %w", s.p.id, err))
			return o.appendFailure(buf[:start], fmt.Errorf("producer of partition %v: %w", s.p.id, err))
		}
		s.p.bytes.Add(int64(len(buf) - start))
	}
	if c.Kind != element.None {
		o.sequence++
		buf = header{length: controlBytes, stream: o.stream, kind: frameControl, sequence: o.sequence}.append(buf)
		buf = appendControl(buf, c)
	}
	if c.Kind == element.EndOfInput {
		o.c.forget(o)
	}
	return buf
}

func (o *outStream) appendData(buf []byte, serde Serde, b element.Any) ([]byte, error) {
	start := len(buf)
	buf, err := safely(func() ([]byte, error) {
		return serde.Append(append(buf, make([]byte, headerBytes)...), b)
	})
	if err != nil {
		return buf[:start], err
	}
	length := len(buf) - start - headerBytes
	if length > payloadBytesMax {
		return buf[:start], fmt.Errorf("batch of %d rows takes %d bytes, more than %d", b.Len(), length, payloadBytesMax)
	}
	o.sequence++
	o.batches.Add(1)
	header{length: uint32(length), stream: o.stream, kind: frameData, sequence: o.sequence}.put(buf[start:])
	return buf, nil
}

// appendFailure ends the stream.
func (o *outStream) appendFailure(buf []byte, failure error) []byte {
	o.c.forget(o)
	text := failure.Error()
	text = text[:min(len(text), messageBytesMax)]
	buf = header{length: uint32(len(text)), stream: o.stream, kind: frameFailed}.append(buf)
	return append(buf, text...)
}

// safely turns a panic of code that marshals records, which is the user's, into an error.
func safely[R any](f func() (R, error)) (r R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
