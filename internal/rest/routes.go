// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"slices"
)

// route is a path with what serves it and the least role that may ask for it.
type route struct {
	pattern string
	role    Role
	handle  handler
	// slow tells that a program is run for the answer; upload that the body may be large and the handler bounds it.
	slow, upload bool
}

// routes are all paths of the API but /metrics and files, without the version.
func (a *API) routes() []route {
	return slices.Concat(a.clusterRoutes(), a.jobRoutes(), a.vertexRoutes(), a.operationRoutes(), a.programRoutes(),
		a.workerRoutes(), a.weirRoutes(), a.absentRoutes())
}

func (a *API) clusterRoutes() []route {
	return []route{
		{pattern: "GET /config", role: ReadOnly, handle: a.dashboardConfig},
		{pattern: "GET /overview", role: ReadOnly, handle: a.overview},
		{pattern: "DELETE /cluster", role: Admin, handle: a.shutdown},
		{pattern: "GET /datasets", role: ReadOnly, handle: a.datasets},
		{pattern: "GET /applications/overview", role: ReadOnly, handle: a.applications},
		{pattern: "GET /applications/{application}", role: ReadOnly, handle: a.application},
		{pattern: "POST /applications/{application}/cancel", role: Operator, handle: a.cancelApplication},
		{pattern: "GET /applications/{application}/exceptions", role: ReadOnly, handle: a.applicationExceptions},
		{pattern: "GET /applications/{application}/jobmanager/config", role: ReadOnly, handle: a.applicationConfig},
		{pattern: "GET /jobmanager/config", role: ReadOnly, handle: a.jobManagerConfig},
		{pattern: "GET /jobmanager/environment", role: ReadOnly, handle: a.jobManagerEnvironment},
		{pattern: "GET /jobmanager/logs", role: ReadOnly, handle: a.jobManagerLogs},
		{pattern: "GET /jobmanager/logs/{file...}", role: ReadOnly, handle: a.jobManagerLogFile},
		{pattern: "GET /jobmanager/log", role: ReadOnly, handle: a.jobManagerLog(JobManagerLog)},
		{pattern: "GET /jobmanager/stdout", role: ReadOnly, handle: a.jobManagerLog(JobManagerOut)},
		{pattern: "GET /jobmanager/metrics", role: ReadOnly, handle: a.jobManagerMetrics},
		{pattern: "GET /jobmanager/thread-dump", role: ReadOnly, handle: a.jobManagerThreadDump},
	}
}

func (a *API) jobRoutes() []route {
	return []route{
		{pattern: "GET /jobs", role: ReadOnly, handle: a.jobIDs},
		{pattern: "POST /jobs", role: Operator, handle: a.submitJobGraph, upload: true},
		{pattern: "GET /jobs/overview", role: ReadOnly, handle: a.jobsOverview},
		{pattern: "GET /jobs/metrics", role: ReadOnly, handle: a.jobsMetrics},
		{pattern: "GET /jobs/{job}", role: ReadOnly, handle: a.job},
		{pattern: "GET /jobs/{job}/status", role: ReadOnly, handle: a.jobStatus},
		{pattern: "GET /jobs/{job}/config", role: ReadOnly, handle: a.jobConfig},
		{pattern: "GET /jobs/{job}/plan", role: ReadOnly, handle: a.jobPlan},
		{pattern: "GET /jobs/{job}/exceptions", role: ReadOnly, handle: a.jobExceptions},
		{pattern: "GET /jobs/{job}/accumulators", role: ReadOnly, handle: a.jobAccumulators},
		{pattern: "GET /jobs/{job}/execution-result", role: ReadOnly, handle: a.jobResult},
		{pattern: "GET /jobs/{job}/metrics", role: ReadOnly, handle: a.jobMetrics},
		{pattern: "GET /jobs/{job}/checkpoints", role: ReadOnly, handle: a.checkpoints},
		{pattern: "GET /jobs/{job}/checkpoints/config", role: ReadOnly, handle: a.checkpointConfig},
		{pattern: "GET /jobs/{job}/checkpoints/details/{checkpoint}", role: ReadOnly, handle: a.checkpoint},
		{
			pattern: "GET /jobs/{job}/checkpoints/details/{checkpoint}/subtasks/{vertex}", role: ReadOnly,
			handle: a.checkpointSubtasks,
		},
		{pattern: "GET /jobs/{job}/jobmanager/config", role: ReadOnly, handle: a.ofJob(a.jobManagerConfig)},
		{pattern: "GET /jobs/{job}/jobmanager/environment", role: ReadOnly, handle: a.ofJob(a.jobManagerEnvironment)},
		{pattern: "GET /jobs/{job}/jobmanager/log-url", role: ReadOnly, handle: a.jobManagerLogURL},
		{pattern: "GET /jobs/{job}/taskmanagers/{taskmanager}/log-url", role: ReadOnly, handle: a.taskManagerLogURL},
	}
}

