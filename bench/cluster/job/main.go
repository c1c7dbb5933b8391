// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command job is what the measurements of clusters run: a source, keyed state of a given size, and a sink that shows on a
// socket that records come.
//
//	events --> by key: state --> signs ~~datagrams~~> who measures
//
// The first events touch each key once, so that the state is whole; what follows touches one key in a hundred, or as many
// as is asked for, so that checkpoints are increments.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

func main() { weir.Main("measured", build) }

// rowBytes is the size of the state of a key.
const rowBytes = 1000

// event is a record of the source.
type event struct{ Key int64 }

func (e *event) key() int64 { return e.Key }

// row is the state of a key.
type row struct {
	N   int64
	Pad [rowBytes/8 - 1]int64
}

// sign is a record of the result: which attempt of which subtask it comes from, and how many events its key had.
type sign struct{ Opened, Subtask, N int64 }

// counter counts the events of each key.
type counter struct {
	stream.NoTimers[int64, row, sign]
	opened, subtask int64
}

// Open implements stream.Processor; the state is restored by then.
func (c *counter) Open(_ context.Context, rt *stream.RuntimeContext) error { //nolint:unparam // of the interface
	c.opened, c.subtask = time.Now().UnixNano(), int64(rt.Subtask())
	return nil
}

// Close implements stream.Processor.
func (c *counter) Close() error { return nil }

// Process implements stream.Processor.
func (c *counter) Process(st *row, _ *stream.Ctx[int64], in *event, out *stream.Out[sign]) error { //nolint:unparam // of the interface
	st.N++
	h := uint64(in.Key)<<32 + uint64(st.N)
	for i := range st.Pad { // nothing that could be compressed
		h = (h ^ h>>29) * 0x9E3779B97F4A7C15
		st.Pad[i] = int64(h)
	}
	out.Emit(sign{c.opened, c.subtask, st.N})
	return nil
}

func build(env *stream.Env) error {
	keys := env.Flag("keys", int64(1000), "how many keys there are, of 1000 bytes of state each")
	rate := env.Flag("rate", 1000.0, "events a second")
	share := env.Flag("hot-share", int64(100), "one key in so many is touched again")
	watch := env.Flag("watch", "", "unix socket that is told of results; none if empty")
	env.Checkpoint(stream.Checkpoints{
		Interval:          env.Flag("checkpoint-interval", time.Second, "time between checkpoints"),
		TolerableFailures: 1 << 30, // a disk that others use is too slow now and then
	})
	env.Restart(stream.FixedDelay(1<<30, 0)) // each failure counts as a first one
	hot := max(1, keys/max(1, share))
	source := generator.New(func(i int64, e *event) {
		e.Key = i
		if i >= keys {
			e.Key = i % hot
		}
	})
	s := &signs{socket: watch}
	env.From("events", source.Rate(rate)).KeyBy((*event).key).
		ProcessRich("state", func() *counter { return &counter{} }).
		To("signs", connector.Each(s.write))
	return nil
}

// signs tells of results.
type signs struct {
	socket string
	mu     struct {
		sync.Mutex
		conn net.Conn
		last map[int64]time.Time // by subtask
	}
}

// signPause is the least time between two signs of a subtask.
const signPause = 2 * time.Millisecond

func (s *signs) write(_ context.Context, r *sign) error {
	if s.socket == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.mu.last[r.Subtask]) < signPause {
		return nil
	}
	if s.mu.conn == nil {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
		if err != nil {
			return fmt.Errorf("tell of results: %w", err)
		}
		s.mu.conn, s.mu.last = conn, map[int64]time.Time{}
	}
	s.mu.last[r.Subtask] = now
	// What gets lost, since who measures is behind or has left, is not missed.
	_, _ = fmt.Fprintf(s.mu.conn, "%d %d %d %d", os.Getpid(), r.Subtask, r.Opened, now.UnixNano())
	return nil
}
