// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/stream"
)

// Touch is a record that changes the row of its key.
type Touch struct{ Key, N int64 }

// Counted is the row of a key.
type Counted struct{ N, Last int64 }

// touches makes each key once, and then, in an order that is as good as random, those of the first dirty keys.
func touches(keys, dirty int64) func(i int64, out *Touch) {
	return func(i int64, out *Touch) {
		if i < keys {
			*out = Touch{i, i}
		} else {
			*out = Touch{int64(mix(uint64(i)) % uint64(dirty)), i}
		}
	}
}

// counting is the job of checkpoints.
func counting(keys, dirty int64, checkpoints stream.Checkpoints, seen *counts) weir.Build {
	return func(env *stream.Env) error {
		env.Parallelism(2)
		env.Checkpoint(checkpoints)
		env.From("touches", generator.New(touches(keys, dirty))).
			KeyBy(func(t *Touch) int64 { return t.Key }).
			Process("count", func(row *Counted, _ *stream.Ctx[int64], in *Touch, out *stream.Out[int64]) error {
				row.N++
				row.Last = in.N
				out.Emit(row.N)
				return nil
			}).
			To("out", blackhole[int64]{seen})
		return nil
	}
}

// Bid is a record of 176 bytes on the wire, most of it text.
type Bid struct {
	Auction, Bidder, Price, At int64
	Channel, URL, Name, Extra  string
}

// words is what the texts of bids are cut from.
var words = strings.Repeat("the quick brown fox jumps over the lazy dog ", 100)

func bid(i int64, out *Bid) {
	r := mix(uint64(i))
	*out = Bid{
		Auction: int64(r % 10_000), Bidder: int64(r >> 32 % 50_000), Price: int64(r >> 20), At: i,
		Channel: cut(r, 8), URL: cut(r>>8, 50), Name: cut(r>>16, 16), Extra: cut(r>>24, 78),
	}
}

func cut(from uint64, n int) string {
	at := int(from % uint64(len(words)-n))
	return words[at : at+n]
}

// sending is the job of ways: its state holds no text.
func sending(seen *counts) weir.Build {
	return func(env *stream.Env) error {
		env.Parallelism(sendingSubtasks)
		env.From("bids", generator.New(bid)).
			KeyBy(func(b *Bid) int64 { return b.Auction }).
			Process("count", func(row *Counted, _ *stream.Ctx[int64], in *Bid, out *stream.Out[int64]) error {
				row.N += int64(len(in.Extra))
				row.Last = in.At
				out.Emit(row.N)
				return nil
			}).
			To("out", blackhole[int64]{seen})
		return nil
	}
}

// sendingSubtasks is the parallelism of the job of ways, whatever the number of TaskManagers.
const sendingSubtasks = 4

// mix spreads a number over all bits.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	return x ^ x>>31
}

// blackhole is a sink that counts rows and forgets them.
type blackhole[T any] struct{ seen *counts }

// counts is what the sinks of a job have seen.
type counts struct {
	rows atomic.Int64
	// barriers is the number of checkpoints at one of the subtasks. The first that fails fails the job.
	barriers atomic.Int64
}

//nolint:unparam // the contract has an error
func (b blackhole[T]) NewWriter(_ context.Context, rt connector.RuntimeContext, _ []connector.None) (connector.Writer[T, connector.None, connector.None], error) {
	return blackholeWriter[T]{b.seen, rt.Subtask() == 0}, nil
}

func (b blackhole[T]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil //nolint:nilnil // the contract: nil where nothing is committed
}

type blackholeWriter[T any] struct {
	seen  *counts
	first bool
}

func (w blackholeWriter[T]) Write(_ context.Context, in *element.Batch[T]) error {
	w.seen.rows.Add(int64(in.Len()))
	return nil
}

func (w blackholeWriter[T]) PrepareCommit(context.Context, int64) ([]connector.None, error) {
	if w.first {
		w.seen.barriers.Add(1)
	}
	return nil, nil
}

func (w blackholeWriter[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

func (w blackholeWriter[T]) Close() error { return nil }
