// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// awaitGone waits until a path, that of a process or a directory, is there no more.
func awaitGone(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		if _, err := os.Stat(path); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still there", path)
		}
	}
}

func TestLifeOfAnExecutor(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 2, MemoryBytes: 2 << 30})
	m := r.await("report", func(e *weirpb.Envelope) bool { return e.GetTaskManagerReport() != nil }).GetTaskManagerReport()
	if m.GetVersion() != "v1" || m.GetCores() < 1 || m.GetProcessId() != int64(os.Getpid()) || m.GetHost() == "" ||
		m.GetMetrics()["Status.JVM.Memory.Heap.Used"] <= 0 {
		t.Errorf("report %v", m)
	}
	one := r.allocate("a")
	r.deploy(7)
	r.state(7, weirpb.TaskState_TASK_STATE_RUNNING)
	// A second slot goes to the same process, which may take more.
	two := r.allocate("a", "b")
	if one.GetProcess() != two.GetProcess() || !strings.HasSuffix(one.GetDataAddress(), fmt.Sprint(" ", 1<<30)) ||
		!strings.HasSuffix(two.GetDataAddress(), fmt.Sprint(" ", 2<<30)) {
		t.Errorf("reports %v and %v", one, two)
	}
	if !slices.Equal(two.GetAllocations(), []string{"a", "b"}) {
		t.Errorf("slots %v", two.GetAllocations())
	}
	r.send(master, &weirpb.Envelope{Body: &weirpb.Envelope_CancelTasks{CancelTasks: &weirpb.CancelTasks{Attempts: []int64{7}}}})
	r.state(7, weirpb.TaskState_TASK_STATE_CANCELED)
	// The job gives its slots back: its process ends, and comes anew with the next.
	r.heartbeat(nil)
	awaitGone(t, "/proc/"+one.GetProcess())
	awaitGone(t, r.worker.jobDir(job))
	if again := r.allocate("c"); again.GetProcess() == one.GetProcess() {
		t.Error("the process came back")
	}
}

// TestKilledExecutor: its JobMaster is told at once and again until it knows, and a new process takes its place.
func TestKilledExecutor(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 1})
	before := r.allocate("a")
	r.deploy(7, 8)
	r.state(8, weirpb.TaskState_TASK_STATE_RUNNING)
	pid, err := strconv.Atoi(before.GetProcess())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost := r.lost()
	took := time.Since(at)
	t.Logf("told after %v", took)
	if took > 2*time.Second {
		t.Errorf("told after %v", took)
	}
	if !slices.Equal(lost.GetAttempts(), []int64{7, 8}) || !strings.Contains(lost.GetReason(), "signal 9") ||
		lost.GetKind() != weirpb.FailureKind_FAILURE_KIND_WORLD || lost.GetTaskManager() != "tm" {
		t.Errorf("lost: %v", lost)
	}
	after := r.reported(1)
	t.Logf("a new process reports after %v", time.Since(at))
	if after.GetProcess() == before.GetProcess() || after.GetDataAddress() == before.GetDataAddress() {
		t.Errorf("reports %v and %v", before, after)
	}
	r.deploy(9)
	r.heartbeat([]string{"a"}, 7, 8, 9)
	r.state(9, weirpb.TaskState_TASK_STATE_RUNNING)
	if again := r.lost(); !slices.Equal(again.GetAttempts(), []int64{7, 8}) {
		t.Errorf("lost again: %v", again)
	}
	r.heartbeat([]string{"a"}, 9)
	// What was on its way may come still; after the next report of the Worker nothing does.
	for range 3 {
		r.await("report", func(e *weirpb.Envelope) bool { return e.GetTaskManagerReport() != nil })
	}
	for range 3 {
		r.await("report", func(e *weirpb.Envelope) bool {
			if e.GetExecutorLost() != nil {
				t.Errorf("told although it is known: %v", e.GetExecutorLost())
			}
			return e.GetTaskManagerReport() != nil
		})
	}
}

// TestEndsOfExecutors: each way to end has its reason.
func TestEndsOfExecutors(t *testing.T) {
	user := weirpb.FailureKind_FAILURE_KIND_USER
	for _, tt := range []struct {
		kind, want string
		memory     int64
		failure    weirpb.FailureKind
	}{
		{"panic", "panic: task went wrong", 0, user},
		{"grow", "more than its 128 MB of memory", 128 << 20, user},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			r := newRig(t, tt.kind, WorkerConfig{Slots: 1, MemoryBytes: tt.memory})
			r.allocate("a")
			r.deploy(7)
			lost := r.lost()
			if !strings.Contains(lost.GetReason(), tt.want) || lost.GetKind() != tt.failure ||
				!slices.Equal(lost.GetAttempts(), []int64{7}) {
				t.Errorf("lost: %v", lost)
			}
		})
	}
}

