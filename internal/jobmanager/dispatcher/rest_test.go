// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// client speaks to a Dispatcher as Flink's clients do.
type client struct {
	t    *testing.T
	base string
}

// call sends a request and decodes the answer, whose status must be the wanted one.
func (c client) call(method, at, contentType string, body io.Reader, status int) map[string]any {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+at, body)
	must(c.t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	must(c.t, err)
	raw, err := io.ReadAll(answer.Body)
	must(c.t, err)
	must(c.t, answer.Body.Close())
	if answer.StatusCode != status {
		c.t.Fatalf("%s %s: %s %s, want %d", method, at, answer.Status, raw, status)
	}
	out := map[string]any{}
	must(c.t, json.Unmarshal(raw, &out))
	return out
}

func (c client) get(at string) map[string]any {
	c.t.Helper()
	return c.call(http.MethodGet, at, "", nil, http.StatusOK)
}

func (c client) post(at, body string, status int) map[string]any {
	c.t.Helper()
	return c.call(http.MethodPost, at, "application/json", strings.NewReader(body), status)
}

// completed polls an operation until it is done, and returns its part of that name.
func (c client) completed(at, part string) map[string]any {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		answer := c.get(at)
		if answer["status"].(map[string]any)["id"] == "COMPLETED" {
			return answer[part].(map[string]any)
		}
	}
	c.t.Fatalf("%s is never completed", at)
	return nil
}

// upload uploads a program and returns its id.
func (c client) upload(name string, content []byte, status int) string {
	c.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("jarfile", name)
	must(c.t, err)
	_, err = part.Write(content)
	must(c.t, err)
	must(c.t, w.Close())
	answer := c.call(http.MethodPost, "/v1/jars/upload", w.FormDataContentType(), &form, status)
	filename, _ := answer["filename"].(string)
	return path.Base(filename)
}

// TestByREST takes a job from its upload to its end through the REST API.
func TestByREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.lead(1)
	server, err := rest.Serve(t.Context(), rest.Config{
		Cluster: rest.Cluster{Jobs: d, Programs: d.Programs()}, Logger: slog.New(slog.DiscardHandler),
		Listen: "127.0.0.1:0",
	})
	must(t, err)
	c := client{t, "http://" + server.Addr()}
	c.upload("bad", []byte("#!/bin/sh"), http.StatusBadRequest)
	program := c.upload("flights", executable(), http.StatusOK)
	plan := c.post("/v1/jars/"+program+"/plan", `{}`, http.StatusOK)
	if _, ok := plan["plan"]; !ok {
		t.Errorf("plan: %v", plan)
	}
	c.post("/v1/jars/none/run", `{}`, http.StatusNotFound)
	c.post("/v1/jars/"+program+"/run", `{"entryClass": "other"}`, http.StatusBadRequest)
	id := c.post("/v1/jars/"+program+"/run", `{"jobId": "`+jobA+`", "parallelism": 3}`, http.StatusOK)["jobid"]
	c.post("/v1/jars/"+program+"/run", `{"jobId": "`+jobA+`"}`, http.StatusConflict)
	m := w.master()
	if id != jobA || m.spec.GetSettings()[parallelismKey] != "3" {
		t.Errorf("job %v runs as %v", id, m.spec)
	}
	w.ready(d, jobA)
	at := "/v1/jobs/" + jobA
	if s := c.get(at + "/status")["status"]; s != "RUNNING" {
		t.Errorf("status %v", s)
	}
	trigger := c.post(at+"/stop", `{"targetDirectory": "/s", "drain": true}`, http.StatusAccepted)["request-id"]
	r := m.request()
	if take := r.GetSavepoint(); !take.GetStop() || !take.GetDrain() || take.GetDir() != "/s" {
		t.Errorf("asked %v", r)
	}
	m.reply(&weirpb.JobReply{Number: r.GetNumber(), Location: "/s/1"})
	m.finish(&weirpb.JobResult{State: stateFinished, Savepoint: "/s/1"})
	if op := c.completed(fmt.Sprint(at, "/savepoints/", trigger), "operation"); op["location"] != "/s/1" {
		t.Errorf("stopped: %v", op)
	}
	if res := c.completed(at+"/execution-result", "job-execution-result"); res["application-status"] != "SUCCEEDED" {
		t.Errorf("result: %v", res)
	}
	if apps := c.get("/v1/applications/overview")["applications"].([]any); len(apps) != 1 {
		t.Errorf("applications: %v", apps)
	}
	w.await(d, jobA, stateFinished)
	if detail := c.get(at); detail["state"] != stateFinished {
		t.Errorf("detail: %v", detail)
	}
	c.call(http.MethodDelete, "/v1/jars/"+program, "", nil, http.StatusOK)
	http.DefaultClient.CloseIdleConnections()
	must(t, server.Stop(t.Context()))
	must(t, d.Close(true))
	w.quiet()
}
