// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// resendInterval is how often what a JobMaster must do is said again.
	resendInterval = time.Second
	// silenceLooks is how often it is looked whether a JobMaster was silent before that has lasted for too long.
	silenceLooks = 4
	// farewell bounds what is asked of a JobMaster whose job has ended: its last detail, and open answers.
	farewell = 2 * time.Second
	// storeRetry is how long to wait before the end of a job is written again that could not be stored.
	storeRetry = time.Second
)

// JobMasterLog is the name of the log of a JobMaster process.
const JobMasterLog = "jobmaster.log"

// supervise keeps a JobMaster process running until the end of the job is stored or ctx ends.
//
//	start --RoleReady, JobSummary--> work --result--> store the end
//	  ^                                |
//	  +------ wait <-- process ended --+
func (j *job) supervise(ctx context.Context) {
	log := j.d.config.Logger.With("job", j.record.ID)
	var restarts core.Restarts
	// led tells that a JobMaster may have led the job: what it started may run somewhere.
	led := j.resumed
	for first := true; ctx.Err() == nil; first = false {
		worked, err := j.reign(ctx, j.resumed || !first, led)
		j.fall()
		if err == nil || ctx.Err() != nil {
			return
		}
		led = led || worked > 0
		wait, giveUp := restarts.Ended(worked)
		if giveUp || isFinal(err, led) {
			log.ErrorContext(ctx, "no JobMaster can be started: the job fails", "starts", restarts.Failed(), "error", err)
			text := fmt.Sprintf("no JobMaster can be started: %v", err)
			if led { // else the run, if there is one, may be another's
				if err := j.closeRun(ctx, text); err != nil {
					log.WarnContext(ctx, "the run of the job could be gone on with", "error", err)
				}
			}
			j.end(ctx, core.End{State: stateFailed, Error: text}, nil)
			return
		}
		if j.isCanceling() && !led {
			j.end(ctx, core.End{State: stateCanceled}, nil)
			return
		}
		log.WarnContext(ctx, "the JobMaster process ended, another is started", "wait", wait, "error", err)
		sleep(ctx, wait)
	}
}

// isFinal reports whether starting the program again is of no use: it describes another graph, say. What its code says
// is wrong is final for a job that nobody led yet: it may be a disk or network that fails for one that ran before.
func isFinal(err error, led bool) bool {
	var said *process.Refused
	return process.KindOf(err) == weirpb.FailureKind_FAILURE_KIND_FATAL ||
		errors.As(err, &said) && said.Kind == weirpb.FailureKind_FAILURE_KIND_USER && !led
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reign runs one JobMaster process to its end. It returns for how long it has led the job, and nil if the job needs no
// other.
func (j *job) reign(ctx context.Context, resume, led bool) (worked time.Duration, err error) {
	select {
	case j.d.starts <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	m, err := j.startUnlessCanceled(ctx, resume, led)
	<-j.d.starts
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = j.work(ctx, m)
	if j.isReady() {
		worked = max(time.Since(began), 1) // zero is for one that never led
	}
	grace := stopGrace
	if ctx.Err() != nil {
		grace = 0
	}
	m.end(grace, fmt.Sprintf("the JobMaster process of job %s has ended", j.record.ID))
	return worked, err
}

// startUnlessCanceled is startMaster that gives up when a job is canceled that nobody led yet: its program may never
// come so far.
func (j *job) startUnlessCanceled(ctx context.Context, resume, led bool) (*master, error) {
	starting, giveUp := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if !led && j.await(starting, func() bool { return j.mu.canceling }) == nil {
			giveUp(errCanceled)
		}
	})
	m, err := j.startMaster(starting, resume)
	giveUp(nil)
	wg.Wait()
	return m, err
}

// startMaster starts a process and waits until it has taken on its role.
func (j *job) startMaster(ctx context.Context, resume bool) (*master, error) {
	path, err := j.d.config.Artifacts.Path(j.record.Program)
	if err != nil {
		return nil, fmt.Errorf("program of the job: %w", err)
	}
	logs := filepath.Join(j.d.config.LogDir, j.record.ID)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("directory of logs: %w", err)
	}
	j.rise()
	m, ready, err := j.d.startMaster(ctx, process.Config{
		Path: path, Args: j.record.Arguments, Dir: workDir(j.record.Dir),
		Log: filepath.Join(logs, JobMasterLog), MemoryBytes: j.d.config.JobMasterMemoryBytes, Cgroups: j.d.config.Cgroups,
		Watch: &j.d.memory,
	}, j.masterSpec(resume))
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.fingerprint = ready.GetJob().GetFingerprint()
	return m, nil
}

// workDir is the directory that a job was submitted in, if this machine has it.
func workDir(dir string) string {
	if st, err := os.Stat(dir); dir == "" || err != nil || !st.IsDir() {
		return ""
	}
	return dir
}

