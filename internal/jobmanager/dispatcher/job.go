// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Flink's names of the states of a job that the Dispatcher itself speaks of.
const (
	stateInitializing = "INITIALIZING"
	stateReconciling  = "RECONCILING"
	stateFinished     = "FINISHED"
	stateFailed       = "FAILED"
	stateCanceled     = "CANCELED"
	stateSuspended    = "SUSPENDED"
)

func terminal(state string) bool {
	return state == stateFinished || state == stateFailed || state == stateCanceled
}

// job is a job of the store. One that has not ended has a goroutine, which keeps a JobMaster process of it running.
type job struct {
	d      *Dispatcher
	record *core.Job
	// resumed tells that an earlier leader may have started the job.
	resumed bool
	// described is what the graph must be; nil if that is not known.
	described *weirpb.JobDescription
	// detailTurn holds a token while nobody asks the JobMaster for the job's detail.
	detailTurn chan struct{}
	// wake holds a token while something has changed that the supervising goroutine should see.
	wake chan struct{}
	mu   struct {
		sync.Mutex
		// changed is closed and replaced with each change.
		changed chan struct{}
		summary *weirpb.JobSummary
		// up tells that there is a process, ready that it has sent a summary, and so answers requests.
		up, ready bool
		// heard tells that a summary has come since that was asked last.
		heard bool
		// ran tells that a task of the job has run, or may have.
		ran bool
		// ended tells that the end is stored.
		ended      bool
		canceling  bool
		suspending bool
		pending    map[int64]chan *weirpb.JobReply
		detail     *weirpb.JobDetail
		detailAt   time.Time
		// fingerprint is that of the graph that runs; zero until it is known.
		fingerprint uint64
		// clientUntil is until when the client that waits for the job lives; zero if none does.
		clientUntil time.Time
	}
}

func newJob(d *Dispatcher, r *core.Job, resumed bool) *job {
	j := &job{d: d, record: r, resumed: resumed, wake: make(chan struct{}, 1), detailTurn: make(chan struct{}, 1)}
	j.mu.changed = make(chan struct{})
	j.mu.ran, j.mu.canceling = resumed, r.Canceling
	j.mu.pending = map[int64]chan *weirpb.JobReply{}
	if len(r.Described) > 0 {
		described := &weirpb.JobDescription{}
		if err := proto.Unmarshal(r.Described, described); err == nil {
			j.described = described
			j.mu.fingerprint = described.GetFingerprint()
		}
	}
	j.mu.summary = &weirpb.JobSummary{
		JobId: r.ID, Name: r.Name, State: stateInitializing,
		StartUnixMillis: r.Submitted.UnixMilli(), ModifiedUnixMillis: r.Submitted.UnixMilli(),
		SlotsNeeded: j.described.GetSlotsNeeded(),
	}
	if resumed {
		j.mu.summary.State = stateReconciling
	}
	if r.End != nil {
		j.mu.ended = true
		j.mu.summary = endedSummary(j.mu.summary, *r.End)
	}
	return j
}

// endedSummary is a summary after the end of its job.
func endedSummary(s *weirpb.JobSummary, end core.End) *weirpb.JobSummary {
	return &weirpb.JobSummary{
		JobId: s.GetJobId(), Name: s.GetName(), State: end.State, Epoch: end.Epoch, Tasks: end.Tasks,
		StartUnixMillis: s.GetStartUnixMillis(), EndUnixMillis: end.At.UnixMilli(),
		ModifiedUnixMillis: end.At.UnixMilli(),
		Result:             &weirpb.JobResult{State: end.State, Error: end.Error, Savepoint: end.Savepoint},
	}
}

// changeLocked tells those who wait that something has changed.
func (j *job) changeLocked() {
	close(j.mu.changed)
	j.mu.changed = make(chan struct{})
	select {
	case j.wake <- struct{}{}:
	default: // there is a token
	}
}

// summarize takes a summary of the JobMaster's.
func (j *job) summarize(s *weirpb.JobSummary) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.mu.up || j.mu.ended || s.GetEpoch() < j.mu.summary.GetEpoch() {
		return
	}
	// A job begins once, whichever JobMaster leads it now.
	s.StartUnixMillis = j.record.Submitted.UnixMilli()
	news := !j.mu.ready || s.GetState() != j.mu.summary.GetState() || s.GetResult() != nil
	j.mu.summary, j.mu.ready, j.mu.heard = s, true, true
	j.mu.ran = j.mu.ran || s.GetEpoch() > 1 || s.GetTasks()["RUNNING"] > 0
	if news {
		j.changeLocked()
	}
}

