// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/cluster/election"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher"
	dispatchercore "github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager"
	rmcore "github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/remote"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Config is what a JobManager is made of. All is required, but where a zero value is explained.
type Config struct {
	// DataDir is the cluster's directory, HADir that of leader records and the job store, both absolute.
	DataDir, HADir string
	ClusterID      string
	Mode           dispatcher.Mode
	// RPCListen and RESTListen are host:port; RPCHost and RESTHost the hosts that others reach them by.
	RPCListen, RPCHost, RESTListen, RESTHost string
	// RPCTLS is for both sides of connections among the parts, RESTTLS for the REST server; nil for plain text.
	RPCTLS, RESTTLS *tls.Config
	// REST has what is not said here: tokens, names, limits.
	REST rest.Config
	// CheckpointDir and SavepointDir are the defaults of jobs; the latter may be empty.
	CheckpointDir, SavepointDir string
	// JobSettings are the cluster's settings for jobs.
	JobSettings          map[string]string
	JobMasterMemoryBytes int64
	Retention            dispatchercore.Retention
	// Heartbeat is the time between two; who is silent for HeartbeatTimeout is lost.
	Heartbeat, HeartbeatTimeout time.Duration
	DescribeTimeout             time.Duration
	// Provider starts TaskManagers on demand, of Profile, up to WorkersMax; nil where nobody does. Idle ones are given
	// back after WorkerTimeout.
	Provider      cluster.Provider
	Profile       cluster.Profile
	WorkersMax    int
	WorkerTimeout time.Duration
	// Settings are what the REST API shows of the configuration.
	Settings        []rest.Setting
	Version, Commit string
	Logger          *slog.Logger
}

// JobManager is the process's own.
type JobManager struct {
	config    Config
	started   time.Time
	term      *election.Term
	router    *rpc.Router
	resources *resourcemanager.ResourceManager
	dispatch  *dispatcher.Dispatcher
	rpc       *remote.Server
	rest      *rest.Server
	logs      *process.LogDir
	cgroups   *process.Cgroups
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	done      chan Reason
	once      sync.Once
}

// Reason is why a JobManager has to end.
type Reason struct {
	// Deposed tells that another leads. Shutdown tells that the cluster is to end, by request or with its only job.
	Deposed, Shutdown bool
	// Result is how the only job or application ended: FINISHED, FAILED or CANCELED; empty otherwise.
	Result string
	Err    error
}

