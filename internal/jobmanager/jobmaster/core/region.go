// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import "time"

// regionState is how far a pipelined region is from running.
//
//	backoff -> restoring -> waiting for slots -> deployed
//	   ^                                            |  an attempt failed
//	   +----------------- canceling <---------------+
type regionState uint8

const (
	// regionBackoff waits for the time of the restart; a new region begins here, with none to wait.
	regionBackoff regionState = iota
	// regionRestoring waits for the checkpoint that it starts from, its commits and its enumerators.
	regionRestoring
	regionWaiting
	regionDeployed
	regionCanceling
	// regionDone has nothing to run any more.
	regionDone
)

var regionStateNames = [...]string{"backoff", "restoring", "waiting", "deployed", "canceling", "done"}

func (s regionState) String() string { return regionStateNames[s] }

// region is a set of subtasks that fail and start together.
type region struct {
	index   int
	members []subtask
	state   regionState
	// restartAt ends regionBackoff; deadline is when canceling must have ended.
	restartAt, deadline time.Time
	// restore is what the attempts start from, as package checkpoint encodes it; empty on a fresh start.
	restore []byte
	// restored is the id of that checkpoint as messages have it, and deployment the number of the region's last one.
	restored, deployment int64
	// began is when the region last became regionWaiting.
	began time.Time
}

func (g *executionGraph) regionEvery(r *region, p func(*execution) bool) bool {
	for _, s := range r.members {
		if !p(g.of(s)) {
			return false
		}
	}
	return true
}
