// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Group is figures of one scope with the labels that they have in common.
type Group struct {
	// Scope is Flink's for Prometheus: jobmanager, jobmanager_job, taskmanager, taskmanager_job_task or
	// taskmanager_job_task_operator.
	Scope  string
	Labels Labels
	Values []Value
}

// Labels are names and values in turn.
type Labels []string

// Source collects what one scrape shows.
type Source func(ctx context.Context) []Group

const (
	scrapeTimeout  = 10 * time.Second
	scrapesMax     = 4
	metricsPerPage = 200_000
)

// Handler serves source in Prometheus' text format. A figure that occurs twice or has a label that its siblings don't
// have is left out and logged, so that one bad name does not hide the rest.
func Handler(source Source, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
		defer cancel()
		registry := prometheus.NewRegistry()
		if err := registry.Register(&collector{groups: source(ctx), logger: logger}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{
			ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesMax, DisableCompression: true,
		}).ServeHTTP(w, r)
	})
}

// collector shows the groups of one scrape. It is unchecked: it describes nothing beforehand, since the names depend on
// the jobs that run.
type collector struct {
	groups []Group
	logger *slog.Logger
}

// Describe describes nothing.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all figures that are numbers.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	seen := map[string]bool{}
	families := map[string]string{}
	for _, g := range c.groups {
		for _, v := range g.Values {
			if v.Text != "" || len(seen) >= metricsPerPage {
				continue
			}
			m, key, family, err := metricOf(g, v)
			if err != nil {
				c.logger.Warn("A metric has no form for Prometheus", "scope", g.Scope, "name", v.Name, "error", err)
				continue
			}
			if shape := families[family]; seen[key] || shape != "" && shape != shapeOf(g, v) {
				continue
			}
			seen[key], families[family] = true, shapeOf(g, v)
			out <- m
		}
	}
}

// shapeOf is what all figures of a name must have in common.
func shapeOf(g Group, v Value) string {
	var b strings.Builder
	b.WriteString(strconv.FormatBool(v.Counter))
	for i := 0; i < len(g.Labels); i += 2 {
		b.WriteString("," + g.Labels[i])
	}
	return b.String()
}

func metricOf(g Group, v Value) (m prometheus.Metric, key, family string, err error) {
	var names, values []string
	for i := 0; i+1 < len(g.Labels); i += 2 {
		names, values = append(names, g.Labels[i]), append(values, strings.ToValidUTF8(g.Labels[i+1], "\uFFFD"))
	}
	family = "flink_" + g.Scope + "_" + prometheusName(v.Name)
	kind := prometheus.GaugeValue
	if v.Counter {
		kind = prometheus.CounterValue
	}
	help := v.Name + " (scope: " + g.Scope + ")"
	m, err = prometheus.NewConstMetric(prometheus.NewDesc(family, help, names, nil), kind, v.Value, values...)
	return m, family + "\x00" + strings.Join(values, "\x00"), family, err
}

// prometheusName replaces what Prometheus does not accept in a name.
func prometheusName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == ':' {
			return r
		}
		return '_'
	}, name)
}

// OfNames makes values of gauges by name, ordered by name.
func OfNames(m map[string]float64) []Value {
	values := make([]Value, 0, len(m))
	for name, f := range m {
		values = append(values, gauge(name, f))
	}
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Name, b.Name) })
	return values
}

// Groups returns the groups of a job: the job, its tasks and their operators. host is that of the JobManager.
func Groups(d *weirpb.JobDetail, rates map[int64]TaskRates, host string, now time.Time) []Group {
	groups := []Group{{
		Scope:  "jobmanager_job",
		Labels: Labels{"host", host, "job_id", d.JobId, "job_name", d.Name},
		Values: OfJob(d, now),
	}}
	for _, v := range d.Vertices {
		for _, s := range v.Subtasks {
			a := s.Current
			if a.GetMetrics() == nil {
				continue
			}
			labels := Labels{
				"host", a.Host, "tm_id", a.TaskManager, "job_id", d.JobId, "job_name", d.Name, "task_id", v.Id,
				"task_name", v.Name, "task_attempt_id", strconv.FormatInt(a.Id, 10), "subtask_index", strconv.Itoa(int(s.Index)),
				"task_attempt_num", strconv.Itoa(int(a.Number)),
			}
			r := rates[a.Id]
			groups = append(groups, Group{Scope: "taskmanager_job_task", Labels: labels, Values: OfTask(a.Metrics, r)})
			for i, o := range a.Metrics.Operators {
				groups = append(groups, Group{
					Scope:  "taskmanager_job_task_operator",
					Labels: append(slices.Clone(labels), "operator_id", o.Uid, "operator_name", o.Name),
					Values: OfOperator(a.Metrics, r, i),
				})
			}
		}
	}
	return groups
}
