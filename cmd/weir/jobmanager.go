// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/cluster/local"
	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher"
	dispatchercore "github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	jobmanager "github.com/weir-stream/weir/internal/jobmanager/process"
	"github.com/weir-stream/weir/internal/rest"
)

// Files in the data directory that say where the JobManager is.
const (
	restAddressFile = "rest.address"
	rpcAddressFile  = "rpc.address"
	// resultFile says how the only job of a cluster ended.
	resultFile = "result"
)

// exitFatal is the exit code of a part that would end in the same way if it were started again.
const exitFatal = local.ExitFatal

func (a *app) jobManagerCommand() *cobra.Command {
	var mode string
	c := &cobra.Command{
		Use: "jobmanager", Short: "Run a JobManager in the foreground", Args: cobra.NoArgs,
		Long: "Run a JobManager: Dispatcher with its REST API, ResourceManager and a JobMaster process for each job. Where another\n" +
			"one leads the same cluster (high-availability.storageDir), it stands by.\n\n" +
			"SIGTERM ends it; tasks of its jobs run on, and the next JobManager takes them over.",
		RunE:        func(c *cobra.Command, _ []string) error { return a.runJobManager(c.Context(), mode) },
		Annotations: map[string]string{ownInterrupts: "true"},
	}
	c.Flags().StringVar(&mode, "mode", "session", "session, or job or application for a cluster that ends with its only one")
	return c
}

var modes = map[string]dispatcher.Mode{
	"session": dispatcher.Session, "job": dispatcher.SingleJob, "application": dispatcher.SingleApplication,
}

func (a *app) runJobManager(ctx context.Context, mode string) error {
	m, ok := modes[mode]
	if !ok {
		return usageError{"jobmanager", fmt.Errorf("--mode %s: want session, job or application", mode)}
	}
	parent := openParent()
	logger, file, err := a.logger(rest.JobManagerLog)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing is logged any more
	c, err := a.jobManagerConfig(ctx, m)
	if err != nil {
		return exitError{exitFatal, err}
	}
	c.Logger = logger
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := make(chan error, 1)
	var j *jobmanager.JobManager
	go func() { // Owner: this function, which waits for it or ends the process
		var err error
		j, err = jobmanager.Start(ctx, c)
		started <- err
	}()
	select {
	case err = <-started:
	case <-a.interrupts:
		cancel()
		err = <-started
		if errors.Is(err, context.Canceled) {
			return nil
		}
	case <-parent.gone:
		return exitError{exitFailed, errors.New("the supervisor has ended")}
	}
	if err != nil {
		return exitError{exitFatal, err}
	}
	if err := a.announce(j); err != nil {
		return errors.Join(err, j.Stop(ctx, false))
	}
	return a.superviseJobManager(ctx, j, parent)
}

// announce writes where the JobManager is.
func (a *app) announce(j *jobmanager.JobManager) error {
	for name, text := range map[string]string{rpcAddressFile: j.RPCAddress(), restAddressFile: j.RESTAddress()} {
		temporary := filepath.Join(a.dataDir(), "."+name)
		if err := os.WriteFile(temporary, []byte(text+"\n"), 0o600); err != nil {
			return fmt.Errorf("announce the JobManager: %w", err)
		}
		if err := os.Rename(temporary, filepath.Join(a.dataDir(), name)); err != nil {
			return fmt.Errorf("announce the JobManager: %w", err)
		}
	}
	return nil
}

// superviseJobManager waits for a reason to end, and ends.
func (a *app) superviseJobManager(ctx context.Context, j *jobmanager.JobManager, p *parent) error {
	select {
	case <-a.interrupts:
		return j.Stop(ctx, false)
	case <-p.suspend:
		return j.Stop(ctx, true)
	case <-p.gone:
		// The children see the end of this process; nothing is to be written any more.
		return exitError{exitFailed, errors.New("the supervisor has ended")}
	case r := <-j.Done():
		switch {
		case r.Err != nil:
			return errors.Join(r.Err, j.Stop(ctx, false))
		case r.Result != "":
			if err := os.WriteFile(filepath.Join(a.dataDir(), resultFile), []byte(r.Result+"\n"), 0o600); err != nil {
				return errors.Join(err, j.Stop(ctx, false))
			}
			a.linger()
		}
		return j.Stop(ctx, r.Result == "")
	}
}

