// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What a record may not say, for callers that check before they write.
var (
	// ErrJobExists means that the id of a job or application is taken.
	ErrJobExists = errors.New("the id is taken")
	// ErrUnknown means that a job, application or program is not there.
	ErrUnknown = errors.New("not known")
	// ErrEnded means that a job or application has ended before.
	ErrEnded = errors.New("has ended")
)

// State is what the records of the job store amount to. What it hands out belongs to it and is never changed in place:
// a change replaces the whole Job, Application or Program.
type State struct {
	// epoch is the highest that a record had.
	epoch        int64
	jobs         map[string]*Job
	applications map[string]*Application
	programs     map[string]*Program
}

// NewState is the state before the first record.
func NewState() *State {
	return &State{jobs: map[string]*Job{}, applications: map[string]*Application{}, programs: map[string]*Program{}}
}

// Epoch is the highest epoch of the records.
func (s *State) Epoch() int64 { return s.epoch }

// Job returns a job by its id, nil if there is none.
func (s *State) Job(id string) *Job { return s.jobs[id] }

// Jobs returns all jobs, ordered by id.
func (s *State) Jobs() []*Job { return ordered(s.jobs) }

// Application returns an application by its id, nil if there is none.
func (s *State) Application(id string) *Application { return s.applications[id] }

// Applications returns all applications of several jobs, ordered by id.
func (s *State) Applications() []*Application { return ordered(s.applications) }

// Program returns a program by its id, nil if there is none.
func (s *State) Program(id string) *Program { return s.programs[id] }

// Programs returns all programs, ordered by id.
func (s *State) Programs() []*Program { return ordered(s.programs) }

