// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// play runs commands of the scripts, of which each takes a second.
func (s *script) play(t *testing.T, commands ...string) {
	t.Helper()
	for _, line := range commands {
		cmd, args, err := datadriven.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(time.Second)
		s.run(t, &datadriven.TestData{Cmd: cmd, CmdArgs: args})
		s.m.Take()
	}
}

// A subtask that failed again and again shows its newest attempts, with the times at which each entered its states, and
// the failures tell the places of the tasks.
func TestDetailsTellOfPastAttempts(t *testing.T) {
	s := newScript(t, &datadriven.TestData{Cmd: "new", CmdArgs: []datadriven.CmdArg{
		{Key: "p", Vals: []string{"1"}}, {Key: "chained"},
	}})
	s.play(t, "offer tm=tm-0 slots=(a)")
	const failures = PastMax + 3
	for range failures {
		s.play(t, "tick d=2m", "restored", "enumerator-started", "state to=RUNNING in/0", "state to=FAILED in/0")
	}
	d := s.m.Details()
	sub := d.Vertices[0].Subtasks[0]
	if len(sub.Past) != PastMax || d.Restarts != failures {
		t.Fatalf("%d attempts are remembered after %d restarts", len(sub.Past), d.Restarts)
	}
	for i, p := range sub.Past {
		if p.Number != sub.Number-i-1 || p.State != Failed || p.Endpoint != "tm-0" || p.Cause == nil {
			t.Errorf("past attempt %d: %+v", i, p)
		}
		if ran := p.Entered[Failed].Sub(p.Entered[Running]); ran != time.Second || p.Entered[Canceled] != (time.Time{}) {
			t.Errorf("past attempt %d was running for %v, and entered %v", i, ran, p.Entered)
		}
	}
	last := d.Failures[len(d.Failures)-1]
	if last.Vertex != d.Vertices[0].ID || last.Attempt != sub.Number || last.Endpoint != "tm-0" || last.Subtask != 0 {
		t.Errorf("the last failure is of %+v, the current attempt %+v", last, sub.AttemptDetails)
	}
}
