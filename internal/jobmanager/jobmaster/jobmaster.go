// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Config is what a JobMaster is made of. All is required, but where a zero value is explained.
type Config struct {
	Graph *graph.JobGraph
	// Leader is the run with the epoch of this JobMaster; it has been taken over.
	Leader   *storage.Leader
	Takeover *storage.Takeover
	// Snapshot is what a new run begins from; nil where it begins afresh or goes on from its own checkpoints.
	Snapshot *storage.Snapshot
	// Objects opens a directory for savepoints.
	Objects func(location string) storage.Objects
	// Verify checks state files before a restore; nil looks at their sizes only.
	Verify          storage.Verify
	Network         rpc.Network
	ResourceManager string
	Logger          *slog.Logger
	// Heartbeat is the time between two; a TaskManager that was silent for HeartbeatTimeout is lost.
	Heartbeat, HeartbeatTimeout time.Duration
	// SlotTimeout is how long the job waits for slots; CancelTimeout how long a task may take to end.
	SlotTimeout, CancelTimeout time.Duration
	// ReconcileTimeout is how long a JobMaster that takes a run over looks for the tasks of its predecessor, to go on with
	// them; zero where they ended with it.
	ReconcileTimeout time.Duration
	// Former are the TaskManagers on which tasks of predecessors may run; there are no others if FormerKnown is set.
	Former      []storage.Host
	FormerKnown bool
	// Changed, if not nil, is called by the JobMaster's goroutine when the status of the job or of a task may have changed;
	// it must not block.
	Changed func()
	// Beat, if not nil, is called by the JobMaster's goroutine when time has made it wake up, at least with each heartbeat that
	// it sends: what is to be done now and then is best done beside that, since it costs more to wake a process than to do a
	// little more in it. It must not block.
	Beat func(now time.Time)
	// CheckInterval is the least time between two looks at the epoch of the run, which come with heartbeats.
	CheckInterval time.Duration
}

// Result is how a JobMaster ended.
type Result struct {
	Status core.JobStatus
	// Cause is why the job failed.
	Cause *core.Failure
	// Savepoint is the path of the one that a stop took, empty if there was none.
	Savepoint string
	// Deposed tells that another JobMaster has taken the job over: this one left no trace.
	Deposed bool
}

// JobMaster runs one job. Its methods may be called from any goroutine.
type JobMaster struct {
	config   Config
	endpoint *rpc.Endpoint
	logger   *slog.Logger
	ctx      context.Context // of all that it calls; ends with the JobMaster
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup // of commits and looks at the epoch
	storage  serial
	looking  atomic.Bool // at the epoch
	// The rest belongs to the endpoint's goroutine.
	core        *core.Master
	enumerators map[int]*enumerator // the last one of each source, which has ended its predecessors
	committers  *committers
	waiting     map[int64]chan coordinator.Reply // of requests, by number
	requests    int64
	ended       bool
	result      Result
	done        chan struct{} // closed when result is final
	once        sync.Once
	stopErr     error
	final       core.JobDetails // set before done is closed, as at is
	at          entered
	looked      time.Time // when the last look at the epoch began
}

var _ rpc.Handler = (*JobMaster)(nil)

// ErrLeftBehind says that an enumerator or committer did not return: its goroutine can't be ended by anybody else.
var ErrLeftBehind = errors.New("jobmaster: goroutines are left behind")

// Name is the endpoint of the JobMaster of a job and epoch.
func Name(jobID string, epoch int64) string { return fmt.Sprintf("jobmaster/%s/%d", jobID, epoch) }

