// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/test/flightstest"
)

const shipped = "../../examples/flights/data"

// repository is the root of this module.
func repository(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestSession types what the README says, and runs the program once more that the cluster has already.
func TestSession(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "2")
	c.process.says(t, "2 TaskManagers, 4 slots")
	want := flightstest.Reference(t, shipped)
	args := append([]string{"run", "./examples/flights"}, c.client...)
	begin(t, repository(t), weir(t), append(args, "--", "--out", c.out("first"))...).wants(t, 0, "is submitted", "FINISHED in ")
	flightstest.Compare(t, c.out("first"), want)

	var ended struct {
		ID, Name, State string
		RecordsIn       int64 `json:"records-in"`
	}
	c.weir("run", "-o", "json", "-p", "3", "--name", "again", flights(t), "--", "--out", "second").wants(t, 0).into(t, &ended)
	if ended.State != "FINISHED" || ended.Name != "again" || ended.RecordsIn == 0 {
		t.Errorf("the end of the job: %+v", ended)
	}
	flightstest.Compare(t, c.out("second"), want)
	c.weir("run", flights(t), "--", "--out", "second").wants(t, 1, "results of another run", "--overwrite")
	flightstest.Compare(t, c.out("second"), want)
}

// TestJobMode runs a job on a cluster of its own, which is gone when the job has ended, well or not.
func TestJobMode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.weir("run", "--target", "job", flights(t), "--", "--out", "out").wants(t, 0, "FINISHED in ")
	c.leavesNothing()
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))
	c.weir("run", "--target", "job", program(t, "test/cluster/programs/odd"), "-D", "restart-strategy.type=none",
		"--", "--how", "panic").wants(t, 1, "it is a hundred")
	c.leavesNothing()
}

// TestApplicationMode has the cluster describe the graph; the client leaves at once.
func TestApplicationMode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.weir("run", "--target", "application", flights(t), "--", "--out", c.out("out")).wants(t, 0, "FINISHED in ")
	c.leavesNothing()
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))

	c.weir("run", "-d", "--target", "application", flights(t), "--", "--out", c.out("detached")).wants(t, 0)
	eventually(t, "the cluster is gone with its application", func() bool { return len(processes(t, c.root)) == 0 }, nil)
	flightstest.Compare(t, c.out("detached"), flightstest.Reference(t, shipped))

	c.weir("run", "--target", "application", flights(t), "--", "--out", "relative").wants(t, 1, "relative", "absolute")
	c.leavesNothing()
	if _, err := os.Stat(c.out("relative")); err == nil {
		t.Error("a job with a relative path has written something")
	}
}

// TestSeveralJobs runs a program with two jobs: in application mode both, else the one that is named.
func TestSeveralJobs(t *testing.T) {
	t.Parallel()
	several := program(t, "test/cluster/programs/several")
	c := newCluster(t)
	c.weir("run", "--target", "application", several, "--", "--out", c.out("app")).wants(t, 0)
	c.leavesNothing()
	numbers(t, c.out("app/evens"), 0)
	numbers(t, c.out("app/odds"), 1)

	c.start()
	c.weir("run", several, "--", "--out", "s").wants(t, 1, "several jobs", "evens, odds")
	c.weir("run", several, "--", "odds", "--out", "s").wants(t, 0)
	numbers(t, c.out("s/odds"), 1)
	if _, err := os.Stat(c.out("s/evens")); err == nil {
		t.Error("the other job has run, too")
	}
}

// numbers checks that the committed lines of a directory are a thousand even or odd numbers.
func numbers(t *testing.T, dir string, first int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Fields(string(text))...)
		}
	}
	for i := range 1000 {
		want = append(want, itoa(2*i+first))
	}
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("%s has %d numbers, want %d", dir, len(got), len(want))
	}
}
