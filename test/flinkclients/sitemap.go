// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

// pages are all of the dashboard's, but profiler, flame graphs and rescales, which Weir has none of.
func (s site) pages() []page {
	job, over := "/job/running/"+s.running, "/job/completed/"+s.ended
	pages := []page{
		{path: "/overview", wants: []string{"Available Task Slots", "Total Task Slots 4", "Task Managers 2", "Running Applications 1", "Canceled", "flights"}},
		{path: "/application/running", wants: []string{"flights", "RUNNING"}},
		{path: "/application/completed", wants: []string{"flights", "CANCELED"}},
		{path: "/application/running/" + s.running + "/overview", wants: []string{"flights", "RUNNING", s.running}},
		{path: "/application/running/" + s.running + "/exceptions", wants: []string{s.running}},
		{path: "/job/running", wants: []string{"flights", "RUNNING"}},
		{path: "/job/completed", wants: []string{"flights", "CANCELED"}},
		{path: "/job-manager/metrics", wants: []string{"JVM Heap", "JVM Metaspace", "Garbage Collection"}},
		{path: "/job-manager/config", wants: []string{"rest.web-dir", "taskmanager.memory.process.size", "512"}},
		{path: "/job-manager/logs", wants: []string{"level=info"}},
		{path: "/job-manager/stdout", wants: []string{"Stdout"}},
		{path: "/job-manager/log", wants: []string{"jobmanager.log"}},
		{path: "/job-manager/log/jobmanager.log", wants: []string{"jobmanager.log", "level=info"}},
		{path: "/job-manager/thread-dump", wants: []string{"goroutine"}},
		{path: "/task-manager", wants: []string{s.worker, "512 MB"}},
		{path: "/submit", wants: []string{"Uploaded Jars", "flights"}},
		{path: "/submit", within: "flink-submit", clicks: []string{"flights", "Show Plan"}, arguments: "--out /tmp/out", wants: []string{"HASH", "Parallelism: 1"}},
	}
	pages = append(pages, s.workerPages()...)
	pages = append(pages, s.jobPages(job, "RUNNING")...)
	pages = append(pages, s.drawerPages(job)...)
	pages = append(pages, s.jobPages(over, "CANCELED")...)
	return append(pages, page{path: job + "/overview", wants: []string{"Cancel Job"}})
}

func (s site) workerPages() []page {
	w := "/task-manager/" + s.worker
	return []page{
		{path: w + "/metrics", wants: []string{s.worker, "Framework Heap", "Managed Memory", "Netty Shuffle Buffers"}},
		{path: w + "/logs", wants: []string{"level=info"}},
		{path: w + "/stdout", wants: []string{s.worker}},
		{path: w + "/log-list", wants: []string{"taskmanager.log"}},
		{path: w + "/log-list/taskmanager.log", wants: []string{"taskmanager.log", "level=info"}},
		{path: w + "/thread-dump", wants: []string{"goroutine"}},
	}
}

func (s site) jobPages(job, state string) []page {
	pages := []page{
		{path: job + "/overview", wants: []string{"flights", state, s.source.Name, s.middle.Name}},
		{path: job + "/exceptions", wants: []string{"Root Exception", "Exception History"}},
		{path: job + "/exceptions", within: "flink-job-exceptions", clicks: []string{"Exception History"}, wants: []string{"Task Name"}},
		{path: job + "/timeline", wants: []string{"Vertex TimeLine"}},
		{path: job + "/checkpoints", wants: []string{"Checkpoint Counts", "Latest Completed Checkpoint", "Path: " + s.data}, patterns: []string{`Completed: [1-9]`}},
		{path: job + "/checkpoints", within: "flink-job-checkpoints", clicks: []string{"History"}, wants: []string{"COMPLETED"}},
		{path: job + "/checkpoints", within: "flink-job-checkpoints", clicks: []string{"Summary"}, wants: []string{"End to End Duration", "Minimum", "Average", "Maximum"}},
		{path: job + "/checkpoints", within: "flink-job-checkpoints", clicks: []string{"Configuration"}, wants: []string{"Exactly Once", "Interval 1s", "Tolerable Failed Checkpoints"}},
		{path: job + "/configuration", wants: []string{"Execution Configuration", "restart"}},
	}
	if state == "RUNNING" {
		pages = append(pages, page{path: job + "/dataskew", wants: []string{"Data Skew", s.middle.Name}})
	}
	return pages
}

func (s site) drawerPages(job string) []page {
	drawer := job + "/overview/" + s.middle.ID
	return []page{
		{path: drawer + "/detail", wants: []string{s.middle.Name, "RUNNING"}},
		{path: drawer + "/subtasks", wants: []string{"Records Received", "RUNNING"}},
		{path: drawer + "/taskmanagers", wants: []string{"Records Received", "RUNNING"}},
		{path: drawer + "/watermarks", wants: []string{"Datetime of Watermark"}, patterns: []string{`13[0-9]{11} 201[23]-`}},
		{path: drawer + "/accumulators", wants: []string{"Accumulators"}},
		{path: drawer + "/backpressure", wants: []string{"Back Pressure Status", "OK"}},
		{path: drawer + "/metrics", wants: []string{"Add Metric"}},
	}
}
