// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package cluster is what runs TaskManagers for a ResourceManager: the Provider, which the packages below implement.
//
//	ResourceManager --- wanted, idle ---> who supervises ---StartWorker, StopWorker--> Provider
//	       ^                                                                              |
//	       +------------------------ reports ---------------- TaskManager <---------------+
//
// A Provider starts and stops, and says what runs; whether a TaskManager works, its reports to the ResourceManager tell.
// What it starts outlives the JobManager that asked for it, and is found again by the next one.
package cluster

import (
	"context"
	"time"
)

// Provider runs TaskManagers, as processes of a machine or as pods. Its methods may be called from any goroutine, and
// block until the platform has answered: none waits for a TaskManager to register or to end.
type Provider interface {
	// StartWorker starts a TaskManager and returns what Running lists from then on. The error wraps ErrNoCapacity where the
	// platform has no room: asking again later can help. After any other error nothing was started.
	StartWorker(ctx context.Context, p Profile) (Worker, error)
	// StopWorker has the TaskManager of that id end, gracefully where it can, and by force if it does not within the
	// Provider's time. It returns when the end is under way; Running lists the worker until it has ended. One that does not
	// run, or that this Provider has not started, is no error.
	StopWorker(ctx context.Context, id string) error
	// Running lists the TaskManagers that this Provider started, in this process or in one before it for the same cluster,
	// and that have not ended: sorted by id, each once. A worker that crashed and that the Provider does not start again is
	// not among them.
	Running(ctx context.Context) ([]Worker, error)
	// Ended returns which of some TaskManagers this Provider started, in this process or in one before it for the same
	// cluster, of which it knows that they have ended, or end by themselves, and won't be started again.
	Ended(ctx context.Context, ids []string) ([]string, error)
}

// Profile is what a TaskManager is to be like.
type Profile struct {
	// Slots is how many it has, and MemoryBytes what it may use with all its executors; zero stands for no limit.
	Slots       int
	MemoryBytes int64
	// Cores limits its share of the machine's; zero stands for no limit.
	Cores float64
}

// Worker is a TaskManager that was started.
type Worker struct {
	// ID is that by which the TaskManager reports to the ResourceManager. No two workers of a cluster ever have the same.
	ID      string
	Profile Profile
	Started time.Time
}
