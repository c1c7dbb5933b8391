// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/cluster/local"
	"github.com/weir-stream/weir/internal/config"
)

// lingerTime is how long a cluster of one job stays after its end, so that clients see the result.
const lingerTime = time.Second

func (a *app) linger() {
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.interrupts:
	}
}

// addCluster adds the commands that are, or concern, a cluster.
func (a *app) addCluster(root *cobra.Command) {
	c := &cobra.Command{
		Use: "cluster", Short: "Start and end a cluster on this machine", Args: commands,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.upCommand(), a.downCommand())
	for _, c := range []*cobra.Command{c, a.taskManagersCommand(), a.jobManagerCommand(), a.taskManagerCommand()} {
		c.GroupID = groupCluster
		root.AddCommand(c)
	}
}

// upOptions are the flags of cluster up.
type upOptions struct {
	taskManagers, slots, most int
	detached                  bool
	mode                      string
}

func (a *app) upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use: "up", Short: "Start a cluster on this machine", Args: cobra.NoArgs,
		Long: "Start a JobManager and TaskManagers on this machine, start again what dies, and end them with this process.\n" +
			"Ctrl-C suspends the jobs after a last checkpoint; `weir cluster up` in the same --data-dir resumes them, as it does\n" +
			"after a crash. A second Ctrl-C ends at once.",
		RunE:        func(c *cobra.Command, _ []string) error { return a.up(c, o) },
		Annotations: map[string]string{ownInterrupts: "true"},
	}
	f := c.Flags()
	f.IntVar(&o.taskManagers, "taskmanagers", -1, "TaskManagers that are kept (default: cluster.taskmanagers)")
	f.IntVar(&o.slots, "slots", 0, "slots of each (default: taskmanager.numberOfTaskSlots)")
	f.IntVar(&o.most, "taskmanagers-max", 0, "TaskManagers with those that are started on demand (default: cluster.taskmanagers.max)")
	f.BoolVarP(&o.detached, "detached", "d", false, "start the cluster in the background, and leave when it is up")
	f.StringVar(&o.mode, "mode", "session", "what the cluster is for: session, or job or application, with which it ends")
	return c
}

// up starts a cluster and stays until it ends.
func (a *app) up(c *cobra.Command, o upOptions) error {
	ctx := c.Context()
	for _, key := range []string{config.RPCBindHost, config.TaskManagerBindHost} { // the children would only end again
		if _, err := a.internalTLS(ctx, key); err != nil {
			return usageError{c.Name(), err}
		}
	}
	if err := a.applyUp(o); err != nil {
		return usageError{c.Name(), err}
	}
	if o.detached {
		a.endOnInterrupt(ctx)
		return a.upDetached(ctx, o)
	}
	s, err := a.startSupervisor(ctx, o.mode)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(upInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if overview := a.isUp(ctx); overview != nil {
				ticker.Stop()
				a.sayUp(overview)
			}
		case <-s.Done():
			err := a.end(s)
			if o.mode != "session" && a.result() != "" {
				err = errors.Join(err, a.clearUp())
			}
			return err
		case <-a.interrupts:
			fmt.Fprintln(a.err, "suspending the jobs after a last checkpoint; Ctrl-C again ends at once")
			return a.end(s)
		}
	}
}

// upInterval is the time between two looks at a cluster that comes up.
const upInterval = 20 * time.Millisecond

// clearUp removes what a cluster that has ended with its only job does not need any more: all but logs and the result.
func (a *app) clearUp() error {
	entries, err := os.ReadDir(a.dataDir())
	for _, e := range entries {
		if name := e.Name(); name != "log" && name != resultFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(a.dataDir(), name)))
		}
	}
	return err
}

// end ends the cluster with its jobs suspended, or at once on an interrupt.
func (a *app) end(s *local.Supervisor) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Stop(true) }() // Owner: this function, which receives from ended
	var err error
	select {
	case err = <-ended:
	case <-a.interrupts:
		s.Kill()
		err = <-ended
	}
	for _, name := range []string{restAddressFile, rpcAddressFile} {
		if e := os.Remove(filepath.Join(a.dataDir(), name)); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(s.Err(), err)
}

