// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/metrics"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// taskStates are Flink's ExecutionStates, for answers that count each.
var taskStates = []string{
	"CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED",
	"RECONCILING",
}

// jobStates are Flink's JobStatuses, for answers that have the time of each.
var jobStates = []string{
	"INITIALIZING", "CREATED", "RUNNING", "FAILING", "FAILED", "CANCELLING", "CANCELED", "FINISHED", "RESTARTING",
	"SUSPENDED", "RECONCILING",
}

// ended tells the states in which a job stays.
func ended(state string) bool {
	return state == "FINISHED" || state == "CANCELED" || state == "FAILED"
}

type jobItem struct {
	ID               string         `json:"jid"`
	Name             string         `json:"name"`
	StartTime        int64          `json:"start-time"`
	EndTime          int64          `json:"end-time"`
	Duration         int64          `json:"duration"`
	State            string         `json:"state"`
	LastModification int64          `json:"last-modification"`
	Tasks            map[string]int `json:"tasks"`
	PendingOperators int            `json:"pending-operators"`
	SchedulerType    string         `json:"schedulerType"`
	JobType          string         `json:"jobType"`
}

func jobItemOf(s *weirpb.JobSummary, now int64) jobItem {
	i := jobItem{
		ID: s.JobId, Name: s.Name, StartTime: s.StartUnixMillis, State: s.State, LastModification: s.ModifiedUnixMillis,
		Tasks: map[string]int{}, SchedulerType: "Default", JobType: "STREAMING",
	}
	i.EndTime, i.Duration = endAndDuration(s.StartUnixMillis, s.EndUnixMillis, now)
	for _, state := range taskStates {
		n := int(s.Tasks[state])
		i.Tasks[strings.ToLower(state)] = n
		i.Tasks["total"] += n
	}
	return i
}

// sortedSummaries are all jobs, the ones that began first first.
func (a *API) sortedSummaries(ctx context.Context) ([]*weirpb.JobSummary, error) {
	list, err := a.cluster.Jobs.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y *weirpb.JobSummary) int {
		return cmp.Or(cmp.Compare(x.StartUnixMillis, y.StartUnixMillis), cmp.Compare(x.JobId, y.JobId))
	})
	return list, nil
}

func (a *API) jobsOverview(r *http.Request) (any, error) {
	list, err := a.sortedSummaries(r.Context())
	if err != nil {
		return nil, err
	}
	items := make([]jobItem, 0, len(list))
	for _, s := range list {
		items = append(items, jobItemOf(s, a.now().UnixMilli()))
	}
	return map[string][]jobItem{"jobs": items}, nil
}

type jobID struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (a *API) jobIDs(r *http.Request) (any, error) {
	list, err := a.sortedSummaries(r.Context())
	if err != nil {
		return nil, err
	}
	ids := make([]jobID, 0, len(list))
	for _, s := range list {
		ids = append(ids, jobID{ID: s.JobId, Status: s.State})
	}
	return map[string][]jobID{"jobs": ids}, nil
}

// submitJobGraph answers Flink's client, whose job graphs are serialized Java objects.
func (a *API) submitJobGraph(r *http.Request) (any, error) {
	// A client that is still sending when the answer comes may not read it.
	_, _ = io.CopyN(io.Discard, r.Body, a.config.UploadBytesMax)
	return nil, invalid("a serialized Java job graph can't run here: jobs are Go programs, which are uploaded with " +
		"POST /jars/upload and run with POST /jars/:id/run, or both with weir run")
}

// view is the detail of a job at a moment, with the rates of its tasks.
type view struct {
	*weirpb.JobDetail

	at    time.Time
	now   int64
	rates map[int64]metrics.TaskRates
}

// view returns that of the job in the path.
func (a *API) view(r *http.Request) (*view, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	return a.viewOf(r.Context(), id)
}

