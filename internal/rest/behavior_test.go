// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rest/resttest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// bodyOf sends a GET and decodes the answer.
func bodyOf[T any](t *testing.T, h http.Handler, path string) T {
	t.Helper()
	w := do(t, h, http.MethodGet, path, "", nil)
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %v: %s", path, w.Code, err, w.Body)
	}
	return v
}

func TestOperationsReachTheCluster(t *testing.T) {
	t.Parallel()
	const job, id = "/jobs/" + jobRunning, "0123456789ABCDEF0123456789abcdef"
	lower := strings.ToLower(id)
	for _, c := range []struct{ request, body, want string }{
		{"PATCH " + job, "", "cancel " + jobRunning},
		{"GET " + job + "/yarn-cancel", "", "cancel " + jobRunning},
		{
			"POST " + job + "/savepoints", `{"target-directory":"/d/../e","cancel-job":true,"triggerId":"` + id + `"}`,
			"savepoint " + jobRunning + " " + lower + " dir=/e stop=false drain=false cancel=true",
		},
		{
			"POST " + job + "/stop", `{"targetDirectory":"file:///e","drain":true,"formatType":"NATIVE","triggerId":"` + id + `"}`,
			"savepoint " + jobRunning + " " + lower + " dir=/e stop=true drain=true cancel=false",
		},
		{
			"POST " + job + "/stop", `{"targetDirectory":null,"drain":null,"triggerId":"` + id + `"}`,
			"savepoint " + jobRunning + " " + lower + " dir= stop=true drain=false cancel=false",
		},
		{"POST " + job + "/checkpoints", `{"checkpointType":"full","triggerId":"` + id + `"}`, "checkpoint " + jobRunning + " " + lower + " full=true"},
		{"POST " + job + "/checkpoints", `{"checkpointType":"CONFIGURED","triggerId":"` + id + `"}`, "checkpoint " + jobRunning + " " + lower + " full=false"},
		{"POST /savepoint-disposal", `{"savepoint-path":"/s","triggerId":"` + id + `"}`, "dispose " + lower + " /s"},
		{"PATCH " + job + "/clientHeartbeat", `{"expiredTimestamp":1700000000000}`, "heartbeat " + jobRunning + " 1700000000000"},
		{"POST /applications/" + jobRunning + "/cancel", "", "cancel application " + jobRunning},
		{"POST /weir/taskmanagers/tm-1/drain", "", "drain tm-1"},
		{"DELETE /cluster", "", "shutdown"},
	} {
		f := newFake()
		method, path, _ := strings.Cut(c.request, " ")
		w := do(t, newTestAPI(t, f, nil), method, path, c.body, nil)
		if asked := f.noted(); w.Code >= 300 || !slices.Equal(asked, []string{c.want}) {
			t.Errorf("%s %s: %d %s, asked %q, want %q", c.request, c.body, w.Code, w.Body, asked, c.want)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	const job, program = "/jobs/" + jobRunning, "/jars/" + programID1
	const vertex = job + "/vertices/" + vertexSource
	for request, want := range map[string]int{
		"PATCH " + job + "?mode=kill ":                                                  http.StatusBadRequest,
		"PATCH " + job + "?mode=stop ":                                                  http.StatusPermanentRedirect,
		"GET " + job + "/yarn-stop ":                                                    http.StatusPermanentRedirect,
		"POST " + job + "/savepoints {":                                                 http.StatusBadRequest,
		"POST " + job + `/savepoints {"target-directory":"relative"}`:                   http.StatusBadRequest,
		"POST " + job + `/savepoints {"target-directory":"/a\u0000b"}`:                  http.StatusBadRequest,
		"POST " + job + `/savepoints {"target-directory":"s3://bucket/x"}`:              http.StatusBadRequest,
		"POST " + job + `/savepoints {"formatType":"XML"}`:                              http.StatusBadRequest,
		"POST " + job + `/savepoints {"triggerId":"../../etc"}`:                         http.StatusBadRequest,
		"POST " + job + `/checkpoints {"checkpointType":"SOME"}`:                        http.StatusBadRequest,
		"POST /savepoint-disposal {}":                                                   http.StatusBadRequest,
		"PATCH " + job + "/clientHeartbeat {}":                                          http.StatusBadRequest,
		"POST /jobs/" + jobUnknown + "/stop {}":                                         http.StatusNotFound,
		"POST /jobs/" + jobFinished + "/stop {}":                                        http.StatusConflict,
		"POST " + program + `/run {"parallelism":0}`:                                    http.StatusBadRequest,
		"POST " + program + `/run {"parallelism":"many"}`:                               http.StatusBadRequest,
		"POST " + program + `/run {"allowNonRestoredState":"perhaps"}`:                  http.StatusBadRequest,
		"POST " + program + `/run {"claimMode":"LEGACY"}`:                               http.StatusBadRequest,
		"POST " + program + `/run {"jobId":"1"}`:                                        http.StatusBadRequest,
		"POST " + program + `/run {"described":"AAAA"}`:                                 http.StatusBadRequest,
		"POST " + program + `/run {"programArgsList":["a\u0000b"]}`:                     http.StatusBadRequest,
		"POST /jars/none/run {}":                                                        http.StatusNotFound,
		"GET " + job + "/checkpoints/details/x ":                                        http.StatusBadRequest,
		"GET " + job + "/checkpoints/details/99 ":                                       http.StatusNotFound,
		"GET " + job + "/checkpoints/details/4/subtasks/" + jobUnknown + " ":            http.StatusNotFound,
		"GET " + job + "/savepoints/" + triggerCheck + " ":                              http.StatusNotFound,
		"GET " + job + "/checkpoints/" + triggerDone + " ":                              http.StatusNotFound,
		"GET " + job + "/vertices/" + jobUnknown + " ":                                  http.StatusNotFound,
		"GET " + job + "/vertices/x ":                                                   http.StatusBadRequest,
		"GET " + vertex + "/subtasks/7 ":                                                http.StatusNotFound,
		"GET " + vertex + "/subtasks/-1 ":                                               http.StatusBadRequest,
		"GET " + vertex + "/subtasks/0/attempts/9 ":                                     http.StatusNotFound,
		"GET " + vertex + "/subtasks/metrics?get=x&agg=mode ":                           http.StatusBadRequest,
		"GET " + vertex + "/subtasks/metrics?subtasks=3-1 ":                             http.StatusBadRequest,
		"GET " + job + "/exceptions?maxExceptions=x ":                                   http.StatusBadRequest,
		"GET " + job + "/exceptions?failureLabelFilter=x ":                              http.StatusBadRequest,
		"GET /jobs/metrics?jobs=x ":                                                     http.StatusBadRequest,
		"GET /jobmanager/logs/none.log ":                                                http.StatusNotFound,
		"GET /weir/jobs/" + jobRunning + "/logs/jobmanager/jobmanager.log ":             http.StatusNotFound,
		"GET /weir/jobs/" + jobRunning + "/logs/tm-1/" + jobRunning + "/x.log?bytes=0 ": http.StatusBadRequest,
		"GET /datasets/delete/" + jobUnknown + " ":                                      http.StatusNotFound,
		"POST " + job + "/coordinators/" + vertexSource + " {}":                         http.StatusBadRequest,
		"PUT /overview ": http.StatusNotFound,
	} {
		method, rest, _ := strings.Cut(request, " ")
		path, body, _ := strings.Cut(rest, " ")
		f := newFake()
		w := do(t, newTestAPI(t, f, nil), method, path, body, nil)
		if w.Code != want || !strings.Contains(w.Body.String(), `{"errors":["`) {
			t.Errorf("%s: %d %s, want %d", request, w.Code, w.Body, want)
		}
		if asked := f.noted(); want == http.StatusBadRequest && len(asked) > 0 {
			t.Errorf("%s: the cluster was asked %v", request, asked)
		}
	}
}

func TestRunOfProgram(t *testing.T) {
	t.Parallel()
	described := &weirpb.JobDescription{Job: "delays", Fingerprint: 7}
	text, err := proto.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("AB", 16)
	for _, c := range []struct {
		name, query, body string
		want              Run
	}{
		{"nothing", "", "", Run{}},
		{"nulls", "", `{"entryClass":null,"parallelism":null,"programArgsList":null,"savepointPath":null,"allowNonRestoredState":null}`, Run{}},
		{
			"all", "",
			`{"entryClass":"delays","programArgsList":["--a","b c"],"parallelism":4,"jobId":"` + id + `","allowNonRestoredState":true,` +
				`"savepointPath":"file:/s/1","claimMode":"CLAIM","flinkConfiguration":{"k":"v"},"jobName":"n","directory":"/home",` +
				`"described":"` + base64.StdEncoding.EncodeToString(text) + `","unknown":1}`,
			Run{
				Job: "delays", Arguments: []string{"--a", "b c"}, Parallelism: 4, JobID: strings.ToLower(id),
				AllowNonRestoredState: true, Savepoint: "/s/1", Settings: map[string]string{"k": "v"}, Name: "n", Dir: "/home",
				Described: described,
			},
		},
		{
			"as text", "", `{"parallelism":"3","allowNonRestoredState":"false","programArgs":"--a 'b \"c' d\"e f\"\t''"}`,
			Run{Parallelism: 3, Arguments: []string{"--a", `b "c`, "de f", ""}},
		},
		{
			"by the query", "entry-class=delays&parallelism=2&programArg=--a,b&savepointPath=/s&allowNonRestoredState=true", "",
			Run{Job: "delays", Parallelism: 2, Arguments: []string{"--a", "b"}, Savepoint: "/s", AllowNonRestoredState: true},
		},
		{"a line in the query", "program-args=" + url.QueryEscape("--a b"), "", Run{Arguments: []string{"--a", "b"}}},
		{
			"the body wins", "entry-class=routes&programArg=x", `{"entryClass":"delays","programArgsList":["y"]}`,
			Run{Job: "delays", Arguments: []string{"y"}},
		},
		{"an application", "application", `{"applicationId":"` + id + `"}`, Run{JobID: strings.ToLower(id)}},
	} {
		f := newFake()
		path := "/jars/" + programID1 + "/run?" + c.query
		if c.query == "application" {
			path = "/jars/" + programID1 + "/run-application"
		}
		w := do(t, newTestAPI(t, f, nil), http.MethodPost, path, c.body, nil)
		c.want.Program = programID1
		if w.Code >= 300 || len(f.runs) != 1 {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			continue
		}
		got := f.runs[0]
		if !proto.Equal(got.Described, c.want.Described) {
			t.Errorf("%s: described %v", c.name, got.Described)
		}
		got.Described, c.want.Described = nil, nil
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestFiguresOfJob(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := Config{Cluster: f.cluster()}.withDefaults()
	a := newAPI(c, nil)
	a.now = func() time.Time { return time.UnixMilli(begin + 10_030) } // the tasks began to work 10 s ago
	h := a.serve(a.backPressure)
	mux := http.NewServeMux()
	mux.Handle("GET /jobs/{job}/vertices/{vertex}/backpressure", h)
	mux.Handle("GET /jobs/{job}/vertices/{vertex}", a.serve(a.vertex))
	mux.Handle("GET /jobs/{job}/progress", a.serve(a.progress))
	const vertex = "/jobs/" + jobRunning + "/vertices/" + vertexSink
	bp := bodyOf[backPressureAnswer](t, mux, vertex+"/backpressure")
	if bp.Level != "high" || bp.Subtasks[0].Ratio != 0.7 || bp.Subtasks[0].BusyRatio != 0.2 || bp.Subtasks[0].IdleRatio != 0.1 {
		t.Errorf("back pressure: %+v", bp)
	}
	v := bodyOf[vertexAnswer](t, mux, vertex)
	if s := v.Subtasks[1]; s.Metrics.WriteRecords != 1000 || s.Metrics.ReadBytes != 300 || s.Metrics.WriteBytes != 4000 || s.Metrics.Busy != 2000 || s.StartTime != begin+20 ||
		s.EndTime != -1 || s.Duration != 10_010 || s.Attempt != 1 {
		t.Errorf("a subtask: %+v", s)
	}
	want := map[string]int64{"CREATED": 10, "SCHEDULED": 10, "DEPLOYING": 10, "INITIALIZING": 20, "RUNNING": 9980}
	if got := v.Subtasks[0].StatusDuration; !reflect.DeepEqual(got, want) {
		t.Errorf("time in states: %v, want %v", got, want)
	}
	if d := v.Aggregated.Metrics["write-records"]; d.Min != 900 || d.Max != 1000 || d.Avg != 950 || d.Sum != 1900 || d.Median != 950 {
		t.Errorf("over the subtasks: %+v", d)
	}
	p := bodyOf[progressAnswer](t, mux, "/jobs/"+jobRunning+"/progress")
	if p.RecordsIn != 2000 || p.RecordsOut != 2000 || p.RecordsInRate != 200 || *p.WatermarkLag != 9130 || p.Holder != "split-7" ||
		p.LastCheckpoint != 4 || p.LastCheckpointDuration != 26 || p.CommittedCheckpoint != 4 || p.Tasks["RUNNING"] != 4 || p.Failure != "a commit failed" {
		t.Errorf("progress: %+v", p)
	}
}

// TestJobsWithoutDetail: all pages of a job answer while no more than its summary is known, in the shapes that Flink has.
func TestJobsWithoutDetail(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.silent = true
	h := newTestAPI(t, f, nil)
	failed := bodyOf[jobAnswer](t, h, "/jobs/"+jobFailed)
	if failed.State != "FAILED" || !strings.Contains(failed.Failure, "no fare") || failed.EndTime != begin+60_000 || len(failed.Vertices) != 0 {
		t.Errorf("%+v", failed)
	}
	if e := bodyOf[exceptionsAnswer](t, h, "/jobs/"+jobFailed+"/exceptions").History.Entries; len(e) != 1 {
		t.Errorf("exceptions: %+v", e)
	}
	for _, page := range []string{
		"", "/config", "/plan", "/exceptions", "/accumulators", "/metrics", "/checkpoints", "/checkpoints/config",
		"/execution-result",
	} {
		c := call{method: http.MethodGet, path: "/jobs/" + jobRunning + page, status: "200"}
		check(t, h, c, "/v1", resttest.Recorded(t, shapesFile)["GET /jobs/:jid"+page]["200"])
	}
	if p := bodyOf[progressAnswer](t, h, "/weir/jobs/"+jobRunning+"/progress"); p.State != "RUNNING" || p.Watermark != nil {
		t.Errorf("progress: %+v", p)
	}
	if w := do(t, h, http.MethodGet, "/jobs/"+jobUnknown, "", nil); w.Code != http.StatusNotFound {
		t.Errorf("a job that is not there: %d", w.Code)
	}
}

func TestBackPressureLevels(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64]string{0: "ok", 0.1: "ok", 0.11: "low", 0.5: "low", 0.51: "high", 1: "high"} {
		if got := backPressureLevel(ratio); got != want {
			t.Errorf("%v: %s, want %s", ratio, got, want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	values := make([]int64, 0, 100)
	for i := int64(100); i > 0; i-- {
		values = append(values, i)
	}
	s := statisticsOf(values)
	want := statistics{Min: 1, Max: 100, Avg: 50, P50: 50.5, P90: 90.9, P95: 95.95, P99: 99.99, P999: 100}
	if s.Min != want.Min || s.Max != want.Max || s.Avg != want.Avg || s.P50 != want.P50 || s.P90-want.P90 > 1e-9 ||
		s.P95-want.P95 > 1e-9 || s.P99-want.P99 > 1e-9 || s.P999 != want.P999 {
		t.Errorf("%+v, want %+v", s, want)
	}
	text, err := json.Marshal(statisticsOf(nil))
	if err != nil || string(text) != `{"min":0,"max":0,"avg":0,"p50":"NaN","p90":"NaN","p95":"NaN","p99":"NaN","p999":"NaN"}` {
		t.Errorf("of nothing: %s %v", text, err)
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), nil)
	const path = "/jobs/" + jobRunning + "/exceptions"
	all := bodyOf[exceptionsAnswer](t, h, path).History
	if len(all.Entries) != 2 || all.Truncated || all.Entries[0].TaskName != "(global failure)" || len(all.Entries[1].Concurrent) != 1 {
		t.Errorf("all: %+v", all)
	}
	if one := bodyOf[exceptionsAnswer](t, h, path+"?maxExceptions=1").History; len(one.Entries) != 1 || !one.Truncated {
		t.Errorf("one: %+v", one)
	}
	user := bodyOf[exceptionsAnswer](t, h, path+"?failureLabelFilter=type:USER").History.Entries
	if len(user) != 1 || user[0].ExceptionName != "weir.UserCodeFailed" || !strings.Contains(user[0].StackTrace, "no fare") {
		t.Errorf("of user code: %+v", user)
	}
}

func TestMetricsOfVertices(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), nil)
	const vertex = "/jobs/" + jobRunning + "/vertices/" + vertexSource
	got := bodyOf[[]metricValue](t, h, vertex+"/metrics?get=1.numRecordsOut,0.map.dropped&get=0.Source__read.numRecordsOut,none")
	want := []metricValue{{"1.numRecordsOut", "1000"}, {"0.map.dropped", "3"}, {"0.Source__read.numRecordsOut", "1000"}}
	if !slices.Equal(got, want) {
		t.Errorf("values: %v, want %v", got, want)
	}
	sums := bodyOf[[]map[string]any](t, h, vertex+"/subtasks/metrics?get=numRecordsOut")
	if len(sums) != 1 || sums[0]["sum"] != 1900.0 || sums[0]["min"] != 900.0 || sums[0]["max"] != 1000.0 || sums[0]["avg"] != 950.0 ||
		sums[0]["skew"].(float64) < 5.2 || sums[0]["skew"].(float64) > 5.3 {
		t.Errorf("aggregates: %v", sums)
	}
	some := bodyOf[[]map[string]any](t, h, vertex+"/subtasks/metrics?get=numRecordsOut&agg=max&subtasks=0")
	if !reflect.DeepEqual(some, []map[string]any{{"id": "numRecordsOut", "max": 900.0}}) {
		t.Errorf("of one subtask: %v", some)
	}
	all := bodyOf[[]metricID](t, h, vertex+"/subtasks/metrics")
	if !slices.Contains(all, metricID{"busyTimeMsPerSecond"}) || !slices.IsSortedFunc(all, func(x, y metricID) int {
		return strings.Compare(x.ID, y.ID)
	}) {
		t.Errorf("names: %v", all)
	}
	jm := bodyOf[[]metricValue](t, h, "/jobmanager/metrics?get=taskSlotsTotal,taskSlotsAvailable,numRunningJobs,numRegisteredTaskManagers")
	if !slices.Equal(jm, []metricValue{
		{"taskSlotsTotal", "4"}, {"taskSlotsAvailable", "2"}, {"numRunningJobs", "1"}, {"numRegisteredTaskManagers", "2"},
	}) {
		t.Errorf("of the JobManager: %v", jm)
	}
	w := do(t, h, http.MethodGet, "/metrics", "", nil)
	for _, line := range []string{
		`flink_jobmanager_taskSlotsTotal{host="cluster.example"} 4`, `flink_taskmanager_job_task_operator_dropped{`,
		`flink_taskmanager_Status_JVM_CPU_Load{host="host",tm_id="tm-2"} 0.5`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("Prometheus is not shown %s", line)
		}
	}
}

func TestLogsOfJob(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), nil)
	const logs = "/v1/weir/jobs/" + jobRunning + "/logs"
	list := bodyOf[struct{ Logs []jobLogItem }](t, h, logs)
	if len(list.Logs) != 3 || list.Logs[0].Source != "jobmanager" || list.Logs[1].Source != "tm-1" {
		t.Fatalf("logs: %+v", list)
	}
	name := url.PathEscape(list.Logs[0].Name)
	for query, want := range map[string]struct{ text, offset string }{
		"?offset=5&bytes=7":   {"5678901", "5"},
		"?offset=-4":          {"6789", "999996"},
		"?offset=1000000":     {"", "1000000"},
		"?offset=5000000":     {"", "1000000"},
		"?offset=0&bytes=1":   {"0", "0"},
		"?offset=-9999999999": {strings.Repeat("0123456789", 26215)[:logChunkBytes], "0"},
	} {
		w := do(t, h, http.MethodGet, logs+"/tm-1/"+name+query, "", nil)
		if w.Code != http.StatusOK || w.Body.String() != want.text || w.Header().Get(logOffsetHeader) != want.offset ||
			w.Header().Get(logSizeHeader) != "1000000" {
			t.Errorf("%s: %d %.40q %v", query, w.Code, w.Body.String(), w.Header())
		}
	}
}

