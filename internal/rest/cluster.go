// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"io"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Cluster is what the API is served from. All methods may be called concurrently; they return when the answer is known or
// ctx ends, and the callers change nothing of what they return. Job ids are 32 lower case hexadecimal digits, checked
// before a call. An error is of one of the kinds in errors.go if its kind matters; any other is a failure of the cluster.
type Cluster struct {
	Jobs     Jobs
	Programs Programs
	Workers  Workers
	Self     Self
}

// Jobs are the jobs that run or ran here.
type Jobs interface {
	// Summaries lists all jobs, those that ended included as long as they are remembered, in any order.
	Summaries(ctx context.Context) ([]*weirpb.JobSummary, error)
	// Summary is that of one job. It answers while the JobMaster of the job is away. ErrNotFound.
	Summary(ctx context.Context, job string) (*weirpb.JobSummary, error)
	// Detail is the newest detail of a job; for one that ended or whose JobMaster is away, the last one that is known.
	// ErrNotFound; ErrUnavailable if there is none yet.
	Detail(ctx context.Context, job string) (*weirpb.JobDetail, error)
	// Cancel begins to cancel a job and returns. ErrNotFound; ErrConflict if it has ended.
	Cancel(ctx context.Context, job string) error
	// Savepoint begins to take a savepoint, with which the job stops or is canceled if take says so; an empty directory is
	// the configured one, or ErrInvalid. It returns when the trigger id is known to Operation. A trigger id that is known
	// already changes nothing. ErrNotFound; ErrConflict if the job does not run.
	Savepoint(ctx context.Context, job, trigger string, take *weirpb.TakeSavepoint) error
	// Checkpoint begins to take a checkpoint, with the same rules.
	Checkpoint(ctx context.Context, job, trigger string, full bool) error
	// Dispose begins to delete a savepoint, with the same rules; its operation has no job.
	Dispose(ctx context.Context, trigger, savepoint string) error
	// Operation is the state of what was begun under a trigger id for a job, or for none. ErrNotFound.
	Operation(ctx context.Context, job, trigger string) (Operation, error)
	// ClientHeartbeat tells that the client that waits for the job lives at least until then. ErrNotFound.
	ClientHeartbeat(ctx context.Context, job string, until time.Time) error

	// Applications lists the applications, in any order. Each job belongs to exactly one; a job that was submitted alone
	// to one of its own, which ApplicationOf makes of its summary.
	Applications(ctx context.Context) ([]Application, error)
	// CancelApplication cancels all jobs of an application. ErrNotFound; ErrConflict if it has ended.
	CancelApplication(ctx context.Context, id string) error
}

// OperationKind is what an Operation does.
type OperationKind int

// The kinds of operations. One that stops a job is a savepoint.
const (
	OperationSavepoint OperationKind = iota + 1
	OperationCheckpoint
	OperationDispose
)

// Operation is a long operation that a client polls for.
type Operation struct {
	Kind OperationKind
	Done bool
	// Failure is why it failed, empty if it did not.
	Failure string
	// Location is the directory of a savepoint, Checkpoint the id of a checkpoint.
	Location   string
	Checkpoint int64
}

// Application is one run of a program with all of its jobs.
type Application struct {
	// ID is 32 lower case hexadecimal digits.
	ID   string
	Name string
	// Status is CREATED, RUNNING, FAILING, CANCELING, FINISHED, CANCELED or FAILED.
	Status string
	// Start, End and Timestamps (by status) are Unix milliseconds, zero or absent for what has not happened.
	Start, End int64
	Timestamps map[string]int64
	// Jobs are the ids of its jobs.
	Jobs []string
	// Failures are those that belong to no single job, as a program that describes no job, newest first. Those of jobs are
	// in their details.
	Failures []*weirpb.FailureDetail
}

// ApplicationOf is the application of a job that was submitted alone; it has the id of its job.
func ApplicationOf(s *weirpb.JobSummary) Application {
	a := Application{
		ID: s.JobId, Name: s.Name, Status: "RUNNING", Start: s.StartUnixMillis, End: s.EndUnixMillis,
		Jobs:       []string{s.JobId},
		Timestamps: map[string]int64{"CREATED": s.StartUnixMillis, "RUNNING": s.StartUnixMillis},
	}
	switch s.State {
	case "FINISHED", "CANCELED", "FAILED":
		a.Status = s.State
		a.Timestamps[s.State] = s.EndUnixMillis
	case "CANCELLING":
		a.Status = "CANCELING"
		a.Timestamps[a.Status] = s.ModifiedUnixMillis
	case "FAILING":
		a.Status = s.State
		a.Timestamps[a.Status] = s.ModifiedUnixMillis
	}
	return a
}

