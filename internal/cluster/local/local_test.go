// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package local

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		play(os.Args[2], os.Args[3])
	}
	goleak.VerifyTestMain(m)
}

// play is a process of a cluster: it says in a file of its id that it was started, and ends when it is told to.
func play(id, dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "starts"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(9)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	suspend := make(chan struct{}, 1)
	link := rpc.NewLink(os.NewFile(3, "supervisor"), func(fr *weirpb.Frame) {
		if fr.GetEnvelope().GetJobRequest().GetSuspend() != nil {
			suspend <- struct{}{}
		}
	})
	say := func(what string) {
		if _, err := f.WriteString(id + " " + what + "\n"); err != nil {
			os.Exit(9)
		}
	}
	say("starts")
	if strings.HasSuffix(dir, "taken") || strings.HasSuffix(dir, "unfit") && id != JobManagerID {
		os.Exit(ExitFatal)
	}
	select {
	case s := <-signals:
		if s == syscall.SIGUSR1 {
			say("crashes")
			os.Exit(1)
		}
		say("ends")
	case <-suspend:
		say("suspends")
	case <-link.Done():
	}
	os.Exit(0)
}

// rig is a supervisor of children that do nothing.
type rig struct {
	t   *testing.T
	dir string
	s   *Supervisor
}

func start(t *testing.T, dir string, taskManagers int) (*rig, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), Config{
		DataDir: dir, Binary: self, JobManager: []string{"child", "jobmanager", dir},
		TaskManager:  func(id string, _ cluster.Profile) []string { return []string{"child", id, dir} },
		TaskManagers: taskManagers, Profile: cluster.Profile{Slots: 2}, Logger: slog.New(slog.DiscardHandler),
	})
	return &rig{t, dir, s}, err
}

// said waits until the children have said so many lines that contain a text.
func (r *rig) said(text string, n int) {
	r.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-ticker.C {
		found := 0
		if f, err := os.Open(filepath.Join(r.dir, "starts")); err == nil {
			for lines := bufio.NewScanner(f); lines.Scan(); {
				if strings.Contains(lines.Text(), text) {
					found++
				}
			}
			_ = f.Close()
		}
		if found >= n {
			return
		}
	}
	r.t.Fatalf("no %d lines with %q", n, text)
}

// gone waits until a child is one no more.
func (r *rig) gone(id string) {
	r.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-ticker.C {
		r.s.mu.Lock()
		there := r.s.mu.children[id] != nil
		r.s.mu.Unlock()
		if !there {
			return
		}
	}
	r.t.Fatalf("%s is still there", id)
}

// pid is the process of a child that runs.
func (r *rig) pid(id string) int {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.mu.children[id].process.PID()
}