func (a *API) vertexRoutes() []route {
	const vertex = "GET /jobs/{job}/vertices/{vertex}"
	return []route{
		{pattern: vertex, role: ReadOnly, handle: a.vertex},
		{pattern: vertex + "/accumulators", role: ReadOnly, handle: a.vertexAccumulators},
		{pattern: vertex + "/backpressure", role: ReadOnly, handle: a.backPressure},
		{pattern: vertex + "/flamegraph", role: ReadOnly, handle: a.flameGraph},
		{pattern: vertex + "/metrics", role: ReadOnly, handle: a.vertexMetrics},
		{pattern: vertex + "/jm-operator-metrics", role: ReadOnly, handle: a.coordinatorMetrics},
		{pattern: vertex + "/watermarks", role: ReadOnly, handle: a.watermarks},
		{pattern: vertex + "/subtasktimes", role: ReadOnly, handle: a.subtaskTimes},
		{pattern: vertex + "/taskmanagers", role: ReadOnly, handle: a.vertexTaskManagers},
		{pattern: vertex + "/subtasks/accumulators", role: ReadOnly, handle: a.subtasksAccumulators},
		{pattern: vertex + "/subtasks/metrics", role: ReadOnly, handle: a.subtasksMetrics},
		{pattern: vertex + "/subtasks/{subtask}", role: ReadOnly, handle: a.subtask},
		{pattern: vertex + "/subtasks/{subtask}/metrics", role: ReadOnly, handle: a.subtaskMetrics},
		{pattern: vertex + "/subtasks/{subtask}/attempts/{attempt}", role: ReadOnly, handle: a.attempt},
		{
			pattern: vertex + "/subtasks/{subtask}/attempts/{attempt}/accumulators", role: ReadOnly,
			handle: a.attemptAccumulators,
		},
	}
}

func (a *API) operationRoutes() []route {
	return []route{
		{pattern: "PATCH /jobs/{job}", role: Operator, handle: a.terminate},
		{pattern: "GET /jobs/{job}/yarn-cancel", role: Operator, handle: a.cancelByGet},
		{pattern: "GET /jobs/{job}/yarn-stop", role: Operator, handle: a.stopByGet},
		{pattern: "POST /jobs/{job}/savepoints", role: Operator, handle: a.triggerSavepoint},
		{pattern: "GET /jobs/{job}/savepoints/{trigger}", role: ReadOnly, handle: a.savepointStatus},
		{pattern: "POST /jobs/{job}/stop", role: Operator, handle: a.stopWithSavepoint},
		{pattern: "POST /jobs/{job}/checkpoints", role: Operator, handle: a.triggerCheckpoint},
		{pattern: "GET /jobs/{job}/checkpoints/{trigger}", role: ReadOnly, handle: a.checkpointStatus},
		{pattern: "POST /savepoint-disposal", role: Operator, handle: a.dispose},
		{pattern: "GET /savepoint-disposal/{trigger}", role: ReadOnly, handle: a.disposalStatus},
		{pattern: "PATCH /jobs/{job}/clientHeartbeat", role: Operator, handle: a.clientHeartbeat},
	}
}

func (a *API) programRoutes() []route {
	return []route{
		{pattern: "GET /jars", role: ReadOnly, handle: a.programs},
		{pattern: "POST /jars/upload", role: Operator, handle: a.uploadProgram, upload: true},
		{pattern: "DELETE /jars/{program}", role: Operator, handle: a.deleteProgram},
		// The plan is what the program says when it is run: so it takes the role that runs programs.
		{pattern: "GET /jars/{program}/plan", role: Operator, handle: a.planProgram, slow: true},
		{pattern: "POST /jars/{program}/plan", role: Operator, handle: a.planProgram, slow: true},
		{pattern: "POST /jars/{program}/run", role: Operator, handle: a.runProgram, slow: true},
		{pattern: "POST /jars/{program}/run-application", role: Operator, handle: a.runApplication, slow: true},
	}
}