// Programs are the job programs that were uploaded.
type Programs interface {
	// List lists them, newest first.
	List(ctx context.Context) ([]Program, error)
	// Upload stores the program that r yields until its end; name is a file name without folders, checked. An error of r
	// is returned, and nothing is kept then. ErrInvalid for what is no program for this platform.
	Upload(ctx context.Context, name string, r io.Reader) (Program, error)
	// Delete forgets a program; jobs that run are not touched. ErrNotFound.
	Delete(ctx context.Context, id string) error
	// Describe runs the program to see what it would run. ErrNotFound; ErrInvalid if it describes no such job, with what
	// the program said.
	Describe(ctx context.Context, r Run) (*weirpb.JobDescription, error)
	// Run submits a job of the program and returns its id when it is stored. ErrNotFound; ErrInvalid as in Describe or if
	// a setting or savepoint can't be used; ErrConflict if a job of that id exists.
	Run(ctx context.Context, r Run) (job string, err error)
	// RunApplication submits all that the program runs, and returns the id of the application when it is stored. The
	// program is described afterwards. ErrNotFound, ErrInvalid, ErrConflict.
	RunApplication(ctx context.Context, r Run) (application string, err error)
}

// Program is an uploaded job program.
type Program struct {
	// ID names it in paths; it contains no slash.
	ID string
	// Name is the name of the uploaded file.
	Name     string
	Uploaded time.Time
	Size     int64
	// SHA256 is the hash of its content in hexadecimal digits.
	SHA256 string
	// Jobs are the names of its jobs, if they are known.
	Jobs []string
}

// Run says what to run of a program, and how.
type Run struct {
	// Program is its id.
	Program string
	// Job is the name under which the program knows the job; empty where it has one only.
	Job string
	// Name replaces the job's name for people, if not empty.
	Name      string
	Arguments []string
	// Dir is the directory of the client against which relative paths resolve, empty if unknown.
	Dir string
	// Parallelism is zero for that of the settings or the program.
	Parallelism int32
	// JobID is the id that the job shall have; empty for a new one. For an application it is that of the application.
	JobID string
	// Savepoint is empty or the path of what the job begins from.
	Savepoint             string
	AllowNonRestoredState bool
	// Settings are configuration of the job by key.
	Settings map[string]string
	// Described is what the client saw the program describe: the graph must be the same here. Nil if it did not look.
	Described *weirpb.JobDescription
}

// Workers are the TaskManagers that are registered.
type Workers interface {
	// List lists them ordered by id.
	List(ctx context.Context) ([]Worker, error)
	// Logs lists the log files of one. The name of a file that belongs to a job's process contains the id of the job; the
	// logs of the TaskManager itself are called TaskManagerLog and TaskManagerOut. ErrNotFound; ErrUnavailable if it does
	// not answer in time, here and below.
	Logs(ctx context.Context, id string) ([]*weirpb.LogFile, error)
	// ReadLog reads a part of a log. ErrNotFound also if there is no such log; it must check the name itself, too.
	ReadLog(ctx context.Context, id string, r *weirpb.ReadLog) (LogPart, error)
	// ThreadDump is the stacks of all goroutines, as the runtime prints them.
	ThreadDump(ctx context.Context, id string) ([]byte, error)
	// Drain ends the giving of slots there and returns.
	Drain(ctx context.Context, id string) error
}

// Names of log files: what a process logs, and what else it and its program print.
const (
	TaskManagerLog = "taskmanager.log"
	TaskManagerOut = "taskmanager.out"
	JobManagerLog  = "jobmanager.log"
	JobManagerOut  = "jobmanager.out"
)

// Worker is a registered TaskManager.
type Worker struct {
	Report        *weirpb.TaskManagerReport
	LastHeartbeat time.Time
}

// LogPart is a part of a log file: Data begins at Offset of Size bytes.
type LogPart struct {
	Data   []byte
	Offset int64
	Size   int64
}

// Self is the JobManager.
type Self interface {
	// Info tells what does not change while it runs.
	Info() Info
	// Config is the configuration in force, without secrets, ordered by key.
	Config() []Setting
	// Logs and ReadLog are those of Workers, for the JobManager and its JobMasters.
	Logs(ctx context.Context) ([]*weirpb.LogFile, error)
	ReadLog(ctx context.Context, r *weirpb.ReadLog) (LogPart, error)
	// Shutdown begins to shut the cluster down, as DELETE /cluster asks for, and returns.
	Shutdown(ctx context.Context) error
}

// Info describes the JobManager.
type Info struct {
	// Version is Weir's, Commit the one that it was built from.
	Version, Commit string
	Started         time.Time
	ClusterID       string
	// LeaderEpoch is zero while it is not the leader.
	LeaderEpoch int64
}

// Setting is an entry of the configuration.
type Setting struct {
	Key, Value string
}
