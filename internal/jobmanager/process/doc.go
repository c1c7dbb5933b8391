// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package process is the JobManager as a process: all of `weir jobmanager` but its flags.
//
//	election --> epoch --> ResourceManager, Dispatcher, RPC server for TaskManagers, REST server
//
// Start returns when it serves, which is when it leads: one that stands by waits in it. Done is closed when it has to
// end, because another leads, the cluster is to be shut down, or the only job of the cluster has ended. Stop ends the
// parts in the reverse order of their start; JobMasters are children, and end with it.
//
// Non-obvious: an end without suspending the jobs is not their end. TaskManagers keep their tasks running, and the next
// JobManager takes them over.
package process
