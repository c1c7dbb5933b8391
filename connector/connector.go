// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package connector is the SPI of sources and sinks. Splits, enumerator and writer state and committables are plain
// structs, stored in checkpoints by the codec of records; a type it can't encode is an error when the graph is built.
//
//	JobMaster                                   task
//	Enumerator --Assign, NoMoreSplits--> Reader   Poll -> batches
//	           <--ReaderReady, AddBack--          Snapshot -> splits at their positions
//	Committer  <--committables, after the         Writer  PrepareCommit -> committables
//	              checkpoint completed                    Snapshot -> state
//
// Implementations live outside the engine: connectortest holds the suite that each of them passes.
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/element"
)

// Boundedness tells whether a source ends.
type Boundedness uint8

// A bounded source finishes its splits; an unbounded one never does.
const (
	Unbounded Boundedness = iota
	Bounded
)

// Split is a part of a source that one reader reads; its id derives from content, never from order or clock.
type Split interface{ SplitID() string }

// Source makes the enumerator of a job and the readers of its subtasks. T is the record, S the split with its
// position, E the state of the enumerator. A Source is a description: making it does no I/O. It serves all subtasks at
// once, so it must not change.
type Source[T any, S Split, E any] interface {
	Boundedness() Boundedness
	// NewEnumerator is called on the JobMaster; restored is nil on a fresh start. ctx is for the call only.
	NewEnumerator(ctx context.Context, rt EnumeratorContext[S], restored *E) (Enumerator[S, E], error)
	// NewReader is called once for each subtask and attempt. ctx ends with the attempt.
	NewReader(ctx context.Context, rt RuntimeContext) (Reader[T, S], error)
}

// Enumerator finds splits and hands them to readers. One goroutine calls it; no call may block longer than its ctx.
type Enumerator[S Split, E any] interface {
	// Assigned tells, before Start, of splits that a living reader holds or finished beyond the restored state.
	Assigned(reader int, splits []S) error
	// Start begins discovery, on goroutines of its own that Close ends and waits for; ctx ends with the enumerator.
	Start(ctx context.Context) error
	// ReaderReady tells that a reader asks for work; it is answered, now or later, by Assign or NoMoreSplits.
	ReaderReady(reader int) error
	// AddBack returns splits that the restored state of a failed reader does not hold.
	AddBack(splits []S, reader int) error
	// Snapshot returns what a restored enumerator needs, besides the splits that readers hold.
	Snapshot(checkpoint int64) (E, error)
	Close() error
}

// EnumeratorContext is how an enumerator reaches its readers; it may be used from any goroutine, and does not block. An
// enumerator that assigns splits from a goroutine of its own does so under the lock that its Snapshot takes: a snapshot says
// of each split either that it is left or that it was assigned.
type EnumeratorContext[S Split] interface {
	// Readers lists the subtasks that read.
	Readers() []int
	Assign(reader int, splits ...S)
	NoMoreSplits(reader int)
	// Fail fails the job by its restart strategy.
	Fail(err error)
	Logger() *slog.Logger
}

// ErrWait is returned by Poll when nothing is there yet; the reader wakes the task through RuntimeContext.Wake.
var ErrWait = errors.New("connector: no records yet")

// ErrSplitEnd is returned by Poll, with the id of a split, when that split has been read to its end.
var ErrSplitEnd = errors.New("connector: end of split")

// Reader reads splits. The task calls it from one goroutine and it never blocks: I/O belongs to goroutines of the
// reader that Close ends and waits for. Threaded makes one of a blocking function.
type Reader[T any, S Split] interface {
	// Add hands over splits; after a restore, those of the checkpoint, at their positions.
	Add(splits []S) error
	// Poll appends records of one split to b until it is full and returns that split's id. ErrSplitEnd when that split
	// is read to its end, ErrWait when there is nothing yet, io.EOF when all splits are read and NoMoreSplits was seen.
	// Records may come with one of these three: they count.
	Poll(b *element.Batch[T]) (splitID string, err error)
	// NoMoreSplits says that no split follows.
	NoMoreSplits()
	// Snapshot returns the unfinished splits at their positions, behind the last record that Poll returned.
	Snapshot(checkpoint int64) ([]S, error)
	// Completed tells that a checkpoint completed, at most once each; the notice may be lost.
	Completed(checkpoint int64) error
	Close() error
}