// current is the newest summary.
func (j *job) current() *weirpb.JobSummary {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.summary
}

// result is how the JobMaster says that the job ended for it, nil while it hasn't.
func (j *job) result() *weirpb.JobResult {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.mu.up {
		return nil
	}
	return j.mu.summary.GetResult()
}

// rise tells that there is a process; fall that it has ended, so that nobody will answer what is pending.
func (j *job) rise() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.up, j.mu.ready = true, false
	j.changeLocked()
}

func (j *job) fall() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.up, j.mu.ready = false, false
	for number, reply := range j.mu.pending {
		close(reply)
		delete(j.mu.pending, number)
	}
	if r := j.mu.summary.GetResult(); r != nil && !j.mu.ended {
		s := proto.CloneOf(j.mu.summary)
		s.Result = nil // it ended for that JobMaster only
		j.mu.summary = s
	}
	j.changeLocked()
}

// isSilent reports whether a JobMaster that leads the job has said nothing since the last call.
func (j *job) isSilent() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	silent := j.mu.ready && !j.mu.heard
	j.mu.heard = false
	return silent
}

func (j *job) isReady() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.ready
}

// isEnded reports whether the end of the job is stored.
func (j *job) isEnded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.ended
}

// isCanceling reports whether the job is to be canceled.
func (j *job) isCanceling() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.canceling
}

// await waits until ok, which is called with the lock held and must not block, or until ctx ends.
func (j *job) await(ctx context.Context, ok func() bool) error {
	for {
		j.mu.Lock()
		if ok() {
			j.mu.Unlock()
			return nil
		}
		changed := j.mu.changed
		j.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cancel has the job canceled as soon as there is a JobMaster to do it.
func (j *job) cancel() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	// The end that a JobMaster has told of counts before it is stored, as it is shown then.
	if j.mu.ended || j.mu.summary.GetResult() != nil {
		return fmt.Errorf("cancel job %s: %w: it is %s", j.record.ID, errEnded, j.mu.summary.GetState())
	}
	j.mu.canceling = true
	j.changeLocked()
	return nil
}

// recordCancel makes the cancel of the job durable, so that a leader that comes after this one sees to it.
func (j *job) recordCancel(ctx context.Context) error {
	err := j.d.write(ctx, &core.Record{Canceling: &core.Canceling{Job: j.record.ID}})
	if err != nil && !errors.Is(err, core.ErrEnded) && !errors.Is(err, core.ErrUnknown) {
		return fmt.Errorf("cancel job %s: it is being canceled, but that is not on record: should the JobManager die before it is, ask again: %w",
			j.record.ID, err)
	}
	return nil
}

// checkClient cancels the job if the client that waits for it does not live any more, and reports whether that is so.
func (j *job) checkClient(now time.Time) (canceled bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	until := j.mu.clientUntil
	if until.IsZero() || !now.After(until) || j.mu.ended || j.mu.canceling {
		return false
	}
	j.mu.canceling = true
	j.changeLocked()
	return true
}

// suspend has the JobMaster take a last checkpoint and let go of the job, and waits for that. A job that has ended or
// has no JobMaster at present needs no suspension.
func (j *job) suspend(ctx context.Context) error {
	j.mu.Lock()
	needed := j.mu.up && !j.mu.ended
	j.mu.suspending = true
	j.mu.Unlock()
	if !needed {
		return nil
	}
	_, err := j.request(ctx, &weirpb.JobRequest{Body: &weirpb.JobRequest_Suspend{Suspend: &weirpb.SuspendJob{}}})
	if err == nil || errors.Is(err, errLost) {
		err = j.await(ctx, func() bool { return !j.mu.up || j.mu.ended })
	}
	if err != nil && !errors.Is(err, errEnded) {
		return fmt.Errorf("suspend job %s: %w; it goes on from an older checkpoint", j.record.ID, err)
	}
	return nil
}

func (j *job) isSuspending() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.suspending
}
