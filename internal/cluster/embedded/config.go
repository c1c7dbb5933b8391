// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
)

// Config is what a Cluster is made of. Zero values are as explained.
type Config struct {
	// TaskManagers is how many there are, 1 by default, each with SlotsPerTaskManager slots, 1 by default.
	TaskManagers, SlotsPerTaskManager int
	// CheckpointDir is the absolute path of the directory of checkpoints. Empty: they are kept in memory, and end with
	// the Cluster.
	CheckpointDir string
	// FS is the file system of the directories of checkpoints and savepoints, the machine's by default.
	FS storage.FS
	// MemoryBytes is what each TaskManager says that it has.
	MemoryBytes int64
	// Logger is slog.DiscardHandler's by default.
	Logger *slog.Logger
	// Clock is the processing time of tasks, the system's by default.
	Clock task.Clock
	// Network is how batches go from one TaskManager to another: "local", the default, hands them over, "tcp" and "unix"
	// encode them and send them through sockets, as between processes.
	Network string
	// StartTask makes a task and starts it, without blocking; task.Start by default.
	StartTask func(task.Config) task.Task
	// NewExchange makes the exchange of a TaskManager; by default one of the Network.
	NewExchange func(taskManager string) (Exchange, error)
	// NewStorage makes the state storage of a task over what is stored of its run, without I/O; by default one of files.
	NewStorage func(*storage.Run, executor.StorageRequest) (task.StateStorage, error)
	// StateFiles says how the storage that is made by default writes files.
	StateFiles statefile.Options
	// Verify checks state files before a restore; by default every byte of them.
	Verify storage.Verify
	// Heartbeat is the time between two, 1 s by default; HeartbeatTimeout, 5 heartbeats by default, is how long a
	// TaskManager may be silent.
	Heartbeat, HeartbeatTimeout time.Duration
	// SlotTimeout is how long a job waits for slots, 5 minutes by default; CancelTimeout, 30 s by default, how long a
	// task may take to end.
	SlotTimeout, CancelTimeout time.Duration
	// BufferTimeout and RowsMax are handed to the tasks; zero for their defaults.
	BufferTimeout time.Duration
	RowsMax       int
}

func (c Config) withDefaults() Config {
	c.TaskManagers = cmp.Or(c.TaskManagers, 1)
	c.Network = cmp.Or(c.Network, "local")
	if c.StartTask == nil {
		c.StartTask = task.Start
	}
	if c.NewStorage == nil {
		c.NewStorage = func(run *storage.Run, r executor.StorageRequest) (task.StateStorage, error) {
			return newStateFiles(run, r, c.StateFiles)
		}
	}
	if c.Verify == nil {
		c.Verify = statefile.Verify
	}
	if c.FS == nil {
		c.FS = storage.OS()
	}
	c.SlotsPerTaskManager = cmp.Or(c.SlotsPerTaskManager, 1)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, time.Second)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 5*c.Heartbeat)
	c.SlotTimeout = cmp.Or(c.SlotTimeout, 5*time.Minute)
	c.CancelTimeout = cmp.Or(c.CancelTimeout, 30*time.Second)
	return c
}

func (c Config) validate() error {
	switch {
	case c.TaskManagers < 1 || c.SlotsPerTaskManager < 1:
		return fmt.Errorf("embedded: TaskManagers %d with SlotsPerTaskManager %d: want at least one", c.TaskManagers, c.SlotsPerTaskManager)
	case c.HeartbeatTimeout < 2*c.Heartbeat || c.Heartbeat < 0:
		return fmt.Errorf("embedded: HeartbeatTimeout %v with Heartbeat %v: want at least two", c.HeartbeatTimeout, c.Heartbeat)
	case c.Network != "local" && c.Network != "tcp" && c.Network != "unix":
		return fmt.Errorf("embedded: Network %q: want local, tcp or unix", c.Network)
	}
	return nil
}
