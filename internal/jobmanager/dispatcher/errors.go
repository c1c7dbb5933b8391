// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import "errors"

var (
	// ErrDeposed means that another JobManager leads: all JobMaster processes of this one have been ended, and its
	// process should end or wait for its turn.
	ErrDeposed = errors.New("deposed by a later leader")
	// ErrClosed means that the Dispatcher is shutting down.
	ErrClosed = errors.New("the dispatcher is shutting down")
)

// Internal kinds: how a request to a JobMaster ended.
var (
	// errLost means that the JobMaster's process ended before it answered.
	errLost = errors.New("the JobMaster ended before it answered")
	// errEnded means that the job has ended, so that there is nobody to ask.
	errEnded = errors.New("the job has ended")
	// errCanceled ends what is done to start a job or application that is canceled.
	errCanceled = errors.New("canceled")
)
