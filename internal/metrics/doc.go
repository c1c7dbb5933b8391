// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package metrics gives what the parts of a cluster measure Flink's names and scopes, and serves it to Prometheus.
//
//	runtime of a Go process  --> Process ---+
//	JobDetail of a JobMaster --> Rates, Job +--> names and values --> REST, /metrics
//	reports of TaskManagers  --------------- +
//
// Invariants: a name is Flink's where Flink has the thing, with Flink's unit. Counters of tasks arrive as totals; what
// Flink gives per second is computed here from two totals and the time between them. Nothing here runs on its own: who
// asks pays.
//
// The JobManager serves its own process and all jobs, a TaskManager its own process.
package metrics
