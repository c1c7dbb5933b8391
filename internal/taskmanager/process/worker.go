// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	child "github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/taskmanager"
	"github.com/weir-stream/weir/internal/taskmanager/core"
)

// The endpoints of the JobManager that a Worker speaks to.
const (
	dispatcher      = "dispatcher"
	resourceManager = "resourcemanager"
)

const (
	workerLog   = "taskmanager.log"
	executorLog = "executor.log"
)

// stopMargin is how much longer than its executors a Worker may take to end.
const stopMargin = 5 * time.Second

// Connection is the way to the JobManager, kept up by whoever made it.
type Connection interface {
	// Fetch brings a program into the store, from where the last try left off, and verifies it.
	Fetch(ctx context.Context, sha256 string, into *artifacts.Store) error
	// Stop ends it, and waits.
	Stop()
}

// Uplink is what a Connection is made of.
type Uplink struct {
	Router *rpc.Router
	Hello  *weirpb.Hello
	Logger *slog.Logger
	// Connected is to be called whenever the JobManager is reached, for the first time or again.
	Connected func()
}

// WorkerConfig is what a Worker is made of. DataDir, Slots, Connect and Logger are required.
type WorkerConfig struct {
	// ID is the name of the TaskManager in its cluster; empty for one made of the host's and a random part.
	ID string
	// DataDir is where the Worker has a directory of its own.
	DataDir string
	Slots   int
	// MemoryBytes is what all executors may take, in equal shares a slot; zero for no limit.
	MemoryBytes int64
	// Version is that of the build.
	Version string
	// Listen is the TCP address that executors take records on, port 0 for any, and Host what others reach it by; both empty
	// for 127.0.0.1.
	Listen, Host string
	// Certificates is the absolute directory of certificates by which executors protect their connections by TCP; empty for
	// plain text.
	Certificates string
	// MetricsPorts are those of which the first that is free serves Prometheus on MetricsHost, 127.0.0.1 by default; none for
	// no metrics.
	MetricsPorts []int
	MetricsHost  string
	// Connect makes the connection to the JobManager.
	Connect func(Uplink) Connection
	Logger  *slog.Logger
	// Heartbeat is 1 s by default. OrphanTimeout, 5 minutes, is how long a slot outlives the silence of its JobMaster.
	// CancelTimeout, 30 s, is how long a task may take to end; then its process is killed. StartTimeout, 60 s, is how long
	// a program may take until it has described its graph.
	Heartbeat, OrphanTimeout, CancelTimeout, StartTimeout time.Duration
}

func (c WorkerConfig) withDefaults() (WorkerConfig, error) {
	c.Heartbeat = cmp.Or(c.Heartbeat, time.Second)
	c.OrphanTimeout = cmp.Or(c.OrphanTimeout, 5*time.Minute)
	c.CancelTimeout = cmp.Or(c.CancelTimeout, 30*time.Second)
	c.StartTimeout = cmp.Or(c.StartTimeout, time.Minute)
	c.Host = cmp.Or(c.Host, "127.0.0.1")
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.MetricsHost = cmp.Or(c.MetricsHost, "127.0.0.1")
	if c.ID == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("name TaskManager: %w", err)
		}
		c.ID = host + "-" + strings.ToLower(rand.Text()[:8])
	}
	switch {
	case c.Slots < 1:
		return c, fmt.Errorf("a TaskManager with %d slots: it needs one at least", c.Slots)
	case c.MemoryBytes < 0:
		return c, fmt.Errorf("a TaskManager with %d bytes of memory", c.MemoryBytes)
	case c.ID != filepath.Base(c.ID) || c.ID == "." || c.ID == "..":
		return c, fmt.Errorf("TaskManager id %q: it names a directory, so it can't have a path in it", c.ID)
	}
	return c, nil
}

// Worker is a TaskManager with its processes.
type Worker struct {
	config      WorkerConfig
	incarnation string
	hostID      string
	protocol    uint32
	dirs        *dirs
	log         *child.Log
	store       *artifacts.Store
	cgroups     *child.Cgroups
	memory      child.MemoryWatch // of the executors
	router      *rpc.Router
	manager     *taskmanager.TaskManager
	connection  Connection // set when connected is closed
	connected   chan struct{}
	requests    *requests
	machine     *machine
	board       *board
	metrics     *metricsServer // nil where none are served
	drained     chan struct{}
	// last has, by job, what is closed when its last executor is gone; it belongs to the TaskManager's goroutine.
	last   map[string]chan struct{}
	ctx    context.Context // the Worker's own, canceled by Stop
	cancel context.CancelCauseFunc
	once   sync.Once
	err    error
}

