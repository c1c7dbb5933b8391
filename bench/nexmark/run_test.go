// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-stream/weir"
)

// upserts are the queries whose number of rows depends on the order in which records come.
var upserts = map[string]bool{"q4": true, "q9": true, "q18": true, "q19": true}

// TestRun runs all queries with their loops, and reads what was written of them.
func TestRun(t *testing.T) {
	o, err := parseOptions([]string{"--events", "2000", "--hand", "--borrowed", "--state=false"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(t, o.config)
	o.checkpointDir = t.TempDir()
	r := newReport(t.Context(), &o)
	for _, q := range o.queries {
		f, err := measure(t.Context(), g, q, embedded{g, o.settings}, &o)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		f.compare(g.Events)
		r.Queries = append(r.Queries, f)
		if f.Hand != nil && f.Job.Rows == 0 && f.Hand.Rows > 0 {
			t.Errorf("%s: the job has no rows, the loop %d", q.name, f.Hand.Rows)
		}
		if f.Owned.Rows != f.Borrowed.Rows && q.name != "q12" && !upserts[q.name] {
			t.Errorf("%s: %d rows where strings are copied, %d where they are lent", q.name, f.Owned.Rows, f.Borrowed.Rows)
		}
		var row strings.Builder
		if r.printRow(&row, &f); len(strings.Fields(row.String())) != 1+len(r.columns()) {
			t.Errorf("%s: row %q has not %d columns", q.name, row.String(), 1+len(r.columns()))
		}
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var again report
	if err := json.Unmarshal(text, &again); err != nil || len(again.Queries) != len(queries()) || again.Events != 2000 {
		t.Errorf("%d queries of %d events: %v", len(again.Queries), again.Events, err)
	}
}

// TestCheckpoint has a look at what queries remember behind the last event: nothing, and people with auctions.
func TestCheckpoint(t *testing.T) {
	o, err := parseOptions([]string{"--events", "20000", "--queries", "q0,q3"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(t, o.config)
	o.checkpointDir = t.TempDir()
	r := newReport(t.Context(), &o)
	var bytes []int64
	for _, q := range o.queries {
		f, err := measure(t.Context(), g, q, embedded{g, o.settings}, &o)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		if f.State.Seconds <= 0 {
			t.Errorf("%s: a checkpoint takes %v s", q.name, f.State.Seconds)
		}
		f.compare(g.Events)
		var row strings.Builder
		if r.printRow(&row, &f); len(strings.Fields(row.String())) != 1+len(r.columns()) {
			t.Errorf("%s: row %q has not %d columns", q.name, row.String(), 1+len(r.columns()))
		}
		bytes = append(bytes, f.State.Bytes)
	}
	if bytes[0] > 1000 || bytes[1] < 10_000 {
		t.Errorf("%v bytes", bytes)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"--queries", "q99"}, {"q0"}, {"--events", "many"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q passes", args)
		}
	}
	o, err := parseOptions([]string{"--queries", "q3,q0"})
	if err != nil || len(o.queries) != 2 || o.queries[0].name != "q3" || o.queries[1].name != "q0" {
		t.Errorf("%d queries: %v", len(o.queries), err)
	}
}

// TestClusterJobs gives a job the arguments that it gets on a cluster.
func TestClusterJobs(t *testing.T) {
	o, err := parseOptions([]string{"--events", "300", "--tps", "50", "--out-of-order", "10", "--seed", "7", "--parallelism", "3", "--checkpoint-interval", "1s"})
	if err != nil {
		t.Fatal(err)
	}
	jobs := clusterJobs()
	if len(jobs) != len(queries()) {
		t.Errorf("%d jobs of %d queries", len(jobs), len(queries()))
	}
	h, err := weir.Run(t.Context(), "q0", jobs["q0"], weir.Options{Args: o.arguments()})
	if err == nil {
		err = h.Wait()
	}
	if err != nil {
		t.Error(err)
	}
}
