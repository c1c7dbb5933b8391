// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/internal/restclient"
)

// TestOutputDirectoryIsNotShared starts a TaskManager that does not see the output directory of a job which waits for one:
// the directory is gone by then. The job fails at once, and its failure names the TaskManager, the host and the directory.
func TestOutputDirectoryIsNotShared(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	port := freePort(t)
	manager := c.startStandby("a", port)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.logs())
		}
	})
	c.leads(manager)
	id := c.submit(load(t), "--", "--out", "out")
	// By then its JobMaster leads, which has prepared the directory before.
	c.job(id, "waits for slots", func(p *restclient.Progress) bool { return p.State == "RUNNING" })
	if _, err := os.Stat(filepath.Join(c.out("out"), ".weir-run")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.out("out")); err != nil {
		t.Fatal(err)
	}
	worker := begin(t, c.work, weir(t), "taskmanager", "--jobmanager", "127.0.0.1:"+port,
		"--data-dir", filepath.Join(c.data, "worker"), "-D", "taskmanager.numberOfTaskSlots=1",
		"-D", "taskmanager.memory.process.size=256mb")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	failed := c.job(id, "is FAILED", func(p *restclient.Progress) bool { return p.State == "FAILED" })
	for _, want := range []string{"TaskManager ", "can't be used", "output directory " + c.out("out") + " is not there"} {
		if !strings.Contains(failed.Failure, want) {
			t.Errorf("the failure does not say %q: %s", want, failed.Failure)
		}
	}
	if !strings.Contains(failed.Failure, host) && !strings.Contains(failed.Failure, "127.0.0.1") {
		t.Errorf("the failure names no host: %s", failed.Failure)
	}
	for _, p := range []*command{worker, manager.command} {
		p.signal(t, syscall.SIGTERM)
		p.wants(t, 0)
	}
}