// applyUp makes settings of the flags, and fixes what all processes have to agree on.
func (a *app) applyUp(o upOptions) error {
	if modes[o.mode] == 0 && o.mode != "session" {
		return fmt.Errorf("--mode %s: want session, job or application", o.mode)
	}
	set := map[string]int{config.ClusterTaskManagers: o.taskManagers}
	if o.slots > 0 {
		set[config.TaskManagerSlots] = o.slots
	}
	if o.most > 0 {
		set[config.ClusterTaskManagersMax] = o.most
	}
	for key, n := range set {
		if n < 0 {
			continue
		}
		if err := a.config.Set("flag", key, strconv.Itoa(n)); err != nil {
			return err
		}
	}
	// Free ports are chosen here, once, so that TaskManagers and clients find a JobManager that is started again.
	for port, host := range map[string]string{config.RPCPort: config.RPCBindHost, config.RESTPort: config.RESTBindAddress} {
		if a.config.Int(port) != 0 {
			continue
		}
		free, err := freePort(a.config.String(host))
		if err != nil {
			return err
		}
		if err := a.config.Set("chosen", port, strconv.Itoa(free)); err != nil {
			return err
		}
	}
	return nil
}

func freePort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// startSupervisor starts the processes of the cluster.
func (a *app) startSupervisor(ctx context.Context, mode string) (*local.Supervisor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	logger, _, err := a.logger("")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{restAddressFile, rpcAddressFile, resultFile} { // of a cluster that was here before
		if err := os.Remove(filepath.Join(a.dataDir(), name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	common := a.arguments()
	return local.Start(ctx, local.Config{
		DataDir: a.dataDir(), Binary: self, JobManager: append([]string{"jobmanager", "--mode", mode}, common...),
		TaskManager: func(id string, p cluster.Profile) []string {
			return append([]string{
				"taskmanager", "--jobmanager", net.JoinHostPort(hostOf(a.config.String(config.RPCAddress)), a.config.String(config.RPCPort)),
				"-D", config.TaskManagerResourceID + "=" + id,
				"-D", config.TaskManagerSlots + "=" + strconv.Itoa(p.Slots),
				"-D", config.TaskManagerMemory + "=" + strconv.FormatInt(p.MemoryBytes, 10),
			}, common...)
		},
		Env:          a.config.Secrets(passedOn...),
		TaskManagers: a.config.Int(config.ClusterTaskManagers),
		Profile:      cluster.Profile{Slots: a.config.Int(config.TaskManagerSlots), MemoryBytes: a.config.Memory(config.TaskManagerMemory)},
		Logger:       logger,
	})
}

// passedOn are the origins of settings that children can't see themselves, as they do files and the environment.
var passedOn = []string{"-D", "flag", "chosen"}

// arguments are the configuration of this process, for its children. Everybody sees arguments, so what is secret goes by
// the environment.
func (a *app) arguments() []string {
	args := []string{"--data-dir", a.dataDir()}
	if a.flags.config != "" {
		args = append(args, "--config", absolute(a.flags.config))
	}
	for _, e := range a.config.Entries() {
		if slices.Contains(passedOn, e.Origin) && !e.Option.Secret && e.Key != config.TaskManagerResourceID {
			args = append(args, "-D", e.Key+"="+e.Value)
		}
	}
	return args
}

// overview is what a cluster says of itself.
type overview struct {
	TaskManagers int `json:"taskmanagers"`
	Slots        int `json:"slots-total"`
	Free         int `json:"slots-available"`
}

// isUp returns what the cluster says of itself once all TaskManagers that are kept have registered; nil before.
func (a *app) isUp(ctx context.Context) *overview {
	text, err := os.ReadFile(filepath.Join(a.dataDir(), restAddressFile))
	if err != nil {
		return nil
	}
	k, err := a.clientAt(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	defer k.Close()
	var o overview
	if err := k.Get(ctx, "/overview", &o); err != nil || o.TaskManagers < a.config.Int(config.ClusterTaskManagers) {
		return nil
	}
	return &o
}

func (a *app) sayUp(o *overview) {
	text, err := os.ReadFile(filepath.Join(a.dataDir(), restAddressFile))
	if err != nil {
		return
	}
	address := strings.TrimSpace(string(text))
	_ = a.print(map[string]any{"rest": address, "taskmanagers": o.TaskManagers, "slots": o.Slots}, func(w io.Writer) {
		fmt.Fprintf(w, "the cluster is up: REST on %s, %s, %s\n", address, count(o.TaskManagers, "TaskManager"), count(o.Slots, "slot"))
	})
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Suspend the jobs of the cluster and end it", Args: cobra.NoArgs,
		Long: "Have the jobs of the cluster in --data-dir take a last checkpoint, and end all its processes. `weir cluster up` in the\n" +
			"same directory resumes the jobs.",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			k := local.NewClient(a.dataDir())
			if err := k.Down(ctx); err != nil {
				return err
			}
			ticker := time.NewTicker(watchInterval)
			defer ticker.Stop()
			for {
				if _, err := k.Running(ctx); errors.Is(err, local.ErrNotUp) {
					return a.print(map[string]bool{"up": false}, func(w io.Writer) { fmt.Fprintln(w, "the cluster is down") })
				}
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-ticker.C:
				}
			}
		},
	}
}
