// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
)

// JobStatus is the state of a job.
//
//	INITIALIZING -> CREATED -> RUNNING <-> RESTARTING
//	      |                       |            |
//	 RECONCILING -----------------+            |
//	                              +-> FAILING -+--> FAILED
//	                              +-> CANCELLING -> CANCELED
//	                              +-> FINISHED, SUSPENDED
type JobStatus uint8

// The states are Flink's.
const (
	JobInitializing JobStatus = iota
	JobCreated
	JobRunning
	JobRestarting
	JobFailing
	JobCancelling
	JobReconciling
	JobFinished
	JobFailed
	JobCanceled
	JobSuspended
)

var jobStatusNames = [...]string{
	"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "CANCELLING", "RECONCILING",
	"FINISHED", "FAILED", "CANCELED", "SUSPENDED",
}

// String is the name that is shown.
func (s JobStatus) String() string {
	if int(s) < len(jobStatusNames) {
		return jobStatusNames[s]
	}
	return fmt.Sprintf("JobStatus(%d)", uint8(s))
}

// ParseJobStatus is the inverse of String; FAILED for what is no status.
func ParseJobStatus(name string) JobStatus {
	if i := slices.Index(jobStatusNames[:], name); i >= 0 {
		return JobStatus(i)
	}
	return JobFailed
}

// Terminal reports whether the job has ended for good.
func (s JobStatus) Terminal() bool { return s == JobFinished || s == JobFailed || s == JobCanceled }

// Ended reports whether this JobMaster does nothing more for the job.
func (s JobStatus) Ended() bool { return s.Terminal() || s == JobSuspended }

var jobSuccessors = [...][]JobStatus{
	JobInitializing: {JobCreated, JobReconciling, JobFailing, JobFailed, JobCancelling, JobFinished, JobSuspended},
	JobReconciling:  {JobRunning, JobCreated, JobRestarting, JobFailing, JobCancelling, JobFinished, JobSuspended},
	JobCreated:      {JobRunning, JobFailing, JobCancelling, JobSuspended},
	JobRunning:      {JobRestarting, JobFailing, JobCancelling, JobFinished, JobSuspended},
	JobRestarting:   {JobRunning, JobFailing, JobCancelling, JobFinished, JobSuspended},
	JobFailing:      {JobFailed},
	JobCancelling:   {JobCanceled, JobFailing, JobFailed},
	JobFinished:     {},
	JobFailed:       {},
	JobCanceled:     {},
	JobSuspended:    {},
}

func (s JobStatus) mayBecome(to JobStatus) bool { return slices.Contains(jobSuccessors[s], to) }
