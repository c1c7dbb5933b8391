// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package flink

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// distributionIn makes files as a distribution has them.
func distributionIn(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	const dist, sql, utils = "lib/flink-dist-9.8.7.jar", "opt/flink-sql-client-9.8.7.jar", "bin/bash-java-utils.jar"
	java := distributionIn(t, "bin/java", "bin/javac")
	for _, c := range []struct {
		dir, java, want string
	}{
		{"", java, "no directory of Flink"},
		{distributionIn(t, sql, utils), java, "is no distribution of Flink"},
		{distributionIn(t, dist, "lib/flink-dist-9.8.8.jar", sql, utils), java, "there are 2 files"},
		{distributionIn(t, dist, utils), java, "lacks the SQL client"},
		{distributionIn(t, dist, sql), java, "lacks what lays out the memory"},
		{distributionIn(t, dist, sql, utils), t.TempDir(), "java"},
		{distributionIn(t, dist, sql, utils), distributionIn(t, "bin/java"), "javac"},
	} {
		t.Setenv("JAVA_HOME", c.java)
		if _, err := Open(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	t.Setenv("JAVA_HOME", java)
	h, err := Open(distributionIn(t, dist, sql, utils))
	if err != nil || h.Version != "9.8.7" {
		t.Errorf("version %q: %v", h.Version, err)
	}
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(h.dir); err == nil || !strings.Contains(err.Error(), "Flink needs a JDK") {
		t.Errorf("without a Java: %v", err)
	}
}

// TestREST reads what a JobManager answers.
func TestREST(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
	}
	answer("/overview", map[string]any{"slots-total": 3})
	answer("/jobs/overview", map[string]any{"jobs": []map[string]any{
		{"jid": "a", "name": "q0", "state": "FINISHED", "end-time": 7000},
		{"jid": "b", "name": "q1", "state": "RUNNING", "end-time": -1},
	}})
	answer("/jobs/a", map[string]any{"jid": "a", "end-time": 7000, "timestamps": map[string]any{"RUNNING": 4000}})
	server := httptest.NewServer(mux)
	defer server.Close()
	r := rest(server.URL)
	if n := r.slots(); n != 3 {
		t.Errorf("%d slots", n)
	}
	if j := r.job("q1"); j == nil || j.ID != "b" || j.End > 0 {
		t.Errorf("job %+v", j)
	}
	if j := r.job("q2"); j != nil {
		t.Errorf("job %+v", j)
	}
	j := r.job("q0")
	if err := r.get("/jobs/"+j.ID, j); err != nil || j.Timestamps["RUNNING"] != 4000 {
		t.Errorf("job %+v: %v", j, err)
	}
	if n := rest("http://localhost:0").slots(); n != -1 {
		t.Errorf("%d slots where nobody answers", n)
	}
}
