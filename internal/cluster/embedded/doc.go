// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package embedded is a whole cluster in one process: the Launcher of JobMasters, a ResourceManager, a JobMaster for each
// job and one or several TaskManagers, the components that a cluster of processes runs, over a network that encodes and
// decodes their messages.
//
//	Start --> Network, ResourceManager, Launcher, TaskManagers
//	Submit -> Job: Wait, Cancel, Savepoint, StopWithSavepoint, Suspend, Status
//	Close --> Launcher (JobMasters), TaskManagers (tasks), ResourceManager
//
// The order of Close is that of who gives work to whom: what is still running ends as if the process had been killed,
// and a run with a checkpoint directory can be continued.
//
// Non-obvious: tasks can't be killed, only asked to end. One whose user code never returns fails its job after
// CancelTimeout, stays behind with its goroutines, and nothing is restarted beside it.
package embedded
