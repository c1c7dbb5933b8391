// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package restclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
)

// Submission is how a program that was uploaded is to be run.
type Submission struct {
	// Job picks one of the program's jobs; empty where it has one.
	Job string `json:"entryClass,omitempty"`
	// Arguments are the job's own.
	Arguments   []string `json:"programArgsList,omitempty"`
	Parallelism int      `json:"parallelism,omitempty"`
	// Restore is the path of what the job begins from.
	Restore               string            `json:"savepointPath,omitempty"`
	AllowNonRestoredState bool              `json:"allowNonRestoredState,omitempty"`
	Settings              map[string]string `json:"flinkConfiguration,omitempty"`
	// Name replaces the job's name for people, if not empty.
	Name string `json:"jobName,omitempty"`
	// Dir is the directory against which relative paths of the job resolve.
	Dir string `json:"directory,omitempty"`
	// Described is what the client found the program to describe, an encoded weirpb.JobDescription: the cluster refuses to
	// run anything else.
	Described []byte `json:"described,omitempty"`
}

// Program is an uploaded program.
type Program struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
}

// Programs lists the programs that were uploaded.
func (c *Client) Programs(ctx context.Context) ([]Program, error) {
	var answer struct {
		Files []Program `json:"files"`
	}
	err := c.Get(ctx, "/jars", &answer)
	return answer.Files, err
}

// Upload sends a program and returns its id.
func (c *Client) Upload(ctx context.Context, name string, program io.Reader) (string, error) {
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	go func() { // Owner: Upload, whose request reads to the end or closes the pipe
		part, err := form.CreateFormFile("jarfile", name)
		if err == nil {
			_, err = io.Copy(part, program)
		}
		if err == nil {
			err = form.Close()
		}
		pw.CloseWithError(err)
	}()
	resp, err := c.do(ctx, http.MethodPost, "/jars/upload", form.FormDataContentType(), pr)
	pr.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", name, err)
	}
	defer func() { _ = resp.Body.Close() }() // the answer was read, or does not count
	var answer struct {
		Filename string `json:"filename"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("upload %s: answer not understood: %w", name, err)
	}
	return path.Base(answer.Filename), nil
}

// Run starts a job of an uploaded program and returns its id.
func (c *Client) Run(ctx context.Context, program string, s Submission) (string, error) {
	var answer struct {
		JobID string `json:"jobid"`
	}
	err := c.Post(ctx, "/jars/"+url.PathEscape(program)+"/run", s, &answer)
	return answer.JobID, err
}

// RunApplication starts all jobs of an uploaded program as one application, and returns its id.
func (c *Client) RunApplication(ctx context.Context, program string, s Submission) (string, error) {
	var answer struct {
		ID string `json:"applicationid"`
	}
	err := c.Post(ctx, "/jars/"+url.PathEscape(program)+"/run-application", s, &answer)
	return answer.ID, err
}

// Application is how an application is doing.
type Application struct {
	ID     string        `json:"id"`
	Status string        `json:"status"`
	Jobs   []JobOverview `json:"jobs"`
	// Failure is why it failed before it had jobs.
	Failure string `json:"-"`
}

// Application returns how an application is doing.
func (c *Client) Application(ctx context.Context, id string) (*Application, error) {
	a := &Application{}
	at := "/applications/" + url.PathEscape(id)
	if err := c.Get(ctx, at, a); err != nil || a.Status != "FAILED" {
		return a, err
	}
	var exceptions struct {
		History struct {
			Entries []struct {
				Stack string `json:"stacktrace"`
			} `json:"entries"`
		} `json:"exceptionHistory"`
	}
	err := c.Get(ctx, at+"/exceptions", &exceptions)
	if len(exceptions.History.Entries) > 0 {
		a.Failure = exceptions.History.Entries[0].Stack
	}
	return a, err
}