func TestSupervisor(t *testing.T) {
	dir := t.TempDir()
	r, err := start(t, dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	r.said(" starts", 3)
	if _, err := start(t, dir, 1); !errors.Is(err, ErrInUse) {
		t.Errorf("a second cluster in the directory: %v", err)
	}
	client := NewClient(dir)
	running, err := client.Running(t.Context())
	if err != nil || len(running) != 2 || running[0].Profile.Slots != 2 {
		t.Fatalf("running %v, %v", running, err)
	}

	// What is kept is started again, under its name.
	kept := running[0].ID
	if err := syscall.Kill(r.pid(kept), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.said(kept+" starts", 2)
	if err := syscall.Kill(r.pid(JobManagerID), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.said(JobManagerID+" starts", 2)

	// What was started on demand is not, and can be given back.
	extra, err := client.StartWorker(t.Context(), cluster.Profile{Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	r.said(extra.ID+" starts", 1)
	if err := client.StopWorker(t.Context(), extra.ID); err != nil {
		t.Fatal(err)
	}
	r.said(extra.ID+" ends", 1)
	// What has ended for good is told from what runs, what will again, and what was never here.
	r.gone(extra.ID)
	ended, err := client.Ended(t.Context(), []string{kept, extra.ID, "taskmanager-1-1", "nobody", JobManagerID})
	if err != nil || !slices.Equal(ended, []string{extra.ID}) {
		t.Errorf("ended %v, %v", ended, err)
	}
	if err := client.StopWorker(t.Context(), "nobody"); err != nil {
		t.Errorf("stop of nobody: %v", err)
	}

	if err := client.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-r.s.Done()
	if err := r.s.Stop(true); err != nil || r.s.Err() != nil {
		t.Errorf("stop: %v, %v", err, r.s.Err())
	}
	r.said(JobManagerID+" suspends", 1)
	if _, err := client.Running(t.Context()); !errors.Is(err, ErrNotUp) {
		t.Errorf("after the end: %v", err)
	}

	// The directory is free again.
	again, err := start(t, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	again.said(JobManagerID+" starts", 3)
	again.s.Kill()
	if err := again.s.Stop(false); err != nil {
		t.Error(err)
	}
}

// TestFatalEnd: a JobManager that would end in the same way again is not started again, and the cluster says why.
func TestFatalEnd(t *testing.T) {
	r, err := start(t, filepath.Join(t.TempDir(), "taken"), 0)
	if err != nil {
		t.Fatal(err)
	}
	<-r.s.Done()
	if err := r.s.Err(); err == nil || !strings.Contains(err.Error(), "2") {
		t.Errorf("error %v", err)
	}
	if err := r.s.Stop(true); err != nil {
		t.Error(err)
	}
}

// TestUnfitTaskManager: one that would end in the same way again is not started again, and the cluster goes on.
func TestUnfitTaskManager(t *testing.T) {
	r, err := start(t, filepath.Join(t.TempDir(), "unfit"), 1)
	if err != nil {
		t.Fatal(err)
	}
	r.said(" starts", 2)
	r.gone(fmt.Sprintf("%s%d-1", taskManagerPrefix, os.Getpid()))
	select {
	case <-r.s.Done():
		t.Error("the cluster has ended")
	default:
	}
	r.s.Kill()
	if err := r.s.Stop(false); err != nil {
		t.Error(err)
	}
}

// TestSweep: of TaskManagers that are gone the newest logs stay, and nothing else; what is not theirs is left alone.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, age int) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-time.Duration(age) * time.Hour)
		if err := os.Chtimes(filepath.Dir(path), at, at); err != nil {
			t.Fatal(err)
		}
	}
	id := func(n int) string { return fmt.Sprintf("taskmanager-%d-1", n) }
	for n := range keptLogs + 2 {
		put("taskmanager-"+id(n)+"/artifacts/program", 0)
		put("taskmanager-"+id(n)+"/lock", 0)
		put("taskmanager-"+id(n)+"/log/taskmanager.log", n)
		put("log/"+id(n)+".out", 0)
	}
	put("taskmanager-mine/artifacts/program", 0)
	// One has not ended yet.
	held, err := lock(filepath.Join(dir, "taskmanager-"+id(3)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := start(t, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		r.s.Kill()
		if err := errors.Join(r.s.Stop(false), held.Close()); err != nil {
			t.Error(err)
		}
	}()
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	for n := range keptLogs + 2 {
		kept, running := n < keptLogs, n == 3
		if got := there("taskmanager-" + id(n) + "/log/taskmanager.log"); got != kept {
			t.Errorf("log of %d: %v", n, got)
		}
		if got := there("log/" + id(n) + ".out"); got != kept {
			t.Errorf("output of %d: %v", n, got)
		}
		if got := there("taskmanager-" + id(n) + "/artifacts"); got != running {
			t.Errorf("programs of %d: %v", n, got)
		}
	}
	if !there("taskmanager-mine/artifacts/program") {
		t.Error("the programs of a TaskManager with a name of its own are gone")
	}
}
