// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/weir-stream/weir/internal/metrics"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// metricValue is a metric with its value as text.
type metricValue struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// metricID is a metric in a list of what there is.
type metricID struct {
	ID string `json:"id"`
}

// textOf is how Flink would write a value.
func textOf(v metrics.Value) string {
	switch {
	case v.Text != "":
		return v.Text
	case v.Whole:
		return strconv.FormatInt(v.Integer, 10)
	}
	return strconv.FormatFloat(v.Value, 'f', -1, 64)
}

// answerMetrics lists what there is, or answers what get= asks for. Names that do not exist are left out.
func answerMetrics(r *http.Request, values []metrics.Value) (any, error) {
	get := queryList(r, "get")
	if len(get) == 0 {
		ids := make([]metricID, 0, len(values))
		for _, v := range values {
			ids = append(ids, metricID{v.Name})
		}
		slices.SortFunc(ids, func(x, y metricID) int { return strings.Compare(x.ID, y.ID) })
		return slices.Compact(ids), nil
	}
	byName := make(map[string]metrics.Value, len(values))
	for _, v := range values {
		if _, ok := byName[v.Name]; !ok { // a name of user code does not hide the engine's
			byName[v.Name] = v
		}
	}
	found := []metricValue{}
	for _, name := range get {
		if v, ok := byName[name]; ok {
			found = append(found, metricValue{ID: name, Value: textOf(v)})
		}
	}
	return found, nil
}

// aggregation is a metric over several owners of it, as a JSON object with the aggregates that were asked for.
type aggregation struct {
	id     string
	values map[string]float64
}

// MarshalJSON writes the id beside the aggregates.
func (a aggregation) MarshalJSON() ([]byte, error) {
	m := map[string]any{"id": a.id}
	for name, f := range a.values {
		m[name] = number(f)
	}
	return json.Marshal(m)
}

// aggregates are the names that agg= may have.
var aggregates = []string{"min", "max", "avg", "sum", "skew"}

// answerAggregated lists what there is in any of owners, or answers the aggregates of what get= asks for.
func answerAggregated(r *http.Request, owners [][]metrics.Value) (any, error) {
	wanted := queryList(r, "agg")
	for _, agg := range wanted {
		if err := oneOf("agg", agg, aggregates...); err != nil {
			return nil, err
		}
	}
	if len(wanted) == 0 {
		wanted = aggregates
	}
	get := queryList(r, "get")
	if len(get) == 0 {
		return answerMetrics(r, slices.Concat(owners...))
	}
	list := []aggregation{}
	for _, name := range get {
		var values []float64
		for _, owner := range owners {
			for _, v := range owner {
				if v.Name == name && v.Text == "" {
					values = append(values, v.Value)
				}
			}
		}
		if len(values) == 0 {
			continue
		}
		a := aggregation{id: name, values: map[string]float64{}}
		for _, agg := range wanted {
			a.values[strings.ToLower(agg)] = aggregateOf(strings.ToLower(agg), values)
		}
		list = append(list, a)
	}
	return list, nil
}

func aggregateOf(agg string, values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch mean := sum / float64(len(values)); agg {
	case "min":
		return slices.Min(values)
	case "max":
		return slices.Max(values)
	case "avg":
		return mean
	case "skew":
		return skew(values, mean)
	default:
		return sum
	}
}

// skew is the mean distance from the mean, in percent of the mean, at most 100.
func skew(values []float64, mean float64) float64 {
	if mean == 0 {
		return 0
	}
	distance := 0.0
	for _, v := range values {
		distance += math.Abs(v - mean)
	}
	return min(100, 100*distance/float64(len(values))/math.Abs(mean))
}

func (a *API) jobMetrics(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	return answerMetrics(r, metrics.OfJob(v.JobDetail, v.at))
}

func (a *API) jobsMetrics(r *http.Request) (any, error) {
	only := queryList(r, "jobs")
	for _, id := range only {
		if !idPattern.MatchString(id) {
			return nil, invalid("jobs=%q: it has to be 32 hexadecimal digits", clip(id))
		}
	}
	details, err := a.details(r.Context(), func(s *weirpb.JobSummary) bool {
		return len(only) == 0 || slices.Contains(only, s.JobId)
	})
	if err != nil {
		return nil, err
	}
	owners := make([][]metrics.Value, 0, len(details))
	for _, d := range details {
		owners = append(owners, metrics.OfJob(d, a.now()))
	}
	return answerAggregated(r, owners)
}

// askedAtOnce is how many processes are asked at a time.
const askedAtOnce = 16

// inParallel calls ask for 0 to n-1, some at a time, and returns when all have. A panic of one becomes the caller's.
func inParallel(n int, ask func(i int)) {
	places := make(chan struct{}, askedAtOnce)
	panics := make(chan any, n)
	var asking sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		asking.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
				<-places
			}()
			ask(i)
		})
	}
	asking.Wait()
	if len(panics) > 0 {
		panic(<-panics)
	}
}

// details collects the details of all jobs of some kind, ordered by id; jobs that do not answer are left out.
func (a *API) details(ctx context.Context, wanted func(*weirpb.JobSummary) bool) ([]*weirpb.JobDetail, error) {
	list, err := a.cluster.Jobs.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]*weirpb.JobDetail, len(list))
	inParallel(len(list), func(i int) {
		if !wanted(list[i]) {
			return
		}
		if d, err := a.cluster.Jobs.Detail(ctx, list[i].JobId); err == nil {
			found[i] = d
		}
	})
	found = slices.DeleteFunc(found, func(d *weirpb.JobDetail) bool { return d == nil })
	slices.SortFunc(found, func(x, y *weirpb.JobDetail) int { return cmp.Compare(x.JobId, y.JobId) })
	return found, nil
}

