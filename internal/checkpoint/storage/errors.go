// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import "errors"

var (
	// ErrDeposed means that another JobMaster has a higher epoch: the caller must stop, at once and without trace.
	ErrDeposed = errors.New("deposed by a later JobMaster")
	// ErrNoRun means that the checkpoint directory holds no run that could be continued.
	ErrNoRun = errors.New("no run to continue")
	// ErrRunExists means that a new run's id is taken.
	ErrRunExists = errors.New("run exists already")
	// ErrNoneUsable means that there are complete checkpoints, but all are corrupt; what is wrong with each is joined.
	ErrNoneUsable = errors.New("no complete checkpoint can be read")
	// ErrNotSnapshot means that a path to restore from is neither savepoint, checkpoint nor run.
	ErrNotSnapshot = errors.New("neither savepoint, checkpoint nor run")
)
