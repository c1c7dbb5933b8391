// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package taskmanager is what lends a machine to jobs: it offers its slots to the JobMasters that the ResourceManager
// names, and keeps one executor for each job that has a slot here.
//
//	ResourceManager --AllocateSlots--> core.Slots --OfferSlots--> JobMaster
//	JobMaster --DeployTasks, heartbeat, ...--> executor of the job --reports--> JobMaster
//
// An Executor is in the process of the TaskManager, or a process of its own that package process of this folder starts: the
// slot table decides either way, and messages of a JobMaster pass by it. An executor is made when the first slot is offered
// to its job, since it may take some time to begin, and ends when the job has none.
//
// One endpoint's goroutine owns the slot table and the executors. Messages of a JobMaster whose epoch is not the highest
// seen of its job are dropped at this door.
package taskmanager
