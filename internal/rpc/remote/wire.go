// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"
	"time"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that frames wraps
	"google.golang.org/grpc/mem"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// SilenceMax is the time after which a connection ends whose other end shows no life.
	SilenceMax = 5 * time.Second
	// pingInterval and pingTimeout, of either end, stay below SilenceMax together.
	pingInterval = time.Second
	pingTimeout  = 3 * time.Second
	// dialTimeout bounds the making of a connection, which the kernel of the other machine does, however busy it is, and
	// greetTimeout the time from dialing to Welcome.
	dialTimeout  = time.Second
	greetTimeout = 5 * time.Second
	// messageBytesMax has room for a Frame and for a chunk.
	messageBytesMax = rpc.FrameBytesMax + 1024
	// streamsMax bounds what one TaskManager asks for at a time: its Frames, a ping, programs.
	streamsMax = 64
	// chunkBytes is the size of the parts of a program.
	chunkBytes = 128 << 10
)

// encoded is a message that is encoded already, as rpc.Queue holds Frames.
type encoded []byte

// frames is the protobuf codec of gRPC, which also passes on what is encoded.
type frames struct{ encoding.CodecV2 }

func newFrames() frames { return frames{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c frames) Marshal(v any) (mem.BufferSlice, error) {
	if data, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(data)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// peer is the other end of a connection, for the Router.
type peer struct{ queue *rpc.Queue }

// Send implements rpc.Peer.
func (p peer) Send(f *weirpb.Frame) bool { return p.queue.Put(f) }

// sender is what both ends of a stream have.
type sender interface{ SendMsg(m any) error }

// send writes what the queue has to a stream, until the queue has ended, which gives nil, or the stream has.
func send(s sender, q *rpc.Queue) error {
	for {
		<-q.Wake
		waiting, more := q.Take()
		for _, data := range waiting {
			if err := s.SendMsg(encoded(data)); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// negotiate returns the newest version of the protocol that both ends speak.
func negotiate(h *weirpb.Hello) (uint32, bool) {
	version := min(h.GetProtocolMax(), rpc.Protocol)
	return version, version >= max(h.GetProtocolMin(), rpc.ProtocolMin)
}

// protocols is a range of versions, for people.
func protocols(from, to uint32) string {
	if from == to {
		return fmt.Sprintf("protocol %d", from)
	}
	return fmt.Sprintf("protocols %d to %d", from, to)
}
