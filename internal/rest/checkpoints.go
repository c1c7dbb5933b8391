// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

type checkpointsAnswer struct {
	Counts  checkpointCounts  `json:"counts"`
	Summary checkpointSummary `json:"summary"`
	Latest  checkpointLatest  `json:"latest"`
	History []checkpointItem  `json:"history"`
}

type checkpointCounts struct {
	Restored   int64 `json:"restored"`
	Total      int64 `json:"total"`
	InProgress int64 `json:"in_progress"`
	Completed  int64 `json:"completed"`
	Failed     int64 `json:"failed"`
}

type checkpointLatest struct {
	Completed *checkpointItem     `json:"completed"`
	Savepoint *checkpointItem     `json:"savepoint"`
	Failed    *checkpointItem     `json:"failed"`
	Restored  *checkpointRestored `json:"restored"`
}

type checkpointRestored struct {
	ID               int64  `json:"id"`
	RestoreTimestamp int64  `json:"restore_timestamp"`
	IsSavepoint      bool   `json:"is_savepoint"`
	ExternalPath     string `json:"external_path"`
}

// checkpointItem is a checkpoint; the last four fields depend on its status.
type checkpointItem struct {
	ClassName        string                    `json:"className"`
	ID               int64                     `json:"id"`
	Status           string                    `json:"status"`
	IsSavepoint      bool                      `json:"is_savepoint"`
	SavepointFormat  *string                   `json:"savepointFormat"`
	Trigger          int64                     `json:"trigger_timestamp"`
	LatestAck        int64                     `json:"latest_ack_timestamp"`
	CheckpointedSize int64                     `json:"checkpointed_size"`
	StateSize        int64                     `json:"state_size"`
	Duration         int64                     `json:"end_to_end_duration"`
	Buffered         int64                     `json:"alignment_buffered"`
	ProcessedData    int64                     `json:"processed_data"`
	PersistedData    int64                     `json:"persisted_data"`
	NumSubtasks      int                       `json:"num_subtasks"`
	NumAcknowledged  int                       `json:"num_acknowledged_subtasks"`
	CheckpointType   string                    `json:"checkpoint_type"`
	Tasks            map[string]checkpointTask `json:"tasks"`
	ExternalPath     *string                   `json:"external_path,omitempty"`
	Discarded        *bool                     `json:"discarded,omitempty"`
	FailureTimestamp *int64                    `json:"failure_timestamp,omitempty"`
	FailureMessage   *string                   `json:"failure_message,omitempty"`
}

// checkpointTask is a checkpoint at one vertex.
type checkpointTask struct {
	ID               int64  `json:"id"`
	Status           string `json:"status"`
	LatestAck        int64  `json:"latest_ack_timestamp"`
	CheckpointedSize int64  `json:"checkpointed_size"`
	StateSize        int64  `json:"state_size"`
	Duration         int64  `json:"end_to_end_duration"`
	Buffered         int64  `json:"alignment_buffered"`
	ProcessedData    int64  `json:"processed_data"`
	PersistedData    int64  `json:"persisted_data"`
	NumSubtasks      int    `json:"num_subtasks"`
	NumAcknowledged  int    `json:"num_acknowledged_subtasks"`
}

// savepointFormat is that of all savepoints: independent of the backend of state and of the parallelism.
const savepointFormat = "CANONICAL"

// The states of a checkpoint.
const (
	checkpointCompleted = "COMPLETED"
	checkpointFailed    = "FAILED"
)

func (v *view) checkpointItem(c *weirpb.CheckpointDetail) *checkpointItem {
	if c == nil {
		return nil
	}
	i := &checkpointItem{
		ClassName: strings.ToLower(c.Status), ID: c.Id, Status: c.Status, IsSavepoint: c.Type != "CHECKPOINT",
		Trigger: c.Trigger, LatestAck: orMinusOne(c.LatestAck), CheckpointedSize: c.AddedBytes, StateSize: c.StateBytes,
		Duration: v.checkpointDuration(c), CheckpointType: c.Type, Tasks: map[string]checkpointTask{},
	}
	if i.IsSavepoint {
		format := savepointFormat
		i.SavepointFormat = &format
	}
	for _, vertex := range v.Vertices {
		i.NumSubtasks += len(vertex.Subtasks)
	}
	for _, cv := range c.Vertices {
		i.NumAcknowledged += int(cv.Acknowledged)
	}
	switch c.Status {
	case checkpointCompleted:
		i.ExternalPath, i.Discarded = &c.Location, &c.Discarded
		if len(c.Vertices) == 0 {
			i.NumAcknowledged = i.NumSubtasks
		}
	case checkpointFailed:
		i.FailureTimestamp, i.FailureMessage = &c.End, &c.Failure
	}
	return i
}

