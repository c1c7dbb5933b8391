// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package local is a cluster on one machine: a supervisor that is the parent of a JobManager and of TaskManagers, and the
// Provider through which the JobManager asks it for more of them.
//
//	weir cluster up = Supervisor
//	  |  |  |  +-- taskmanager   started on demand, given back when idle
//	  |  |  +----- taskmanager   kept: started again when it dies
//	  |  +-------- jobmanager    kept; finds its TaskManagers again, for they are the supervisor's
//	  +----------- DIR/supervisor.sock <-- Provider of the JobManager
//
// What TaskManagers leave that are gone is removed, but the logs of the last keptLogs of them.
//
// All children hold a link to the supervisor and end with it. One supervisor uses a directory at a time: it holds a lock
// on a file there, which the system gives back however it ends.
package local
