// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager"
	rmcore "github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager"
	tmcore "github.com/weir-stream/weir/internal/taskmanager/core"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
)

// Cluster is a running one. Its methods may be called from any goroutine.
type Cluster struct {
	config          Config
	memory          storage.Objects // where there is no directory
	network         *rpc.Local
	hub             exchange.Hub // of the "local" network
	resourceManager *resourcemanager.ResourceManager
	launcher        *launch.Launcher
	once            sync.Once
	closeErr        error
	mu              struct {
		sync.Mutex
		taskManagers []*taskManager // by number; nil while killed
		starts       int
		closed       bool
	}
}

// taskManager is a TaskManager with its exchange.
type taskManager struct {
	manager  *taskmanager.TaskManager
	exchange Exchange
}

// Start makes a cluster that serves when it returns.
func Start(c Config) (*Cluster, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	k := &Cluster{config: c, network: rpc.NewLocal(c.Logger), memory: storage.Memory()}
	var err error
	k.resourceManager, err = resourcemanager.Start(rmcore.Config{
		Incarnation: "a", Heartbeat: c.Heartbeat, HeartbeatTimeout: c.HeartbeatTimeout,
	}, k.network)
	if err != nil {
		return nil, err
	}
	k.launcher = launch.New(launch.Config{
		Network: k.network, ResourceManager: resourcemanager.Name, Objects: k.objects, Verify: c.Verify,
		Logger: c.Logger, Holder: fmt.Sprintf("embedded, process %d", os.Getpid()),
		Heartbeat: c.Heartbeat, HeartbeatTimeout: c.HeartbeatTimeout,
		SlotTimeout: c.SlotTimeout, CancelTimeout: c.CancelTimeout, CheckInterval: 2 * c.Heartbeat,
	})
	k.mu.taskManagers = make([]*taskManager, c.TaskManagers)
	for i := range c.TaskManagers {
		if err := k.StartTaskManager(i); err != nil {
			return nil, errors.Join(err, k.Close())
		}
	}
	return k, nil
}

// objects opens a directory of checkpoints or savepoints.
func (k *Cluster) objects(location string) storage.Objects {
	if location == "" || strings.HasPrefix(location, k.memory.Location()) {
		return anywhere{k.memory, k.config.FS}
	}
	return storage.Files(k.config.FS, location)
}

// anywhere opens files by absolute path too: a run in memory may begin from a savepoint on disk.
type anywhere struct {
	storage.Objects
	fs storage.FS
}

func (a anywhere) Open(ctx context.Context, name string) (storage.Object, error) {
	if filepath.IsAbs(name) {
		return storage.Files(a.fs, filepath.Dir(name)).Open(ctx, name)
	}
	return a.Objects.Open(ctx, name)
}

// store is the checkpoint directory of a job.
func (k *Cluster) store(g *graph.JobGraph) storage.Objects {
	if dir := g.Stream.Checkpoints.Dir; dir != "" {
		return k.objects(dir)
	}
	return k.objects(k.config.CheckpointDir)
}

// newStorage makes the state storage of a task.
func (k *Cluster) newStorage(r executor.StorageRequest) (task.StateStorage, error) {
	run, err := k.launcher.Run(r.JobID)
	if err != nil {
		return nil, err
	}
	return k.config.NewStorage(run, r)
}

// StartTaskManager starts a TaskManager that was killed; Start has started all.
func (k *Cluster) StartTaskManager(i int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.closed || i < 0 || i >= len(k.mu.taskManagers) || k.mu.taskManagers[i] != nil {
		return fmt.Errorf("start TaskManager %d: there is none to start", i)
	}
	k.mu.starts++
	id := fmt.Sprintf("taskmanager-%d", i)
	x, err := k.newExchange(id)
	if err != nil {
		return fmt.Errorf("start exchange of %s: %w", id, err)
	}
	c := k.config
	logger := c.Logger.With("task_manager", id)
	m, err := taskmanager.Start(taskmanager.Config{
		Config: tmcore.Config{
			ID: id, Incarnation: strconv.Itoa(k.mu.starts), DataAddress: x.Address(),
			ResourceManager: resourcemanager.Name, Slots: c.SlotsPerTaskManager, MemoryBytes: c.MemoryBytes,
			Heartbeat: c.Heartbeat, OfferTimeout: 10 * c.HeartbeatTimeout, JobMasterTimeout: c.SlotTimeout,
		},
		Network: k.network, Logger: logger, StopTimeout: c.CancelTimeout,
		Executor: taskmanager.InProcess{
			Exchange: x, Graph: k.launcher.Graph, Storage: k.newStorage, Start: c.StartTask,
			Clock: c.Clock, Logger: logger, BufferTimeout: c.BufferTimeout, RowsMax: c.RowsMax,
		}.Executor,
	})
	if err != nil {
		return errors.Join(err, x.Close())
	}
	k.mu.taskManagers[i] = &taskManager{m, x}
	return nil
}

