// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package core matches the slots of TaskManagers to the declared needs of JobMasters: a state machine without
// goroutine, clock or I/O, and without durable state. What it knows is what was reported and declared lately, so after a
// restart it is right again within a heartbeat.
//
//	TaskManagerReport --> slots  \
//	                              match --> AllocateSlots, one for each TaskManager
//	DeclareNeeds -------> needs  /
//
// JobMasters that take a job over are told which TaskManagers they seek in vain (HostsGone).
//
// A job that lacks the most, as a share of its need, is served first. Invariant: a slot is of one allocation, and an
// allocation of one job.
package core
