// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/rest/resttest"
)

// api is the REST API of a real cluster, held against the recording of Flink's.
type api struct {
	t       *testing.T
	address string
	shapes  map[string]map[string]any
	// names stand for what the recording leaves open in paths.
	names *strings.Replacer
	// asked are the endpoints with their statuses that were tried.
	asked map[string]bool
}

// better are the statuses that Weir gives where Flink has an internal error for what does not exist.
var better = map[string]int{
	"GET /applications/:unknown": http.StatusNotFound, "GET /jobs/:unknown/status": http.StatusNotFound,
	"GET /taskmanagers/:unknown": http.StatusNotFound,
}

// TestRESTContract asks a session cluster with a running job for every endpoint of the recording, and compares statuses and
// shapes; those of a job once more when it has ended.
func TestRESTContract(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "2")
	job := c.submit(flights(t), "--", "--rate", "100", "--checkpoint-interval", "1s", "--out", "out")
	c.running(job)
	a := connect(t, c, job)
	for _, endpoint := range slices.Sorted(maps.Keys(a.shapes)) {
		if !a.polled(endpoint) && strings.HasPrefix(endpoint, "GET ") {
			a.look(endpoint)
		}
	}
	a.refusals()
	a.operations(c.out("sp"))
	a.programs(c)
	stop := a.steer("POST /jobs/:jid/stop", "202", `{"targetDirectory":"`+c.out("last")+`","drain":false}`)
	a.poll("GET /jobs/:jid/savepoints/:triggerid", stop)
	c.state(job, "FINISHED")
	eventually(t, "the end of the job is stored", func() bool { // its JobMaster tells it first
		status, _, _ := a.send(http.MethodPatch, "/jobs/"+job+"?mode=cancel", "", nil)
		return status == http.StatusConflict
	}, nil)
	a.steer("PATCH /jobs/:jid?mode=cancel", "409", "")
	a.names = connect(t, c, job).names // the checkpoint that was the newest may be forgotten
	for _, endpoint := range slices.Sorted(maps.Keys(a.shapes)) {
		if !a.polled(endpoint) && strings.HasPrefix(endpoint, "GET /jobs/:jid") {
			a.look(endpoint)
		}
	}
	for endpoint, statuses := range a.shapes {
		for status := range statuses {
			if status != "request" && !a.asked[endpoint+" "+status] && !unmade[endpoint+" "+status] {
				t.Errorf("%s was not answered with %s", endpoint, status)
			}
		}
	}
}

// unmade are answers about programs that fail to describe their jobs in ways that flights does not.
var unmade = map[string]bool{"POST /jars/:id/plan 500": true, "POST /jars/:id/run 500": true}

// connect finds what the paths need.
func connect(t *testing.T, c *cluster, job string) *api {
	t.Helper()
	address, err := os.ReadFile(filepath.Join(c.data, "rest.address"))
	if err != nil {
		t.Fatal(err)
	}
	a := &api{
		t: t, address: strings.TrimSpace(string(address)), asked: map[string]bool{},
		shapes: resttest.Recorded(t, "../../internal/rest/testdata/flink-rest-shapes.json"),
	}
	var d struct{ Vertices []struct{ ID string } }
	a.into("/jobs/"+job, &d)
	var v struct {
		Subtasks []struct {
			Worker string `json:"taskmanager-id"`
		}
	}
	a.into("/jobs/"+job+"/vertices/"+d.Vertices[0].ID, &v)
	var checkpoints struct {
		Latest struct{ Completed struct{ ID json.Number } }
	}
	eventually(t, "a checkpoint completes", func() bool {
		a.into("/jobs/"+job+"/checkpoints", &checkpoints)
		return checkpoints.Latest.Completed.ID != ""
	}, nil)
	var programs struct{ Files []struct{ ID string } }
	a.into("/jars", &programs)
	file := "jobmanager.log"
	a.names = strings.NewReplacer(
		"/applications/:id", "/applications/"+job, "/jars/:id", "/jars/"+programs.Files[0].ID, ":jid", job,
		"/vertices/:v", "/vertices/"+d.Vertices[0].ID, "/subtasks/:v", "/subtasks/"+d.Vertices[0].ID,
		":tm/logs/:file", v.Subtasks[0].Worker+"/logs/taskmanager.log", ":tm", v.Subtasks[0].Worker, ":file", file,
		":cp", checkpoints.Latest.Completed.ID.String(), ":unknown", strings.Repeat("0", 31)+"1",
		"get=NAME", "get=0.numRecordsIn", "get=..&agg=", "get=numRecordsIn&agg=min,max,sum,avg", "get=..", "get=Status.JVM.CPU.Load",
	)
	return a
}

// polled tells the endpoints of operations, which have to be begun first.
func (a *api) polled(endpoint string) bool { return strings.Contains(endpoint, ":triggerid") }

// send sends a request and returns the answer.
func (a *api) send(method, path, kind string, body []byte) (status int, contentType string, answer []byte) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.address+"/v1"+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), answer
}

// into reads an answer that has to be good.
func (a *api) into(path string, v any) {
	a.t.Helper()
	status, _, body := a.send(http.MethodGet, path, "", nil)
	if err := json.Unmarshal(body, v); err != nil || status != http.StatusOK {
		a.t.Fatalf("GET %s: %d, %v: %s", path, status, err, body)
	}
}