// KillTaskManager ends a TaskManager without a word to anybody, as if its process had been killed; for tests. It returns
// when its tasks have ended.
func (k *Cluster) KillTaskManager(i int) error {
	k.mu.Lock()
	if i < 0 || i >= len(k.mu.taskManagers) || k.mu.taskManagers[i] == nil {
		k.mu.Unlock()
		return fmt.Errorf("kill TaskManager %d: it does not run", i)
	}
	w := k.mu.taskManagers[i]
	k.mu.taskManagers[i] = nil
	k.mu.Unlock()
	return w.close()
}

func (w *taskManager) close() error { return errors.Join(w.manager.Stop(), w.exchange.Close()) }

// FailTask fails a running task of a job; for tests. It reports whether there was one.
func (k *Cluster) FailTask(ctx context.Context, jobID string, s graph.SubtaskID, err error) bool {
	k.mu.Lock()
	taskManagers := append([]*taskManager(nil), k.mu.taskManagers...)
	k.mu.Unlock()
	for _, w := range taskManagers {
		if w != nil && w.manager.FailTask(ctx, jobID, s, err) {
			return true
		}
	}
	return false
}

// RunOptions say how a job is to be run.
type RunOptions struct {
	// Restore is empty for a fresh run, launch.Latest to continue the newest run of the checkpoint directory, or the
	// absolute path of a savepoint, checkpoint or run that a new run begins from.
	Restore string
	// AllowNonRestoredState drops restored state that has no place in the job.
	AllowNonRestoredState bool
}

// KeyGroups returns, by operator id, the max parallelism of the state that a job with these options would start from,
// for graph.Options. dir is the job's own checkpoint directory, empty for the cluster's.
func (k *Cluster) KeyGroups(ctx context.Context, dir string, o RunOptions) (map[string]int, error) {
	if dir == "" {
		dir = k.config.CheckpointDir
	}
	return launch.KeyGroups(ctx, k.objects, launch.Submission{Store: k.objects(dir), Restore: o.Restore})
}

// Submit starts a job. ctx is for the call only. A job that needs more slots than the cluster has is refused.
func (k *Cluster) Submit(ctx context.Context, g *graph.JobGraph, o RunOptions) (*Job, error) {
	if need, have := g.SlotsNeeded(), k.config.TaskManagers*k.config.SlotsPerTaskManager; need > have {
		return nil, fmt.Errorf("job %q needs %d slots, the cluster has %d: lower the parallelism", g.Name, need, have)
	}
	j, err := k.launcher.Submit(ctx, launch.Submission{
		Graph: g, Store: k.store(g), Restore: o.Restore, AllowNonRestoredState: o.AllowNonRestoredState,
	})
	if err != nil {
		return nil, err
	}
	return newJob(j), nil
}

// Close ends all and waits. Jobs that run end as if the process had been killed. The error wraps
// taskmanager.ErrLeftBehind if tasks did not end.
func (k *Cluster) Close() error {
	k.once.Do(func() {
		k.mu.Lock()
		k.mu.closed = true
		taskManagers := k.mu.taskManagers
		k.mu.Unlock()
		err := k.launcher.Close()
		for _, w := range taskManagers {
			if w != nil {
				err = errors.Join(err, w.close())
			}
		}
		k.resourceManager.Stop()
		k.closeErr = err
	})
	return k.closeErr
}