// Start makes a JobMaster that has begun to run the job when it returns. Stop is to be called in any case.
func Start(ctx context.Context, c Config) (*JobMaster, error) {
	job := c.Leader.Info().JobID
	name := Name(job, c.Leader.Epoch())
	retained, past, err := retainedIn(ctx, c)
	if err != nil {
		return nil, err
	}
	j := &JobMaster{
		config: c, logger: c.Logger.With("job", job), endpoint: rpc.NewEndpoint(name, c.Network),
		core: core.NewMaster(core.Config{
			JobID: job, Epoch: c.Leader.Epoch(), Name: name, ResourceManager: c.ResourceManager, Graph: c.Graph,
			CheckpointDir: c.Leader.Location(), Heartbeat: c.Heartbeat, HeartbeatTimeout: c.HeartbeatTimeout,
			SlotTimeout: c.SlotTimeout, CancelTimeout: c.CancelTimeout, ReconcileTimeout: c.ReconcileTimeout,
			IDs:      coordinator.IDsReserved{First: c.Takeover.IDs.First, Count: c.Takeover.IDs.Count},
			Retained: retained, Newest: newest(c.Takeover.Complete), Past: past, Random: rand.Float64,
			Former: hostsOf[core.Host](c.Former), FormerKnown: c.FormerKnown,
		}, time.Now()),
		enumerators: map[int]*enumerator{}, committers: newCommitters(c.Graph), done: make(chan struct{}),
		waiting: map[int64]chan coordinator.Reply{},
	}
	j.at[core.JobInitializing] = time.Now()
	j.looked = j.at[core.JobInitializing] // it has just been taken over
	j.ctx, j.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := j.endpoint.Start(j); err != nil {
		return nil, fmt.Errorf("start JobMaster: %w", err)
	}
	j.endpoint.Post(func() { j.event(func(now time.Time) { j.core.Start(now) }) })
	return j, nil
}

// retainedIn reads which files the complete checkpoints of the run refer to, and returns the metadata of the newest. One that
// can't be read holds on to nothing that could be removed: its files are swept only when its marker is gone.
func retainedIn(ctx context.Context, c Config) (all []coordinator.Retained, past *checkpoint.Metadata, err error) {
	for _, id := range c.Takeover.Complete {
		md, err := c.Leader.Metadata(ctx, id)
		switch {
		case err == nil:
			all, past = append(all, coordinator.Retained{ID: id, Files: md.Files()}), md
		case ctx.Err() != nil:
			return nil, nil, err
		default:
			c.Logger.ErrorContext(ctx, "checkpoint can't be read", "error", err)
		}
	}
	return all, past, nil
}

// newest is the last of the complete checkpoints, zero if there is none.
func newest(complete []int64) int64 {
	if n := len(complete); n > 0 {
		return complete[n-1]
	}
	return 0
}

// JobID names the run.
func (j *JobMaster) JobID() string { return j.config.Leader.Info().JobID }

// Done is closed when the job has ended for this JobMaster; Result tells how.
func (j *JobMaster) Done() <-chan struct{} { return j.done }

// Result is how the job ended; valid once Done is closed.
func (j *JobMaster) Result() Result { return j.result }

// Details is the state of the job.
func (j *JobMaster) Details(ctx context.Context) (core.JobDetails, error) {
	d, _, err := j.observe(ctx)
	return d, err
}

// Summary is the state of the job as lists show it.
func (j *JobMaster) Summary(ctx context.Context) (*weirpb.JobSummary, error) {
	d, at, err := j.observe(ctx)
	if err != nil {
		return nil, err
	}
	return summaryOf(&d, at), nil
}

// Detail is the state of the job as a message.
func (j *JobMaster) Detail(ctx context.Context) (*weirpb.JobDetail, error) {
	d, at, err := j.observe(ctx)
	if err != nil {
		return nil, err
	}
	return detailOf(&d, j.config.Graph, at, j.config.Leader.MetadataPath), nil
}

// observe returns the state of the job, and when it entered its states.
func (j *JobMaster) observe(ctx context.Context) (d core.JobDetails, at entered, err error) {
	type seen struct {
		details core.JobDetails
		at      entered
	}
	s, err := j.endpoint.Call(ctx, func() seen { return seen{j.core.Details(), j.at} })
	if errors.Is(err, rpc.ErrStopped) {
		<-j.done // Stop closes it
		return j.final, j.at, nil
	}
	return s.details, s.at, err
}

// Cancel ends the job without a checkpoint; it does not wait for the end.
func (j *JobMaster) Cancel() {
	j.endpoint.Post(func() { j.event(j.core.Cancel) })
}

