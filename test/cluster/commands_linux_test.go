// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/test/flightstest"
)

func itoa(i int) string { return strconv.Itoa(i) }

// TestLifeOfAJob goes through all that people do with a job, and compares its results at the end: those of two runs, of
// which the second began from the savepoint of the first at another parallelism.
func TestLifeOfAJob(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "2")
	id := c.submit(flights(t), "--", "--rate", "700", "--checkpoint-interval", "100ms", "--out", "out", "--parallelism", "2")
	c.running(id)
	var jobs []restclient.JobOverview
	c.weir("list", "-o", "json").wants(t, 0).into(t, &jobs)
	if len(jobs) != 1 || jobs[0].ID != id || jobs[0].Name != "flights" || jobs[0].State != "RUNNING" {
		t.Errorf("list: %+v", jobs)
	}
	c.weir("list").wants(t, 0, id, "flights", "RUNNING")
	c.weir("describe", id[:10]).wants(t, 0, id, "hourly", "checkpoints: ", "running")
	c.weir("describe", "flights", "-o", "json").wants(t, 0, `"exceptions"`)
	c.weir("checkpoint", id).wants(t, 0, "has completed checkpoint ")
	c.weir("logs", id).wants(t, 0, "==> ")

	var saved struct{ Savepoint string }
	c.weir("savepoint", id, "sp", "-o", "json").wants(t, 0).into(t, &saved)
	if !strings.HasPrefix(saved.Savepoint, c.out("sp")) {
		t.Errorf("the savepoint is at %q", saved.Savepoint)
	}
	c.weir("savepoint", "--dispose", saved.Savepoint).wants(t, 0, "is deleted")
	if _, err := os.Stat(saved.Savepoint); err == nil {
		t.Error("a savepoint that was disposed of is there")
	}
	c.weir("savepoint", "--dispose", saved.Savepoint).wants(t, 1)

	c.weir("stop", id, "-p", "sp", "-o", "json").wants(t, 0).into(t, &saved)
	c.state(id, "FINISHED")
	c.weir("list").wants(t, 0, "no jobs")
	c.weir("list", "--all").wants(t, 0, id, "FINISHED")
	c.weir("stop", id).wants(t, 1)
	c.weir("run", "-s", saved.Savepoint, "-p", "3", flights(t), "--", "--out", "out", "--parallelism", "3").wants(t, 0, "FINISHED in ")
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))
	c.weir("run", "-s", "sp/none", flights(t), "--", "--out", "other").wants(t, 1, c.out("sp/none"))
}

// TestCancel ends an attached run with the code for that, and Ctrl-C leaves a job alone.
func TestCancel(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	attached := c.weir("run", load(t), "--", "--events", "0", "--rate", "1000", "--out", "out")
	attached.says(t, "is submitted")
	var id string
	eventually(t, "the job is listed", func() bool {
		var jobs []restclient.JobOverview
		c.weir("list", "-o", "json").wants(t, 0).into(t, &jobs)
		if len(jobs) == 1 {
			id = jobs[0].ID
		}
		return id != ""
	}, nil)
	c.running(id)
	attached.signal(t, syscall.SIGINT)
	attached.wants(t, 0, "detached; the job goes on", "weir cancel "+id[:8])
	c.running(id)
	c.weir("cancel", "load").wants(t, 0, "is being canceled")
	c.state(id, "CANCELED")
	eventually(t, "its processes are gone", func() bool {
		return len(c.processes(executor)) == 0 && len(c.processes(jobMaster)) == 0
	}, nil)
	checkpoints, err := filepath.Glob(filepath.Join(c.data, "checkpoints", "*", "*", "chk", "*"))
	if err != nil || len(checkpoints) > 0 {
		t.Errorf("checkpoints of a canceled job are left: %v, %v", checkpoints, err)
	}
	c.weir("cancel", id).wants(t, 1)

	canceled := c.weir("run", "--name", "second", load(t), "--", "--events", "0", "--rate", "1000", "--out", "second")
	canceled.says(t, "is submitted")
	eventually(t, "the second job is found", func() bool { return c.weir("cancel", "second").code() == 0 }, nil)
	canceled.wants(t, 130, "was canceled")
}

