// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package sim runs the pure cores of the control plane together, in one goroutine and in virtual time, under a seed:
// JobMasters with their checkpoint coordinators, the ResourceManager, slot tables and executors of TaskManagers, split
// ledgers and aligners of tasks, over the real claim protocol on storage in memory. Around them are small models: tasks
// that read, count and keep records, enumerators, committers.
//
//	seed --> world: events by time --> cores --actions--> world: delay, lose, double, reorder, fail, crash
//	                                     ^                  |
//	                                     +------------------+     checks after each event, and of all output at the end
//
// A seed decides everything: the shape of the job, the delays, the faults and when they happen. The same seed gives the
// same run, event by event, so one that fails is replayed by
//
//	go test ./test/sim -run TestSim -sim.seed=N -v
//
// Non-obvious: faults end after a while of virtual time, and then the job has to end; a run that does not is a failure.
package sim