// Stop ends the JobMaster, at once if the job hasn't ended: nothing is recorded then, as if its process had been killed.
// It waits for all its goroutines; the error is that of closing committers, or wraps ErrLeftBehind.
func (j *JobMaster) Stop() error {
	j.once.Do(func() {
		j.endpoint.Stop() // from here on the state is this goroutine's
		j.cancel(rpc.ErrStopped)
		for _, e := range j.enumerators {
			e.stop()
		}
		if j.waitForHelpers() {
			j.stopErr = j.committers.close()
		} else {
			j.stopErr = fmt.Errorf("stop of job %s: %w", j.JobID(), ErrLeftBehind)
		}
		if !j.ended {
			j.finish(Result{Status: core.JobSuspended})
		}
	})
	return j.stopErr
}

// waitForHelpers returns when all goroutines of the JobMaster have ended, or false after CancelTimeout: user code that
// does not return is left behind with its goroutine.
func (j *JobMaster) waitForHelpers() bool {
	quiet := make(chan struct{})
	// Owner: waitForHelpers, which gives it up only together with the goroutines that it waits for.
	go func() {
		for _, e := range j.enumerators {
			e.wait()
		}
		j.wg.Wait()
		j.storage.wait()
		close(quiet)
	}()
	timer := time.NewTimer(j.config.CancelTimeout)
	defer timer.Stop()
	select {
	case <-quiet:
		return true
	case <-timer.C:
		return false
	}
}

// finish publishes the result.
func (j *JobMaster) finish(r Result) {
	j.ended, j.result, j.final = true, r, j.core.Details()
	close(j.done)
}

// lookAtEpoch looks at it on a goroutine of its own if that is due, so that a deposed JobMaster ends soon. One look at a time:
// the store may hang.
func (j *JobMaster) lookAtEpoch(now time.Time) {
	if now.Sub(j.looked) < j.config.CheckInterval || j.ended || !j.looking.CompareAndSwap(false, true) {
		return
	}
	j.looked = now
	j.wg.Go(func() {
		defer j.looking.Store(false)
		if err := j.config.Leader.Check(j.ctx); errors.Is(err, storage.ErrDeposed) {
			j.endpoint.Post(func() { j.deposed(err) })
		}
	})
}

// deposed ends the JobMaster without trace.
func (j *JobMaster) deposed(err error) {
	if j.ended {
		return
	}
	j.logger.Warn("another JobMaster runs the job now", "error", err)
	j.event(j.core.Deposed)
}

func (j *JobMaster) changed() {
	if j.config.Changed != nil {
		j.config.Changed()
	}
}

// Receive implements rpc.Handler.
func (j *JobMaster) Receive(e *weirpb.Envelope) {
	j.event(func(now time.Time) { j.core.Receive(e, now) })
	if e.GetTaskStateChanged() != nil {
		j.changed()
	}
}

// Tick implements rpc.Handler.
func (j *JobMaster) Tick(now time.Time) {
	j.core.Tick(now)
	j.perform()
	j.lookAtEpoch(now)
	if j.config.Beat != nil {
		j.config.Beat(now)
	}
}

// Next implements rpc.Handler.
func (j *JobMaster) Next() time.Time { return j.core.Next() }

// event hands something to the core and does what that decides. To be called from the endpoint's goroutine.
func (j *JobMaster) event(f func(now time.Time)) {
	f(time.Now())
	j.perform()
}

// post has event called by the endpoint's goroutine.
func (j *JobMaster) post(f func(now time.Time)) {
	j.endpoint.Post(func() { j.event(f) })
}

// perform does what the core has decided.
func (j *JobMaster) perform() {
	for _, a := range j.core.Take() {
		switch a := a.(type) {
		case core.Send:
			j.endpoint.Send(a.To, a.Message)
		case core.Transition:
			j.at[a.To] = time.Now()
			j.changed()
			j.logTransition(a)
		case core.Reconciled:
			j.logReconciled(a)
		case core.FailureSeen:
			j.logger.Warn("failure", "task", a.Failure.Task, "task_manager", a.Failure.TaskManager,
				"kind", a.Failure.Kind.String(), "error", a.Failure.Text)
		case core.Commit:
			j.commit(a)
		case core.RecordHosts:
			j.recordHosts(a.Hosts)
		case core.StartEnumerator, core.StopEnumerator, core.ReaderReady, core.AddBack, core.SnapshotEnumerator:
			j.performEnumerator(a)
		default:
			j.performStorage(a)
		}
	}
}