// RuntimeContext is what a reader or writer knows of its subtask.
type RuntimeContext interface {
	Subtask() int
	Parallelism() int
	// Attempt is unique among all attempts of the subtask, also across restarts of the job's JobMaster, and greater than
	// that of every attempt before it, of whatever subtask.
	Attempt() int64
	// JobID names the run; it is the same after a restore that continues it.
	JobID() string
	Logger() *slog.Logger
	// Now is processing time, faked in tests.
	Now() time.Time
	// Wake makes the task call again, now; it may be called from any goroutine.
	Wake()
	// WakeAt makes the task call again at a time. The last call holds.
	WakeAt(at time.Time)
	// Counter adds n to the metric of that name, from the task's goroutine or the reader's own.
	Counter(name string, n int64)
}

// Sink makes the writers of its subtasks and the committer of the job. T is the record, W the writer's state,
// C the committable. A sink without two phases uses None for both and is at least once.
type Sink[T, W, C any] interface {
	// NewWriter gets the states that the restored checkpoint holds for this subtask. ctx ends with the attempt.
	NewWriter(ctx context.Context, rt RuntimeContext, restored []W) (Writer[T, W, C], error)
	// NewCommitter is called on the JobMaster; nil where nothing is committed.
	NewCommitter(ctx context.Context) (Committer[C], error)
}

// Writer writes batches; the task calls it from one goroutine, and blocking in it is backpressure.
type Writer[T, W, C any] interface {
	// Write must not keep b nor its records. With pipeline.object-reuse the strings and byte slices of records are good
	// during the call only, too.
	Write(ctx context.Context, b *element.Batch[T]) error
	// PrepareCommit makes everything written so far durable but invisible; the engine keeps the committables in
	// the checkpoint and hands them to the committer until it has committed them: also those of a checkpoint that
	// failed and of a savepoint, with the next checkpoint that completes. It is called before Snapshot of the same
	// checkpoint.
	PrepareCommit(ctx context.Context, checkpoint int64) ([]C, error)
	Snapshot(checkpoint int64) (W, error)
	Close() error
}

// Committer makes committables visible after their checkpoint completed. Idempotent: all of a restored checkpoint
// are committed again first. An error is retried, unless it wraps ErrPermanent.
type Committer[C any] interface {
	Commit(ctx context.Context, committables []C) error
	Close() error
}

// ErrPermanent marks a commit that can never succeed; it fails the job.
var ErrPermanent = errors.New("connector: commit can never succeed")

// None is the writer state, committable or enumerator state of a connector that has none.
type None struct{}

// Locator is implemented by sources and sinks that name places in the world: Resolve returns a copy whose relative
// paths are joined to dir, the working directory of the submission. Where relative paths are refused dir is empty, and
// each of them an error; JoinPath does both. It is called once, when the graph is built.
type Locator[Self any] interface {
	Resolve(dir string) (Self, error)
}

// JoinPath joins a relative path to dir, as Locator says.
func JoinPath(dir, path string) (string, error) {
	switch {
	case filepath.IsAbs(path):
		return path, nil
	case dir == "":
		return "", fmt.Errorf("path %q is relative, which depends on where the job runs: use an absolute one", path)
	}
	return filepath.Join(dir, path), nil
}

// NewRun is a run that begins.
type NewRun struct {
	// JobID names it.
	JobID string
	// From is the job id of the run whose savepoint or checkpoint it begins from; empty where it begins from nothing.
	From string
	// Newest says that From is known to have committed nothing behind what the run begins from: its results are exactly
	// those that the new run goes on from. False where From has gone on, or nobody knows.
	Newest bool
}

// Prober is implemented by sinks that can refuse a run before it starts, for one whose results would mix with those of
// another run or come twice. It is called on the JobMaster when a run begins, and not when it is continued.
type Prober interface {
	Probe(ctx context.Context, run NewRun) error
	// Withdraw takes back what Probe has claimed for the run, if anything: the run was refused, maybe by another sink, and
	// does not start.
	Withdraw(ctx context.Context, jobID string) error
}

// Reacher is implemented by sinks whose writers and committer meet at places in the world, as a directory that their machines
// have to share.
type Reacher interface {
	// Reach tells whether this process sees the places that Probe prepared for a run, and can write there; the error names the
	// place. It is called in each process that is to run tasks of the job, before it does, and on the JobMaster when the run is
	// continued: from any goroutine, and again for a few seconds if it fails, as what another machine made may come late. by
	// names the process among those that call at once, in letters, digits, '-' and '_'.
	Reach(ctx context.Context, jobID, by string) error
}
