// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// LinkFlushTimeout bounds how long Close waits until the peer has taken the frames that were sent before.
const LinkFlushTimeout = time.Second

// ErrMalformed is in the error of a link whose peer sends what is no Frame.
var ErrMalformed = errors.New("rpc: malformed frame")

// linkBufferBytes is that of each direction; a longer frame passes by it.
const linkBufferBytes = 32 << 10

// Link carries Frames over a connection between two processes of one machine: a little-endian length of four bytes, then
// the Frame. It ends by Close, when the peer closes its end, or by an error, and doesn't come back.
type Link struct {
	conn    io.ReadWriteCloser
	receive func(*weirpb.Frame)
	queue   *Queue
	done    chan struct{}
	written chan struct{} // closed when the writer has ended
	closing sync.Once
	wg      sync.WaitGroup
	mu      struct {
		sync.Mutex
		running int  // of the two goroutines
		closing bool // by Close: what happens from then on is no error
		ended   bool // err is settled
		err     error
	}
}

var _ Peer = (*Link)(nil)

// NewLink starts a link over conn, which it owns from then on. One of its two goroutines calls receive with each frame, in
// order; receive must not block for long, since nothing is read meanwhile, and must not call Close.
func NewLink(conn io.ReadWriteCloser, receive func(*weirpb.Frame)) *Link {
	l := &Link{
		conn: conn, receive: receive, done: make(chan struct{}), written: make(chan struct{}),
	}
	l.queue = NewQueue(l.end)
	l.mu.running = 2
	l.wg.Go(l.read)
	l.wg.Go(l.write)
	return l
}

// Send passes f on, of which it keeps nothing. It never blocks; false tells that the queue is full and f, an Envelope, was
// dropped, that f is longer than FrameBytesMax, or that the link has ended.
func (l *Link) Send(f *weirpb.Frame) bool { return l.queue.Put(f) }

// Done is closed when the link has ended, and receive will not be called again.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err tells why the link has ended: nil while it has not and after Close, io.EOF if the peer closed it between two frames.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// Close ends the link and waits for its goroutines. Frames that were sent before still reach a peer that reads, for up to
// LinkFlushTimeout. It returns what Err does.
func (l *Link) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.mu.closing = true
		l.mu.Unlock()
		l.queue.End()
		timer := time.NewTimer(LinkFlushTimeout)
		defer timer.Stop()
		select {
		case <-l.written:
		case <-timer.C:
		}
		l.end(nil)
	})
	l.wg.Wait()
	return l.Err()
}

// end settles why the link ends and closes the connection, which ends both goroutines.
func (l *Link) end(err error) {
	l.mu.Lock()
	first := !l.mu.ended
	if first {
		l.mu.ended = true
		if !l.mu.closing {
			l.mu.err = err
		}
	}
	l.mu.Unlock()
	if first {
		l.queue.End()
		// The link has ended whatever Close says: there is nothing to flush in a connection.
		_ = l.conn.Close()
	}
}

// leave is the last act of each goroutine.
func (l *Link) leave() {
	l.mu.Lock()
	l.mu.running--
	last := l.mu.running == 0
	l.mu.Unlock()
	if last {
		close(l.done)
	}
}

func (l *Link) read() {
	defer l.leave()
	in := bufio.NewReaderSize(l.conn, linkBufferBytes)
	for {
		f, err := readFrame(in)
		if err != nil {
			l.end(err)
			return
		}
		l.receive(f)
	}
}

func (l *Link) write() {
	defer l.leave()
	defer close(l.written)
	out := bufio.NewWriterSize(l.conn, linkBufferBytes)
	for {
		<-l.queue.Wake
		frames, more := l.queue.Take()
		if err := writeFrames(out, frames); err != nil {
			l.end(fmt.Errorf("rpc: write frame: %w", err))
			return
		}
		if !more {
			return
		}
	}
}

func writeFrames(out *bufio.Writer, frames [][]byte) error {
	for _, data := range frames {
		var head [4]byte
		binary.LittleEndian.PutUint32(head[:], uint32(len(data)))
		if _, err := out.Write(head[:]); err != nil {
			return err
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return out.Flush()
}

// readFrame reads one frame. The error is io.EOF if the input ends before it; in it, io.ErrUnexpectedEOF.
func readFrame(in io.Reader) (*weirpb.Frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("rpc: read the length of a frame: %w", err)
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size == 0 || size > FrameBytesMax {
		return nil, fmt.Errorf("%w: a length of %d bytes, where 1 to %d are possible", ErrMalformed, size, FrameBytesMax)
	}
	// The buffer grows with what arrives, not with what the length claims.
	var data bytes.Buffer
	if n, err := io.CopyN(&data, in, int64(size)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("rpc: read a frame of %d bytes, got %d: %w", size, n, err)
	}
	f := &weirpb.Frame{}
	if err := proto.Unmarshal(data.Bytes(), f); err != nil {
		return nil, fmt.Errorf("%w: %d bytes: %w", ErrMalformed, size, err)
	}
	return f, nil
}
