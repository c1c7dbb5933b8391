// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/config"
)

// call runs a command line in an empty directory.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, &out, &errs, nil)
	return code, out.String(), errs.String()
}

// fake is a JobManager with answers by method and path.
func fake(t *testing.T, answers map[string]string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.RequestURI()]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"errors":["no such thing: ` + r.Method + " " + r.URL.Path + `"]}`
		}
		if _, err := w.Write([]byte(answer)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

const jobsAnswer = `{"jobs":[
 {"jid":"aa000000000000000000000000000001","name":"flights","state":"RUNNING","start-time":1,"duration":5000,"tasks":{"running":4,"total":4}},
 {"jid":"aa000000000000000000000000000002","name":"flights","state":"FINISHED","start-time":1,"end-time":9,"duration":8,"tasks":{"finished":4,"total":4}},
 {"jid":"bb000000000000000000000000000003","name":"clicks","state":"CREATED","start-time":2,"duration":5000,"tasks":{"total":2}},
 {"jid":"bb000000000000000000000000000004","name":"orders","state":"RESTARTING","start-time":2,"duration":5000,"tasks":{"total":2}}]}`

func TestListAndFind(t *testing.T) {
	t.Chdir(t.TempDir())
	m := fake(t, map[string]string{
		"GET /v1/jobs/overview": jobsAnswer,
		"PATCH /v1/jobs/aa000000000000000000000000000001?mode=cancel": "{}",
	})
	for _, tt := range []struct {
		args []string
		want []string
		not  []string
	}{
		{[]string{"list"}, []string{"0001", "0003", "0004", "4/4 running"}, []string{"0002"}},
		{[]string{"list", "--all"}, []string{"0001", "0002", "0003", "0004"}, nil},
		{[]string{"list", "-r"}, []string{"0001"}, []string{"0003"}},
		{[]string{"list", "-s"}, []string{"0003"}, []string{"0001"}},
		{[]string{"cancel", "flights"}, []string{"aa000000000000000000000000000001 (flights) is being canceled"}, nil}, // the one that runs
		{[]string{"cancel", "aa000000000000000000000000000001"}, []string{"is being canceled"}, nil},
	} {
		code, out, errs := call(t, append(tt.args, "-m", m)...)
		if code != exitDone {
			t.Errorf("%v: exit code %d: %s", tt.args, code, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: lacks %q:\n%s", tt.args, want, out)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(out, not) {
				t.Errorf("%v: has %q:\n%s", tt.args, not, out)
			}
		}
	}
	for arg, want := range map[string]string{
		"bb": "may be each of", "nothing": `no job is called "nothing"`,
	} {
		if code, _, errs := call(t, "cancel", arg, "-m", m); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("cancel %s: exit code %d: %s", arg, code, errs)
		}
	}
	code, out, _ := call(t, "list", "-o", "json", "-m", m)
	var jobs []map[string]any
	if err := json.Unmarshal([]byte(out), &jobs); err != nil || code != exitDone || len(jobs) != 3 {
		t.Errorf("JSON: %v, exit code %d:\n%s", err, code, out)
	}
}

// TestInterrupt interrupts a command whose JobManager does not answer.
func TestInterrupt(t *testing.T) {
	t.Chdir(t.TempDir())
	asked, interrupts := make(chan struct{}), make(chan os.Signal, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer s.Close()
	go func() { // Owner: the test: the command asks, or the test fails by its time-out
		<-asked
		interrupts <- os.Interrupt
	}()
	var out, errs bytes.Buffer
	args := []string{"list", "-m", strings.TrimPrefix(s.URL, "http://")}
	if code := execute(t.Context(), args, &out, &errs, interrupts); code != exitCanceled || errs.String() != "weir: interrupted\n" {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestSavepointFails(t *testing.T) {
	t.Chdir(t.TempDir())
	const id = "aa000000000000000000000000000001"
	m := fake(t, map[string]string{
		"GET /v1/jobs/overview":                  jobsAnswer,
		"POST /v1/jobs/" + id + "/stop":          `{"request-id":"r1"}`,
		"GET /v1/jobs/" + id + "/savepoints/r1":  `{"status":{"id":"COMPLETED"},"operation":{"failure-cause":{"class":"x","stack-trace":"the disk is full"}}}`,
		"POST /v1/jobs/" + id + "/savepoints":    `{"request-id":"r2"}`,
		"GET /v1/jobs/" + id + "/savepoints/r2":  `{"status":{"id":"COMPLETED"},"operation":{"location":"/sp/1"}}`,
		"POST /v1/jobs/" + id + "/checkpoints":   `{"request-id":"r3"}`,
		"GET /v1/jobs/" + id + "/checkpoints/r3": `{"status":{"id":"COMPLETED"},"operation":{"checkpointId":7}}`,
	})
	if code, _, errs := call(t, "stop", "flights", "-m", m); code != exitFailed || !strings.Contains(errs, "the disk is full") {
		t.Errorf("stop: exit code %d: %s", code, errs)
	}
	if code, out, errs := call(t, "savepoint", "flights", "-m", m); code != exitDone || !strings.Contains(out, "/sp/1") {
		t.Errorf("savepoint: exit code %d: %s%s", code, out, errs)
	}
	if code, out, errs := call(t, "checkpoint", "flights", "-m", m); code != exitDone || !strings.Contains(out, "checkpoint 7") {
		t.Errorf("checkpoint: exit code %d: %s%s", code, out, errs)
	}
}

func TestWrongCommandLines(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("weir.yaml", []byte("rest:\n  prot: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "list"); code != exitUsage || !strings.Contains(errs, `weir.yaml:2: unknown option "rest.prot"; did you mean rest.port?`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if err := os.Remove("weir.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, want string }{
		{"frobnicate", `no command is called "frobnicate"`},
		{"cluster sideways", `no command is called "cluster sideways"`},
		{"certs break", `no command is called "certs break"`},
		{"list --no-such-flag", "unknown flag"},
		{"cancel", "want `weir cancel JOB"},
		{"cancel a b", "want `weir cancel JOB"},
		{"savepoint", "--dispose PATH"},
		{"run", "come behind --"},
		{"run prog --x", "unknown flag"},
		{"run prog --target moon", "want session, job or application"},
		{"run prog -p 0", "want 1 or more"},
		{"list -o xml", "want text or json"},
		{"list -D rest.port", "want key=value"},
		{"list -D rest.port=many", "want a number"},
		{"init Bad/Name", "want small letters"},
		{"cluster up --mode moon", "want session, job or application"},
		{"jobmanager --mode moon", "want session, job or application"},
	} {
		if code, _, errs := call(t, strings.Fields(tt.line)...); code != exitUsage || !strings.Contains(errs, tt.want) {
			t.Errorf("weir %s: exit code %d: %s", tt.line, code, errs)
		}
	}
	if code, _, errs := call(t, "list", "-m", "127.0.0.1:1"); code != exitUnreachable || !strings.Contains(errs, "weir cluster up") {
		t.Errorf("nobody there: exit code %d: %s", code, errs)
	}
	if code, _, errs := call(t, "cluster", "down", "--data-dir", t.TempDir()); code != exitFailed || !strings.Contains(errs, "no cluster is up") {
		t.Errorf("down: exit code %d: %s", code, errs)
	}
}