// jobManagerConfig is what the configuration says of a JobManager.
func (a *app) jobManagerConfig(ctx context.Context, mode dispatcher.Mode) (jobmanager.Config, error) {
	c, v := a.config, buildVersion()
	dir := a.dataDir()
	retention := dispatchercore.Retention{For: c.Duration(config.JobStoreExpiration), Max: c.Int(config.JobStoreCapacity)}
	j := jobmanager.Config{
		DataDir: dir, HADir: absolute(cmp.Or(c.String(config.HADir), filepath.Join(dir, "ha"))), ClusterID: c.String(config.ClusterID),
		Mode:          mode,
		RPCListen:     net.JoinHostPort(c.String(config.RPCBindHost), c.String(config.RPCPort)),
		RPCHost:       hostOf(c.String(config.RPCAddress)),
		RESTListen:    net.JoinHostPort(c.String(config.RESTBindAddress), c.String(config.RESTPort)),
		RESTHost:      c.String(config.RESTAddress),
		CheckpointDir: absolute(cmp.Or(c.String(config.CheckpointDir), filepath.Join(dir, "checkpoints"))),
		SavepointDir:  absolute(c.String(config.SavepointDir)),
		JobSettings:   a.jobSettings(), JobMasterMemoryBytes: c.Memory(config.JobMasterMemory), Retention: retention,
		Heartbeat: c.Duration(config.Heartbeat), HeartbeatTimeout: c.Duration(config.HeartbeatTimeout),
		DescribeTimeout: c.Duration(config.DescribeTimeout),
		Profile:         cluster.Profile{Slots: c.Int(config.TaskManagerSlots), MemoryBytes: c.Memory(config.TaskManagerMemory)},
		WorkersMax:      workersMax(c), WorkerTimeout: c.Duration(config.TaskManagerIdleTimeout),
		Version: v.Version, Commit: v.Commit,
	}
	if _, err := os.Stat(local.SocketPath(dir)); err == nil {
		j.Provider = local.NewClient(dir)
	}
	for _, e := range c.Entries() {
		if e.Value != "" {
			j.Settings = append(j.Settings, rest.Setting{Key: e.Key, Value: e.Value})
		}
	}
	var err error
	if j.RPCTLS, err = a.internalTLS(ctx, config.RPCBindHost); err != nil {
		return j, err
	}
	if j.RESTTLS, err = a.restTLS(); err != nil {
		return j, err
	}
	j.REST, err = a.restConfig()
	return j, err
}

// workersMax is how many TaskManagers there may be with those that are started on demand: by their number and by their
// slots, of which zero limits nothing if the other is set.
func workersMax(c *config.Config) int {
	most := c.Int(config.ClusterTaskManagersMax)
	if slots := c.Int(config.SlotsMax); slots > 0 {
		bySlots := slots / max(1, c.Int(config.TaskManagerSlots))
		if most == 0 || bySlots < most {
			most = bySlots
		}
	}
	return most
}

// hostOf is the first host of a list of addresses.
func hostOf(addresses string) string {
	first, _, _ := strings.Cut(addresses, ",")
	if host, _, err := net.SplitHostPort(first); err == nil {
		return host
	}
	return first
}

func (a *app) restConfig() (rest.Config, error) {
	c := a.config
	r := rest.Config{
		InsecureBind: c.Bool(config.RESTInsecureBind), Hosts: c.List(config.RESTAllowedHosts),
		Origins: c.List(config.RESTAllowedOrigins), WebDir: c.String(config.RESTWebDir),
		UploadBytesMax: c.Memory(config.RESTUploadMax), HideSubmit: !c.Bool(config.WebSubmit), HideCancel: !c.Bool(config.WebCancel),
		RefreshInterval: c.Duration(config.WebRefresh),
	}
	var err error
	if file := c.String(config.RESTTokenFile); file != "" {
		r.Tokens, err = rest.LoadTokens(file)
	}
	return r, err
}