func (j *JobMaster) logTransition(t core.Transition) {
	attrs := []any{"from", t.From.String(), "to", t.To.String()}
	if t.Cause != nil {
		attrs = append(attrs, "cause", t.Cause.Error())
	}
	j.logger.Info("job status", attrs...)
}

// logReconciled says what runs on, and why the rest does not. Regions may be many: they are told of at once.
func (j *JobMaster) logReconciled(r core.Reconciled) {
	j.logger.Info("tasks of the JobMaster before taken on", "regions", r.Adopted, "restarted", len(r.Restarted))
	for i, x := range r.Restarted {
		if i == restartedLogMax {
			break
		}
		j.logger.Warn("region starts again", "region", x.Region, "reason", x.Reason)
	}
}

// restartedLogMax is of how many regions the reason is logged.
const restartedLogMax = 16

// commit calls a committer on a goroutine of its own.
func (j *JobMaster) commit(c core.Commit) {
	k := j.committers.of(c.Sink)
	j.wg.Go(func() {
		err := k.commit(j.ctx, c.Prepared)
		if err != nil && j.ctx.Err() == nil {
			j.logger.Warn("commit failed", "sink", k.node.UID, "checkpoint", c.Checkpoint, "error", err)
		}
		j.post(func(now time.Time) {
			j.core.Committed(c, err, errors.Is(err, connector.ErrPermanent), now)
		})
	})
}

func (j *JobMaster) performEnumerator(a core.Action) {
	switch a := a.(type) {
	case core.StartEnumerator:
		j.startEnumerator(a)
	case core.StopEnumerator:
		if e := j.enumerators[a.Source]; e != nil {
			e.stop()
		}
	case core.ReaderReady:
		if e := j.enumerators[a.Source]; e != nil {
			e.call(func(en graph.Enumerator) error {
				for range a.Times {
					if err := en.ReaderReady(a.Reader); err != nil {
						return err
					}
				}
				return nil
			})
		}
	case core.AddBack:
		if e := j.enumerators[a.Source]; e != nil {
			e.call(func(en graph.Enumerator) error {
				for _, s := range a.Splits {
					if err := en.AddBack(s, a.Reader); err != nil {
						return err
					}
				}
				return nil
			})
		}
	case core.SnapshotEnumerator:
		if e := j.enumerators[a.Source]; e != nil {
			e.snapshot(a.Checkpoint)
		}
	}
}

// startEnumerator starts the enumerator of a source; what it does comes back as events, in order.
func (j *JobMaster) startEnumerator(a core.StartEnumerator) {
	vertex := j.core.SourceVertex(a.Source)
	node := vertex.Source()
	failed := func(err error) {
		j.post(func(now time.Time) { j.core.EnumeratorFailed(a.Source, a.Instance, err, enumeratorKind(err), now) })
	}
	j.enumerators[a.Source] = startEnumerator(j.ctx, node, vertex.Parallelism, a, j.enumerators[a.Source],
		j.logger.With("source", node.UID), enumeratorEvents{
			started: func() {
				j.post(func(now time.Time) { j.core.EnumeratorStarted(a.Source, a.Instance, now) })
			},
			failed: failed,
			assigned: func(reader int, splits []byte, noMore bool) {
				j.post(func(time.Time) { j.core.SplitsAssigned(a.Source, a.Instance, reader, splits, noMore) })
			},
			snapshot: func(id int64, state []byte, err error) {
				j.post(func(now time.Time) { j.core.EnumeratorSnapshot(a.Source, a.Instance, id, state, err, now) })
			},
		})
}

// enumeratorKind tells who failed when an enumerator did.
func enumeratorKind(err error) core.FailureKind {
	switch {
	case operator.BlameFor(err) == operator.OfUser, errors.As(err, new(*panicked)):
		return core.User
	case operator.BlameFor(err) == operator.OfConnector:
		return core.World
	}
	return core.Engine
}

// kindOf tells whether the store's error is final.
func kindOf(err error) core.FailureKind {
	var misfit *core.MisfitError
	if errors.As(err, &misfit) || errors.Is(err, storage.ErrNoneUsable) || errors.Is(err, checkpoint.ErrVersion) {
		return core.Fatal
	}
	return core.World
}
