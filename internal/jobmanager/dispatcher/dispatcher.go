// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// housekeeping is how often the Dispatcher looks for ended jobs to forget and clients that left.
	housekeeping = time.Second
	// startsAtOnce is how many programs may be on their way to be JobMasters.
	startsAtOnce = 16
)

// Dispatcher leads the jobs of a cluster. Its methods may be called from any goroutine.
type Dispatcher struct {
	config   Config
	store    *store
	programs *Programs
	unbind   func()
	// ctx ends when the Dispatcher does: closed, or deposed.
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	done   chan struct{}
	// began is when it did.
	began time.Time
	// starts has a token for each program on its way to be a JobMaster; admission has one while nobody submits.
	starts, admission chan struct{}
	memory            process.MemoryWatch // of all processes of job programs here
	// numbers counts requests to JobMasters, sequence what is sent.
	numbers, sequence atomic.Int64
	mu                struct {
		sync.Mutex
		closed     bool
		jobs       map[string]*job
		describing map[string]context.CancelCauseFunc // applications without jobs yet, by id
		operations operations
	}
}

var _ rest.Jobs = (*Dispatcher)(nil)

// Start makes this process the leader of the job store and starts a JobMaster for each job that has not ended. ctx is for
// the call only.
func Start(ctx context.Context, c Config) (*Dispatcher, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, c.Store, c.Epoch, c.Holder, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		config: c, store: s, done: make(chan struct{}), began: time.Now(),
		starts: make(chan struct{}, startsAtOnce), admission: make(chan struct{}, 1),
	}
	d.programs = newPrograms(d)
	d.mu.jobs, d.mu.describing = map[string]*job{}, map[string]context.CancelCauseFunc{}
	d.mu.operations = newOperations()
	d.ctx, d.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if d.unbind, err = c.Router.Bind(Endpoint, d.deliver); err != nil {
		d.cancel(err)
		return nil, err
	}
	d.sweep()
	d.reconcile(true) //nolint:contextcheck // what it starts lives as long as the Dispatcher
	d.tellEnded()
	d.spawn(d.keepHouse)
	// Owner: Close, and whoever waits for Done.
	go d.finish()
	return d, nil
}

// Done is closed when the Dispatcher has ended all its processes: after Close, or because it was deposed.
func (d *Dispatcher) Done() <-chan struct{} { return d.done }

// Err says why the Dispatcher ended: ErrDeposed, ErrClosed, or nil while it has not.
func (d *Dispatcher) Err() error {
	if d.ctx.Err() == nil {
		return nil
	}
	return context.Cause(d.ctx)
}

// Programs are the uploaded programs.
func (d *Dispatcher) Programs() *Programs { return d.programs }

// Close ends the Dispatcher and all its processes, and waits for them. With suspend, jobs take a last checkpoint before,
// whose output they commit. Either way the next leader goes on with all jobs that have not ended.
func (d *Dispatcher) Close(suspend bool) error {
	d.mu.Lock()
	d.mu.closed = true
	jobs := make([]*job, 0, len(d.mu.jobs))
	for _, j := range d.mu.jobs {
		jobs = append(jobs, j)
	}
	d.mu.Unlock()
	var errs []error
	if suspend {
		errs = d.suspend(jobs)
	}
	d.cancel(ErrClosed)
	<-d.done
	if err := d.Err(); !errors.Is(err, ErrClosed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// suspend has all jobs take their last checkpoints at once.
func (d *Dispatcher) suspend(jobs []*job) []error {
	ctx, cancel := context.WithTimeout(d.ctx, d.config.SuspendTimeout)
	defer cancel()
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	for i, j := range jobs {
		wg.Go(func() { errs[i] = j.suspend(ctx) })
	}
	wg.Wait()
	return errs
}

// depose ends the Dispatcher because another leads.
func (d *Dispatcher) depose(err error) {
	d.config.Logger.ErrorContext(d.ctx, "another JobManager leads: all JobMasters here are ended", "error", err)
	d.cancel(err)
}

// finish waits for the end of all that the Dispatcher started.
func (d *Dispatcher) finish() {
	<-d.ctx.Done()
	d.mu.Lock()
	d.mu.closed = true
	d.mu.Unlock()
	d.wg.Wait()
	d.unbind()
	close(d.done)
}

// spawn runs f in a goroutine that Close waits for; f ends with ctx. It returns false when the Dispatcher has ended.
func (d *Dispatcher) spawn(f func(ctx context.Context)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return false
	}
	d.wg.Go(func() { f(d.ctx) })
	return true
}

// write stores a record, and ends the Dispatcher if it does not lead any more.
func (d *Dispatcher) write(ctx context.Context, r *core.Record) error {
	if err := d.Err(); err != nil {
		return fmt.Errorf("%w: %w", rest.ErrUnavailable, err)
	}
	r.At = time.Now().UTC()
	err := d.store.write(ctx, r)
	if errors.Is(err, ErrDeposed) {
		d.depose(err)
		err = fmt.Errorf("%w: %w", rest.ErrUnavailable, err)
	}
	return err
}

// reconcile starts what the state has and the Dispatcher does not know yet: all of it for a new leader, what was
// submitted, and what an earlier write stored although it ended in an error. resumed tells the first from the others.
func (d *Dispatcher) reconcile(resumed bool) {
	var jobs []*core.Job
	var open []*core.Application
	d.store.view(func(s *core.State) {
		jobs = s.Jobs()
		for _, a := range s.Applications() {
			if len(a.Jobs) == 0 && a.Failure == nil {
				open = append(open, a)
			}
		}
	})
	for _, r := range jobs {
		d.mu.Lock()
		j := d.mu.jobs[r.ID]
		if j == nil && !d.mu.closed {
			j = newJob(d, r, resumed)
			d.mu.jobs[r.ID] = j
			if r.End == nil {
				d.wg.Go(func() { j.supervise(d.ctx) })
			}
		}
		d.mu.Unlock()
	}
	for _, a := range open {
		d.describeApplication(a)
	}
}

// job returns a job by its id.
func (d *Dispatcher) job(id string) (*job, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.mu.jobs[id]; j != nil {
		return j, nil
	}
	return nil, fmt.Errorf("job %s: %w", id, rest.ErrNotFound)
}

func (d *Dispatcher) all() []*job {
	d.mu.Lock()
	defer d.mu.Unlock()
	jobs := make([]*job, 0, len(d.mu.jobs))
	for _, j := range d.mu.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}

func (d *Dispatcher) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(housekeeping)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.forget()
		if err := d.store.settle(ctx); errors.Is(err, ErrDeposed) {
			d.depose(err)
		}
		d.reconcile(false) //nolint:contextcheck // as above
		for _, j := range d.all() {
			if j.checkClient(time.Now()) {
				d.config.Logger.WarnContext(ctx, "the client that waits for the job is gone: it is canceled",
					"job", j.record.ID, "not_recorded", j.recordCancel(ctx))
			}
		}
	}
}

