// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/csv"
	"github.com/weir-stream/weir/format/json"
	"github.com/weir-stream/weir/format/lines"
)

// Sink writes files into a directory, exactly once: a file appears, whole, after the checkpoint that covers its
// records. The directory belongs to one sink of one run. Its methods return a changed copy.
//
// A file is finished at every checkpoint at the latest; without checkpoints only the end of bounded input finishes
// files. No file is made for no records.
type Sink[T any] struct {
	dir          string
	suffix       string
	encoder      func() (format.Encoder[T], error)
	rollBytes    int64
	rollInterval time.Duration
	overwrite    bool
	partition    func(*T) string
	disk         disk
}

// CSVSink writes CSV, with a header in each file; see package format/csv for names and types.
func CSVSink[T any](dir string) Sink[T] {
	return Sink[T]{dir: dir, suffix: ".csv", disk: osDisk{}, encoder: func() (format.Encoder[T], error) {
		return csv.NewEncoder[T]()
	}}
}

// JSONSink writes one value a line.
func JSONSink[T any](dir string) Sink[T] {
	return Sink[T]{dir: dir, suffix: ".jsonl", disk: osDisk{}, encoder: func() (format.Encoder[T], error) {
		return json.NewEncoder[T](), nil
	}}
}

// LinesSink writes text, a line a record.
func LinesSink(dir string) Sink[string] {
	return Sink[string]{dir: dir, suffix: ".txt", disk: osDisk{}, encoder: func() (format.Encoder[string], error) {
		return lines.NewEncoder(), nil
	}}
}

// RollSize closes a file when it has reached that many bytes, besides at every checkpoint; zero is no limit.
func (s Sink[T]) RollSize(bytes int64) Sink[T] {
	s.rollBytes = bytes
	return s
}

// RollInterval closes a file when a record comes that long after its first one, besides at every checkpoint; zero is
// no limit.
func (s Sink[T]) RollInterval(d time.Duration) Sink[T] {
	s.rollInterval = d
	return s
}

// PartitionBy puts each record into a file below the directory that of names, relative to the sink's with slashes between
// its parts: "day=2026-01-31/hour=07". Readers skip what is hidden, so no part may begin with a dot. A writer keeps 64 files
// open at most, and finishes the one that got no record for longest when a record needs another.
func (s Sink[T]) PartitionBy(of func(*T) string) Sink[T] {
	s.partition = of
	return s
}

// Overwrite lets a run that begins delete what other runs left in the directory, instead of being refused. Only files
// with the names that this package gives are deleted. A run that begins from a savepoint keeps what that one's run wrote.
func (s Sink[T]) Overwrite(on bool) Sink[T] {
	s.overwrite = on
	return s
}

// Resolve joins a relative directory to dir, or refuses it where that is empty. It fails where T can't be encoded.
func (s Sink[T]) Resolve(dir string) (Sink[T], error) {
	if _, err := s.encoder(); err != nil {
		return s, err
	}
	var err error
	s.dir, err = connector.JoinPath(dir, s.dir)
	return s, err
}

// Probe prepares the directory for a run, and refuses one that holds results or the marker of another run. A run that
// begins from the last thing that the owner did takes its place.
func (s Sink[T]) Probe(ctx context.Context, run connector.NewRun) error {
	return probe(ctx, s.disk, s.dir, run, s.overwrite)
}

// Withdraw takes the marker of a run that did not start out of the directory.
func (s Sink[T]) Withdraw(_ context.Context, jobID string) error {
	return withdraw(s.disk, s.dir, jobID)
}

// Reach tells whether the directory is here, belongs to the run, and can be written.
func (s Sink[T]) Reach(_ context.Context, jobID, by string) error {
	return reach(s.disk, s.dir, jobID, by)
}

// NewWriter makes a writer, which sweeps what dead attempts left.
func (s Sink[T]) NewWriter(_ context.Context, rt connector.RuntimeContext, _ []connector.None) (connector.Writer[T, connector.None, Pending], error) {
	enc, err := s.encoder()
	if err != nil {
		return nil, err
	}
	w := &writer[T]{sink: s, rt: rt, enc: enc, open: map[string]*file{}}
	w.name = name{job: rt.JobID(), subtask: int64(rt.Subtask()), attempt: rt.Attempt(), suffix: s.suffix}
	if got, ok := parseName(w.name.final()); !ok || got.name != w.name {
		return nil, fmt.Errorf("job id %q can't be part of the name of a file", rt.JobID())
	}
	if err := makeDir(s.disk, s.dir); err != nil {
		return nil, err
	}
	if err := w.sweep(); err != nil {
		return nil, err
	}
	return w, nil
}

// NewCommitter makes a committer.
func (s Sink[T]) NewCommitter(context.Context) (connector.Committer[Pending], error) {
	return committer{dir: s.dir, disk: s.disk}, nil
}

var (
	_ connector.Sink[int, connector.None, Pending] = Sink[int]{}
	_ connector.Locator[Sink[int]]                 = Sink[int]{}
	_ connector.Prober                             = Sink[int]{}
	_ connector.Reacher                            = Sink[int]{}
)

// Pending is a committable: a file that is whole and durable under its temporary name.
type Pending struct {
	// Dir is the directory of both names, absolute; Final is a path below it where records are partitioned.
	Dir         string
	Temp, Final string
	Size        int64
}
