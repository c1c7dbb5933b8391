// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operatortest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// forward is an operator that sends everything on; each test breaks it in one place.
type forward struct {
	operator.Base
	to      operator.Input[string]
	process func(f *forward, b *element.Batch[string]) error
	control func(f *forward, at int64) error
	end     func(f *forward) error
	barrier func(f *forward) error
	kept    []string
	batch   *element.Batch[string]
	state   *statebackend.OperatorList[string]
}

func (f *forward) Port(int) operator.Port { return operator.PortOf[string](f) }

func (f *forward) Connect(_ string, p operator.Port) (err error) {
	f.to, err = operator.InputOf[string](p)
	return err
}

func (f *forward) Open(_ context.Context, rt *operator.Runtime) error {
	if f.state != nil && rt.Restored != nil {
		return f.state.Restore(rt.Restored)
	}
	return nil
}

func (f *forward) States() []statebackend.State {
	if f.state == nil {
		return nil
	}
	return []statebackend.State{f.state}
}

func (f *forward) Barrier(statebackend.Checkpoint) error {
	if f.barrier == nil {
		return nil
	}
	return f.barrier(f)
}

func (f *forward) Process(b *element.Batch[string]) error {
	if f.process == nil {
		return f.to.Process(b)
	}
	return f.process(f, b)
}

func (f *forward) Watermark(at int64) error {
	if f.control == nil {
		return f.to.Watermark(at)
	}
	return f.control(f, at)
}

func (f *forward) Status(idle bool) error { return f.to.Status(idle) }

func (f *forward) End() error {
	if f.end == nil {
		return f.to.End()
	}
	return f.end(f)
}

func (f *forward) send(rows ...string) error {
	b := element.NewBatch[string](8)
	for _, r := range rows {
		*b.Append() = r
	}
	return f.to.Process(b)
}

func letters(op func() *forward) Case {
	return Case{
		Step: operator.Step{Inputs: 1, New: func() operator.Operator { return op() }},
		Inputs: []Input{
			NewFeed[string]().KeyBy(func(s *string) string { return *s }).
				At(1, "a", "b").Watermark(1).At(2, "c", "d", "e").Watermark(2).At(3, "f", "g").End(),
		},
		Want: []Want{Expect("a", "b", "c", "d", "e", "f", "g")},
	}
}

// faults returns what the modes find, by mode.
func faults(t *testing.T, c Case) string {
	t.Helper()
	var all []string
	for _, m := range modesOf(c) {
		for seed := range uint64(m.seeds) {
			if err := attempt(t.Context(), c, m, seed); err != nil {
				all = append(all, m.name+": "+err.Error())
			}
		}
	}
	return strings.Join(all, "\n")
}

func TestSoundOperatorPasses(t *testing.T) {
	if got := faults(t, letters(func() *forward { return &forward{} })); got != "" {
		t.Errorf("%s", got)
	}
}