// ask asks an endpoint and compares with what is recorded under a status.
func (a *api) ask(endpoint, path, recorded, kind string, body []byte) []byte {
	a.t.Helper()
	method, _, _ := strings.Cut(endpoint, " ")
	status, contentType, answer := a.send(method, path, kind, body)
	want := recorded
	if number := better[endpoint]; number != 0 {
		want = itoa(number)
	}
	a.asked[endpoint+" "+recorded] = true
	if itoa(status) != want {
		a.t.Errorf("%s: %d, want %s: %s", endpoint, status, want, answer)
	} else if err := resttest.Check(a.shapes[endpoint][recorded], contentType, answer); err != nil {
		a.t.Errorf("%s: %v", endpoint, err)
	}
	return answer
}

// look asks an endpoint that has one status and needs no body.
func (a *api) look(endpoint string) {
	a.t.Helper()
	for status := range a.shapes[endpoint] {
		_, path, _ := strings.Cut(endpoint, " ")
		a.ask(endpoint, a.names.Replace(path), status, "", nil)
	}
}

// steer asks an endpoint that changes something, and returns the id of the operation that it began.
func (a *api) steer(endpoint, status, body string) string {
	a.t.Helper()
	_, path, _ := strings.Cut(endpoint, " ")
	answer := a.ask(endpoint, a.names.Replace(path), status, "application/json", []byte(body))
	var begun struct {
		ID string `json:"request-id"`
	}
	_ = json.Unmarshal(answer, &begun) // an answer without is no operation
	return begun.ID
}

// poll waits for the end of an operation and returns what came of it.
func (a *api) poll(endpoint, trigger string) []byte {
	a.t.Helper()
	_, path, _ := strings.Cut(endpoint, " ")
	path = strings.ReplaceAll(a.names.Replace(path), ":triggerid", trigger)
	var answer []byte
	eventually(a.t, endpoint+" is COMPLETED", func() bool {
		answer = a.ask(endpoint, path, "200", "", nil)
		return bytes.Contains(answer, []byte(`"COMPLETED"`))
	}, func() string { return string(answer) })
	return answer
}

func (a *api) refusals() {
	a.t.Helper()
	for _, endpoint := range []string{
		"PATCH /jobs/:jid/rescaling?parallelism=2", "PATCH /jobs/:unknown?mode=cancel", "DELETE /jars/:unknown",
	} {
		a.look(endpoint)
	}
	a.steer("PUT /jobs/:jid/resource-requirements", "400", "{}")
}

// operations takes a checkpoint and a savepoint, and deletes the latter.
func (a *api) operations(dir string) {
	a.t.Helper()
	a.poll("GET /jobs/:jid/checkpoints/:triggerid", a.steer("POST /jobs/:jid/checkpoints", "202", `{"checkpointType":"FULL"}`))
	trigger := a.steer("POST /jobs/:jid/savepoints", "202", `{"target-directory":"`+dir+`","cancel-job":false}`)
	var saved struct{ Operation struct{ Location string } }
	if err := json.Unmarshal(a.poll("GET /jobs/:jid/savepoints/:triggerid", trigger), &saved); err != nil {
		a.t.Fatal(err)
	}
	dispose := a.steer("POST /savepoint-disposal", "200", `{"savepoint-path":"`+saved.Operation.Location+`"}`)
	a.poll("GET /savepoint-disposal/:triggerid", dispose)
	if _, err := os.Stat(saved.Operation.Location); saved.Operation.Location == "" || err == nil {
		a.t.Errorf("the savepoint %q is there", saved.Operation.Location)
	}
}

// programs runs a second job of the program, cancels it, and deletes and uploads programs.
func (a *api) programs(c *cluster) {
	a.t.Helper()
	body := `{"programArgsList":["--rate","100","--out","` + c.out("second") + `"]}`
	a.steer("POST /jars/:id/plan", "200", body)
	a.steer("POST /jars/:id/plan", "400", `{"entryClass":"none"}`)
	a.steer("POST /jars/:id/run", "400", `{"entryClass":"none"}`)
	_, path, _ := strings.Cut("POST /jars/:id/run", " ")
	answer := a.ask("POST /jars/:id/run", a.names.Replace(path), "200", "application/json", []byte(body))
	var begun struct{ JobID string }
	if err := json.Unmarshal(answer, &begun); err != nil {
		a.t.Fatal(err)
	}
	a.ask("PATCH /jobs/:jid?mode=cancel", "/jobs/"+begun.JobID+"?mode=cancel", "202", "", nil)
	c.state(begun.JobID, "CANCELED")
	a.look("DELETE /jars/:id")
	a.ask("POST /jars/upload", "/jars/upload", "400", "text/plain", []byte("none"))
	program, err := os.ReadFile(flights(a.t))
	if err != nil {
		a.t.Fatal(err)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("jarfile", "flights")
	if err != nil {
		a.t.Fatal(err)
	}
	_, _ = part.Write(program) // into memory
	_ = w.Close()
	a.ask("POST /jars/upload", "/jars/upload", "200", w.FormDataContentType(), form.Bytes())
}
