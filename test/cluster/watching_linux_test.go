// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// get asks for a page with a header more, and returns its status and text; 0 where nobody answers.
func get(t *testing.T, url, header, value string) (status int, text string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Close = true
	if header == "Host" {
		q.Host = value
	} else {
		q.Header.Set(header, value)
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = a.Body.Close() }() // it was read
	page, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, err.Error()
	}
	return a.StatusCode, string(page)
}

// TestMetricsOfAllProcesses reads the metrics of a job at the JobManager and at each TaskManager, and nothing of them under
// a name of somebody else.
func TestMetricsOfAllProcesses(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "1", "-D", "metrics.reporter.prom.port=0")
	id := c.submit(flights(t), "-p", "2", "--", "--rate", "100", "--out", "out")
	c.running(id)
	address, err := os.ReadFile(filepath.Join(c.data, "rest.address"))
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"http://" + strings.TrimSpace(string(address)) + "/metrics"}
	for _, m := range regexp.MustCompile(`metrics are served".* address=(\S+)`).FindAllStringSubmatch(c.taskManagerLogs(), -1) {
		pages = append(pages, "http://"+m[1]+"/metrics")
	}
	if len(pages) != 3 {
		t.Fatalf("metrics are served on %q", pages)
	}
	for _, url := range pages {
		eventually(t, url+" shows the tasks of the job", func() bool {
			status, page := get(t, url, "Accept", "text/plain")
			return status == http.StatusOK && strings.Contains(page, "flink_taskmanager_job_task_operator_numRecordsOut{") &&
				strings.Contains(page, `job_id="`+id+`"`) && strings.Contains(page, "flink_taskmanager_Status_JVM_CPU_Load{")
		}, nil)
		if status, _ := get(t, url, "Host", "evil.example.org"); status != http.StatusForbidden {
			t.Errorf("%s under a foreign name: %d", url, status)
		}
	}
	if status, _ := get(t, pages[0], "Origin", "https://evil.example.org"); status != http.StatusForbidden {
		t.Errorf("for a foreign page: %d", status)
	}
	c.weir("cancel", id).wants(t, 0)
	c.state(id, "CANCELED")
}

// taskManagerLogs are those of all TaskManagers.
func (c *cluster) taskManagerLogs() string {
	c.t.Helper()
	names, err := filepath.Glob(filepath.Join(c.data, "taskmanager-*/log/taskmanager.log"))
	if err != nil {
		c.t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
