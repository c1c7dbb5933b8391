// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/stream"
)

const (
	// accounts rows of account, with their keys, are 100 MB.
	accounts = 1_000_000
	// busyAccounts of them are written between two checkpoints where few are.
	busyAccounts = accounts / 20
)

// account is a state of 96 bytes.
type account struct {
	N, Last int64
	Days    [10]int64
}

//go:noinline
func book(st *account, _ *stream.Ctx[int64], in *click[int64], out *stream.Out[int64]) error {
	st.N++
	st.Last = in.Page
	st.Days[in.Page%10]++
	out.Emit(st.N)
	return nil
}

// BenchmarkCheckpoint runs a job over 100 MB of state with a checkpoint each second into a directory, beside the same job
// without. The jobs take turns: a turn is so many records, and the time until the job with checkpoints has completed one
// with all that was written. ckpt-ms is the CPU time of a checkpoint, on all threads; cost-1s-% and cost-10s-% are what it
// is of a second and of ten.
func BenchmarkCheckpoint(b *testing.B) {
	b.Run("all", func(b *testing.B) { benchCheckpoint(b, accounts) })
	b.Run("few", func(b *testing.B) { benchCheckpoint(b, busyAccounts) })
}

// benchCheckpoint updates so many of the rows.
func benchCheckpoint(b *testing.B, busy int64) {
	const records = 4 << 20
	fill := func(i int64, out *click[int64]) {
		out.User, out.Page = i, i
		if i >= accounts { // the first records make the rows
			out.User = scramble(i, busy)
		}
	}
	job := func(o weir.Options) *live[click[int64], int64] {
		l := start(b, newFeed(fill), newTally(value), o,
			func(env *stream.Env, in feed[click[int64]], out *tally[int64]) {
				env.From("clicks", in).KeyBy(userID).Process("book", book).To("out", out)
			})
		l.round(accounts, accounts)
		return l
	}
	without := job(weir.Options{})
	with := job(weir.Options{CheckpointDir: b.TempDir(), Settings: map[string]string{
		"execution.checkpointing.interval": "1s",
	}})
	settle(with) // behind the first checkpoint, which is full

	var cost []float64 // of a checkpoint, in seconds
	var spent time.Duration
	for b.Loop() {
		before, checkpoints := cpu(b), with.feed.completed.Load()
		with.round(records, records)
		settle(with)
		after := cpu(b)
		without.round(records, records)
		plain := cpu(b) - after
		spent += plain
		n := with.feed.completed.Load() - checkpoints
		cost = append(cost, (after-before-plain).Seconds()/float64(n))
	}
	slices.Sort(cost)
	median := cost[len(cost)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*records), "without-ns/rec")
	b.ReportMetric(1000*median, "ckpt-ms")
	b.ReportMetric(100*median, "cost-1s-%")
	b.ReportMetric(10*median, "cost-10s-%")
	with.stop()
	without.stop()
}

// settle waits until a checkpoint has completed that began behind all records so far: the second from now.
func settle[T, U any](l *live[T, U]) {
	for len(l.feed.checkpoints) > 0 {
		<-l.feed.checkpoints
	}
	for range 2 {
		select {
		case <-l.feed.checkpoints:
		case <-l.job.Done():
			l.tb.Fatalf("the job ended: %v", l.job.Wait())
		}
	}
}