// work lets the JobMaster do its work. It returns nil when the job needs no other one.
func (j *job) work(ctx context.Context, m *master) error {
	interval := j.d.config.SilenceTimeout / silenceLooks
	// All jobs are looked at in the same moments: that wakes this process as often as one job would.
	ticker := time.NewTicker(interval - time.Since(j.d.began)%interval)
	defer ticker.Stop()
	// Silence is counted in ticks: while this process itself stands still, none comes.
	var silent time.Duration
	for {
		if over, err := j.judge(ctx); over {
			return err
		}
		if j.isCanceling() && interval > resendInterval {
			interval = resendInterval
			ticker.Reset(interval)
		}
		j.resendCancel()
		select {
		case <-j.wake:
		case <-ticker.C:
			ticker.Reset(interval)
			if !j.isSilent() {
				silent = 0
			} else if silent += interval; silent > j.d.config.SilenceTimeout {
				m.process().Stop(0)
				return fmt.Errorf("the JobMaster has said nothing for %v and was killed", silent)
			}
		case <-m.process().Done():
			// Its last words may be that the job has ended.
			if over, err := j.judge(ctx); over {
				return err
			}
			return m.gone()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// judge reports whether the JobMaster has come to an end, and if so, nil where the job needs no other one.
func (j *job) judge(ctx context.Context) (over bool, err error) {
	switch r := j.result(); {
	case r == nil:
		return false, nil
	case r.GetDeposed():
		if err := j.d.store.verify(ctx); errors.Is(err, ErrDeposed) {
			j.d.depose(err)
		}
		return true, errors.New("another JobMaster took the job over")
	case terminal(r.GetState()):
		j.conclude(ctx, r)
		return true, nil
	case j.isSuspending():
		return true, nil
	default:
		return true, fmt.Errorf("the JobMaster let go of the job, which is %s", r.GetState())
	}
}

// resendCancel asks the JobMaster to cancel the job, if it is to be canceled.
func (j *job) resendCancel() {
	j.mu.Lock()
	due, epoch := j.mu.canceling && j.mu.ready, j.mu.summary.GetEpoch()
	j.mu.Unlock()
	if due {
		j.ask(epoch, &weirpb.JobRequest{
			Number: j.d.numbers.Add(1), Body: &weirpb.JobRequest_Cancel{Cancel: &weirpb.CancelJob{}},
		})
	}
}

// conclude asks the JobMaster of a job that has ended for what is to be kept of it, and stores the end.
func (j *job) conclude(ctx context.Context, r *weirpb.JobResult) {
	asking, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	detail := j.freshDetail(asking)
	// Whoever waits for a savepoint that ended the job gets the answer.
	_ = j.await(asking, func() bool { return len(j.mu.pending) == 0 })
	s := j.current()
	j.end(ctx, core.End{
		State: r.GetState(), Error: r.GetError(), Savepoint: r.GetSavepoint(), Epoch: s.GetEpoch(), Tasks: s.GetTasks(),
		At: time.UnixMilli(s.GetEndUnixMillis()).UTC(),
	}, detail)
}

// end stores the end of the job, with its last detail if there is one. It tries until that is done or ctx ends.
func (j *job) end(ctx context.Context, end core.End, detail *weirpb.JobDetail) {
	if end.At.UnixMilli() <= 0 {
		end.At = time.Now().UTC()
	}
	if detail == nil {
		detail = j.lastDetail(end)
	}
	log := j.d.config.Logger.With("job", j.record.ID)
	if err := j.d.store.putDetail(ctx, j.record.ID, detail); err != nil {
		log.WarnContext(ctx, "the last detail of the job is not stored", "error", err)
	}
	for {
		err := j.d.write(ctx, &core.Record{Ended: &core.Ended{Job: j.record.ID, End: end}})
		if err == nil || errors.Is(err, core.ErrEnded) || errors.Is(err, core.ErrUnknown) {
			break
		}
		if ctx.Err() != nil {
			return
		}
		log.ErrorContext(ctx, "the end of the job is not stored, again in a moment", "state", end.State, "error", err)
		sleep(ctx, storeRetry)
	}
	j.mu.Lock()
	j.mu.ended = true
	j.mu.summary = endedSummary(j.mu.summary, end)
	j.mu.detail = nil
	j.changeLocked()
	j.mu.Unlock()
	log.InfoContext(ctx, "the job has ended", "state", end.State, "error", end.Error)
	j.d.jobEnded(j)
}

// masterSpec tells a process that it is the job's JobMaster.
func (j *job) masterSpec(resume bool) *weirpb.RoleSpec {
	spec := j.commonSpec()
	spec.Role = weirpb.Role_ROLE_JOB_MASTER
	spec.JobMaster = &weirpb.JobMasterSpec{
		ResourceManager: j.d.config.ResourceManager, Dispatcher: Endpoint,
		CheckpointDir: j.record.CheckpointDir, Restore: j.record.Restore,
		AllowNonRestoredState: j.record.AllowNonRestoredState, Resume: resume, Described: j.described,
	}
	return spec
}

// executorSpec is what is the same for all executors of the job.
func (j *job) executorSpec() (*weirpb.RoleSpec, error) {
	j.mu.Lock()
	ended, fingerprint, ran := j.mu.ended, j.mu.fingerprint, j.mu.ran
	j.mu.Unlock()
	if ended {
		return nil, errEnded
	}
	spec := j.commonSpec()
	spec.Role = weirpb.Role_ROLE_EXECUTOR
	spec.Executor, spec.Steps = &weirpb.ExecutorSpec{
		Fingerprint: fingerprint, CheckpointDir: j.record.CheckpointDir, Begins: !ran,
	}, j.described.GetSteps()
	return spec, nil
}

func (j *job) commonSpec() *weirpb.RoleSpec {
	return proto.CloneOf(&weirpb.RoleSpec{
		JobId: j.record.ID, Job: j.record.Entry, Name: j.record.Name, Arguments: j.record.Arguments, Dir: j.record.Dir,
		Settings: j.record.Settings, RejectRelativePaths: j.record.RejectRelative,
	})
}
