// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package remote connects the Routers of processes on different machines by gRPC: those of TaskManagers to that of the
// JobManager, from which they also fetch programs of jobs.
//
//	TaskManager                               JobManager
//	  Client --- Hello ----------------------> Server     versions are compared
//	         <-- Welcome or Refused ----------
//	         <-- Frames, both ways ----------->           until either end notices that the other is gone
//	         --- Ping, every second ---------->
//	         <-- chunks of programs -----------
//
// The Client keeps one connection up: when it ends, it tries its addresses in turn, and the one that a JobManager which
// isn't the leader names. A connection whose other end has closed it, or whose process died, ends at once. One that went
// silent, because a machine or network is gone or a process was stopped, ends within SilenceMax: the Server finds it by
// keepalive of gRPC, the Client by its pings, since gRPC lets clients look every ten seconds only.
//
// cmd/weir links this package, and no program of a job. It is to be built with the tag grpcnotrace: otherwise gRPC brings
// in golang.org/x/net/trace, whose templates have the linker keep every exported method of the program.
package remote