// Start makes a Worker that serves when it returns, whether the JobManager can be reached yet or not. It outlives ctx,
// whose values it has.
func Start(ctx context.Context, c WorkerConfig) (_ *Worker, err error) {
	c, err = c.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		config: c, incarnation: rand.Text(), protocol: rpc.Protocol, drained: make(chan struct{}), connected: make(chan struct{}),
		last: map[string]chan struct{}{},
	}
	w.ctx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Stop())
		}
	}()
	if w.dirs, err = openDirs(filepath.Join(c.DataDir, "taskmanager-"+c.ID)); err != nil {
		return nil, err
	}
	if w.log, err = child.OpenLog(filepath.Join(w.logDir(), workerLog)); err != nil {
		return nil, err
	}
	w.config.Logger = slog.New(slog.NewMultiHandler(c.Logger.Handler(), slog.NewTextHandler(w.log, nil))).
		With("task_manager", c.ID)
	if w.store, err = artifacts.Open(w.dirs.artifacts()); err != nil {
		return nil, err
	}
	if w.hostID, err = hostID(); err != nil {
		return nil, err
	}
	w.limitMemory()
	w.router = rpc.NewRouter(w.config.Logger)
	w.requests = startRequests(w.logDir())
	w.machine = newMachine()
	w.board = newBoard(c.ID, w.machine.host)
	if len(c.MetricsPorts) > 0 { // work goes on without them
		if w.metrics, err = serveMetrics(ctx, c.MetricsHost, c.MetricsPorts, w.board.source, w.config.Logger); err != nil {
			w.config.Logger.ErrorContext(ctx, "no metrics are served", "error", err)
			err = nil
		}
	}
	if err := w.startManager(); err != nil {
		return nil, err
	}
	w.connection = c.Connect(Uplink{w.router, &weirpb.Hello{
		Version: c.Version, Id: c.ID, Incarnation: w.incarnation,
	}, w.config.Logger, w.manager.Connected})
	close(w.connected)
	w.config.Logger.InfoContext(ctx, "TaskManager started", "slots", c.Slots, "memory_bytes", c.MemoryBytes, "dir", w.dirs.root)
	return w, nil
}

// limitMemory finds out how the memory of executors can be held.
func (w *Worker) limitMemory() {
	if w.config.MemoryBytes == 0 {
		return
	}
	var err error
	if w.cgroups, err = child.OpenCgroups(); err != nil {
		w.config.Logger.Info("memory of executors is watched, since cgroups can't be used", "reason", err)
	}
}

func (w *Worker) startManager() error {
	c := w.config
	m, err := taskmanager.Start(taskmanager.Config{
		Config: core.Config{
			ID: c.ID, Incarnation: w.incarnation, ResourceManager: resourceManager, Slots: c.Slots,
			MemoryBytes: c.MemoryBytes, Heartbeat: c.Heartbeat, OfferTimeout: c.OrphanTimeout / 2,
			JobMasterTimeout: c.OrphanTimeout,
		},
		Network: w.router, Logger: c.Logger, StopTimeout: c.CancelTimeout + stopMargin,
		Executor: w.executor, Report: w.report, Serve: w.serve, Drained: func() { close(w.drained) },
	})
	w.manager = m
	return err
}

// executor makes the executor of a job, on the TaskManager's goroutine.
func (w *Worker) executor(r taskmanager.ExecutorRequest) (taskmanager.Executor, error) {
	if r.JobID != filepath.Base(r.JobID) || r.JobID == "." || r.JobID == ".." {
		return nil, fmt.Errorf("job id %q: it can't name a directory", r.JobID)
	}
	for job, gone := range w.last {
		select {
		case <-gone:
			delete(w.last, job)
		default:
		}
	}
	x := newExecutor(w, r, w.last[r.JobID])
	w.last[r.JobID] = x.gone
	return x, nil
}

// report completes what the ResourceManager is told.
func (w *Worker) report(r *weirpb.TaskManagerReport) {
	r.Version, r.Host, r.Cores = w.config.Version, w.machine.host, int32(runtime.NumCPU())
	r.MachineMemoryBytes, r.ProcessId = w.machine.memoryBytes, int64(os.Getpid())
	r.Metrics = w.machine.metrics(time.Now())
}

// serve answers a request, on the TaskManager's goroutine.
func (w *Worker) serve(r *weirpb.WorkerRequest, reply func(*weirpb.WorkerReply)) {
	if r.GetDrain() != nil {
		w.manager.Drain()
		reply(&weirpb.WorkerReply{})
		return
	}
	w.requests.serve(r, reply)
}

// ID is the name of the TaskManager.
func (w *Worker) ID() string { return w.config.ID }

// MetricsAddress is host:port of its metrics; empty where none are served.
func (w *Worker) MetricsAddress() string {
	if w.metrics == nil {
		return ""
	}
	return w.metrics.listener.Addr().String()
}

// Drain has the Worker take no further slot for a job; Drained is closed when none is in use any more.
func (w *Worker) Drain() { w.manager.Drain() }

// Drained is closed when a Worker that drains can be stopped without a task noticing.
func (w *Worker) Drained() <-chan struct{} { return w.drained }

// Stop ends all executors and the connection, and waits for them. It can be called again.
func (w *Worker) Stop() error {
	w.once.Do(func() {
		// What is started last ends first: executors that end are not reported any more, for the connection is.
		if w.metrics != nil {
			w.metrics.stop()
		}
		if w.manager != nil {
			w.err = w.manager.Stop()
		}
		w.cancel(errors.New("the TaskManager is stopped"))
		if w.connection != nil {
			w.connection.Stop()
		}
		if w.requests != nil {
			w.requests.stop()
		}
		w.cgroups.Close()
		if w.log != nil {
			w.err = errors.Join(w.err, w.log.Close())
		}
		if w.dirs != nil {
			w.err = errors.Join(w.err, w.dirs.close())
		}
	})
	return w.err
}

// memoryOf is the share of so many slots; zero for no limit.
func (w *Worker) memoryOf(slots int) int64 {
	return w.config.MemoryBytes / int64(w.config.Slots) * int64(max(slots, 1))
}

// program is the path of a program, which is fetched if it is not here.
func (w *Worker) program(ctx context.Context, sha256 string) (string, error) {
	path, err := w.store.Path(sha256)
	if !errors.Is(err, artifacts.ErrNotFound) {
		return path, err
	}
	select {
	case <-w.connected:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := w.connection.Fetch(ctx, sha256, w.store); err != nil {
		return "", fmt.Errorf("fetch program %s: %w", sha256, err)
	}
	return w.store.Path(sha256)
}
