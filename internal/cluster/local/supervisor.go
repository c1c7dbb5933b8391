// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// A child that dies is started again at once, then after pauses that double, up to restartPauseMax; one that ran for
	// restartForgiven begins anew.
	restartPause    = 100 * time.Millisecond
	restartPauseMax = 10 * time.Second
	restartForgiven = 30 * time.Second
	// stopGrace is how long a TaskManager may take to end, suspendGrace a JobManager whose jobs take a last checkpoint.
	stopGrace    = 40 * time.Second
	suspendGrace = 2 * time.Minute
)

// JobManagerID is the name of the JobManager among the children.
const JobManagerID = "jobmanager"

// Config is what a Supervisor is made of; all is required.
type Config struct {
	// DataDir is the cluster's directory, absolute.
	DataDir string
	// Binary is the program of all children, JobManager its arguments for that, and TaskManager those for a TaskManager of
	// an id and a profile.
	Binary      string
	JobManager  []string
	TaskManager func(id string, p cluster.Profile) []string
	// Env is added to the environment of all of them: what is secret, and so not among the arguments.
	Env []string
	// TaskManagers are kept, of Profile.
	TaskManagers int
	Profile      cluster.Profile
	Logger       *slog.Logger
}

// Supervisor is the parent of a cluster's processes. Its methods may be called from any goroutine.
type Supervisor struct {
	config   Config
	lock     *os.File
	listener net.Listener
	ctx      context.Context // of all goroutines
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	done     chan struct{}
	mu       struct {
		sync.Mutex
		children map[string]*child
		number   int
		stopping bool
		ended    error // why it has to end; nil for a JobManager that ended well
		isEnded  bool
	}
}

// child is a process that is kept running.
type child struct {
	id      string
	args    []string
	worker  cluster.Worker
	keep    bool // started again however it ends
	process *process.Process
	stopped bool
	// served tells that an earlier process of it worked: what ends the next one at its start may pass, as a port that
	// another program has for a moment.
	served bool
}

var _ cluster.Provider = (*Supervisor)(nil)

// ErrInUse is wrapped by the error of Start in a directory that another cluster uses.
var ErrInUse = errors.New("another cluster is up in this directory")

// Start starts all processes. It returns before they serve.
func Start(ctx context.Context, c Config) (*Supervisor, error) {
	s := &Supervisor{config: c, done: make(chan struct{})}
	s.mu.children = map[string]*child{}
	var err error
	if s.lock, err = lock(c.DataDir); err != nil {
		return nil, err
	}
	if s.listener, err = listen(ctx, SocketPath(c.DataDir)); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.sweep()
	s.wg.Go(s.serve)
	s.keep(&child{id: JobManagerID, args: c.JobManager, keep: true})
	for range c.TaskManagers {
		if _, err := s.start(c.Profile, true); err != nil {
			return nil, errors.Join(err, s.Stop(false))
		}
	}
	return s, nil
}

// lock takes the directory for this process.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of the cluster: %w", err)
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the cluster: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w; `weir cluster down` ends it, --data-dir names another directory", dir, ErrInUse), f.Close())
	}
	return f, nil
}

// Done is closed when the cluster has ended by itself, with its JobManager; Err tells how.
func (s *Supervisor) Done() <-chan struct{} { return s.done }

// Err is why the cluster ended: nil if it was to.
func (s *Supervisor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.ended
}

// StartWorker implements cluster.Provider.
func (s *Supervisor) StartWorker(_ context.Context, p cluster.Profile) (cluster.Worker, error) {
	return s.start(p, false)
}

func (s *Supervisor) start(p cluster.Profile, keep bool) (cluster.Worker, error) {
	s.mu.Lock()
	s.mu.number++
	// The id differs also from those of an earlier supervisor in the same directory.
	id := fmt.Sprintf("%s%d-%d", taskManagerPrefix, os.Getpid(), s.mu.number)
	stopping := s.mu.stopping
	s.mu.Unlock()
	if stopping {
		return cluster.Worker{}, errors.New("the cluster is being shut down")
	}
	w := cluster.Worker{ID: id, Profile: p, Started: time.Now()}
	s.keep(&child{id: id, args: s.config.TaskManager(id, p), worker: w, keep: keep})
	return w, nil
}

// StopWorker implements cluster.Provider.
func (s *Supervisor) StopWorker(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.mu.children[id]; c != nil && id != JobManagerID && !c.keep {
		c.stopped = true
		terminate(c.process)
	}
	return nil
}

// terminate asks a process to end.
func terminate(p *process.Process) {
	if p != nil {
		_ = syscall.Kill(p.PID(), syscall.SIGTERM) // one that has ended is what is wanted
	}
}

// Running implements cluster.Provider.
func (s *Supervisor) Running(context.Context) ([]cluster.Worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []cluster.Worker
	for _, id := range slices.Sorted(maps.Keys(s.mu.children)) {
		if id != JobManagerID {
			all = append(all, s.mu.children[id].worker)
		}
	}
	return all, nil
}

