// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/rpc/remote"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	taskmanager "github.com/weir-stream/weir/internal/taskmanager/process"
)

func (a *app) taskManagerCommand() *cobra.Command {
	var jobManager string
	var wait bool
	c := &cobra.Command{
		Use: "taskmanager", Short: "Run a TaskManager in the foreground", Args: cobra.NoArgs,
		Long: "Run a TaskManager: slots, and an executor process for each job that has some of them. It keeps looking for its\n" +
			"JobManager, and keeps tasks running while that is away, for cluster.orphan-timeout.\n\n" +
			"SIGTERM ends it with its executors; `weir taskmanagers drain` lets what runs go on first.",
		RunE:        func(c *cobra.Command, _ []string) error { return a.runTaskManager(c.Context(), jobManager, wait) },
		Annotations: map[string]string{ownInterrupts: "true"},
	}
	c.Flags().StringVar(&jobManager, "jobmanager", "", "host:port of the JobManager, several separated by commas (default: jobmanager.rpc.address and .port)")
	c.Flags().BoolVar(&wait, "wait-for-version", false, "keep looking for a JobManager of a version that goes with this one, instead of ending with code 2")
	return c
}

func (a *app) runTaskManager(ctx context.Context, jobManager string, wait bool) error {
	parent := openParent()
	logger, file, err := a.logger("")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing is logged any more
	c := a.config
	addresses := jobManagerAddresses(cmp.Or(jobManager, c.String(config.RPCAddress)), c.String(config.RPCPort))
	listen := net.JoinHostPort(c.String(config.TaskManagerBindHost), c.String(config.TaskManagerDataPort))
	tls, err := a.internalTLS(ctx, config.TaskManagerBindHost)
	if err != nil {
		return exitError{exitFatal, err}
	}
	certificates, err := a.certificates(config.InternalSSL)
	if err != nil {
		return exitError{exitFatal, err}
	}
	unfit := make(chan error, 1)
	refused := func(err error) { unfit <- err }
	if wait {
		refused = nil
	}
	w, err := taskmanager.Start(ctx, taskmanager.WorkerConfig{
		ID: c.String(config.TaskManagerResourceID), DataDir: a.dataDir(), Slots: c.Int(config.TaskManagerSlots),
		MemoryBytes: c.Memory(config.TaskManagerMemory), Version: buildVersion().Version,
		Listen: listen, Host: c.String(config.TaskManagerHost), Certificates: certificates,
		MetricsPorts: c.Ports(config.MetricsPort), MetricsHost: c.String(config.MetricsHost),
		Connect: func(u taskmanager.Uplink) taskmanager.Connection {
			return remote.Connect(remote.ClientConfig{
				Addresses: addresses, TLS: tls, Router: u.Router, Hello: u.Hello, Logger: u.Logger,
				Connected: func(*weirpb.Welcome) { u.Connected() }, Unfit: refused,
			})
		},
		Logger: logger, Heartbeat: c.Duration(config.Heartbeat), OrphanTimeout: c.Duration(config.OrphanTimeout),
		CancelTimeout: c.Duration(config.TaskCancelTimeout), StartTimeout: c.Duration(config.DescribeTimeout),
	})
	if err != nil {
		return exitError{exitFatal, err}
	}
	select {
	case <-a.interrupts:
	case <-w.Drained():
	case err := <-unfit:
		return exitError{exitFatal, errors.Join(fmt.Errorf("%w; --wait-for-version keeps trying", err), w.Stop())}
	case <-parent.gone:
		return exitError{exitFailed, errors.New("the supervisor has ended")} // the executors see the end of this process
	}
	return w.Stop()
}

// jobManagerAddresses are host:port each; port is that of hosts without one.
func jobManagerAddresses(list, port string) []string {
	var all []string
	for _, a := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if _, _, err := net.SplitHostPort(a); err != nil {
			a = net.JoinHostPort(a, port)
		}
		all = append(all, a)
	}
	return all
}