func TestTaskManagers(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), nil)
	tm := bodyOf[taskManagerAnswer](t, h, "/taskmanagers/tm-1")
	if tm.FreeSlots != 0 || tm.AssignedTasks != 4 || len(tm.AllocatedSlots) != 2 || tm.AllocatedSlots[0].AssignedTasks != 2 ||
		tm.AllocatedSlots[0].Resource.TaskHeapMemory != 2048 || tm.DataPort != 1234 || tm.TotalResource.CPUCores != 4 {
		t.Errorf("%+v", tm)
	}
	dump := bodyOf[threadDumpAnswer](t, h, "/taskmanagers/tm-1/thread-dump")
	if len(dump.Threads) != 2 || dump.Threads[1].Name != "goroutine 2 [select]" || !strings.Contains(dump.Threads[1].Text, "other()") {
		t.Errorf("%+v", dump)
	}
}

// TestSerializedThrowable checks what Flink's command line was seen to read: it shows the class and the message.
func TestSerializedThrowable(t *testing.T) {
	t.Parallel()
	b := serializedThrowable("weir.X", "m\x00\U0001F600", strings.Repeat("s", 70_000))
	if !strings.HasPrefix(string(b), "\xac\xed\x00\x05sr\x00)org.apache.flink.util.SerializedThrowable") {
		t.Errorf("it begins with %q", b[:60])
	}
	if !strings.Contains(string(b), "t\x00\x03m??") || len(b) > 61_000 {
		t.Errorf("%d bytes, what the format can't hold is in it", len(b))
	}
}