// Start waits until this process leads, and serves when it returns.
func Start(ctx context.Context, c Config) (*JobManager, error) {
	j := &JobManager{config: c, started: time.Now(), done: make(chan Reason, 1)}
	for _, dir := range []string{c.DataDir, c.HADir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("directory of the cluster: %w", err)
		}
	}
	// The sockets come first, so that a port in use is an error also of one that would stand by, and their addresses can
	// be in the leader record.
	rpcAddress, err := reserve(c.RPCListen)
	if err != nil {
		return nil, fmt.Errorf("port of the JobManager for TaskManagers: %w", err)
	}
	restAddress, err := reserve(c.RESTListen)
	if err != nil {
		return nil, fmt.Errorf("port of the REST API: %w", err)
	}
	api := c.REST
	api.TLS = c.RESTTLS
	if err := rest.CheckBind(restAddress, api); err != nil { // one that would stand by refuses now, too
		return nil, err
	}
	j.config.RPCListen, j.config.RESTListen = rpcAddress, restAddress
	j.term, err = election.Elect(ctx, election.Config{
		Objects: storage.Files(storage.Private(), c.HADir),
		Self: election.Record{
			Holder: fmt.Sprintf("process %d", os.Getpid()), RPC: advertised(c.RPCHost, rpcAddress), REST: advertised(c.RESTHost, restAddress),
		},
		Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := j.start(ctx); err != nil {
		return nil, errors.Join(err, j.Stop(ctx, false))
	}
	return j, nil
}

// reserve finds the address that a listener will have; port 0 becomes a free one.
func reserve(listen string) (string, error) {
	l, err := net.Listen("tcp", listen) //nolint:noctx // binding a socket doesn't wait
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// advertised is how others reach an address.
func advertised(host, address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, port)
}

// start starts the parts of one that leads.
func (j *JobManager) start(ctx context.Context) (err error) {
	c := &j.config
	if j.cgroups, err = process.OpenCgroups(); err != nil {
		c.Logger.DebugContext(ctx, "no cgroups for JobMasters", "reason", err)
	}
	if j.logs, err = process.OpenLogDir(j.logDir()); err != nil {
		return err
	}
	programs, err := artifacts.Open(filepath.Join(c.HADir, "programs"))
	if err != nil {
		return err
	}
	j.router = rpc.NewRouter(c.Logger)
	epoch := j.term.Epoch()
	j.resources, err = resourcemanager.Start(rmcore.Config{
		Incarnation: strconv.FormatInt(epoch, 10), Epoch: epoch, Heartbeat: c.Heartbeat, HeartbeatTimeout: c.HeartbeatTimeout,
		WorkersMax: c.WorkersMax, WorkerTimeout: c.WorkerTimeout, WorkerSlots: max(1, c.Profile.Slots),
	}, j.router)
	if err != nil {
		return err
	}
	j.dispatch, err = dispatcher.Start(ctx, dispatcher.Config{
		Epoch: epoch, Holder: fmt.Sprintf("process %d", os.Getpid()), Mode: c.Mode,
		Store:     storage.Files(storage.Private(), filepath.Join(c.HADir, "jobs")), // arguments and settings may be secret
		Objects:   func(location string) storage.Objects { return storage.Files(storage.OS(), location) },
		Artifacts: programs, Router: j.router, ResourceManager: resourcemanager.Name, LogDir: j.logDir(),
		CheckpointDir: c.CheckpointDir, SavepointDir: c.SavepointDir, Settings: c.JobSettings,
		JobMasterMemoryBytes: c.JobMasterMemoryBytes, Cgroups: j.cgroups, UploadBytesMax: c.REST.UploadBytesMax,
		Retention: c.Retention, ReadyTimeout: c.DescribeTimeout, Ended: j.ended, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	return j.serve(ctx, programs)
}

// serve opens the doors.
func (j *JobManager) serve(ctx context.Context, programs *artifacts.Store) (err error) {
	c := &j.config
	j.rpc, err = remote.Serve(remote.ServerConfig{
		Listen: c.RPCListen, TLS: c.RPCTLS, Router: j.router, Artifacts: programs, Logger: c.Logger,
		Welcome: func(*weirpb.Hello) (*weirpb.Welcome, *weirpb.Refused) {
			return &weirpb.Welcome{Version: c.Version, LeaderEpoch: j.term.Epoch(), ClusterId: c.ClusterID}, nil
		},
	})
	if err != nil {
		return err
	}
	r := c.REST
	r.Cluster = rest.Cluster{Jobs: j.dispatch, Programs: j.dispatch.Programs(), Workers: workers{j.resources}, Self: self{j}}
	r.Listen, r.TLS, r.Advertised, r.Logger = c.RESTListen, c.RESTTLS, c.RESTHost, c.Logger
	if j.rest, err = rest.Serve(ctx, r); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j.cancel = cancel
	j.wg.Go(func() { j.watch(run) })
	if c.Provider != nil {
		j.wg.Go(func() { j.provide(run) })
	}
	c.Logger.InfoContext(ctx, "JobManager leads", "epoch", j.term.Epoch(), "rpc", j.rpc.Addr(), "rest", j.rest.Addr())
	return nil
}

func (j *JobManager) logDir() string { return filepath.Join(j.config.DataDir, "log") }

// RPCAddress and RESTAddress are where it is reached.
func (j *JobManager) RPCAddress() string { return advertised(j.config.RPCHost, j.rpc.Addr()) }

// RESTAddress is host:port of the REST API.
func (j *JobManager) RESTAddress() string { return advertised(j.config.RESTHost, j.rest.Addr()) }

// Done yields why the JobManager has to end, once.
func (j *JobManager) Done() <-chan Reason { return j.done }

// end says why it has to end; the first reason counts.
func (j *JobManager) end(r Reason) {
	select {
	case j.done <- r:
	default:
	}
}

// watch ends the JobManager when another leads.
func (j *JobManager) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-j.term.Done():
		j.end(Reason{Deposed: true, Err: errors.New("another JobManager leads now")})
	case <-j.dispatch.Done():
		if err := j.dispatch.Err(); err != nil {
			j.end(Reason{Deposed: errors.Is(err, storage.ErrDeposed), Err: err})
		}
	}
}

// ended shuts the cluster of one job or application down with it.
func (j *JobManager) ended(e dispatcher.End) {
	if j.config.Mode != dispatcher.Session {
		j.end(Reason{Shutdown: true, Result: e.Application.Status})
	}
}

// Stop ends all parts and waits. With suspend, jobs take a last checkpoint and end as SUSPENDED, to go on with the next
// JobManager; without it their tasks run on until then.
func (j *JobManager) Stop(ctx context.Context, suspend bool) (err error) {
	j.once.Do(func() {
		if j.cancel != nil {
			j.cancel()
		}
		j.wg.Wait()
		if j.rest != nil {
			err = j.rest.Stop(ctx)
		}
		if j.dispatch != nil {
			err = errors.Join(err, j.dispatch.Close(suspend)) //nolint:contextcheck // its own time-outs bound it
		}
		if j.rpc != nil {
			j.rpc.Stop()
		}
		if j.resources != nil {
			j.resources.Stop()
		}
		if j.logs != nil {
			err = errors.Join(err, j.logs.Close())
		}
		if j.cgroups != nil {
			j.cgroups.Close()
		}
		j.term.Resign(ctx)
	})
	return err
}
