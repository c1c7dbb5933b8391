// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/snapshots"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
	executorcore "github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

// defaultHeartbeat is the time between two where the parent does not say.
const defaultHeartbeat = time.Second

// executorRole runs the tasks of one job for its TaskManager. All belongs to the goroutine of its endpoint.
type executorRole struct {
	job         string
	endpoint    *rpc.Endpoint
	executor    *executor.Executor
	allocations []string
	memory      memory
}

var _ rpc.Handler = (*executorRole)(nil)

// executor takes the role on; it goes on until the link ends.
func (s *session) executor(ctx context.Context) error {
	name, args, err := s.program.choose(s.spec)
	if err != nil {
		return err
	}
	d, err := s.describeJob(name, args)
	if err != nil {
		return err
	}
	g, err := d.build(nil)
	if err != nil {
		return err
	}
	spec := s.spec.GetExecutor()
	if want := spec.GetFingerprint(); want != 0 {
		if where := differs(&weirpb.JobDescription{Fingerprint: want, Steps: s.spec.GetSteps()}, g); where != "" {
			return anotherGraph("on the JobMaster", where)
		}
	}
	if err := s.probe(ctx, d, g); err != nil {
		return err
	}
	config, err := exchangeConfig(s.spec)
	if err != nil {
		return err
	}
	x, err := exchange.NewEnvironment(config)
	if err != nil {
		return fmt.Errorf("open exchange: %w", err)
	}
	r := &executorRole{job: s.spec.GetJobId(), endpoint: rpc.NewEndpoint(spec.GetTaskManager(), s.router)}
	r.memory.begin(spec.GetMemoryBytes())
	r.executor = executor.New(executor.Config{
		Config: executorcore.Config{
			JobID: r.job, TaskManager: spec.GetTaskManager(), Incarnation: spec.GetIncarnation(), Process: newProcessID(),
			DataAddress: x.Address(), Fingerprint: g.Fingerprint,
			Heartbeat: cmp.Or(time.Duration(spec.GetHeartbeatMillis())*time.Millisecond, defaultHeartbeat),
		},
		Graph: g, Rebuild: d.build, Exchange: x, Storage: storageOf(ctx), Start: task.Start,
		Logger: newLogger(os.Stderr, s.spec.GetSettings()),
		Post:   r.endpoint.Post, Send: r.endpoint.Send, BufferTimeout: d.settings.BufferTimeout,
	}, time.Now())
	// The TaskManager says which slots there are as soon as it hears that the role is taken on, and does not say it again:
	// somebody must be there to hear it.
	if err := r.endpoint.Start(r); err != nil {
		return fmt.Errorf("start executor: %w", err)
	}
	s.ready(d.tell(g))
	<-ctx.Done()
	r.endpoint.Stop()
	return context.Cause(ctx)
}

// exchangeConfig makes the exchange reachable by a unix socket, by TCP or by both, as far as addresses for them are given.
func exchangeConfig(s *weirpb.RoleSpec) (exchange.Config, error) {
	spec := s.GetExecutor()
	c := exchange.Config{Job: s.GetJobId()}
	switch {
	case spec.GetSocket() != "" && spec.GetListen() != "":
		c.Network, c.Listen, c.Socket = "both", spec.GetListen(), spec.GetSocket()
		c.HostID, c.Host = spec.GetHostId(), spec.GetHost()
	case spec.GetSocket() != "":
		c.Network, c.Listen = "unix", spec.GetSocket()
	default:
		c.Network, c.Listen = "tcp", spec.GetListen()
	}
	var err error
	if dir := spec.GetCertificates(); dir != "" {
		c.Secure, err = secured(dir)
	}
	return c, err
}

// newProcessID tells this start of the executor from others.
func newProcessID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// storageOf makes the state storage of tasks: files in the directory of the run that the JobMaster names.
func storageOf(ctx context.Context) func(executor.StorageRequest) (task.StateStorage, error) {
	return func(r executor.StorageRequest) (task.StateStorage, error) {
		c := snapshots.Config{
			Files: storage.RunAt(storage.Files(storage.OS(), r.Dir)), Vertex: r.Vertex, Subtask: r.Subtask,
			Attempt: r.Attempt, Options: statefile.Options{},
		}
		if len(r.Restore) > 0 {
			m, err := checkpoint.Decode(r.Restore)
			if err != nil {
				return nil, fmt.Errorf("checkpoint to restore: %w", err)
			}
			c.Restore = m
		}
		return snapshots.New(ctx, c), nil
	}
}

// Receive implements rpc.Handler: what the TaskManager says, and what it passes on of the JobMaster.
func (r *executorRole) Receive(e *weirpb.Envelope) {
	if e.GetJobId() != r.job {
		return
	}
	if slots := e.GetExecutorSlots(); slots != nil {
		r.allocations = slots.GetAllocations()
		r.memory.allow(slots.GetMemoryBytes())
		return
	}
	if strings.HasPrefix(e.GetFrom(), "jobmaster/") {
		r.executor.Receive(e, func(allocation string) bool { return slices.Contains(r.allocations, allocation) })
	}
}

// Tick implements rpc.Handler.
func (r *executorRole) Tick(now time.Time) {
	r.memory.outside(r.executor.StateBytes())
	r.executor.Tick(now, r.allocations)
}

// Next implements rpc.Handler.
func (r *executorRole) Next() time.Time { return r.executor.Next() }
