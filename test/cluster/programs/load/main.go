// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command load is a job under load whose result is known: it counts the events of each key, exactly once, and writes each
// event with its number.
//
//	events --> by key: count --> out/
//	                       +---> beat/, at least once: when records came last, and by which process
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

func main() { weir.Main("load", build) }

// event is a record of the source.
type event struct{ Seq, Key int64 }

func (e *event) key() int64 { return e.Key }

// counted is a row of the result: the event was the N-th of its key.
type counted struct{ Key, N, Seq int64 }

// count is the state of a key, as large as that of a job with something to remember.
type count struct {
	N   int64
	Pad [12]int64
}

func (s *count) add(ctx *stream.Ctx[int64], in *event, out *stream.Out[counted]) error {
	s.N++
	s.Pad[s.N%int64(len(s.Pad))] = in.Seq
	out.Emit(counted{ctx.Key(), s.N, in.Seq})
	return nil
}

func build(env *stream.Env) error {
	events := env.Flag("events", int64(100_000), "how many; 0 for no end")
	keys := env.Flag("keys", int64(1000), "how many")
	rate := env.Flag("rate", 0.0, "events a second; 0 is no limit")
	out := env.Flag("out", "", "directory of the result; none if empty")
	beat := env.Flag("beat", "", "directory of signs of life; none if empty")
	env.Checkpoint(stream.Checkpoints{
		Interval: env.Flag("checkpoint-interval", 200*time.Millisecond, "time between checkpoints"), TolerableFailures: 1 << 30,
	})
	env.Restart(stream.FixedDelay(1<<30, 50*time.Millisecond))
	source := generator.New(func(i int64, e *event) { *e = event{i, i % keys} }).Rate(rate)
	if events > 0 {
		source = source.Limit(events)
	}
	counts := env.From("events", source).KeyBy((*event).key).Process("count", (*count).add)
	if out != "" {
		counts.To("out", file.CSVSink[counted](out))
	}
	if beat != "" || out == "" {
		counts.To("beat", connector.Each((&pulse{dir: beat}).write))
	}
	return nil
}

// pulse notes that records come.
type pulse struct {
	dir string
	mu  struct {
		sync.Mutex
		last  time.Time
		wrote bool
	}
}

// beatInterval is the least time between two notes.
const beatInterval = 2 * time.Millisecond

func (p *pulse) write(_ context.Context, c *counted) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.dir == "" || now.Sub(p.mu.last) < beatInterval {
		return nil
	}
	p.mu.last = now
	if !p.mu.wrote {
		p.mu.wrote = true
		if err := os.MkdirAll(p.dir, 0o700); err != nil {
			return fmt.Errorf("sign of life: %w", err)
		}
	}
	name := filepath.Join(p.dir, strconv.Itoa(os.Getpid()))
	text := fmt.Sprintf("%d %d", now.UnixNano(), c.N)
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("sign of life: %w", err)
	}
	return os.Rename(name+".new", name)
}