func orMinusOne(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// checkpointDuration is until the last acknowledgement or the end; one in progress takes as long as it has taken.
func (v *view) checkpointDuration(c *weirpb.CheckpointDetail) int64 {
	end := c.End
	if end == 0 {
		end = v.now
	}
	return max(0, end-c.Trigger)
}

func (a *API) checkpoints(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	c := v.Checkpoints
	body := checkpointsAnswer{
		Counts: checkpointCounts{
			Restored: c.GetRestored(), Total: c.GetTotal(), InProgress: c.GetInProgress(), Completed: c.GetCompleted(),
			Failed: c.GetFailed(),
		},
		Summary: v.summarize(c.GetHistory()),
		Latest: checkpointLatest{
			Completed: v.checkpointItem(c.GetLatestCompleted()), Savepoint: v.checkpointItem(c.GetLatestSavepoint()),
			Failed: v.checkpointItem(c.GetLatestFailed()),
		},
		History: []checkpointItem{},
	}
	if rd := c.GetLatestRestored(); rd != nil {
		body.Latest.Restored = &checkpointRestored{
			ID: rd.Id, RestoreTimestamp: rd.At, IsSavepoint: rd.Savepoint, ExternalPath: rd.Location,
		}
	}
	for _, h := range c.GetHistory() {
		body.History = append(body.History, *v.checkpointItem(h))
	}
	return body, nil
}

type checkpointConfigAnswer struct {
	Mode                 string                `json:"mode"`
	Interval             int64                 `json:"interval"`
	Timeout              int64                 `json:"timeout"`
	MinPause             int64                 `json:"min_pause"`
	MaxConcurrent        int32                 `json:"max_concurrent"`
	Externalization      externalizationAnswer `json:"externalization"`
	StateBackend         string                `json:"state_backend"`
	CheckpointStorage    string                `json:"checkpoint_storage"`
	UnalignedCheckpoints bool                  `json:"unaligned_checkpoints"`
	TolerableFailures    int32                 `json:"tolerable_failed_checkpoints"`
	AlignedTimeout       int64                 `json:"aligned_checkpoint_timeout"`
	AfterTasksFinish     bool                  `json:"checkpoints_after_tasks_finish"`
	Changelog            bool                  `json:"state_changelog_enabled"`
	ChangelogInterval    int64                 `json:"changelog_periodic_materialization_interval"`
	ChangelogStorage     string                `json:"changelog_storage"`
	Directory            string                `json:"checkpoint_dir"`
}

type externalizationAnswer struct {
	Enabled              bool `json:"enabled"`
	DeleteOnCancellation bool `json:"delete_on_cancellation"`
}

func (a *API) checkpointConfig(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	c := v.Config
	interval := c.GetIntervalMillis()
	if interval == 0 {
		interval = math.MaxInt64 // Flink's value for a job that is not checkpointed periodically
	}
	mode := strings.ToLower(c.GetMode())
	if mode == "" {
		mode = "exactly_once"
	}
	return checkpointConfigAnswer{
		Mode: mode, Interval: interval, Timeout: c.GetTimeoutMillis(), MinPause: c.GetMinPauseMillis(),
		MaxConcurrent:   c.GetConcurrent(),
		Externalization: externalizationAnswer{Enabled: true, DeleteOnCancellation: !c.GetRetainOnCancellation()},
		StateBackend:    "hashmap", CheckpointStorage: "filesystem", TolerableFailures: c.GetTolerableFailures(),
		AfterTasksFinish: true, ChangelogStorage: "memory", Directory: c.GetCheckpointDir(),
	}, nil
}

// findCheckpoint returns the one in the path if it is still remembered.
func (a *API) findCheckpoint(r *http.Request) (*view, *weirpb.CheckpointDetail, error) {
	id, err := strconv.ParseInt(r.PathValue("checkpoint"), 10, 64)
	if err != nil {
		return nil, nil, invalid("%q is no valid id of a checkpoint: it has to be a number", clip(r.PathValue("checkpoint")))
	}
	v, err := a.view(r)
	if err != nil {
		return nil, nil, err
	}
	c := v.Checkpoints
	remembered := append([]*weirpb.CheckpointDetail{}, c.GetHistory()...)
	for _, d := range append(remembered, c.GetLatestCompleted(), c.GetLatestSavepoint(), c.GetLatestFailed()) {
		if d.GetId() == id && d != nil {
			return v, d, nil
		}
	}
	return nil, nil, notFound("job %s has no checkpoint %d, or it is no longer remembered", v.JobId, id)
}

func (a *API) checkpoint(r *http.Request) (any, error) {
	v, c, err := a.findCheckpoint(r)
	if err != nil {
		return nil, err
	}
	item := v.checkpointItem(c)
	for _, cv := range c.Vertices {
		item.Tasks[cv.Vertex] = v.checkpointTask(c, cv)
	}
	return item, nil
}

func (v *view) checkpointTask(c *weirpb.CheckpointDetail, cv *weirpb.CheckpointVertex) checkpointTask {
	t := checkpointTask{
		ID: c.Id, Status: c.Status, LatestAck: -1, Duration: -1, NumSubtasks: v.subtasksOf(cv),
		NumAcknowledged: int(cv.Acknowledged),
	}
	for _, s := range cv.Subtasks {
		t.CheckpointedSize += s.AddedBytes
		t.StateSize += s.StateBytes
		if s.Ack > 0 {
			t.LatestAck = max(t.LatestAck, s.Ack)
			t.Duration = max(t.Duration, s.Ack-c.Trigger)
		}
	}
	return t
}

func (v *view) subtasksOf(cv *weirpb.CheckpointVertex) int {
	for _, vertex := range v.Vertices {
		if vertex.Id == cv.Vertex {
			return max(len(vertex.Subtasks), len(cv.Subtasks))
		}
	}
	return len(cv.Subtasks)
}

type checkpointSubtasksAnswer struct {
	checkpointTask

	Summary  subtasksSummary     `json:"summary"`
	Subtasks []checkpointSubtask `json:"subtasks"`
}

// checkpointSubtask is what a subtask said; of one that has said nothing there are the first three fields only.
type checkpointSubtask struct {
	ClassName string `json:"className"`
	Index     int32  `json:"index"`
	Status    string `json:"status"`
	*acknowledged
}

type acknowledged struct {
	Ack              int64           `json:"ack_timestamp"`
	Duration         int64           `json:"end_to_end_duration"`
	CheckpointedSize int64           `json:"checkpointed_size"`
	StateSize        int64           `json:"state_size"`
	Checkpoint       durationsAnswer `json:"checkpoint"`
	Alignment        alignmentDetail `json:"alignment"`
	StartDelay       int64           `json:"start_delay"`
	Unaligned        bool            `json:"unaligned_checkpoint"`
	Aborted          bool            `json:"aborted"`
}

type durationsAnswer struct {
	Sync  int64 `json:"sync"`
	Async int64 `json:"async"`
}

type alignmentDetail struct {
	Buffered  int64 `json:"buffered"`
	Processed int64 `json:"processed"`
	Persisted int64 `json:"persisted"`
	Duration  int64 `json:"duration"`
}

func (a *API) checkpointSubtasks(r *http.Request) (any, error) {
	vertex, err := idOf(r, "vertex")
	if err != nil {
		return nil, err
	}
	v, c, err := a.findCheckpoint(r)
	if err != nil {
		return nil, err
	}
	for _, cv := range c.Vertices {
		if cv.Vertex == vertex {
			return checkpointSubtasksAnswer{
				checkpointTask: v.checkpointTask(c, cv), Summary: summarizeSubtasks(c, cv.Subtasks),
				Subtasks: checkpointSubtasksOf(c, cv.Subtasks),
			}, nil
		}
	}
	return nil, notFound("checkpoint %d of job %s says nothing of a vertex %s", c.Id, v.JobId, vertex)
}

func checkpointSubtasksOf(c *weirpb.CheckpointDetail, subtasks []*weirpb.CheckpointSubtask) []checkpointSubtask {
	list := []checkpointSubtask{}
	for _, s := range subtasks {
		if s.Ack == 0 {
			list = append(list, checkpointSubtask{ClassName: "pending", Index: s.Index, Status: "pending_or_failed"})
			continue
		}
		list = append(list, checkpointSubtask{
			ClassName: "completed", Index: s.Index, Status: "completed",
			acknowledged: &acknowledged{
				Ack: s.Ack, Duration: max(0, s.Ack-c.Trigger), CheckpointedSize: s.AddedBytes, StateSize: s.StateBytes,
				Checkpoint: durationsAnswer{Sync: s.SyncMillis, Async: s.AsyncMillis},
				Alignment:  alignmentDetail{Duration: s.AlignMillis}, StartDelay: s.StartDelayMillis,
				Aborted: c.Status == checkpointFailed,
			},
		})
	}
	return list
}