// TestTaskManagers lists them and drains one: its tasks go on elsewhere.
func TestTaskManagers(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "2")
	var all []restclient.TaskManager
	c.weir("taskmanagers", "-o", "json").wants(t, 0).into(t, &all)
	if len(all) != 2 || all[0].Slots != 2 || all[0].FreeSlots != 2 || all[1].Slots != 2 {
		t.Fatalf("TaskManagers: %+v", all)
	}
	c.weir("taskmanagers").wants(t, 0, all[0].ID, all[1].ID, "256 MB")
	before := c.processes(taskManager)
	c.weir("taskmanagers", "drain", all[0].ID).wants(t, 0, "takes no further work")
	id := c.submit(load(t), "--", "--events", "0", "--rate", "1000", "--out", "out")
	c.running(id)
	eventually(t, "the drained TaskManager has ended", func() bool {
		return !slices.ContainsFunc(before, func(p proc) bool {
			return alive(p.pid) && strings.Contains(strings.Join(p.args, " "), all[0].ID)
		})
	}, func() string { return c.weir("taskmanagers").text() })
	c.weir("taskmanagers", "drain", "nobody").wants(t, 1, "nobody")
	c.weir("cancel", id).wants(t, 0)
	c.state(id, "CANCELED")
}

// TestWithoutCluster are the commands that need none, and what the others say then.
func TestWithoutCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.client = append(c.client, "-D", "rest.port=1")
	for _, args := range [][]string{
		{"list"}, {"cancel", "x"}, {"describe", "x"}, {"taskmanagers"}, {"run", flights(t)}, {"savepoint", "x"}, {"logs", "x"},
	} {
		c.weir(args...).wants(t, 3, "no JobManager is reached", "weir cluster up")
	}
	for _, args := range [][]string{
		{"cancel"}, {"frobnicate"}, {"list", "--bogus"}, {"list", "-D", "rest.prot=1"}, {"run", flights(t), "--out", "x"}, {"list", "-o", "xml"}, {"run", "--target", "moon", flights(t)},
	} {
		c.weir(args...).wants(t, 2)
	}
	c.weir("cluster", "down").wants(t, 1, "no cluster is up")
	c.weir("list", "-D", "rest.prot=1").wants(t, 2, "rest.port")
	c.weir("info", flights(t)).wants(t, 0, "flights", "hourly", "slot")
	var plan struct{ Nodes []json.RawMessage }
	c.weir("info", flights(t), "-o", "json").wants(t, 0).into(t, &plan)
	if len(plan.Nodes) < 4 {
		t.Errorf("the plan has %d nodes", len(plan.Nodes))
	}
	c.weir("config").wants(t, 0, "rest.port", "jobmanager.rpc.port", "6123", "default", "-D")
	c.weir("version", "-o", "json").wants(t, 0, `"protocol"`)
	c.weir("--help").wants(t, 0, "cluster", "run", "savepoint", "Exit codes")
	if left, err := os.ReadDir(c.work); err != nil || len(left) > 0 {
		t.Errorf("commands left %v behind, %v", left, err)
	}
}

// TestInit makes a new job, tests it, and runs it on a cluster.
func TestInit(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.weir("init", "tally", "--checkout", repository(t)).wants(t, 0, "tally/ is made")
	c.weir("init", "tally", "--checkout", repository(t)).wants(t, 1, "is there already")
	dir := c.out("tally")
	sums, err := os.ReadFile(filepath.Join(repository(t), "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "tidy"},
		{"test", "./..."},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	begin(t, dir, weir(t), append([]string{"run", "."}, c.client...)...).wants(t, 0, "FINISHED in ")
	names, err := filepath.Glob(filepath.Join(dir, "counts", "part-*.csv"))
	if err != nil || len(names) == 0 {
		t.Errorf("results: %v, %v", names, err)
	}
}
