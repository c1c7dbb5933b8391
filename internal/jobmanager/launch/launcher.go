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
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
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
	Heartbeat, HeartbeatTimeout, SlotTimeout, CancelTimeout, RenewInterval time.Duration
	ReconcileTimeout                                                       time.Duration
}

// Submission is a job to be run.
type Submission struct {
	Graph *graph.JobGraph
	// Store is the checkpoint directory.
	Store storage.Objects
	// Restore is empty for a fresh run, Latest, or the absolute path of what a new run begins from.
	Restore               string
	AllowNonRestoredState bool
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
	return jobmaster.Start(ctx, jobmaster.Config{
		Graph: s.Graph, Leader: leader, Takeover: takeover, Snapshot: r.snapshot,
		Objects: l.config.Objects, Verify: l.config.Verify,
		Network: l.config.Network, ResourceManager: l.config.ResourceManager, Logger: l.config.Logger,
		Heartbeat: l.config.Heartbeat, HeartbeatTimeout: l.config.HeartbeatTimeout,
		SlotTimeout: l.config.SlotTimeout, CancelTimeout: l.config.CancelTimeout, ReconcileTimeout: l.config.ReconcileTimeout,
		RenewInterval: l.config.RenewInterval,
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

// newJobID makes an id in Flink's form.
func newJobID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// prepared is a run that can be taken over.
type prepared struct {
	run      *storage.Run
	snapshot *storage.Snapshot
	allow    bool
	past     *storage.Result
}

// prepare finds or begins the run of a submission, and sees whether what it starts from fits.
func (l *Launcher) prepare(ctx context.Context, s Submission) (*prepared, error) {
	store := storage.NewStore(s.Store)
	info := storage.RunInfo{
		JobID: newJobID(), JobName: s.Graph.Name, Created: time.Now().UTC(), Fingerprint: s.Graph.Fingerprint,
	}
	r := &prepared{allow: s.AllowNonRestoredState}
	if s.Restore == Latest {
		err := l.continued(ctx, store, s, r)
		if !errors.Is(err, storage.ErrNoRun) {
			return r, err
		}
		l.config.Logger.WarnContext(ctx, "there is no run to continue: a new one begins", "dir", s.Store.Location())
	}
	var err error
	if s.Restore != "" && s.Restore != Latest {
		if r.snapshot, err = l.open(ctx, s.Graph, s.Restore, s.AllowNonRestoredState); err != nil {
			return nil, err
		}
		info.RestoredFrom, info.AllowNonRestoredState = r.snapshot.Path, s.AllowNonRestoredState
	}
	if r.run, err = store.NewRun(ctx, info); err != nil {
		return nil, err
	}
	// The run is on record before its sinks claim their places for it: whoever dies between the two is continued.
	return r, l.probe(ctx, store, s.Graph, r)
}

// continued finds the newest run, and what it goes on from.
func (l *Launcher) continued(ctx context.Context, store *storage.Store, s Submission, r *prepared) (err error) {
	if r.run, err = store.LatestRun(ctx); err != nil {
		return err
	}
	if r.past, err = r.run.Result(ctx); err != nil || r.past != nil {
		return err
	}
	newest, err := r.run.Latest(ctx, l.config.Verify)
	if err != nil {
		return err
	}
	for _, skipped := range newest.Skipped {
		l.config.Logger.WarnContext(ctx, "checkpoint can't be used, an older one is", "error", skipped)
	}
	if newest.Metadata != nil {
		return core.CheckFit(s.Graph, newest.Metadata, s.AllowNonRestoredState)
	}
	if info := r.run.Info(); info.RestoredFrom != "" {
		r.allow = r.allow || info.AllowNonRestoredState
		if r.snapshot, err = l.open(ctx, s.Graph, info.RestoredFrom, r.allow); err != nil {
			return err
		}
	}
	return l.probe(ctx, store, s.Graph, r) // it may have died before it had claimed all places
}

// open reads what a new run begins from, and sees whether it fits.
func (l *Launcher) open(ctx context.Context, g *graph.JobGraph, path string, allow bool) (*storage.Snapshot, error) {
	snap, err := storage.OpenSnapshot(ctx, l.config.Objects, path, l.config.Verify)
	if err != nil {
		return nil, err
	}
	for _, skipped := range snap.Skipped {
		l.config.Logger.WarnContext(ctx, "checkpoint can't be used, an older one is", "error", skipped)
	}
	if err := core.CheckFit(g, snap.Metadata, allow); err != nil {
		return nil, fmt.Errorf("restore from %s: %w", path, err)
	}
	return snap, nil
}

// probe asks the sinks of a run that begins whether they would mix its results with those of another. A run that is
// refused and has not led before is withdrawn, so that the one before it can be continued.
func (l *Launcher) probe(ctx context.Context, store *storage.Store, g *graph.JobGraph, r *prepared) error {
	err := l.askSinks(ctx, store, g, r)
	if err == nil {
		return nil
	}
	epoch, err2 := r.run.Epoch(ctx)
	if err2 == nil && epoch.Epoch == 0 {
		err2 = errors.Join(withdraw(ctx, g, r.run.Info().JobID), store.Withdraw(ctx, r.run))
	}
	return errors.Join(err, err2)
}

func (l *Launcher) askSinks(ctx context.Context, store *storage.Store, g *graph.JobGraph, r *prepared) (err error) {
	run := connector.NewRun{JobID: r.run.Info().JobID}
	if r.snapshot != nil {
		run.From = r.snapshot.Metadata.JobID
		if run.Newest, err = r.snapshot.Newest(ctx, store); err != nil {
			return err
		}
	}
	for _, n := range g.Stream.Nodes {
		if n.Sink == nil || n.Sink.Probe == nil {
			continue
		}
		if err := n.Sink.Probe(ctx, run); err != nil {
			return fmt.Errorf("sink %q: %w", n.UID, err)
		}
	}
	return nil
}

// withdraw takes back what sinks have claimed for a run that another sink refused.
func withdraw(ctx context.Context, g *graph.JobGraph, jobID string) (err error) {
	for _, n := range g.Stream.Nodes {
		if n.Sink != nil && n.Sink.Withdraw != nil {
			err = errors.Join(err, n.Sink.Withdraw(ctx, jobID))
		}
	}
	return err
}

// KeyGroups returns, by operator id, the max parallelism of the state that a submission would start from: it is fixed for
// the life of the state, so the graph has to be built with it. It changes nothing.
func KeyGroups(
	ctx context.Context, objects func(string) storage.Objects, store storage.Objects, restore string,
) (map[string]int, error) {
	groups := map[string]int{}
	if restore == "" {
		return groups, nil
	}
	location := restore
	if restore == Latest {
		run, err := storage.NewStore(store).LatestRun(ctx)
		if errors.Is(err, storage.ErrNoRun) {
			return groups, nil
		}
		if err != nil {
			return nil, err
		}
		newest, err := run.Latest(ctx, nil)
		if err != nil {
			return nil, err
		}
		if newest.Metadata != nil {
			for _, op := range newest.Metadata.Operators {
				groups[string(op.ID)] = op.MaxParallelism
			}
			return groups, nil
		}
		if location = run.Info().RestoredFrom; location == "" {
			return groups, nil
		}
	}
	snap, err := storage.OpenSnapshot(ctx, objects, location, nil)
	if err != nil {
		return nil, err
	}
	for _, op := range snap.Metadata.Operators {
		groups[string(op.ID)] = op.MaxParallelism
	}
	return groups, nil
}
