// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// scrape asks a Worker for its metrics under a name.
func scrape(t *testing.T, w *Worker, host string) (status int, page string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.MetricsAddress()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		q.Host = host
	}
	q.Close = true
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }() // it was read
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// TestMetrics: a Worker shows itself and what its executors last reported of their tasks, by Flink's names.
func TestMetrics(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	r := newRig(t, "work", WorkerConfig{Slots: 1, MetricsPorts: []int{taken.Addr().(*net.TCPAddr).Port, 0}})
	r.allocate("a")
	r.deploy(7)
	r.await("report of the task", func(e *weirpb.Envelope) bool { return len(e.GetExecutorReport().GetTasks()) > 0 })
	status, page := scrape(t, r.worker, "")
	for _, want := range []string{
		`flink_taskmanager_Status_JVM_Memory_Heap_Used{host=`,
		`flink_taskmanager_job_task_numRecordsOut{`,
		`job_id="` + job + `"`, `task_name="source"`, `task_attempt_id="7"`, `task_attempt_num="`, `subtask_index="0"`, `tm_id="tm"`,
		`flink_taskmanager_job_task_operator_numRecordsOut{`, `operator_name="numbers"`, "} 42\n",
	} {
		if status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("status %d, no %s:\n%.2000s", status, want, page)
		}
	}
	if strings.Contains(page, "flink_jobmanager") { // only the JobMaster knows
		t.Error("the page has flink_jobmanager")
	}
	if status, _ := scrape(t, r.worker, "evil.example.org"); status != http.StatusForbidden {
		t.Errorf("under a foreign name: %d", status)
	}
	if status, _ := scrape(t, r.worker, "localhost:1"); status != http.StatusOK {
		t.Errorf("as localhost: %d", status)
	}
}

// TestMetricsWithoutPort: the work goes on where no port is free, and nothing is served unless that is asked for.
func TestMetricsWithoutPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, ports := range [][]int{nil, {taken.Addr().(*net.TCPAddr).Port}} {
		r := newRig(t, "work", WorkerConfig{Slots: 1, MetricsPorts: ports})
		if at := r.worker.MetricsAddress(); at != "" {
			t.Errorf("served on %s", at)
		}
		r.await("report", func(e *weirpb.Envelope) bool { return e.GetTaskManagerReport() != nil })
	}
}
