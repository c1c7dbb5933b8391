// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	logDir, logKind       = "log", "jobs"
	detailDir, detailKind = "detail", "detail"
	// summaryEvery is how many records the log has before a summary replaces them.
	summaryEvery = 64
)

// store is the job store of one leader: what the records say, and the right to write the next one.
type store struct {
	objects storage.Objects
	log     storage.Log
	epoch   int64
	// every is how many records follow a summary until the next one replaces them all.
	every int64
	// turn holds a token while nobody writes.
	turn chan struct{}
	// next is the number of the next record, and summary that of the newest summary; they belong to who has the turn.
	next, summary int64
	// doubt tells that a write ended in an error, so that record next may be the leader's own.
	doubt bool
	mu    struct {
		sync.Mutex
		state *core.State
	}
}

// openStore makes the caller the leader of the job store in o, and reads it. After that no earlier leader can write.
func openStore(ctx context.Context, o storage.Objects, epoch int64, holder string, now time.Time) (*store, error) {
	s := &store{objects: o, log: storage.NewLog(o, logDir, logKind), epoch: epoch, every: summaryEvery, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	for won := false; !won; {
		n, err := s.log.Newest(ctx)
		if err == nil {
			s.next = n + 1
			won, err = s.log.Append(ctx, s.next, &core.Record{Epoch: epoch, At: now, Opened: &core.Opened{Holder: holder}})
		}
		if err != nil {
			return nil, fmt.Errorf("open job store %s: %w", o.Location(), err)
		}
	}
	s.next++
	if err := s.read(ctx); err != nil {
		return nil, fmt.Errorf("open job store %s: %w", o.Location(), err)
	}
	for _, dir := range []string{logDir, detailDir} {
		if err := storage.SweepTemporary(ctx, o, dir); err != nil {
			return nil, fmt.Errorf("open job store %s: %w", o.Location(), err)
		}
	}
	return s, nil
}

// read folds the records from the newest summary to the leader's own first one.
func (s *store) read(ctx context.Context) error {
	numbers, err := s.log.Numbers(ctx)
	if err != nil {
		return err
	}
	var records []*core.Record // newest first
	for n := s.next - 1; n > 0; n-- {
		if !slices.Contains(numbers, n) {
			return fmt.Errorf("record %d is missing, and none after it is a summary: was a file removed?", n)
		}
		r := &core.Record{}
		if err := s.log.Read(ctx, n, r); err != nil {
			return err
		}
		if r.Epoch > s.epoch {
			return fmt.Errorf("%w: epoch %d is in record %d", ErrDeposed, r.Epoch, n)
		}
		records = append(records, r)
		if r.Summary != nil {
			s.summary = n
			break
		}
	}
	s.mu.state = core.NewState()
	for i, r := range slices.Backward(records) {
		if err := s.mu.state.Apply(r); err != nil {
			return fmt.Errorf("record %d: %w", s.next-1-int64(i), err)
		}
	}
	return nil
}

// view calls f with the state, of which f keeps what it likes but which it doesn't change.
func (s *store) view(f func(*core.State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.mu.state)
}

// write makes the next record. It fails with an error of package core if the record may not follow those before it, with
// ErrDeposed if another leads. After any other error the record may have been stored or not; the next write finds out,
// and whoever looks at the state after it sees it.
func (s *store) write(ctx context.Context, r *core.Record) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.turn <- struct{}{} }()
	// What is begun is finished, also if who asked for it leaves.
	ctx = context.WithoutCancel(ctx)
	r.Epoch = s.epoch
	for {
		if err := s.check(r); err != nil {
			return err
		}
		won, err := s.log.Append(ctx, s.next, r)
		if s.doubt = err != nil; s.doubt {
			return fmt.Errorf("write record %d of the job store: %w", s.next, err)
		}
		if won {
			break
		}
		if err := s.taken(ctx); err != nil {
			return err
		}
	}
	if err := s.apply(r); err != nil {
		return err
	}
	if s.next-s.summary > s.every {
		s.summarize(ctx, r.At)
	}
	return nil
}

func (s *store) check(r *core.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.state.Check(r)
}

