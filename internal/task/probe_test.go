// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// log is what the operators of a test write down, in order.
type log struct {
	mu struct {
		sync.Mutex
		lines []string
	}
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.lines = append(l.mu.lines, fmt.Sprintf(format, args...))
}

func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.mu.lines...)
}

// probe passes everything on. It writes control down, and does what the test wants with batches.
type probe struct {
	operator.Base
	log *log
	// each, if set, sees every batch; open and closed what they are named for.
	each   func(rt *operator.Runtime, b *element.Batch[row]) error
	opened func(rt *operator.Runtime) error
	closed func() error
	ticked func(now time.Time)
	state  statebackend.State
	rt     *operator.Runtime
	to     []operator.Input[row]
}

// probeStep makes a step of a probe for each subtask.
func probeStep(p func() *probe) *operator.Step {
	return &operator.Step{Inputs: 1, New: func() operator.Operator { return p() }}
}

func (p *probe) Port(int) operator.Port { return operator.PortOf[row](p) }

func (p *probe) Connect(_ string, to operator.Port) error {
	in, err := operator.InputOf[row](to)
	p.to = append(p.to, in)
	return err
}

func (p *probe) Open(_ context.Context, rt *operator.Runtime) error {
	p.rt = rt
	if p.opened != nil {
		return p.opened(rt)
	}
	return nil
}

func (p *probe) States() []statebackend.State {
	if p.state == nil {
		return nil
	}
	return []statebackend.State{p.state}
}

func (p *probe) note(format string, args ...any) {
	if p.log != nil {
		p.log.add(format, args...)
	}
}

func (p *probe) Process(b *element.Batch[row]) error {
	if p.each != nil {
		if err := p.each(p.rt, b); err != nil {
			return err
		}
	}
	for _, in := range p.to {
		if err := in.Process(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) Watermark(at int64) error {
	if at == element.MaxWatermark {
		p.note("end of time")
	} else {
		p.note("watermark %d", at)
	}
	for _, in := range p.to {
		if err := in.Watermark(at); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) Status(idle bool) error {
	p.note("idle %v", idle)
	for _, in := range p.to {
		if err := in.Status(idle); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) End() error {
	p.note("end")
	for _, in := range p.to {
		if err := in.End(); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) Barrier(cp statebackend.Checkpoint) error {
	p.note("barrier %d", cp.ID)
	return nil
}

func (p *probe) Completed(id int64) error {
	p.note("completed %d", id)
	return nil
}

func (p *probe) Aborted(id int64) error {
	p.note("aborted %d", id)
	return nil
}

func (p *probe) Tick(now time.Time) error {
	if p.ticked != nil {
		p.ticked(now)
	}
	return nil
}

func (p *probe) Close() error {
	p.note("close")
	if p.closed != nil {
		return p.closed()
	}
	return nil
}

// stubborn is a state whose snapshot goes as the test says.
type stubborn struct {
	log  *log
	step func(checkpoint int64, w statebackend.Writer) (bool, error)
	// crowded, if set, tells whether it is, aborted that a snapshot was aborted.
	crowded func() bool
	aborted func()
	id      int64
}

func (s *stubborn) Name() string   { return "stubborn" }
func (s *stubborn) Schema() []byte { return nil }
func (s *stubborn) Base() []int64  { return nil }
func (s *stubborn) Crowded() bool  { return s.crowded != nil && s.crowded() }
func (s *stubborn) Begin(cp statebackend.Checkpoint) error {
	s.id = cp.ID
	s.log.add("state begins %d", cp.ID)
	return nil
}
func (s *stubborn) Step(w statebackend.Writer, _ int) (bool, error) { return s.step(s.id, w) }
func (s *stubborn) Completed(id int64) error {
	s.log.add("state completed %d", id)
	return nil
}

func (s *stubborn) Aborted(id int64) error {
	s.log.add("state aborted %d", id)
	if s.aborted != nil {
		s.aborted()
	}
	return nil
}
func (s *stubborn) Restore(statebackend.Reader) error { return nil }
func (s *stubborn) Size() statebackend.Size           { return statebackend.Size{Rows: 3, Bytes: 40} }
