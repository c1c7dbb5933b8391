// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package resttest compares answers of the REST API with those that Flink gave: their shapes, recorded as JSON with types in
// place of values. What Weir adds and what depends on the state of a thing is known here. The tests of the API itself use
// it, and those of real clusters.
package resttest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Recorded reads the recording: the shapes of bodies by endpoint and status.
func Recorded(t testing.TB, file string) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var shapes map[string]map[string]any
	if err := json.Unmarshal(text, &shapes); err != nil {
		t.Fatal(err)
	}
	return shapes
}

// Check returns the first difference between an answer and the shape that it should have.
func Check(shape any, contentType string, body []byte) error {
	if shape == "text" {
		if !strings.HasPrefix(contentType, "text/plain") {
			return fmt.Errorf("no text, but %s", contentType)
		}
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	return contract().match(shape, value, "")
}

// contract is the matcher of the contract: what Weir adds, and what depends on the state of the thing.
func contract() matcher {
	return matcher{
		ours: setOf("weir-version", "weir-commit", "slots-needed", "slots-missing", "restarts", "failure", "attempt-id",
			"arguments", "checkpoint_dir", "size", "sha256", "id", "host", "process-id", "draining"),
		optional: mayBeMissing,
		more: map[string][]string{
			"className": {"in_progress", "pending"}, "status": {"RUNNING", "IN_PROGRESS", "pending_or_failed", "FAILED", "FINISHED", "CANCELED"},
			"backpressure-level": {"low", "high"}, "backpressureLevel": {"low", "high"},
			"checkpoint_type": {"CHECKPOINT", "SAVEPOINT", "SYNC_SAVEPOINT"}, "savepointFormat": {"CANONICAL"},
		},
	}
}

// mayBeMissing tells the fields that an object has only in some states.
func mayBeMissing(field string, object map[string]any) bool {
	switch field {
	case "failure_message", "failure_timestamp":
		return object["status"] != "FAILED"
	case "external_path", "discarded":
		return object["status"] != "COMPLETED"
	case "inputs": // a source has none
		return true
	case "location", "checkpointId":
		return object["failure-cause"] != nil
	case "failure-cause":
		return object["location"] != nil || object["checkpointId"] != nil || len(object) == 0 ||
			object["application-status"] != nil && object["application-status"] != "FAILED"
	case "CANCELED", "FAILED", "FINISHED", "RUNNING": // counts of what there is
		return len(object) == 1
	}
	return object["className"] == "pending"
}

func setOf(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set
}
