// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package core is the slot table of a TaskManager: a state machine without goroutine, clock or I/O.
//
//	         AllocateSlots            accepted
//	free ------------------> offered ----------> active
//	  ^                         |                   |
//	  +-- withdrawn, returned, time-out ------------+-- returned, not held, JobMaster gone
//
// The ResourceManager says which slots are to be offered to which job, and an offer is repeated until the JobMaster
// accepts or returns it. From then on only the JobMaster gives the slot back; if it is silent for too long, the slot is
// free. An allocation that is to be offered to another JobMaster of the same job, its successor, is offered again
// without becoming free.
//
// Non-obvious: a heartbeat says which slots the JobMaster holds; one that was sent before a slot was accepted says
// nothing of that slot, which the sequence numbers of its sender tell.
package core
