// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import "time"

// Record is one record of the job store. Exactly one of the pointers is set; docs/formats/job-store.md describes them.
type Record struct {
	// Epoch is that of the leader that made the record.
	Epoch int64     `json:"epoch"`
	At    time.Time `json:"at"`

	Opened            *Opened             `json:"opened,omitempty"`
	Submitted         *Submitted          `json:"submitted,omitempty"`
	Canceling         *Canceling          `json:"canceling,omitempty"`
	Ended             *Ended              `json:"ended,omitempty"`
	ApplicationBegun  *Application        `json:"application_begun,omitempty"`
	ApplicationFailed *ApplicationFailure `json:"application_failed,omitempty"`
	ProgramAdded      *Program            `json:"program_added,omitempty"`
	ProgramRemoved    *ProgramRemoved     `json:"program_removed,omitempty"`
	Summary           *Summary            `json:"summary,omitempty"`
}

// Opened is the first record of a leader.
type Opened struct {
	// Holder says who leads, for people.
	Holder string `json:"holder"`
}

// Submitted adds jobs: one, or all of an application.
type Submitted struct {
	Jobs []*Job `json:"jobs"`
}

// Job is what a job runs, fixed at its submission, and how it ended.
type Job struct {
	ID string `json:"id,omitempty"`
	// Application is the application that the job belongs to; empty for a job that was submitted alone.
	Application string `json:"application,omitempty"`
	// Name is the job's name for people, Entry the one under which its program knows it.
	Name  string `json:"name,omitempty"`
	Entry string `json:"entry,omitempty"`
	// Program is the hash of the program's content.
	Program   string   `json:"program"`
	Arguments []string `json:"arguments,omitempty"`
	// Dir is the directory against which relative paths resolve; where RejectRelative is set, there must be none.
	Dir            string            `json:"dir,omitempty"`
	RejectRelative bool              `json:"reject_relative,omitempty"`
	Settings       map[string]string `json:"settings,omitempty"`
	// Restore is empty or the absolute path of what the job begins from.
	Restore               string `json:"restore,omitempty"`
	AllowNonRestoredState bool   `json:"allow_non_restored_state,omitempty"`
	CheckpointDir         string `json:"checkpoint_dir,omitempty"`
	// Described is the graph that the program must describe, a weirpb.JobDescription; dropped when the job has ended.
	Described []byte    `json:"described,omitempty"`
	Submitted time.Time `json:"submitted,omitzero"`
	// Canceling tells that the job is to be canceled; records of submissions don't have it, summaries do.
	Canceling bool `json:"canceling,omitempty"`
	// End is nil until the job has ended; records of submissions don't have it, summaries do.
	End *End `json:"end,omitempty"`
}

// Canceling tells that a job is to be canceled, whoever leads.
type Canceling struct {
	Job string `json:"job"`
}

// Ended ends a job.
type Ended struct {
	Job string `json:"job"`
	End
}

// End is how a job ended.
type End struct {
	// State is FINISHED, FAILED or CANCELED.
	State     string    `json:"state"`
	Error     string    `json:"error,omitempty"`
	Savepoint string    `json:"savepoint,omitempty"`
	At        time.Time `json:"at"`
	// Epoch is that of the last JobMaster, Tasks how many tasks were in which state then.
	Epoch int64            `json:"epoch,omitempty"`
	Tasks map[string]int32 `json:"tasks,omitempty"`
}

// Application is a run of a program with all its jobs. Its jobs are submitted together, once the program has been
// described.
type Application struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Template is what all its jobs have in common; its id is that of no job.
	Template Job       `json:"template"`
	Begun    time.Time `json:"begun"`
	// Jobs are the ids of its jobs, none before they are submitted; Failure is why there will be none. Records of
	// beginnings have neither, summaries do.
	Jobs    []string            `json:"jobs,omitempty"`
	Failure *ApplicationFailure `json:"failure,omitempty"`
}

// ApplicationFailure ends an application that has no jobs.
type ApplicationFailure struct {
	Application string `json:"application"`
	// State is FAILED, or CANCELED if it was canceled before it had jobs.
	State string    `json:"state"`
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at"`
}

// Program is a job program that was uploaded.
type Program struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Hash     string    `json:"hash"`
	Size     int64     `json:"size"`
	Uploaded time.Time `json:"uploaded"`
}

// ProgramRemoved forgets a program.
type ProgramRemoved struct {
	Program string `json:"program"`
}

// Summary is the whole state, so that the records before it are not needed any more. All lists are ordered by id.
type Summary struct {
	Jobs         []*Job         `json:"jobs,omitempty"`
	Applications []*Application `json:"applications,omitempty"`
	Programs     []*Program     `json:"programs,omitempty"`
}
