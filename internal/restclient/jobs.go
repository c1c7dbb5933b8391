// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package restclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// JobOverview is a line of the list of jobs.
type JobOverview struct {
	ID        string         `json:"jid"`
	Name      string         `json:"name"`
	State     string         `json:"state"`
	StartTime int64          `json:"start-time"`
	EndTime   int64          `json:"end-time"`
	Duration  int64          `json:"duration"`
	Tasks     map[string]int `json:"tasks"`
}

// Ended tells whether the job is in a state that it does not leave.
func (j *JobOverview) Ended() bool {
	return j.State == "FINISHED" || j.State == "FAILED" || j.State == "CANCELED"
}

// Jobs lists the jobs that run, and those that ended lately.
func (c *Client) Jobs(ctx context.Context) ([]JobOverview, error) {
	var answer struct {
		Jobs []JobOverview `json:"jobs"`
	}
	err := c.Get(ctx, "/jobs/overview", &answer)
	return answer.Jobs, err
}

// Cancel asks for the end of a job without a checkpoint.
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.Patch(ctx, "/jobs/"+url.PathEscape(id)+"?mode=cancel", nil)
}

// Savepoint takes a savepoint and returns its path. dir is empty for the configured directory.
func (c *Client) Savepoint(ctx context.Context, id, dir string) (string, error) {
	body := map[string]any{"cancel-job": false}
	if dir != "" {
		body["target-directory"] = dir
	}
	return c.savepoint(ctx, id, "savepoints", body)
}

// Stop ends a job with a savepoint and returns its path.
func (c *Client) Stop(ctx context.Context, id, dir string, drain bool) (string, error) {
	body := map[string]any{"drain": drain}
	if dir != "" {
		body["targetDirectory"] = dir
	}
	return c.savepoint(ctx, id, "stop", body)
}

func (c *Client) savepoint(ctx context.Context, id, verb string, body any) (string, error) {
	var result struct {
		Location string `json:"location"`
	}
	at := "/jobs/" + url.PathEscape(id)
	err := c.operation(ctx, at+"/"+verb, at+"/savepoints/", body, &result)
	return result.Location, err
}

// Checkpoint takes a checkpoint and returns its id.
func (c *Client) Checkpoint(ctx context.Context, id string) (int64, error) {
	var result struct {
		ID int64 `json:"checkpointId"`
	}
	at := "/jobs/" + url.PathEscape(id) + "/checkpoints"
	err := c.operation(ctx, at, at+"/", map[string]any{"checkpointType": "CONFIGURED"}, &result)
	return result.ID, err
}

// Dispose deletes a savepoint.
func (c *Client) Dispose(ctx context.Context, path string) error {
	return c.operation(ctx, "/savepoint-disposal", "/savepoint-disposal/", map[string]any{"savepoint-path": path}, nil)
}

// pollInterval is the time between two looks at an operation.
const pollInterval = 100 * time.Millisecond

// operation triggers something that takes its time, and waits for its result.
func (c *Client) operation(ctx context.Context, trigger, status string, body, result any) error {
	var started struct {
		RequestID string `json:"request-id"`
	}
	if err := c.Post(ctx, trigger, body, &started); err != nil {
		return err
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		var s struct {
			Status struct {
				ID string `json:"id"`
			} `json:"status"`
			Operation json.RawMessage `json:"operation"`
		}
		if err := c.Get(ctx, status+url.PathEscape(started.RequestID), &s); err != nil {
			return err
		}
		if s.Status.ID == "COMPLETED" {
			return operationResult(s.Operation, result)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// operationResult reads the result of an operation that has ended, or why it failed.
func operationResult(operation json.RawMessage, result any) error {
	var failed struct {
		Cause *struct {
			Class string `json:"class"`
			Stack string `json:"stack-trace"`
		} `json:"failure-cause"`
	}
	if len(operation) == 0 {
		return nil
	}
	if err := json.Unmarshal(operation, &failed); err != nil {
		return fmt.Errorf("result of the operation: %w", err)
	}
	if failed.Cause != nil {
		return fmt.Errorf("%s", failed.Cause.Stack)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(operation, result)
}