func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		op   func() *forward
		in   string // a mode that finds it
		want string
	}{
		{"changes a shared batch", func() *forward {
			return &forward{process: func(f *forward, b *element.Batch[string]) error {
				rows := strings.Join(b.Rows(), "")
				b.Rows()[0] = "z"
				return f.send(strings.Split(rows, "")...)
			}}
		}, "shared", "a shared batch was changed"},
		{"keeps records in memory", func() *forward {
			return &forward{
				process: func(f *forward, b *element.Batch[string]) error {
					f.kept = append(f.kept, b.Rows()...)
					return nil
				},
				control: func(f *forward, at int64) error {
					if len(f.kept) > 0 {
						if err := f.send(f.kept...); err != nil {
							return err
						}
					}
					f.kept = nil
					return f.to.Watermark(at)
				},
			}
		}, "restore after each", `output ""`},
		{"sends an empty batch", func() *forward {
			return &forward{process: func(f *forward, b *element.Batch[string]) error {
				if err := f.to.Process(b); err != nil {
					return err
				}
				return f.send()
			}}
		}, "one by one", "an empty batch"},
		{"goes back in time", func() *forward {
			return &forward{control: func(f *forward, at int64) error {
				if err := f.to.Watermark(at); err != nil {
					return err
				}
				return f.to.Watermark(at - 1)
			}}
		}, "all at once", "watermark 0 behind 1"},
		{"forgets the end of time", func() *forward {
			return &forward{control: func(f *forward, at int64) error {
				if at == element.MaxWatermark {
					return nil
				}
				return f.to.Watermark(at)
			}}
		}, "three subtasks", "end of time came out: false"},
		{"forgets the end", func() *forward {
			return &forward{end: func(*forward) error { return nil }}
		}, "all at once", "end came out: false"},
		{"sends behind the end", func() *forward {
			return &forward{end: func(f *forward) error {
				if err := f.to.End(); err != nil {
					return err
				}
				return f.send("z")
			}}
		}, "one by one", "a batch after the end"},
		{"sends at the barrier what it keeps as state too", func() *forward {
			s, err := statebackend.NewList[string]("s", statebackend.List)
			if err != nil {
				t.Fatal(err)
			}
			return &forward{
				state: s,
				process: func(f *forward, b *element.Batch[string]) error {
					f.state.Set(append(f.state.Elements(), b.Rows()...))
					return nil
				},
				barrier: func(f *forward) error {
					if len(f.state.Elements()) == 0 {
						return nil
					}
					return f.send(f.state.Elements()...)
				},
			}
		}, "restore after each", `output ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cs := letters(c.op)
			if s := c.op().state; s != nil {
				cs.Step.States = []statebackend.Spec{{Name: "s", Kind: statebackend.List, Schema: s.Schema()}}
			}
			if got := faults(t, cs); !strings.Contains(got, c.in+": ") || !strings.Contains(got, c.want) {
				t.Errorf("found:\n%s", got)
			}
		})
	}
}

func TestUndeclaredStateIsFound(t *testing.T) {
	c := letters(func() *forward {
		s, err := statebackend.NewList[string]("s", statebackend.List)
		if err != nil {
			t.Fatal(err)
		}
		return &forward{state: s}
	})
	if got := faults(t, c); !strings.Contains(got, "1 states, the step declares 0") {
		t.Errorf("found:\n%s", got)
	}
}

func TestKeptPointersAreFound(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("batches are overwritten in builds with invariants only")
	}
	type pair struct{ Last, This string }
	var last *string
	step := operator.Map(func(in *string) pair {
		p := pair{This: *in}
		if last != nil {
			p.Last = *last
		}
		last = in
		return p
	})
	c := Case{
		Step:   step,
		Inputs: []Input{NewFeed[string]().Row("a", "b").Watermark(1).Row("c").End()},
		Want:   []Want{Expect(pair{"", "a"}, pair{"a", "b"}, pair{"b", "c"})},
	}
	one := modesOf(c)[0]
	if err := attempt(t.Context(), c, one, 0); err == nil {
		t.Error("a kept pointer goes unnoticed")
	}
}

func TestClockWakesAtTheTimesAskedFor(t *testing.T) {
	var ticks []time.Duration
	c := Case{
		Step: operator.Step{Inputs: 1, New: func() operator.Operator {
			return &waker{ticks: &ticks}
		}},
		Inputs: []Input{NewFeed[string]().Clock(10 * time.Second).Clock(25 * time.Second)},
	}
	if err := attempt(t.Context(), c, modesOf(c)[0], 0); err != nil {
		t.Fatal(err)
	}
	if len(ticks) != 4 || ticks[0] != 8*time.Second || ticks[3] != 32*time.Second {
		t.Errorf("ticks at %v", ticks)
	}
}

// waker asks for a tick every eight seconds.
type waker struct {
	forward
	rt    *operator.Runtime
	ticks *[]time.Duration
}

func (w *waker) Open(_ context.Context, rt *operator.Runtime) error {
	w.rt = rt
	rt.WakeAt(rt.Now().Add(8 * time.Second))
	return nil
}

func (w *waker) Tick(now time.Time) error {
	*w.ticks = append(*w.ticks, now.Sub(Start()))
	w.rt.WakeAt(now.Add(8 * time.Second))
	return nil
}
