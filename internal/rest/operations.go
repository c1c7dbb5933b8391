// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// terminate cancels a job.
func (a *API) terminate(r *http.Request) (any, error) {
	switch mode := strings.ToLower(r.URL.Query().Get("mode")); mode {
	case "", "cancel":
		return a.cancelByGet(r)
	case "stop":
		return a.stopByGet(r)
	default:
		return nil, invalid("mode=%q: it has to be cancel", clip(mode))
	}
}

func (a *API) cancelByGet(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	if err := a.cluster.Jobs.Cancel(r.Context(), id); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, empty{}}, nil
}

// stopByGet answers as Flink does since a stop takes a savepoint.
func (a *API) stopByGet(*http.Request) (any, error) {
	return nil, refuse(http.StatusPermanentRedirect,
		"the mode stop is gone: cancel the job, or stop it with a savepoint with POST /jobs/:jobid/stop")
}

type triggerAnswer struct {
	RequestID string `json:"request-id"`
}

// newTrigger returns the trigger id of the client, or a new one.
func newTrigger(given string) (string, error) {
	if given == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		return hex.EncodeToString(id[:]), nil
	}
	if !idPattern.MatchString(given) {
		return "", invalid("%q is no valid triggerId: it has to be 32 hexadecimal digits", clip(given))
	}
	return strings.ToLower(given), nil
}

// oneOf checks an enumeration; an empty value is as good as the first.
func oneOf(field, value string, values ...string) error {
	for _, v := range values {
		if value == "" || strings.EqualFold(value, v) {
			return nil
		}
	}
	return invalid("%s=%q: it has to be one of %s", field, clip(value), strings.Join(values, ", "))
}

// localPath turns a path that may be a file URI into a path, which has to be absolute if it is not empty.
func localPath(field, path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "file:"); ok {
		path = "/" + strings.TrimLeft(rest, "/")
	}
	if path == "" {
		return "", nil
	}
	if strings.ContainsRune(path, 0) || !filepath.IsAbs(path) {
		return "", invalid("%s=%q: it has to be an absolute path of a file system that all Workers reach", field, clip(path))
	}
	return filepath.Clean(path), nil
}

type savepointRequest struct {
	TargetDirectory string `json:"target-directory"`
	CancelJob       bool   `json:"cancel-job"`
	FormatType      string `json:"formatType"`
	TriggerID       string `json:"triggerId"`
}

func (a *API) triggerSavepoint(r *http.Request) (any, error) {
	var body savepointRequest
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	dir, err := localPath("target-directory", body.TargetDirectory)
	if err != nil {
		return nil, err
	}
	return a.takeSavepoint(r, body.FormatType, body.TriggerID, &weirpb.TakeSavepoint{Dir: dir, Cancel: body.CancelJob})
}

type stopRequest struct {
	TargetDirectory string `json:"targetDirectory"`
	Drain           bool   `json:"drain"`
	FormatType      string `json:"formatType"`
	TriggerID       string `json:"triggerId"`
}

func (a *API) stopWithSavepoint(r *http.Request) (any, error) {
	var body stopRequest
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	dir, err := localPath("targetDirectory", body.TargetDirectory)
	if err != nil {
		return nil, err
	}
	return a.takeSavepoint(r, body.FormatType, body.TriggerID,
		&weirpb.TakeSavepoint{Dir: dir, Stop: true, Drain: body.Drain})
}

func (a *API) takeSavepoint(r *http.Request, format, trigger string, take *weirpb.TakeSavepoint) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	// Both formats are served by the one there is, which any backend and parallelism can read.
	if err := oneOf("formatType", format, "CANONICAL", "NATIVE"); err != nil {
		return nil, err
	}
	trigger, err = newTrigger(trigger)
	if err != nil {
		return nil, err
	}
	if err := a.cluster.Jobs.Savepoint(r.Context(), id, trigger, take); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, triggerAnswer{trigger}}, nil
}

type checkpointRequest struct {
	CheckpointType string `json:"checkpointType"`
	TriggerID      string `json:"triggerId"`
}

func (a *API) triggerCheckpoint(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	var body checkpointRequest
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if err := oneOf("checkpointType", body.CheckpointType, "CONFIGURED", "FULL", "INCREMENTAL"); err != nil {
		return nil, err
	}
	trigger, err := newTrigger(body.TriggerID)
	if err != nil {
		return nil, err
	}
	full := strings.EqualFold(body.CheckpointType, "FULL")
	if err := a.cluster.Jobs.Checkpoint(r.Context(), id, trigger, full); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, triggerAnswer{trigger}}, nil
}

type disposalRequest struct {
	SavepointPath string `json:"savepoint-path"`
	TriggerID     string `json:"triggerId"`
}

func (a *API) dispose(r *http.Request) (any, error) {
	var body disposalRequest
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	savepoint, err := localPath("savepoint-path", body.SavepointPath)
	if err != nil {
		return nil, err
	}
	if savepoint == "" {
		return nil, invalid("savepoint-path is missing: it has to be the directory of the savepoint")
	}
	trigger, err := newTrigger(body.TriggerID)
	if err != nil {
		return nil, err
	}
	if err := a.cluster.Jobs.Dispose(r.Context(), trigger, savepoint); err != nil {
		return nil, err
	}
	return triggerAnswer{trigger}, nil
}

type operationAnswer struct {
	Status    statusAnswer `json:"status"`
	Operation any          `json:"operation"`
}

// operation answers who polls for one of some kind.
func (a *API) operation(r *http.Request, job string, kind OperationKind) (any, error) {
	trigger, err := idOf(r, "trigger")
	if err != nil {
		return nil, err
	}
	op, err := a.cluster.Jobs.Operation(r.Context(), job, trigger)
	if err == nil && op.Kind != kind {
		err = ErrNotFound
	}
	if errors.Is(err, ErrNotFound) {
		return nil, notFound("there is no operation with the trigger id %s", trigger)
	}
	if err != nil {
		return nil, err
	}
	if !op.Done {
		return operationAnswer{Status: statusAnswer{inProgress}}, nil
	}
	result := map[string]any{}
	switch {
	case op.Failure != "":
		result["failure-cause"] = causeOf("weir.OperationFailed", op.Failure)
	case kind == OperationSavepoint:
		result["location"] = op.Location
	case kind == OperationCheckpoint:
		result["checkpointId"] = op.Checkpoint
	}
	return operationAnswer{Status: statusAnswer{completed}, Operation: result}, nil
}

func (a *API) savepointStatus(r *http.Request) (any, error) {
	return a.jobOperation(r, OperationSavepoint)
}

func (a *API) checkpointStatus(r *http.Request) (any, error) {
	return a.jobOperation(r, OperationCheckpoint)
}

func (a *API) jobOperation(r *http.Request, kind OperationKind) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	return a.operation(r, id, kind)
}

func (a *API) disposalStatus(r *http.Request) (any, error) {
	return a.operation(r, "", OperationDispose)
}

// clientHeartbeat tells that an attached client lives.
func (a *API) clientHeartbeat(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	var body struct {
		Expires json.Number `json:"expiredTimestamp"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	expires, err := body.Expires.Int64()
	if err != nil {
		return nil, invalid("expiredTimestamp is missing or no number")
	}
	if err := a.cluster.Jobs.ClientHeartbeat(r.Context(), id, time.UnixMilli(expires)); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, empty{}}, nil
}
