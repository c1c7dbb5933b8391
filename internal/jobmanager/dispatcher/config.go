// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Endpoint is the name at which the Dispatcher is reached.
const Endpoint = "dispatcher"

// Mode says what a cluster is for.
type Mode int

// The modes: a Session takes jobs that come and go; the others are for one job or application, and refuse any other.
const (
	Session Mode = iota
	SingleJob
	SingleApplication
)

// Config is what a Dispatcher is made of. All is required, but where a zero value is explained.
type Config struct {
	// Epoch is that of this leader, and Holder says who it is, for people.
	Epoch  int64
	Holder string
	Mode   Mode
	// Store is where the job store is, Objects opens another directory by its absolute path.
	Store   storage.Objects
	Objects func(location string) storage.Objects
	// Artifacts has the content of programs.
	Artifacts *artifacts.Store
	Router    *rpc.Router
	// ResourceManager is its endpoint.
	ResourceManager string
	// LogDir is the absolute directory of logs: a JobMaster process logs to a file in a directory with the job's id.
	LogDir string
	// CheckpointDir is where jobs keep their checkpoints that say nothing else, SavepointDir where savepoints go that
	// have no directory of their own; the latter may be empty.
	CheckpointDir, SavepointDir string
	// Settings are the cluster's settings for jobs; those of a submission come before them.
	Settings map[string]string
	// JobMasterMemoryBytes bounds a JobMaster process; zero for no limit. Cgroups holds it to that, where permitted.
	JobMasterMemoryBytes int64
	Cgroups              *process.Cgroups
	// UploadBytesMax bounds a program; zero for 1 GiB.
	UploadBytesMax int64
	// Retention says how long ended jobs are remembered; zero fields for an hour and 1,000 jobs.
	Retention core.Retention
	// ReadyTimeout is how long a program may take to describe its jobs or to become a JobMaster; zero for a minute.
	// SilenceTimeout is how long a JobMaster that leads its job may say nothing until it is taken for stuck and killed;
	// zero for 10 s. SuspendTimeout is how long Close waits for the last checkpoints; zero for a minute.
	ReadyTimeout, SilenceTimeout, SuspendTimeout time.Duration
	// Ended, if not nil, is told when an application has ended: a job that was submitted alone is one, too. In a cluster
	// for one job or application it is also told of what had ended before the start. It must not call Close.
	Ended  func(End)
	Logger *slog.Logger

	// start replaces the starting of processes in tests.
	start starter
}

// End is how an application ended.
type End struct {
	Application rest.Application
	// Jobs are the last summaries of its jobs.
	Jobs []*weirpb.JobSummary
}

const (
	defaultUploadBytesMax = 1 << 30
	defaultRetention      = time.Hour
	defaultCapacity       = 1000
	defaultReadyTimeout   = time.Minute
	defaultSilenceTimeout = 10 * time.Second
	defaultSuspendTimeout = time.Minute
)

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Epoch <= 0:
		return c, fmt.Errorf("dispatcher: epoch %d: want that of a leader", c.Epoch)
	case !filepath.IsAbs(c.LogDir):
		return c, fmt.Errorf("dispatcher: log directory %q: want an absolute path", c.LogDir)
	case !filepath.IsAbs(c.CheckpointDir):
		return c, fmt.Errorf("dispatcher: checkpoint directory %q: want an absolute path", c.CheckpointDir)
	}
	orDefault(&c.UploadBytesMax, defaultUploadBytesMax)
	orDefault(&c.Retention.For, defaultRetention)
	orDefault(&c.Retention.Max, defaultCapacity)
	orDefault(&c.ReadyTimeout, defaultReadyTimeout)
	orDefault(&c.SilenceTimeout, defaultSilenceTimeout)
	orDefault(&c.SuspendTimeout, defaultSuspendTimeout)
	if c.start == nil {
		c.start = startProcess
	}
	return c, nil
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
