// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Bounds of a connection that carries Frames.
const (
	// FrameBytesMax bounds an encoded Frame: nothing longer is sent, and a longer one ends the connection it comes by.
	FrameBytesMax = 16 << 20
	// QueueFramesMax and QueueBytesMax bound the frames that wait for a writer. Envelopes beyond are dropped: what they
	// say is said again.
	QueueFramesMax = 16384
	QueueBytesMax  = 32 << 20
	// QueueControlMax bounds the waiting frames that are no Envelopes. These are said once, so none is dropped: a
	// connection whose peer leaves so many unread is broken.
	QueueControlMax = 1024
)

// Queue holds encoded Frames, in order, for the one goroutine that writes them to a connection.
type Queue struct {
	// Wake holds a token while there may be something to take, or the queue has ended.
	Wake   chan struct{}
	broken func(error)
	mu     struct {
		sync.Mutex
		frames  []queued
		bytes   int // of frames
		control int // of frames: those that are no Envelopes
		ended   bool
	}
}

type queued struct {
	data     []byte
	envelope bool
	names    bool
}

// NewQueue makes an empty queue. It calls broken, from within Put, when it is full of frames that can't be dropped, and has
// ended then; broken ends the connection, since the writer may hang in it.
func NewQueue(broken func(error)) *Queue { return &Queue{Wake: make(chan struct{}, 1), broken: broken} }

// Put adds a frame, of which it keeps nothing. It never blocks, and returns false if the frame was dropped: because the
// queue is full and f is an Envelope, because f is too long, or because the queue has ended. Names that wait last are
// replaced by newer ones.
func (q *Queue) Put(f *weirpb.Frame) bool {
	if proto.Size(f) > FrameBytesMax {
		return false
	}
	data, err := proto.Marshal(f)
	if err != nil {
		return false // a string that is not UTF-8; the Router tells
	}
	v := queued{data: data, envelope: f.GetEnvelope() != nil, names: f.GetNames() != nil}
	q.mu.Lock()
	full := !v.envelope && q.mu.control >= QueueControlMax && !q.mu.ended
	if full {
		q.mu.ended, q.mu.frames = true, nil
	}
	added := q.putLocked(v)
	q.mu.Unlock()
	if full {
		q.broken(fmt.Errorf("rpc: the peer hangs: it left %d frames unread", QueueControlMax))
	}
	q.wake()
	return added
}

func (q *Queue) putLocked(v queued) bool {
	n := len(q.mu.frames)
	switch {
	case q.mu.ended:
		return false
	case v.names && n > 0 && q.mu.frames[n-1].names:
		q.mu.bytes += len(v.data) - len(q.mu.frames[n-1].data)
		q.mu.frames[n-1] = v
		return true
	case !v.envelope:
		q.mu.control++
	case n >= QueueFramesMax || q.mu.bytes+len(v.data) > QueueBytesMax:
		return false
	}
	q.mu.frames = append(q.mu.frames, v)
	q.mu.bytes += len(v.data)
	return true
}

// Take empties the queue. more is false when it has ended and nothing will follow.
func (q *Queue) Take() (frames [][]byte, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, v := range q.mu.frames {
		frames = append(frames, v.data)
	}
	q.mu.frames, q.mu.bytes, q.mu.control = nil, 0, 0
	return frames, !q.mu.ended
}

// End has the queue take no more frames. What waits can still be taken.
func (q *Queue) End() {
	q.mu.Lock()
	q.mu.ended = true
	q.mu.Unlock()
	q.wake()
}

func (q *Queue) wake() {
	select {
	case q.Wake <- struct{}{}:
	default: // there is a token
	}
}