func (a *API) viewOf(ctx context.Context, id string) (*view, error) {
	d, err := a.cluster.Jobs.Detail(ctx, id)
	if errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		d, err = a.sparseDetail(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	at := a.now()
	return &view{JobDetail: d, at: at, now: at.UnixMilli(), rates: a.rates.Observe(at, d)}, nil
}

// sparseDetail is the detail of a job of which only the summary is known: its JobMaster has not said more yet, or it never
// will, because the program could not be started.
func (a *API) sparseDetail(ctx context.Context, id string) (*weirpb.JobDetail, error) {
	s, err := a.cluster.Jobs.Summary(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &weirpb.JobDetail{
		JobId: s.JobId, Name: s.Name, Epoch: s.Epoch, State: s.State, Start: s.StartUnixMillis, End: s.EndUnixMillis,
		Timestamps:  map[string]int64{"INITIALIZING": s.StartUnixMillis, s.State: s.ModifiedUnixMillis},
		SlotsNeeded: s.SlotsNeeded, SlotsMissing: s.SlotsMissing,
	}
	if ended(s.State) {
		d.Timestamps[s.State] = s.EndUnixMillis
	}
	if text := s.Result.GetError(); text != "" {
		d.Cause = &weirpb.FailureDetail{At: s.EndUnixMillis, Text: text}
		d.Failures = []*weirpb.FailureDetail{d.Cause}
	}
	return d, nil
}

type jobAnswer struct {
	ID               string           `json:"jid"`
	ApplicationID    string           `json:"application-id"`
	Name             string           `json:"name"`
	Stoppable        bool             `json:"isStoppable"`
	State            string           `json:"state"`
	JobType          string           `json:"job-type"`
	StartTime        int64            `json:"start-time"`
	EndTime          int64            `json:"end-time"`
	Duration         int64            `json:"duration"`
	MaxParallelism   int32            `json:"maxParallelism"`
	Now              int64            `json:"now"`
	Timestamps       map[string]int64 `json:"timestamps"`
	Vertices         []vertexItem     `json:"vertices"`
	StatusCounts     map[string]int   `json:"status-counts"`
	Plan             json.RawMessage  `json:"plan"`
	PendingOperators int              `json:"pending-operators"`
	SchedulerType    string           `json:"schedulerType"`
	// What follows is Weir's: slots that the job waits for, restarts, and why it fails or failed.
	SlotsNeeded  int32  `json:"slots-needed"`
	SlotsMissing int32  `json:"slots-missing"`
	Restarts     int64  `json:"restarts"`
	Failure      string `json:"failure,omitempty"`
}

type vertexItem struct {
	ID                 string         `json:"id"`
	SlotSharingGroupID string         `json:"slotSharingGroupId"`
	Name               string         `json:"name"`
	MaxParallelism     int32          `json:"maxParallelism"`
	Parallelism        int32          `json:"parallelism"`
	Status             string         `json:"status"`
	StartTime          int64          `json:"start-time"`
	EndTime            int64          `json:"end-time"`
	Duration           int64          `json:"duration"`
	Tasks              map[string]int `json:"tasks"`
	Metrics            ioMetrics      `json:"metrics"`
}

// slotSharingGroup is the id of the one group that all vertices of a job are in.
const slotSharingGroup = "00000000000000000000000000000001"

func (a *API) job(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	application, err := a.applicationOf(r.Context(), v.JobId)
	if err != nil {
		return nil, err
	}
	body := jobAnswer{
		ID: v.JobId, ApplicationID: application, Name: v.Name, State: v.State, JobType: "STREAMING", StartTime: v.Start,
		MaxParallelism: v.MaxParallelism, Now: v.now, Timestamps: map[string]int64{}, Vertices: []vertexItem{},
		StatusCounts: countStates(nil), Plan: planOf(v.JobDetail), SchedulerType: "Default", SlotsNeeded: v.SlotsNeeded,
		SlotsMissing: v.SlotsMissing, Restarts: v.Restarts, Failure: v.Cause.GetText(),
	}
	body.EndTime, body.Duration = endAndDuration(v.Start, v.End, v.now)
	for _, state := range jobStates {
		body.Timestamps[state] = v.Timestamps[state]
	}
	for _, vertex := range v.Vertices {
		body.Vertices = append(body.Vertices, v.vertexItem(vertex))
		// As in Flink, this counts vertices by their state.
		body.StatusCounts[vertex.State]++
	}
	return body, nil
}

func (v *view) vertexItem(vertex *weirpb.VertexDetail) vertexItem {
	start, end, duration := v.span(currentAttempts(vertex.Subtasks))
	return vertexItem{
		ID: vertex.Id, SlotSharingGroupID: slotSharingGroup, Name: vertex.Name, MaxParallelism: vertex.MaxParallelism,
		Parallelism: vertex.Parallelism, Status: vertex.State, StartTime: start, EndTime: end, Duration: duration,
		Tasks: countStates(vertex.Subtasks), Metrics: sumMetrics(currentAttempts(vertex.Subtasks)),
	}
}

func countStates(subtasks []*weirpb.SubtaskDetail) map[string]int {
	counts := make(map[string]int, len(taskStates))
	for _, state := range taskStates {
		counts[state] = 0
	}
	for _, s := range subtasks {
		if s.Current != nil {
			counts[s.Current.State]++
		}
	}
	return counts
}

// planOf is the plan of a job; a job that has none yet has one without nodes. What a program describes belongs to no job
// yet, so the id is the one that is asked for.
func planOf(d *weirpb.JobDetail) json.RawMessage {
	var plan map[string]any
	if json.Unmarshal(d.Plan, &plan) != nil || plan == nil {
		plan = map[string]any{"name": d.Name, "type": "STREAMING", "nodes": []any{}}
	}
	plan["jid"] = d.JobId
	text, err := json.Marshal(plan)
	if err != nil {
		return json.RawMessage("{}") // what was JSON always is
	}
	return text
}

func (a *API) jobPlan(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	return map[string]json.RawMessage{"plan": planOf(v.JobDetail)}, nil
}

func (a *API) jobStatus(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	s, err := a.cluster.Jobs.Summary(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return map[string]string{"status": s.State}, nil
}

type jobConfigAnswer struct {
	ID              string                `json:"jid"`
	Name            string                `json:"name"`
	ExecutionConfig executionConfigAnswer `json:"execution-config"`
	Arguments       []string              `json:"arguments"`
}

type executionConfigAnswer struct {
	RestartStrategy string            `json:"restart-strategy"`
	Parallelism     int32             `json:"job-parallelism"`
	ObjectReuse     bool              `json:"object-reuse-mode"`
	UserConfig      map[string]string `json:"user-config"`
}

func (a *API) jobConfig(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	c := v.Config
	return jobConfigAnswer{
		ID: v.JobId, Name: v.Name, Arguments: config.HideArguments(c.GetArguments()),
		ExecutionConfig: executionConfigAnswer{
			RestartStrategy: c.GetRestartStrategy(), Parallelism: c.GetParallelism(), ObjectReuse: c.GetObjectReuse(),
			UserConfig: config.HideSecrets(c.GetSettings()),
		},
	}, nil
}

type resultAnswer struct {
	Status statusAnswer     `json:"status"`
	Result *resultOfJobBody `json:"job-execution-result"`
}

type statusAnswer struct {
	ID string `json:"id"`
}

// The states of what a client polls for.
const (
	inProgress = "IN_PROGRESS"
	completed  = "COMPLETED"
)

type resultOfJobBody struct {
	ID            string            `json:"id"`
	ApplicationID string            `json:"application-id"`
	Status        string            `json:"application-status"`
	Name          string            `json:"name"`
	StartTime     int64             `json:"start-time"`
	EndTime       int64             `json:"end-time"`
	NetRuntime    int64             `json:"net-runtime"`
	Accumulators  map[string]string `json:"accumulator-results"`
	FailureCause  *failureCause     `json:"failure-cause,omitempty"`
}

// jobResult tells how a job ended, once it has.
func (a *API) jobResult(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	s, err := a.cluster.Jobs.Summary(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !ended(s.State) {
		return resultAnswer{Status: statusAnswer{inProgress}}, nil
	}
	application, err := a.applicationOf(r.Context(), id)
	if err != nil {
		return nil, err
	}
	b := &resultOfJobBody{
		ID: id, ApplicationID: application, Status: s.State, Name: s.Name, StartTime: s.StartUnixMillis,
		EndTime: s.EndUnixMillis, NetRuntime: max(0, s.EndUnixMillis-s.StartUnixMillis), Accumulators: map[string]string{},
	}
	switch s.State {
	case "FINISHED":
		b.Status = "SUCCEEDED"
	case "FAILED":
		b.FailureCause = causeOf(jobFailureClass, s.Result.GetError())
	}
	return resultAnswer{Status: statusAnswer{completed}, Result: b}, nil
}

type progressAnswer struct {
	ID           string         `json:"jid"`
	Name         string         `json:"name"`
	State        string         `json:"state"`
	StartTime    int64          `json:"start-time"`
	EndTime      int64          `json:"end-time"`
	Duration     int64          `json:"duration"`
	Now          int64          `json:"now"`
	Tasks        map[string]int `json:"tasks"`
	SlotsNeeded  int32          `json:"slots-needed"`
	SlotsMissing int32          `json:"slots-missing"`
	Restarts     int64          `json:"restarts"`
	// Failure is why the job failed, or the newest failure after which it went on.
	Failure string `json:"failure,omitempty"`
	// RecordsIn is what sources have emitted, RecordsOut what reached sinks; rates are per second.
	RecordsIn      int64   `json:"records-in"`
	RecordsOut     int64   `json:"records-out"`
	RecordsInRate  float64 `json:"records-in-per-second"`
	RecordsOutRate float64 `json:"records-out-per-second"`
	// Watermark is the lowest of all tasks and WatermarkLag its distance to the clock; both are absent while a task has
	// none. Holder is the split that holds it back, if that is known.
	Watermark    *int64 `json:"watermark,omitempty"`
	WatermarkLag *int64 `json:"watermark-lag,omitempty"`
	Holder       string `json:"watermark-holder,omitempty"`
	// LastCheckpoint is the newest that completed, CommittedCheckpoint the newest whose output is committed.
	LastCheckpoint         int64 `json:"last-checkpoint"`
	LastCheckpointTime     int64 `json:"last-checkpoint-time"`
	LastCheckpointDuration int64 `json:"last-checkpoint-duration"`
	LastCheckpointBytes    int64 `json:"last-checkpoint-bytes"`
	CommittedCheckpoint    int64 `json:"committed-checkpoint"`
	FailedCheckpoints      int64 `json:"failed-checkpoints"`
}

// progress is all that a line about a running job shows.
func (a *API) progress(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	p := progressAnswer{
		ID: v.JobId, Name: v.Name, State: v.State, StartTime: v.Start, Now: v.now, SlotsNeeded: v.SlotsNeeded,
		SlotsMissing: v.SlotsMissing, Restarts: v.Restarts, Failure: v.lastFailure(), Tasks: countStates(nil),
		CommittedCheckpoint: v.Checkpoints.GetCommitted(), FailedCheckpoints: v.Checkpoints.GetFailed(),
	}
	p.EndTime, p.Duration = endAndDuration(v.Start, v.End, v.now)
	if c := v.Checkpoints.GetLatestCompleted(); c != nil {
		p.LastCheckpoint, p.LastCheckpointTime = c.Id, c.End
		p.LastCheckpointDuration, p.LastCheckpointBytes = c.End-c.Trigger, c.StateBytes
	}
	producers := v.producers()
	for _, vertex := range v.Vertices {
		for state, n := range countStates(vertex.Subtasks) {
			p.Tasks[state] += n
		}
		v.addRecords(&p, vertex, producers)
	}
	v.setWatermark(&p)
	return p, nil
}

// lastFailure is why the job failed, or else the newest failure that it goes on after; empty if there was none.
func (v *view) lastFailure() string {
	if n := len(v.Failures); v.Cause == nil && n > 0 {
		return v.Failures[n-1].GetText()
	}
	return v.Cause.GetText()
}

// producers returns the vertices that others read from, and those that read from others.
func (v *view) producers() map[string]struct{ reads, isRead bool } {
	var plan struct {
		Nodes []struct {
			ID     string `json:"id"`
			Inputs []struct {
				ID string `json:"id"`
			} `json:"inputs"`
		} `json:"nodes"`
	}
	ends := map[string]struct{ reads, isRead bool }{}
	if json.Unmarshal(planOf(v.JobDetail), &plan) != nil {
		return ends
	}
	for _, n := range plan.Nodes {
		e := ends[n.ID]
		e.reads = len(n.Inputs) > 0
		ends[n.ID] = e
		for _, in := range n.Inputs {
			from := ends[in.ID]
			from.isRead = true
			ends[in.ID] = from
		}
	}
	return ends
}

// addRecords counts what heads of source vertices emitted, and what came into the last step of sink vertices.
func (v *view) addRecords(p *progressAnswer, vertex *weirpb.VertexDetail, ends map[string]struct{ reads, isRead bool }) {
	for _, at := range currentAttempts(vertex.Subtasks) {
		operators := at.GetMetrics().GetOperators()
		if len(operators) == 0 {
			continue
		}
		rates := v.rates[at.Id]
		if !ends[vertex.Id].reads {
			p.RecordsIn += operators[0].RecordsOut
			p.RecordsInRate += first(rates.Out)
		}
		if !ends[vertex.Id].isRead {
			p.RecordsOut += operators[len(operators)-1].RecordsIn
			p.RecordsOutRate += last(rates.In)
		}
	}
}

func first(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return rates[0]
}

func last(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return rates[len(rates)-1]
}

// noWatermark is that of a task that has seen none, endOfTime that of one whose input has ended.
const (
	noWatermark = -1 << 63
	endOfTime   = 1<<63 - 1
)

func (v *view) setWatermark(p *progressAnswer) {
	low := int64(endOfTime)
	for _, vertex := range v.Vertices {
		for _, at := range currentAttempts(vertex.Subtasks) {
			for _, o := range at.GetMetrics().GetOperators() {
				if w := metrics.WatermarkMillis(o); w < low {
					low, p.Holder = w, o.Holder
				} else if w == low && p.Holder == "" {
					p.Holder = o.Holder
				}
			}
		}
	}
	if low == noWatermark || low == endOfTime {
		return
	}
	lag := v.now - low
	p.Watermark, p.WatermarkLag = &low, &lag
}
