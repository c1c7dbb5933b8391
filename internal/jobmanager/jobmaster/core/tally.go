// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

// tally keeps what is asked with each event of all current executions, so that nobody looks at all of them: with thousands
// of tasks that each report a few times that would take seconds.
type tally struct {
	// live is how many a TaskManager may be running, running how many of these are RUNNING, and finished how many have finished.
	live, running, finished int
	// changed are those whose state may be news to the coordinator of checkpoints, each once, in the order of the changes.
	// Some may be of the past by now.
	changed []*execution
}

// joins makes an execution a current one.
func (t *tally) joins(e *execution) {
	e.tally = t
	t.count(e, 1)
	t.note(e)
}

// leaves takes out an execution of the past.
func (t *tally) leaves(e *execution) {
	t.count(e, -1)
	e.tally = nil
}

func (t *tally) count(e *execution, by int) {
	if t == nil {
		return // of the past
	}
	if e.deployed() {
		t.live += by
	}
	if e.state == Running {
		t.running += by
	}
	if e.state == Finished {
		t.finished += by
	}
}

// note takes that an execution has changed.
func (t *tally) note(e *execution) {
	if t != nil && !e.noted {
		e.noted = true
		t.changed = append(t.changed, e)
	}
}

// take empties the list of what has changed.
func (t *tally) take() []*execution {
	changed := t.changed
	t.changed = nil
	for _, e := range changed {
		e.noted = false
	}
	return changed
}
