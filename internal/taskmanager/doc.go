// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package taskmanager is what lends a machine to jobs: it offers its slots to the JobMasters that the ResourceManager
// names, and keeps one executor for each job that has a slot here.
//
//	ResourceManager --AllocateSlots--> core.Slots --OfferSlots--> JobMaster
//	JobMaster --DeployTasks, heartbeat, ...--> executor of the job --reports--> JobMaster
//
// One endpoint's goroutine owns the slot table and the executors. Messages of a JobMaster whose epoch is not the highest
// seen of its job are dropped at this door.
package taskmanager
