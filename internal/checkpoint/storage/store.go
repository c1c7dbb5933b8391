// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Store is a checkpoint directory: the runs of one job program.
type Store struct {
	objects Objects
	runs    Log
}

// NewStore returns the checkpoint directory at o; nothing is read yet.
func NewStore(o Objects) *Store { return &Store{objects: o, runs: Log{o, "runs", "run-of"}} }

// RunInfo is what is fixed when a run begins.
type RunInfo struct {
	JobID   string    `json:"job_id"`
	JobName string    `json:"job_name"`
	Created time.Time `json:"created"`
	// Fingerprint is that of the job graph.
	Fingerprint uint64 `json:"fingerprint"`
	// RestoredFrom is the snapshot that the run began with, absolute; a run that has no checkpoint yet begins with it again.
	RestoredFrom string `json:"restored_from,omitempty"`
	// AllowNonRestoredState goes with RestoredFrom.
	AllowNonRestoredState bool `json:"allow_non_restored_state,omitempty"`
}

type runRef struct {
	JobID string `json:"job_id"`
}

// NewRun begins a run; its job id must be new. It fails where the medium can't hold checkpoints.
func (s *Store) NewRun(ctx context.Context, info RunInfo) (*Run, error) {
	if part(info.JobID) != info.JobID || info.JobID == "" || info.JobID == s.runs.dir {
		return nil, fmt.Errorf("job id %q: want letters, digits, '-' and '_'", info.JobID)
	}
	r := s.run(info)
	b, err := encodeRecord("run", info)
	if err != nil {
		return nil, err
	}
	created, err := s.objects.Create(ctx, r.path("run"), b)
	if err != nil {
		return nil, fmt.Errorf("new run %s: %w", info.JobID, err)
	}
	if !created {
		return nil, fmt.Errorf("new run %s: %w", info.JobID, ErrRunExists)
	}
	if err := s.setLatest(ctx, info.JobID); err != nil {
		return nil, fmt.Errorf("new run %s: %w", info.JobID, err)
	}
	return r, nil
}

// setLatest makes a run the one that LatestRun returns; an empty job id is that of none.
func (s *Store) setLatest(ctx context.Context, jobID string) error {
	for {
		n, err := s.runs.Newest(ctx)
		if err != nil {
			return err
		}
		if won, err := s.runs.Append(ctx, n+1, runRef{jobID}); won || err != nil {
			return err
		}
	}
}

// Withdraw takes back a run that must not start, if it is the latest: LatestRun returns the one before again.
func (s *Store) Withdraw(ctx context.Context, r *Run) error {
	ns, err := s.runs.Numbers(ctx)
	if err != nil {
		return err
	}
	before := ""
	for i := len(ns) - 1; i >= 0; i-- {
		var ref runRef
		if err := s.runs.Read(ctx, ns[i], &ref); err != nil {
			return err
		}
		if ref.JobID != r.info.JobID {
			if i == len(ns)-1 {
				return nil // another run began meanwhile
			}
			before = ref.JobID
			break
		}
	}
	if err := s.setLatest(ctx, before); err != nil {
		return fmt.Errorf("withdraw run %s: %w", r.info.JobID, err)
	}
	return errors.Join(s.objects.Remove(ctx, r.path("run")), s.objects.RemoveDir(ctx, r.dir))
}

// LatestRun returns the run that began last; the error is ErrNoRun if there is none.
func (s *Store) LatestRun(ctx context.Context) (*Run, error) {
	n, err := s.runs.Newest(ctx)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%s: %w", s.objects.Location(), ErrNoRun)
	}
	var ref runRef
	if err := s.runs.Read(ctx, n, &ref); err != nil {
		return nil, err
	}
	if ref.JobID == "" {
		return nil, fmt.Errorf("%s: %w", s.objects.Location(), ErrNoRun)
	}
	return s.Run(ctx, ref.JobID)
}

// Run returns the run of a job.
func (s *Store) Run(ctx context.Context, jobID string) (*Run, error) {
	var info RunInfo
	err := GetRecord(ctx, s.objects, jobID+"/run", "run", &info)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s: %w: %w", jobID, ErrNoRun, err)
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", jobID, err)
	}
	return s.run(info), nil
}

func (s *Store) run(info RunInfo) *Run { return newRun(s.objects, info.JobID, info) }

// RunAt is the run whose own directory is o, for its state files: what was fixed when it began is not read.
func RunAt(o Objects) *Run { return newRun(o, "", RunInfo{}) }

func newRun(o Objects, dir string, info RunInfo) *Run {
	r := &Run{objects: o, dir: dir, info: info}
	r.epochs = Log{o, r.path("epoch"), "epoch"}
	r.ids = Log{o, r.path("ids"), "ids"}
	r.hosts = Log{o, r.path("hosts"), "hosts"}
	r.decided = Log{o, r.path("decided"), "decided"}
	return r
}

// Run is one run of a job: what is stored of it. Its methods only read.
type Run struct {
	objects                     Objects
	dir                         string
	info                        RunInfo
	epochs, ids, decided, hosts Log
}

// Info is what was fixed when the run began.
func (r *Run) Info() RunInfo { return r.info }

// Location is the directory of the run, absolute.
func (r *Run) Location() string { return checkpoint.Join(r.objects.Location(), r.dir) }

func (r *Run) path(name string) string {
	if r.dir == "" {
		return name
	}
	return r.dir + "/" + name
}

// Open opens a file by its path in metadata.
func (r *Run) Open(ctx context.Context, path string) (Object, error) {
	if !checkpoint.IsAbs(path) {
		path = r.path(path)
	}
	return r.objects.Open(ctx, path)
}

// NewStateFile begins a state file; name is that of StateName and becomes the path in metadata.
func (r *Run) NewStateFile(ctx context.Context, name string) (Writer, error) {
	return r.objects.NewWriter(ctx, r.path(name))
}

// StateName names the file that a subtask writes for a checkpoint. It begins with the id, by which garbage is known.
func StateName(checkpoint int64, vertex string, subtask int, attempt int64) string {
	return fmt.Sprintf("state/%s-%s-%d-%d", number(checkpoint), part(vertex), subtask, attempt)
}

// Result is how a job ended.
type Result struct {
	// Status is FINISHED, FAILED or CANCELED.
	Status string    `json:"status"`
	Error  string    `json:"error,omitempty"`
	Ended  time.Time `json:"ended"`
	Epoch  int64     `json:"epoch"`
	// Checkpoint is the final or terminal one, Savepoint the path of a stop with savepoint.
	Checkpoint int64  `json:"checkpoint,omitempty"`
	Savepoint  string `json:"savepoint,omitempty"`
}

// Result returns how the job ended, or nil if it hasn't.
func (r *Run) Result(ctx context.Context) (*Result, error) {
	var res Result
	err := GetRecord(ctx, r.objects, r.path("result"), "result", &res)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &res, nil
}
