// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// runAlone runs a job, or all jobs of a program, on a cluster of its own, which ends with them.
func (a *app) runAlone(ctx context.Context, target string, arguments []string, o runOptions) error {
	p, err := a.openProgram(ctx, target, "")
	if err != nil {
		return err
	}
	defer p.Close()
	settings := a.jobSettings()
	s := restclient.Submission{Arguments: arguments, Settings: settings}
	slots := a.config.Int(config.TaskManagerSlots)
	var described *weirpb.JobDescription
	if o.target == "job" {
		if described, s.Job, s.Arguments, err = a.describe(ctx, p, arguments, settings); err != nil {
			return err
		}
		if n := int(described.GetSlotsNeeded()); !a.config.IsSet(config.TaskManagerSlots) {
			slots = max(slots, n)
		}
	}
	if err := a.ownCluster(slots); err != nil {
		return err
	}
	if err := a.spawnUp(ctx, upOptions{mode: o.target, taskManagers: -1}); err != nil {
		return err
	}
	return a.withClient(func(k *restclient.Client) error {
		if o.target == "application" {
			return a.submitApplication(ctx, k, p, o, s)
		}
		id, err := a.submit(ctx, k, p, o, s, described)
		if err != nil {
			return errors.Join(err, endCluster(ctx, k))
		}
		return a.follow(ctx, k, id, o)
	})
}

// endCluster ends a cluster whose job could not be submitted, also after an interrupt.
func endCluster(ctx context.Context, k *restclient.Client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	return k.Delete(ctx, "/cluster")
}

// ownCluster makes the configuration that of a cluster of its own: in a directory of its own, on free ports, with one
// TaskManager that has the slots, unless that was said otherwise. Checkpoints outlive it.
func (a *app) ownCluster(slots int) error {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	shared := a.dataDir()
	set := [][2]string{
		{config.DataDir, filepath.Join(shared, "clusters", hex.EncodeToString(b[:]))},
		{config.TaskManagerSlots, strconv.Itoa(slots)},
	}
	for _, kv := range [][2]string{
		{config.RPCPort, "0"},
		{config.RESTPort, "0"},
		{config.CheckpointDir, filepath.Join(shared, "checkpoints")},
		{config.ClusterTaskManagersMax, "64"},
	} {
		if !a.config.IsSet(kv[0]) {
			set = append(set, kv)
		}
	}
	for _, kv := range set {
		if err := a.config.Set("chosen", kv[0], kv[1]); err != nil {
			return err
		}
	}
	a.flags.rest = ""
	return a.applyUp(upOptions{mode: "session", taskManagers: -1})
}

// submitApplication has the cluster run all jobs of the program; an attached client then waits for its end.
func (a *app) submitApplication(ctx context.Context, k *restclient.Client, p *program, o runOptions, s restclient.Submission) error {
	program, err := upload(ctx, k, p)
	if err != nil {
		return errors.Join(err, endCluster(ctx, k))
	}
	s.Name, s.Parallelism, s.Restore, s.AllowNonRestoredState = o.name, o.parallelism, absolute(o.restore), o.allow
	id, err := k.RunApplication(ctx, program, s)
	if err != nil {
		return errors.Join(err, endCluster(ctx, k))
	}
	if o.detached {
		return a.print(map[string]string{"applicationid": id}, func(w io.Writer) { fmt.Fprintln(w, id) })
	}
	fmt.Fprintf(a.err, "application %s is submitted\n", id)
	jobs, err := a.jobsOf(ctx, k, id)
	if err != nil {
		return err
	}
	var failed error
	for _, job := range jobs {
		failed = errors.Join(failed, a.follow(ctx, k, job, o))
	}
	return failed
}

// result is how the only job of a cluster that is gone ended; empty where that is not known.
func (a *app) result() string {
	text, err := os.ReadFile(filepath.Join(a.dataDir(), resultFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// jobsOf waits until the jobs of an application are known, and returns their ids.
func (a *app) jobsOf(ctx context.Context, k *restclient.Client, id string) ([]string, error) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		app, err := k.Application(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case len(app.Jobs) > 0:
			ids := make([]string, len(app.Jobs))
			for i, j := range app.Jobs {
				ids[i] = j.ID
			}
			return ids, nil
		case app.Status == "FAILED":
			return nil, fmt.Errorf("application %s failed: %s", id, cmp.Or(app.Failure, "no cause is known"))
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