// TestExecutorThatCannotStart: what was deployed meanwhile is lost, with the reason, and another start is tried.
func TestExecutorThatCannotStart(t *testing.T) {
	r := newRig(t, "crash", WorkerConfig{Slots: 1})
	r.offered("a")
	r.deploy(7)
	for range 2 {
		r.deploy(8)
		lost := r.await("loss", func(e *weirpb.Envelope) bool {
			return slices.Contains(e.GetExecutorLost().GetAttempts(), 8)
		}).GetExecutorLost()
		if !strings.Contains(lost.GetReason(), "wrong from the start") || lost.GetKind() != weirpb.FailureKind_FAILURE_KIND_USER {
			t.Errorf("lost: %v", lost)
		}
		r.heartbeat([]string{"a"})
	}
}

func TestTaskThatDoesNotEnd(t *testing.T) {
	r := newRig(t, "stubborn", WorkerConfig{Slots: 1, CancelTimeout: 100 * time.Millisecond})
	r.allocate("a")
	r.deploy(7)
	r.state(7, weirpb.TaskState_TASK_STATE_RUNNING)
	r.heartbeat([]string{"a"}) // it is not wanted
	lost := r.lost()
	if !strings.Contains(lost.GetReason(), "attempt 7 did not end within 100ms") {
		t.Errorf("lost: %v", lost)
	}
}

func TestRequests(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 1})
	r.allocate("a")
	list := r.ask(&weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ListLogs{ListLogs: &weirpb.ListLogs{}}})
	if got := names(list.GetLogs()); !slices.Equal(got, []string{job + "/" + executorLog, workerLog}) {
		t.Errorf("logs %q", got)
	}
	read := func(name string, offset int64, limit int32) *weirpb.WorkerReply {
		return r.ask(&weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ReadLog{ReadLog: &weirpb.ReadLog{
			Name: name, Offset: offset, BytesMax: limit,
		}}})
	}
	if a := read(job+"/"+executorLog, 1, 3); string(a.GetData()) != "ead" || a.GetOffset() != 1 || a.GetSize() != 6 {
		t.Errorf("part: %v", a)
	}
	if a := read(job+"/"+executorLog, -3, 0); string(a.GetData()) != "dy\n" || a.GetOffset() != 3 {
		t.Errorf("end: %v", a)
	}
	if a := read(workerLog, 0, 0); !strings.Contains(string(a.GetData()), "executor started") {
		t.Errorf("own log: %s", a.GetData())
	}
	secret := filepath.Join(r.worker.dirs.root, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(r.worker.logDir(), "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "/etc/passwd", "x/../../secret", "", ".", job, "link", "none.log"} {
		if a := read(name, 0, 0); a.GetError() == "" || len(a.GetData()) > 0 || !a.GetNotFound() {
			t.Errorf("read %q: %v", name, a)
		}
	}
	dump := r.ask(&weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ThreadDump{ThreadDump: &weirpb.ThreadDump{}}})
	if !strings.Contains(string(dump.GetData()), "TestRequests") {
		t.Errorf("dump: %.200s", dump.GetData())
	}
	if a := r.ask(&weirpb.WorkerRequest{}); a.GetError() == "" {
		t.Errorf("unknown request: %v", a)
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 1})
	r.allocate("a")
	if a := r.ask(&weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_Drain{Drain: &weirpb.Drain{}}}); a.GetError() != "" {
		t.Errorf("drain: %v", a)
	}
	r.await("report", func(e *weirpb.Envelope) bool { return e.GetTaskManagerReport().GetDraining() })
	select {
	case <-r.worker.Drained():
		t.Error("drained while a slot is in use")
	default:
	}
	r.heartbeat(nil)
	select {
	case <-r.worker.Drained():
	case <-time.After(patience):
		t.Error("not drained")
	}
}

func TestStopLeavesNothing(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 1, MemoryBytes: 1 << 30})
	pid := r.allocate("a").GetProcess()
	r.stop()
	if _, err := os.Stat("/proc/" + pid); err == nil {
		t.Errorf("process %s is left", pid)
	}
	if _, err := os.Stat(filepath.Join(r.worker.dirs.root, "jobs")); err == nil {
		t.Error("directories of jobs are left")
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, e := range open {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, r.worker.dirs.root) {
			t.Errorf("%s is open", target)
		}
	}
}

func TestDirectoryIsOnesOwn(t *testing.T) {
	r := newRig(t, "work", WorkerConfig{Slots: 1})
	c := r.worker.config
	if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "runs there already") {
		t.Errorf("error %v", err)
	}
	for _, bad := range []WorkerConfig{{ID: "../x", Slots: 1}, {ID: "x"}, {ID: "x", Slots: 1, MemoryBytes: -1}} {
		bad.DataDir, bad.Logger, bad.Connect = t.TempDir(), c.Logger, c.Connect
		if _, err := Start(t.Context(), bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