func TestInit(t *testing.T) {
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if code, _, errs := call(t, "init", "my-job", "--checkout", checkout); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	text, err := os.ReadFile(filepath.Join(dir, "my-job", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); !strings.HasPrefix(s, "// Command my-job counts") || !strings.Contains(s, `weir.Main("my-job", build)`) {
		t.Errorf("main.go:\n%s", s)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "my-job", "go.mod"))
	if err != nil || !strings.Contains(string(mod), "=> "+strconv.Quote(checkout)) {
		t.Errorf("go.mod: %v\n%s", err, mod)
	}
	if code, _, errs := call(t, "init", "my-job", "--checkout", checkout); code != exitFailed || !strings.Contains(errs, "is there already") {
		t.Errorf("twice: exit code %d: %s", code, errs)
	}
}

// A module that requires a version that nobody can fetch is worse than none.
func TestInitWithoutCheckout(t *testing.T) {
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if err := writeJob("my-job", "example.com/my-job", ""); err == nil || !strings.Contains(err.Error(), "--checkout DIR") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat("my-job"); err == nil {
		t.Error("a directory is left")
	}
	if got := checkoutAround(filepath.Join(checkout, "cmd", "weir")); got != checkout {
		t.Errorf("the checkout around cmd/weir is %q", got)
	}
	if got := checkoutAround(dir); got != "" {
		t.Errorf("the checkout around %s is %q", dir, got)
	}
}

// A program may lie in a module that is not the one around the working directory.
func TestBuildElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("job", 0o777); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"go.mod": "module job\n\ngo 1.20\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join("job", file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "program")
	if err := new(app).build(t.Context(), "./job", runtime.GOOS+"/"+runtime.GOARCH, to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(to); err != nil {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, out, errs := call(t, "version"); code != exitDone || !strings.Contains(out, "protocol") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

func TestWorkersMax(t *testing.T) {
	for _, tt := range []struct{ most, slots, each, want string }{
		{"0", "0", "2", "0"}, {"3", "0", "2", "3"}, {"0", "7", "2", "3"}, {"5", "4", "2", "2"}, {"1", "8", "2", "1"},
	} {
		c := config.New(config.Cluster())
		for key, value := range map[string]string{
			config.ClusterTaskManagersMax: tt.most, config.SlotsMax: tt.slots, config.TaskManagerSlots: tt.each,
		} {
			if err := c.Set("test", key, value); err != nil {
				t.Fatal(err)
			}
		}
		if got := strconv.Itoa(workersMax(c)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