func (a *API) workerRoutes() []route {
	const worker = "GET /taskmanagers/{taskmanager}"
	return []route{
		{pattern: "GET /taskmanagers", role: ReadOnly, handle: a.taskManagers},
		{pattern: "GET /taskmanagers/metrics", role: ReadOnly, handle: a.taskManagersMetrics},
		{pattern: worker, role: ReadOnly, handle: a.taskManager},
		{pattern: worker + "/logs", role: ReadOnly, handle: a.taskManagerLogs},
		{pattern: worker + "/logs/{file...}", role: ReadOnly, handle: a.taskManagerLogFile},
		{pattern: worker + "/log", role: ReadOnly, handle: a.taskManagerLog(TaskManagerLog)},
		{pattern: worker + "/stdout", role: ReadOnly, handle: a.taskManagerLog(TaskManagerOut)},
		{pattern: worker + "/metrics", role: ReadOnly, handle: a.taskManagerMetrics},
		{pattern: worker + "/thread-dump", role: ReadOnly, handle: a.taskManagerThreadDump},
	}
}

// weirRoutes are Weir's own.
func (a *API) weirRoutes() []route {
	return []route{
		{pattern: "GET /weir/cluster", role: ReadOnly, handle: a.clusterInfo},
		{pattern: "GET /weir/jobs/{job}/progress", role: ReadOnly, handle: a.progress},
		{pattern: "GET /weir/jobs/{job}/logs", role: ReadOnly, handle: a.jobLogs},
		{pattern: "GET /weir/jobs/{job}/logs/{source}/{file...}", role: ReadOnly, handle: a.jobLogFile},
		{pattern: "POST /weir/taskmanagers/{taskmanager}/drain", role: Admin, handle: a.drain},
	}
}

// absentRoutes are what Flink has and Weir has not, answered as Flink does where it is off.
func (a *API) absentRoutes() []route {
	const (
		noProfiler = "the profiler is not enabled"
		noRescales = "rescaling is not enabled: the job is not scheduled adaptively"
	)
	profiler := answerWith(http.StatusNotFound, noProfiler)
	var routes []route
	for _, owner := range []string{"/jobmanager", "/taskmanagers/{taskmanager}"} {
		for _, pattern := range []string{"GET %s/profiler", "POST %s/profiler", "GET %s/profiler/{file}"} {
			routes = append(routes, route{pattern: replaceOwner(pattern, owner), role: ReadOnly, handle: profiler})
		}
	}
	for _, page := range []string{"overview", "history", "summary", "config", "details/{rescale}"} {
		routes = append(routes, route{
			pattern: "GET /jobs/{job}/rescales/" + page, role: ReadOnly,
			handle: a.ofJob(answerWith(http.StatusNotFound, noRescales)),
		})
	}
	return append(routes,
		route{pattern: "PATCH /jobs/{job}/rescaling", role: Operator, handle: answerWith(
			http.StatusServiceUnavailable, "rescaling is temporarily disabled: stop the job with a savepoint and run it again")},
		route{pattern: "GET /jobs/{job}/rescaling/{trigger}", role: ReadOnly, handle: answerWith(
			http.StatusNotFound, "there is no such operation: rescaling is temporarily disabled")},
		route{pattern: "GET /jobs/{job}/resource-requirements", role: ReadOnly, handle: a.ofJob(answerWith(
			http.StatusInternalServerError, "the job is not scheduled adaptively: it has no resource requirements"))},
		route{pattern: "PUT /jobs/{job}/resource-requirements", role: Operator, handle: answerWith(
			http.StatusBadRequest, "the job is not scheduled adaptively: its resource requirements can't be changed")},
		route{pattern: "POST /jobs/{job}/coordinators/{operator}", role: Operator, handle: a.ofJob(answerWith(
			http.StatusBadRequest, "no operator of the job answers requests of clients"))},
		route{pattern: "DELETE /datasets/{dataset}", role: Operator, handle: answerWith(
			http.StatusNotFound, "there is no such data set: no job keeps intermediate results")},
		route{pattern: "GET /datasets/delete/{trigger}", role: ReadOnly, handle: answerWith(
			http.StatusNotFound, "there is no such operation")},
	)
}