func (s *store) apply(r *core.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mu.state.Apply(r); err != nil {
		return fmt.Errorf("record %d of the job store: %w", s.next, err)
	}
	s.next++
	return nil
}

// taken finds out who made the next record: the leader itself in a write that ended in an error, in which case it is
// taken in, or a later leader.
func (s *store) taken(ctx context.Context) error {
	r := &core.Record{}
	err := s.log.Read(ctx, s.next, r)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: record %d was another's and is summarized", ErrDeposed, s.next)
	}
	if err != nil {
		return fmt.Errorf("read record %d of the job store: %w", s.next, err)
	}
	if err := s.led(ctx); err != nil {
		return err
	}
	if err := s.apply(r); err != nil {
		return err
	}
	if r.Summary != nil && r.Epoch == s.epoch {
		s.summary = s.next - 1
	}
	return nil
}

// led returns ErrDeposed if the newest record is another leader's. Only who has the turn may call it.
func (s *store) led(ctx context.Context) error {
	n, err := s.log.Newest(ctx)
	if err != nil || n < s.next {
		return err
	}
	r := &core.Record{}
	if err := s.log.Read(ctx, n, r); err != nil || r.Epoch <= s.epoch {
		return err
	}
	return fmt.Errorf("%w: record %d is of epoch %d", ErrDeposed, n, r.Epoch)
}

// summarize replaces all records by one. That it fails harms nothing: the next write tries again, and who is deposed
// finds out then.
func (s *store) summarize(ctx context.Context, at time.Time) {
	r := &core.Record{Epoch: s.epoch, At: at}
	s.view(func(st *core.State) { r.Summary = st.Summary() })
	if won, err := s.log.Append(ctx, s.next, r); err != nil || !won {
		return
	}
	s.summary = s.next
	s.next++
	_ = s.log.Prune(ctx, s.summary) // what stays is pruned with the next summary
}

// settle finds out whether a write that ended in an error was stored.
func (s *store) settle(ctx context.Context) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.turn <- struct{}{} }()
	if !s.doubt {
		return nil
	}
	n, err := s.log.Newest(ctx)
	if err == nil && n >= s.next {
		err = s.taken(ctx)
	}
	s.doubt = err != nil
	return err
}

// verify returns ErrDeposed if another leader has opened the store.
func (s *store) verify(ctx context.Context) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.turn <- struct{}{} }()
	return s.led(ctx)
}

// expire forgets what the retention does not keep, and returns the jobs' ids.
func (s *store) expire(r core.Retention, now time.Time) (gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.state.Expire(r, now)
}

// storedDetail is the last detail of a job that has ended.
type storedDetail struct {
	Job string `json:"job"`
	// Detail is a weirpb.JobDetail.
	Detail []byte `json:"detail"`
}

func (s *store) putDetail(ctx context.Context, job string, d *weirpb.JobDetail) error {
	b, err := proto.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode the detail of job %s: %w", job, err)
	}
	return storage.PutRecord(ctx, s.objects, detailDir+"/"+job, detailKind, storedDetail{job, b})
}

// detail returns the last detail of a job that has ended; the error wraps fs.ErrNotExist if none was stored.
func (s *store) detail(ctx context.Context, job string) (*weirpb.JobDetail, error) {
	var stored storedDetail
	if err := storage.GetRecord(ctx, s.objects, detailDir+"/"+job, detailKind, &stored); err != nil {
		return nil, err
	}
	d := &weirpb.JobDetail{}
	if err := proto.Unmarshal(stored.Detail, d); err != nil {
		return nil, fmt.Errorf("decode the detail of job %s: %w", job, err)
	}
	return d, nil
}

// sweepDetails removes the details of jobs that are not known any more.
func (s *store) sweepDetails(ctx context.Context) error {
	names, err := s.objects.List(ctx, detailDir)
	if err != nil {
		return err
	}
	var old []string
	s.view(func(st *core.State) {
		for _, name := range names {
			if st.Job(name) == nil {
				old = append(old, detailDir+"/"+name)
			}
		}
	})
	return s.objects.Remove(ctx, old...)
}