// forget drops the jobs that ended too long ago, and what is kept of them.
func (d *Dispatcher) forget() {
	gone := d.store.expire(d.config.Retention, time.Now().UTC())
	if len(gone) == 0 {
		return
	}
	d.mu.Lock()
	for _, id := range gone {
		delete(d.mu.jobs, id)
	}
	d.mu.Unlock()
	d.removeOf(gone)
}

// removeOf removes the details and logs of jobs.
func (d *Dispatcher) removeOf(ids []string) {
	err := d.store.sweepDetails(d.ctx)
	for _, id := range ids {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.config.LogDir, id)))
	}
	if err != nil {
		d.config.Logger.WarnContext(d.ctx, "what is kept of ended jobs is not removed", "error", err)
	}
}

// sweep removes what leaders before left that died on the way: details and logs of forgotten jobs, programs that nothing
// needs.
func (d *Dispatcher) sweep() {
	_ = d.store.expire(d.config.Retention, time.Now().UTC()) // their files are among those found below
	var stale []string
	entries, err := os.ReadDir(d.config.LogDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.config.Logger.WarnContext(d.ctx, "logs of forgotten jobs are not looked for", "error", err)
	}
	d.store.view(func(s *core.State) {
		for _, e := range entries {
			if idPattern.MatchString(e.Name()) && s.Job(e.Name()) == nil {
				stale = append(stale, e.Name())
			}
		}
	})
	d.removeOf(stale)
	hashes, err := d.config.Artifacts.List()
	if err != nil {
		d.config.Logger.WarnContext(d.ctx, "programs that nothing needs are not looked for", "error", err)
	}
	for _, hash := range hashes {
		d.programs.collect(hash)
	}
}

// deliver takes what is sent to the Dispatcher; it does not block.
func (d *Dispatcher) deliver(e *weirpb.Envelope) {
	switch body := e.GetBody().(type) {
	case *weirpb.Envelope_JobSummary:
		if j, err := d.job(body.JobSummary.GetJobId()); err == nil {
			j.summarize(body.JobSummary)
		}
	case *weirpb.Envelope_JobReply:
		if j, err := d.job(e.GetJobId()); err == nil {
			j.reply(body.JobReply)
		}
	case *weirpb.Envelope_JobSetupRequest:
		d.send(e.GetFrom(), &weirpb.Envelope{
			JobId: body.JobSetupRequest.GetJobId(),
			Body:  &weirpb.Envelope_JobSetup{JobSetup: d.setup(body.JobSetupRequest.GetJobId())},
		})
	}
}

func (d *Dispatcher) send(to string, e *weirpb.Envelope) {
	e.Protocol, e.From, e.To, e.Sequence = rpc.Protocol, Endpoint, to, d.sequence.Add(1)
	d.config.Router.Send(e)
}

// setup is what a TaskManager needs to start the executor of a job.
func (d *Dispatcher) setup(id string) *weirpb.JobSetup {
	j, err := d.job(id)
	if err != nil {
		return &weirpb.JobSetup{JobId: id, Error: "the job is not known here"}
	}
	spec, err := j.executorSpec()
	if err != nil {
		return &weirpb.JobSetup{JobId: id, Error: err.Error()}
	}
	return &weirpb.JobSetup{JobId: id, Artifact: j.record.Program, Spec: spec}
}