func ordered[V any](m map[string]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// Needs reports whether the content with that hash is needed: by a program, a job or an application that has not ended.
func (s *State) Needs(hash string) bool {
	for _, p := range s.programs {
		if p.Hash == hash {
			return true
		}
	}
	for _, j := range s.jobs {
		if j.Program == hash && j.End == nil {
			return true
		}
	}
	for _, a := range s.applications {
		if a.Template.Program == hash && len(a.Jobs) == 0 && a.Failure == nil {
			return true
		}
	}
	return false
}

// Check returns why a record should not follow, nil if it may.
func (s *State) Check(r *Record) error { return s.check(r, s.taken) }

func (s *State) check(r *Record, taken func(id string) bool) error {
	switch {
	case r.Submitted != nil:
		return s.checkSubmitted(r.Submitted, taken)
	case r.Canceling != nil:
		return s.checkRuns(r.Canceling.Job)
	case r.Ended != nil:
		return s.checkRuns(r.Ended.Job)
	case r.ApplicationBegun != nil:
		return checkID(r.ApplicationBegun.ID, taken)
	case r.ApplicationFailed != nil:
		return s.checkOpen(r.ApplicationFailed.Application)
	case r.ProgramRemoved != nil:
		if s.programs[r.ProgramRemoved.Program] == nil {
			return fmt.Errorf("program %s: %w", r.ProgramRemoved.Program, ErrUnknown)
		}
	}
	return nil
}

// checkRuns returns an error unless there is a job of that id that has not ended.
func (s *State) checkRuns(id string) error {
	j := s.jobs[id]
	if j == nil {
		return fmt.Errorf("job %s: %w", id, ErrUnknown)
	}
	if j.End != nil {
		return fmt.Errorf("job %s: %w", id, ErrEnded)
	}
	return nil
}

func checkID(id string, taken func(string) bool) error {
	if taken(id) {
		return fmt.Errorf("%s: %w", id, ErrJobExists)
	}
	return nil
}

// taken reports whether a job or application has the id.
func (s *State) taken(id string) bool { return s.jobs[id] != nil || s.applications[id] != nil }

// open reports whether a job or application has the id and has not ended. Records are folded with this rule: whoever made
// them may have forgotten, by its retention, what had ended.
func (s *State) open(id string) bool {
	j, a := s.jobs[id], s.applications[id]
	return j != nil && j.End == nil || a != nil && s.openApplication(a)
}

func (s *State) openApplication(a *Application) bool {
	if len(a.Jobs) == 0 {
		return a.Failure == nil
	}
	return slices.ContainsFunc(a.Jobs, func(id string) bool { return s.jobOf(a, id) != nil && s.jobs[id].End == nil })
}

// jobOf returns a job of the application by its id, nil if it is forgotten: another job may have its id by then.
func (s *State) jobOf(a *Application, id string) *Job {
	if j := s.jobs[id]; j != nil && j.Application == a.ID {
		return j
	}
	return nil
}

// checkOpen returns an error unless an application may still get jobs.
func (s *State) checkOpen(id string) error {
	a := s.applications[id]
	if a == nil {
		return fmt.Errorf("application %s: %w", id, ErrUnknown)
	}
	if a.Failure != nil || len(a.Jobs) > 0 {
		return fmt.Errorf("application %s: %w", id, ErrEnded)
	}
	return nil
}

func (s *State) checkSubmitted(r *Submitted, taken func(string) bool) error {
	seen := map[string]bool{}
	for _, j := range r.Jobs {
		if err := checkID(j.ID, taken); err != nil {
			return err
		}
		if seen[j.ID] {
			return fmt.Errorf("%s: %w", j.ID, ErrJobExists)
		}
		seen[j.ID] = true
		if j.Application != r.Jobs[0].Application {
			return fmt.Errorf("jobs of applications %q and %q in one record", r.Jobs[0].Application, j.Application)
		}
	}
	if len(r.Jobs) == 0 || r.Jobs[0].Application == "" {
		return nil
	}
	return s.checkOpen(r.Jobs[0].Application)
}

// Apply takes in the next record. An error means that the record can't follow those before; nothing has changed then.
func (s *State) Apply(r *Record) error {
	if r.Epoch < s.epoch {
		return nil
	}
	if err := s.check(r, s.open); err != nil {
		return err
	}
	s.epoch = r.Epoch
	switch {
	case r.Submitted != nil:
		s.submit(r.Submitted.Jobs)
	case r.Canceling != nil:
		j := *s.jobs[r.Canceling.Job]
		j.Canceling = true
		s.jobs[j.ID] = &j
	case r.Ended != nil:
		j := *s.jobs[r.Ended.Job]
		end := r.Ended.End
		j.End, j.Described, j.Canceling = &end, nil, false
		s.jobs[j.ID] = &j
	case r.ApplicationBegun != nil:
		s.applications[r.ApplicationBegun.ID] = r.ApplicationBegun
	case r.ApplicationFailed != nil:
		a := *s.applications[r.ApplicationFailed.Application]
		a.Failure = r.ApplicationFailed
		s.applications[a.ID] = &a
	case r.ProgramAdded != nil:
		s.programs[r.ProgramAdded.ID] = r.ProgramAdded
	case r.ProgramRemoved != nil:
		delete(s.programs, r.ProgramRemoved.Program)
	case r.Summary != nil:
		s.restore(r.Summary)
	}
	return nil
}

func (s *State) submit(jobs []*Job) {
	ids := make([]string, 0, len(jobs))
	for _, j := range jobs {
		s.jobs[j.ID] = j
		ids = append(ids, j.ID)
	}
	if len(jobs) == 0 || jobs[0].Application == "" {
		return
	}
	a := *s.applications[jobs[0].Application]
	a.Jobs = ids
	s.applications[a.ID] = &a
}

// Open counts the jobs, and the applications without jobs, that have not ended.
func (s *State) Open() (n int) {
	for _, j := range s.jobs {
		if j.End == nil {
			n++
		}
	}
	for _, a := range s.applications {
		if len(a.Jobs) == 0 && a.Failure == nil {
			n++
		}
	}
	return n
}

// Summary is the whole state as a record's content.
func (s *State) Summary() *Summary {
	return &Summary{Jobs: s.Jobs(), Applications: s.Applications(), Programs: s.Programs()}
}

func (s *State) restore(sum *Summary) {
	*s = State{
		epoch: s.epoch,
		jobs:  map[string]*Job{}, applications: map[string]*Application{}, programs: map[string]*Program{},
	}
	for _, j := range sum.Jobs {
		s.jobs[j.ID] = j
	}
	for _, a := range sum.Applications {
		s.applications[a.ID] = a
	}
	for _, p := range sum.Programs {
		s.programs[p.ID] = p
	}
}

// Retention says how long ended jobs are remembered.
type Retention struct {
	// For is how long after its end; Max is how many, the newest. An application is forgotten with the last of its jobs.
	For time.Duration
	Max int
}

// Expire forgets ended jobs and returns their ids in the order of their ends. No record is needed for it: who folds the
// records later forgets them as well, and a summary doesn't hold them any more.
func (s *State) Expire(r Retention, now time.Time) []string {
	var ended []*Job
	for _, j := range s.Jobs() {
		if j.End != nil {
			ended = append(ended, j)
		}
	}
	slices.SortStableFunc(ended, func(a, b *Job) int {
		if c := a.End.At.Compare(b.End.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	var gone []string
	for i, j := range ended {
		if len(ended)-i > r.Max || now.Sub(j.End.At) > r.For {
			delete(s.jobs, j.ID)
			gone = append(gone, j.ID)
		}
	}
	for _, a := range s.Applications() {
		failed := a.Failure != nil && now.Sub(a.Failure.At) > r.For
		left := slices.ContainsFunc(a.Jobs, func(id string) bool { return s.jobOf(a, id) != nil })
		if failed || len(a.Jobs) > 0 && !left {
			delete(s.applications, a.ID)
		}
	}
	return gone
}