// Ended implements cluster.Provider. Children of a supervisor that is gone end by themselves, and there was one at a time.
// The log of a TaskManager tells that it was one of this directory.
func (s *Supervisor) Ended(_ context.Context, ids []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, id := range ids {
		if s.mu.children[id] != nil || !strings.HasPrefix(id, taskManagerPrefix) || strings.ContainsRune(id, filepath.Separator) {
			continue
		}
		if _, err := os.Stat(s.logOf(id)); err == nil {
			all = append(all, id)
		}
	}
	return all, nil
}

// logOf is the file of what a child prints.
func (s *Supervisor) logOf(id string) string {
	return filepath.Join(s.config.DataDir, "log", id+".out")
}

// taskManagerPrefix begins the names of TaskManagers.
const taskManagerPrefix = "taskmanager-"

// keep runs a child until it is stopped.
func (s *Supervisor) keep(c *child) {
	s.mu.Lock()
	s.mu.children[c.id] = c
	s.mu.Unlock()
	s.wg.Go(func() {
		s.run(c)
		s.mu.Lock()
		delete(s.mu.children, c.id)
		stopping := s.mu.stopping
		s.mu.Unlock()
		if !stopping {
			s.sweep()
		}
	})
}

// run starts a child, and starts it again when it dies.
func (s *Supervisor) run(c *child) {
	pause := time.Duration(0)
	for {
		timer := time.NewTimer(pause)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		began := time.Now()
		p, err := s.spawn(c)
		if errors.Is(err, errStopping) {
			return
		}
		if err != nil {
			s.config.Logger.Error("process not started", "process", c.id, "error", err)
		} else {
			<-p.Done()
			if s.hasEnded(c, p.Exit()) {
				return
			}
			s.config.Logger.Warn("process ended; it is started again", "process", c.id, "exit", p.Exit().Reason())
		}
		switch {
		case time.Since(began) >= restartForgiven:
			pause = 0
		default:
			pause = min(max(restartPause, 2*pause), restartPauseMax)
		}
	}
}

// errStopping means that a child is not wanted any more.
var errStopping = errors.New("it is being stopped")

// spawn starts the process of a child, unless it is to be stopped.
func (s *Supervisor) spawn(c *child) (*process.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopping || c.stopped {
		return nil, errStopping
	}
	p, err := process.Start(process.Config{
		Path: s.config.Binary, Args: c.args, Env: append(os.Environ(), s.config.Env...),
		Log: s.logOf(c.id), Receive: func(*weirpb.Frame) {}, Logger: s.config.Logger,
	})
	c.process = p
	return p, err
}

// hasEnded tells whether a child that has ended is not to be started again. With a JobManager that ended well, because it
// was asked to or because its only job has ended, the cluster ends.
func (s *Supervisor) hasEnded(c *child, exit process.Exit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fatal := exit.Code == ExitFatal && exit.Signal == 0 && !c.served
	c.served = c.served || exit.Code != ExitFatal
	switch {
	case s.mu.stopping || c.stopped:
		return true
	case c.id == JobManagerID && (exit.Code == 0 && exit.Signal == 0 || fatal):
		if fatal {
			s.mu.ended = errors.New(exit.String())
		}
		if !s.mu.isEnded {
			s.mu.isEnded = true
			close(s.done)
		}
		return true
	case fatal:
		s.config.Logger.Error("TaskManager can't work, and is not started again", "process", c.id, "exit", exit.String())
		return true
	default:
		return !c.keep
	}
}

// ExitFatal is the exit code of a process that would end in the same way if it were started again: its configuration is
// wrong, or its port is taken.
const ExitFatal = 2

// Stop ends all processes and waits for them. With suspend, the jobs take a last checkpoint first, and go on when the
// cluster is up in this directory again.
func (s *Supervisor) Stop(suspend bool) error {
	s.mu.Lock()
	s.mu.stopping = true
	jobManager := s.mu.children[JobManagerID]
	all := slices.Collect(maps.Values(s.mu.children))
	s.mu.Unlock()
	if jobManager != nil && jobManager.process != nil {
		if suspend {
			suspendJobs(jobManager.process)
			await(jobManager.process, suspendGrace)
		}
		terminate(jobManager.process)
		await(jobManager.process, stopGrace)
	}
	for _, c := range all {
		if c != jobManager {
			terminate(c.process)
		}
	}
	for _, c := range all {
		if c.process != nil {
			await(c.process, stopGrace)
			c.process.Stop(time.Second)
		}
	}
	s.cancel()
	err := s.listener.Close()
	s.wg.Wait()
	return errors.Join(err, s.lock.Close())
}

// Kill ends all processes at once, as the death of the supervisor would.
func (s *Supervisor) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.stopping = true
	for _, c := range s.mu.children {
		if c.process != nil {
			c.process.Kill()
		}
	}
}

// suspendJobs asks a JobManager to end with its jobs suspended.
func suspendJobs(p *process.Process) {
	p.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: &weirpb.Envelope{
		Body: &weirpb.Envelope_JobRequest{JobRequest: &weirpb.JobRequest{
			Body: &weirpb.JobRequest_Suspend{Suspend: &weirpb.SuspendJob{}},
		}},
	}}})
}

// await returns when a process has ended, or after a time.
func await(p *process.Process, timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
	}
}
