// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package launch begins or continues runs of jobs, and starts their JobMasters in this process: all JobMasters of an
// embedded cluster, the only one of a JobMaster process.
//
//	Submit --> run record in the checkpoint directory --> epoch --> JobMaster --> Result
//
// The store of jobs is the checkpoint directory itself: a run's record says what it began from, its log of epochs who
// leads it, its result how it ended. So `latest` needs nothing but that directory.
package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster"
	"github.com/weir-stream/weir/internal/rpc"
)

// Latest is the Restore of a submission that continues the newest run of its checkpoint directory, or begins one where
// there is none.
const Latest = "latest"

// Config is what a Launcher is made of. All is required, but where a zero value is explained.
type Config struct {
	Network         rpc.Network
	ResourceManager string
	// Objects opens a directory by its absolute path.
	Objects func(location string) storage.Objects
	// Verify checks state files before a restore; nil looks at their sizes only.
	Verify storage.Verify
	Logger *slog.Logger
	// Holder says in epoch records who leads, for people.
	Holder string
	// The rest is as in jobmaster.Config.
	Heartbeat, HeartbeatTimeout, SlotTimeout, CancelTimeout, CheckInterval time.Duration
	// Changed is told of changes of each JobMaster, and Beat when one wakes up; nil for nobody.
	Changed          func()
	Beat             func(now time.Time)
	ReconcileTimeout time.Duration
}

// Submission is a job to be run.
type Submission struct {
	Graph *graph.JobGraph
	// Store is the checkpoint directory.
	Store storage.Objects
	// JobID names the run; empty for a new id.
	JobID string
	// Resume continues the run of JobID, or begins it where there is none: whoever was to begin it died before.
	Resume bool
	// Restore is empty for a fresh run, Latest where no JobID is given, or the absolute path of what a new run begins from.
	Restore               string
	AllowNonRestoredState bool
}

// validate refuses what contradicts itself.
func (s *Submission) validate() error {
	switch {
	case s.JobID != "" && s.Restore == Latest:
		return fmt.Errorf("job %s: a run of its own can't go on with the newest of the directory", s.JobID)
	case s.JobID == "" && s.Resume:
		return errors.New("resume: no job id says which run goes on")
	}
	return nil
}

// Launcher holds the jobs of a cluster. Its methods may be called from any goroutine.
type Launcher struct {
	config Config
	wg     sync.WaitGroup // of goroutines that stop JobMasters whose jobs have ended
	mu     struct {
		sync.Mutex
		jobs   map[string]*Job
		closed bool
	}
}

// ErrClosed is returned by Submit when the Launcher has been closed.
var ErrClosed = errors.New("launch: closed")

// Job is a submitted job.
type Job struct {
	id    string
	graph *graph.JobGraph
	run   *storage.Run
	// master is nil for a run that had ended before it was submitted again; past tells how then.
	master *jobmaster.JobMaster
	past   *storage.Result
}

// ID names the run.
func (j *Job) ID() string { return j.id }

// Master is the JobMaster, or nil if the run had ended before.
func (j *Job) Master() *jobmaster.JobMaster { return j.master }

// Past is how the run ended if it had before it was submitted again, else nil.
func (j *Job) Past() *storage.Result { return j.past }

// New makes a Launcher without jobs.
func New(c Config) *Launcher {
	l := &Launcher{config: c}
	l.mu.jobs = map[string]*Job{}
	return l
}

// Graph returns the graph of a job that runs.
func (l *Launcher) Graph(jobID string) (*graph.JobGraph, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.mu.jobs[jobID]; j != nil {
		return j.graph, nil
	}
	return nil, fmt.Errorf("job %s is not known here", jobID)
}

// Run returns what is stored of a job that runs.
func (l *Launcher) Run(jobID string) (*storage.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.mu.jobs[jobID]; j != nil {
		return j.run, nil
	}
	return nil, fmt.Errorf("job %s is not known here", jobID)
}

// Submit starts a job, or finds that the run to be continued has ended. ctx is for the call only.
func (l *Launcher) Submit(ctx context.Context, s Submission) (*Job, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	r, err := l.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	j := &Job{id: r.run.Info().JobID, graph: s.Graph, run: r.run, past: r.past}
	l.mu.Lock()
	if old := l.mu.jobs[j.id]; old != nil && old.master != nil {
		select {
		case <-old.master.Done():
		default:
			l.mu.Unlock()
			return nil, fmt.Errorf("job %s runs here already", j.id)
		}
	}
	if l.mu.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	l.mu.jobs[j.id] = j
	l.mu.Unlock()
	if j.past != nil {
		return j, nil
	}
	master, err := l.start(ctx, s, r)
	if err != nil {
		l.remove(j)
		return nil, err
	}
	if !l.adopt(ctx, j, master) {
		return nil, errors.Join(ErrClosed, master.Stop())
	}
	return j, nil
}

// adopt keeps a JobMaster that was started until it is done. It returns false if Close was called meanwhile, which did
// not see it.
func (l *Launcher) adopt(ctx context.Context, j *Job, master *jobmaster.JobMaster) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return false
	}
	j.master = master
	l.wg.Go(func() {
		<-master.Done()
		if err := master.Stop(); err != nil {
			l.config.Logger.WarnContext(context.WithoutCancel(ctx), "stop of a JobMaster", "job", j.id, "error", err)
		}
	})
	return true
}

// start takes the run over and starts its JobMaster.
func (l *Launcher) start(ctx context.Context, s Submission, r *prepared) (*jobmaster.JobMaster, error) {
	leader, err := r.run.Acquire(ctx, l.config.Holder)
	if err != nil {
		return nil, err
	}
	takeover, err := leader.TakeOver(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []storage.Host
	var known bool
	if l.config.ReconcileTimeout > 0 {
		if hosts, known, err = leader.TakeOverHosts(ctx); err != nil {
			return nil, err
		}
	}
	return jobmaster.Start(ctx, jobmaster.Config{
		Former: hosts, FormerKnown: known,
		Graph: s.Graph, Leader: leader, Takeover: takeover, Snapshot: r.snapshot,
		Objects: l.config.Objects, Verify: l.config.Verify,
		Network: l.config.Network, ResourceManager: l.config.ResourceManager, Logger: l.config.Logger,
		Heartbeat: l.config.Heartbeat, HeartbeatTimeout: l.config.HeartbeatTimeout,
		Changed: l.config.Changed, Beat: l.config.Beat,
		SlotTimeout: l.config.SlotTimeout, CancelTimeout: l.config.CancelTimeout, ReconcileTimeout: l.config.ReconcileTimeout,
		CheckInterval: l.config.CheckInterval,
	})
}

// remove forgets a job that could not be started.
func (l *Launcher) remove(j *Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.jobs[j.id] == j {
		delete(l.mu.jobs, j.id)
	}
}

// Close stops all JobMasters, as if their process had ended, and waits for them.
func (l *Launcher) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	var all []*jobmaster.JobMaster
	for _, j := range l.mu.jobs {
		if j.master != nil {
			all = append(all, j.master)
		}
	}
	l.mu.Unlock()
	var err error
	for _, m := range all {
		err = errors.Join(err, m.Stop())
	}
	l.wg.Wait()
	return err
}