// taskValues are the metrics of a task and of the operators of its chain, whose names begin with that of the operator.
func (v *view) taskValues(at *weirpb.AttemptDetail) []metrics.Value {
	if at.GetMetrics() == nil {
		return nil
	}
	rates := v.rates[at.Id]
	values := metrics.OfTask(at.Metrics, rates)
	for i, o := range at.Metrics.Operators {
		prefix := metrics.OperatorName(o) + "."
		for _, value := range metrics.OfOperator(at.Metrics, rates, i) {
			value.Name = prefix + metrics.Escape(value.Name)
			values = append(values, value)
		}
	}
	return values
}

// vertexMetrics names metrics by the index of the subtask first.
func (a *API) vertexMetrics(r *http.Request) (any, error) {
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	var values []metrics.Value
	for _, s := range vertex.Subtasks {
		for _, value := range v.taskValues(s.Current) {
			value.Name = strconv.Itoa(int(s.Index)) + "." + value.Name
			values = append(values, value)
		}
	}
	return answerMetrics(r, values)
}

func (a *API) subtaskMetrics(r *http.Request) (any, error) {
	v, s, err := a.findSubtask(r)
	if err != nil {
		return nil, err
	}
	return answerMetrics(r, v.taskValues(s.Current))
}

// subtasksMetrics aggregates over subtasks, those of subtasks=0,2-4 or all.
func (a *API) subtasksMetrics(r *http.Request) (any, error) {
	only, err := subtaskRanges(queryList(r, "subtasks"))
	if err != nil {
		return nil, err
	}
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	var owners [][]metrics.Value
	for _, s := range vertex.Subtasks {
		if only(int(s.Index)) {
			owners = append(owners, v.taskValues(s.Current))
		}
	}
	return answerAggregated(r, owners)
}

func subtaskRanges(parts []string) (func(int) bool, error) {
	type span struct{ from, to int }
	var spans []span
	for _, part := range parts {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		from, err := strconv.Atoi(low)
		if err != nil {
			return nil, invalid("subtasks=%q: it has to be numbers and ranges, as 0,2-4", clip(part))
		}
		to, err := strconv.Atoi(high)
		if err != nil || to < from {
			return nil, invalid("subtasks=%q: it has to be numbers and ranges, as 0,2-4", clip(part))
		}
		spans = append(spans, span{from, to})
	}
	return func(i int) bool {
		return len(spans) == 0 || slices.ContainsFunc(spans, func(s span) bool { return s.from <= i && i <= s.to })
	}, nil
}

// coordinatorMetrics are those of the parts of operators that run on the JobMaster: none is measured.
func (a *API) coordinatorMetrics(r *http.Request) (any, error) {
	if _, _, err := a.find(r); err != nil {
		return nil, err
	}
	return []metricID{}, nil
}

// clusterValues are the figures of the JobManager: its process, the slots and the jobs.
func (a *API) clusterValues(ctx context.Context) ([]metrics.Value, error) {
	workers, err := a.cluster.Workers.List(ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := a.cluster.Jobs.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	figures := a.process.Read(a.now())
	var total, free, running float64
	for _, w := range workers {
		total += float64(len(w.Report.Slots))
		free += float64(freeSlots(w.Report))
	}
	for _, j := range jobs {
		if !ended(j.State) {
			running++
		}
	}
	figures["numRegisteredTaskManagers"] = float64(len(workers))
	figures["numPendingTaskManagers"] = 0
	figures["taskSlotsTotal"], figures["taskSlotsAvailable"], figures["numRunningJobs"] = total, free, running
	return metrics.OfNames(figures), nil
}

func (a *API) jobManagerMetrics(r *http.Request) (any, error) {
	values, err := a.clusterValues(r.Context())
	if err != nil {
		return nil, err
	}
	return answerMetrics(r, values)
}

// prometheus collects a scrape: the JobManager, the TaskManagers as they last reported, and all jobs that run with their
// tasks.
func (a *API) prometheus(ctx context.Context) []metrics.Group {
	host := a.config.Advertised
	if host == "" {
		host = "localhost"
	}
	values, err := a.clusterValues(ctx)
	if err != nil {
		values = metrics.OfNames(a.process.Read(a.now()))
	}
	groups := []metrics.Group{{Scope: "jobmanager", Labels: metrics.Labels{"host", host}, Values: values}}
	workers, err := a.cluster.Workers.List(ctx)
	if err != nil {
		return groups
	}
	for _, w := range workers {
		groups = append(groups, metrics.Group{
			Scope: "taskmanager", Labels: metrics.Labels{"host", w.Report.Host, "tm_id", w.Report.Id},
			Values: metrics.OfNames(w.Report.Metrics),
		})
	}
	details, err := a.details(ctx, func(s *weirpb.JobSummary) bool { return !ended(s.State) })
	if err != nil {
		return groups
	}
	for _, d := range details {
		groups = append(groups, metrics.Groups(d, a.rates.Observe(a.now(), d), host, a.now())...)
	}
	return groups
}
