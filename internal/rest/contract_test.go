// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/rest/resttest"
)

// newTestAPI returns the handler of an API over a fake without a server: the address of its requests is loopback.
func newTestAPI(t *testing.T, f *fakeCluster, change func(*Config)) http.Handler {
	t.Helper()
	c := Config{Cluster: f.cluster(), Logger: slog.New(slog.DiscardHandler), Advertised: "cluster.example"}
	if change != nil {
		change(&c)
	}
	c = c.withDefaults()
	files, err := openWeb(c.WebDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return newAPI(c, files).handler()
}

// do sends a request and returns the answer.
func do(t *testing.T, h http.Handler, method, target, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Host = "localhost:8081"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// shapesFile is the recording.
const shapesFile = "testdata/flink-rest-shapes.json"

// call is a request of the contract. A status that the recording has under another number, because the better one is
// given, says so in recorded.
type call struct {
	method, path, body string
	status             string
	recorded           string
}

// calls are the requests by endpoint as the recording names it.
func calls() map[string][]call {
	get := func(paths ...string) []call {
		var list []call
		for _, p := range paths {
			list = append(list, call{method: "GET", path: p, status: "200"})
		}
		return list
	}
	off := func(method, path, status string) []call { return []call{{method: method, path: path, status: status}} }
	jobs := func(suffix string) []call {
		return get("/jobs/"+jobRunning+suffix, "/jobs/"+jobFinished+suffix, "/jobs/"+jobCanceled+suffix, "/jobs/"+jobFailed+suffix)
	}
	const job, program = "/jobs/" + jobRunning, "/jars/" + programID1
	vertex := func(suffix string) []call {
		return get(job+"/vertices/"+vertexSource+suffix, "/jobs/"+jobFinished+"/vertices/"+vertexSink+suffix)
	}
	m := map[string][]call{
		"DELETE /jars/:id":                                               off("DELETE", program, "200"),
		"DELETE /jars/:unknown":                                          off("DELETE", "/jars/none", "400"),
		"GET /applications/:id":                                          get("/applications/"+jobFailed, "/applications/"+jobCanceled, "/applications/"+jobFinished),
		"GET /applications/:id/exceptions":                               get("/applications/"+jobFailed+"/exceptions", "/applications/"+jobRunning+"/exceptions"),
		"GET /applications/:id/jobmanager/config":                        get("/applications/" + jobFailed + "/jobmanager/config"),
		"GET /applications/:unknown":                                     {{method: "GET", path: "/applications/" + jobUnknown, status: "404", recorded: "500"}},
		"GET /applications/overview":                                     get("/applications/overview"),
		"GET /config":                                                    get("/config"),
		"GET /datasets":                                                  get("/datasets"),
		"GET /jars":                                                      get("/jars"),
		"GET /jobmanager/config":                                         get("/jobmanager/config"),
		"GET /jobmanager/environment":                                    get("/jobmanager/environment"),
		"GET /jobmanager/log":                                            get("/jobmanager/log"),
		"GET /jobmanager/logs":                                           get("/jobmanager/logs"),
		"GET /jobmanager/logs/:file":                                     get("/jobmanager/logs/jobmanager.log"),
		"GET /jobmanager/metrics":                                        get("/jobmanager/metrics"),
		"GET /jobmanager/profiler":                                       off("GET", "/jobmanager/profiler", "404"),
		"GET /jobmanager/stdout":                                         get("/jobmanager/stdout"),
		"GET /jobmanager/thread-dump":                                    get("/jobmanager/thread-dump"),
		"GET /jobs":                                                      get("/jobs"),
		"GET /jobs/:jid":                                                 jobs(""),
		"GET /jobs/:jid/accumulators":                                    jobs("/accumulators"),
		"GET /jobs/:jid/checkpoints":                                     jobs("/checkpoints"),
		"GET /jobs/:jid/checkpoints/:triggerid":                          get(job+"/checkpoints/"+triggerCheck, job+"/checkpoints/"+checkOpen, job+"/checkpoints/"+checkBad),
		"GET /jobs/:jid/checkpoints/config":                              jobs("/checkpoints/config"),
		"GET /jobs/:jid/checkpoints/details/:cp":                         get(job+"/checkpoints/details/5", job+"/checkpoints/details/4", job+"/checkpoints/details/3", job+"/checkpoints/details/2"),
		"GET /jobs/:jid/config":                                          jobs("/config"),
		"GET /jobs/:jid/exceptions":                                      jobs("/exceptions"),
		"GET /jobs/:jid/execution-result":                                jobs("/execution-result"),
		"GET /jobs/:jid/jobmanager/config":                               jobs("/jobmanager/config"),
		"GET /jobs/:jid/jobmanager/environment":                          jobs("/jobmanager/environment"),
		"GET /jobs/:jid/jobmanager/log-url":                              jobs("/jobmanager/log-url"),
		"GET /jobs/:jid/metrics":                                         jobs("/metrics"),
		"GET /jobs/:jid/plan":                                            jobs("/plan"),
		"GET /jobs/:jid/rescales/config":                                 off("GET", job+"/rescales/config", "404"),
		"GET /jobs/:jid/rescales/history":                                off("GET", job+"/rescales/history", "404"),
		"GET /jobs/:jid/rescales/overview":                               off("GET", job+"/rescales/overview", "404"),
		"GET /jobs/:jid/rescales/summary":                                off("GET", job+"/rescales/summary", "404"),
		"GET /jobs/:jid/resource-requirements":                           off("GET", job+"/resource-requirements", "500"),
		"GET /jobs/:jid/savepoints/:triggerid":                           get(job+"/savepoints/"+triggerDone, job+"/savepoints/"+triggerOpen, job+"/savepoints/"+triggerBad),
		"GET /jobs/:jid/savepoints/:unknown":                             off("GET", job+"/savepoints/"+jobUnknown, "404"),
		"GET /jobs/:jid/status":                                          jobs("/status"),
		"GET /jobs/:jid/taskmanagers/:tm/log-url":                        get(job + "/taskmanagers/tm-1/log-url"),
		"GET /jobs/:jid/vertices/:v":                                     vertex(""),
		"GET /jobs/:jid/vertices/:v/accumulators":                        vertex("/accumulators"),
		"GET /jobs/:jid/vertices/:v/backpressure":                        vertex("/backpressure"),
		"GET /jobs/:jid/vertices/:v/flamegraph":                          vertex("/flamegraph?type=FULL"),
		"GET /jobs/:jid/vertices/:v/metrics":                             vertex("/metrics"),
		"GET /jobs/:jid/vertices/:v/subtasks/0":                          vertex("/subtasks/0"),
		"GET /jobs/:jid/vertices/:v/subtasktimes":                        vertex("/subtasktimes"),
		"GET /jobs/:jid/vertices/:v/taskmanagers":                        vertex("/taskmanagers"),
		"GET /jobs/:jid/vertices/:v/watermarks":                          vertex("/watermarks"),
		"GET /jobs/:unknown/status":                                      {{method: "GET", path: "/jobs/" + jobUnknown + "/status", status: "404", recorded: "500"}},
		"GET /jobs/metrics":                                              get("/jobs/metrics"),
		"GET /jobs/overview":                                             get("/jobs/overview"),
		"GET /jobs/xyz":                                                  off("GET", "/jobs/xyz", "400"),
		"GET /nonexistent":                                               off("GET", "/nonexistent", "404"),
		"GET /overview":                                                  get("/overview"),
		"GET /savepoint-disposal/:triggerid":                             get("/savepoint-disposal/"+dropDone, "/savepoint-disposal/"+dropOpen, "/savepoint-disposal/"+dropBad),
		"GET /taskmanagers":                                              get("/taskmanagers"),
		"GET /taskmanagers/:tm":                                          get("/taskmanagers/tm-1", "/taskmanagers/tm-2"),
		"GET /taskmanagers/:tm/log":                                      get("/taskmanagers/tm-1/log"),
		"GET /taskmanagers/:tm/logs":                                     get("/taskmanagers/tm-1/logs"),
		"GET /taskmanagers/:tm/logs/:file":                               get("/taskmanagers/tm-1/logs/taskmanager.log"),
		"GET /taskmanagers/:tm/metrics":                                  get("/taskmanagers/tm-1/metrics"),
		"GET /taskmanagers/:tm/profiler":                                 off("GET", "/taskmanagers/tm-1/profiler", "404"),
		"GET /taskmanagers/:tm/stdout":                                   get("/taskmanagers/tm-1/stdout"),
		"GET /taskmanagers/:tm/thread-dump":                              get("/taskmanagers/tm-1/thread-dump"),
		"GET /taskmanagers/:unknown":                                     {{method: "GET", path: "/taskmanagers/none", status: "404", recorded: "500"}},
		"GET /taskmanagers/metrics":                                      get("/taskmanagers/metrics"),
		"GET /taskmanagers/metrics?get=..":                               get("/taskmanagers/metrics?get=Status.JVM.CPU.Load,none"),
		"PATCH /jobs/:jid/rescaling?parallelism=2":                       off("PATCH", job+"/rescaling?parallelism=2", "503"),
		"PATCH /jobs/:unknown?mode=cancel":                               off("PATCH", "/jobs/"+jobUnknown+"?mode=cancel", "404"),
		"PUT /jobs/:jid/resource-requirements":                           {{method: "PUT", path: job + "/resource-requirements", body: "{}", status: "400"}},
		"POST /jobs/:jid/checkpoints":                                    {{method: "POST", path: job + "/checkpoints", body: `{"checkpointType":"FULL"}`, status: "202"}},
		"POST /jobs/:jid/savepoints":                                     {{method: "POST", path: job + "/savepoints", body: `{"target-directory":"/data/s","cancel-job":false,"formatType":"CANONICAL"}`, status: "202"}},
		"POST /jobs/:jid/stop":                                           {{method: "POST", path: job + "/stop", body: `{"targetDirectory":"file:///data/s","drain":true,"formatType":"CANONICAL"}`, status: "202"}},
		"POST /savepoint-disposal":                                       {{method: "POST", path: "/savepoint-disposal", body: `{"savepoint-path":"/data/s/1"}`, status: "200"}},
		"GET /jobs/:jid/vertices/:v/jm-operator-metrics":                 vertex("/jm-operator-metrics"),
		"GET /jobs/:jid/vertices/:v/subtasks/metrics":                    vertex("/subtasks/metrics"),
		"GET /jobs/:jid/vertices/:v/subtasks/0/metrics":                  vertex("/subtasks/0/metrics"),
		"GET /jobs/:jid/vertices/:v/subtasks/accumulators":               vertex("/subtasks/accumulators"),
		"GET /jobs/:jid/vertices/:v/subtasks/0/attempts/0":               vertex("/subtasks/0/attempts/0"),
		"GET /jobs/:jid/vertices/:v/subtasks/0/attempts/0/accumulators":  vertex("/subtasks/0/attempts/0/accumulators"),
		"GET /jobs/:jid/vertices/:v/metrics?get=NAME":                    vertex("/metrics?get=0.numRecordsIn,1.map.load,none"),
		"GET /jobs/:jid/vertices/:v/subtasks/metrics?get=..&agg=":        vertex("/subtasks/metrics?get=numRecordsOut&agg=min,max,sum,avg"),
		"GET /jobs/:jid/accumulators?includeSerializedValue=true":        jobs("/accumulators?includeSerializedValue=true"),
		"GET /jobs/00000000000000000000000000000000":                     off("GET", "/jobs/00000000000000000000000000000000", "404"),
		"GET /jobmanager/metrics?get=Status.JVM.CPU.Load,taskSlotsTotal": get("/jobmanager/metrics?get=Status.JVM.CPU.Load,taskSlotsTotal"),
		"GET /jobs/:jid/checkpoints/details/:cp/subtasks/:v": get(job+"/checkpoints/details/5/subtasks/"+vertexSource,
			job+"/checkpoints/details/4/subtasks/"+vertexSource, job+"/checkpoints/details/3/subtasks/"+vertexSink),
		"PATCH /jobs/:jid?mode=cancel": {
			{method: "PATCH", path: job + "?mode=cancel", status: "202"},
			{method: "PATCH", path: "/jobs/" + jobFinished + "?mode=cancel", status: "409"},
		},
	}
	for _, verb := range []string{"plan", "run"} {
		m["POST /jars/:id/"+verb] = []call{
			{method: "POST", path: program + "/" + verb, body: `{"entryClass":"delays","programArgsList":["--x"]}`, status: "200"},
			{method: "POST", path: program + "/" + verb, body: `{"entryClass":"none"}`, status: "400"},
			{method: "POST", path: program + "/" + verb, body: `{"entryClass":"broken"}`, status: "500"},
		}
	}
	form, kind := multipartOf("flights", "program")
	m["POST /jars/upload"] = []call{
		{method: "POST", path: "/jars/upload", body: kind + "\n" + form, status: "200"},
		{method: "POST", path: "/jars/upload", body: "none", status: "400"},
	}
	return m
}

// multipartOf returns a form of one part named jarfile and its content type.
func multipartOf(name, content string) (form, kind string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("jarfile", name)
	if err != nil {
		panic(err)
	}
	_, _ = part.Write([]byte(content))
	_ = w.Close()
	return b.String(), w.FormDataContentType()
}

// TestContract asks for every endpoint and status that was recorded, with and without the version, and compares.
func TestContract(t *testing.T) {
	t.Parallel()
	shapes := resttest.Recorded(t, shapesFile)
	all := calls()
	for endpoint, statuses := range shapes {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			for _, c := range all[endpoint] {
				status := c.recorded
				if status == "" {
					status = c.status
				}
				seen[status] = true
				for _, version := range []string{"", "/v1"} {
					check(t, newTestAPI(t, newFake(), nil), c, version, statuses[status])
				}
			}
			for status := range statuses {
				if !seen[status] && status != "request" {
					t.Errorf("the recording has the status %s, and no call has it", status)
				}
			}
		})
	}
	for endpoint := range all {
		if shapes[endpoint] == nil {
			t.Errorf("the recording has no %s", endpoint)
		}
	}
}

func check(t *testing.T, h http.Handler, c call, version string, shape any) {
	t.Helper()
	body := c.body
	kind := "application/json"
	if k, form, ok := strings.Cut(c.body, "\n"); ok {
		kind, body = k, form
	}
	w := do(t, h, c.method, version+c.path, body, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
	if strings.Contains(w.Body.String(), secret) {
		t.Errorf("%s %s: the answer has a secret: %s", c.method, c.path, w.Body)
	}
	if w.Code != statusNumber(c.status) {
		t.Errorf("%s %s: status %d, want %s: %s", c.method, c.path, w.Code, c.status, w.Body)
		return
	}
	if err := resttest.Check(shape, w.Header().Get("Content-Type"), w.Body.Bytes()); err != nil {
		t.Errorf("%s %s: %v", c.method, c.path, err)
	}
}

func statusNumber(text string) int {
	n := 0
	for _, r := range text {
		n = n*10 + int(r-'0')
	}
	return n
}
