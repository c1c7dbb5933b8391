// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// trapFeed is a feed with traps on the way.
type trapFeed struct {
	*feed[event]
	traps *traps
}

func (f trapFeed) NewEnumerator(
	ctx context.Context, rt connector.EnumeratorContext[lane], restored *lanesLeft,
) (connector.Enumerator[lane, lanesLeft], error) {
	e, err := f.feed.NewEnumerator(ctx, rt, restored)
	return trapEnumerator{e, f.traps}, err
}

func (f trapFeed) NewReader(ctx context.Context, rt connector.RuntimeContext) (connector.Reader[event, lane], error) {
	r, err := f.feed.NewReader(ctx, rt)
	return trapReader{r, f.traps}, err
}

type trapEnumerator struct {
	connector.Enumerator[lane, lanesLeft]
	traps *traps
}

func (e trapEnumerator) Start(ctx context.Context) error {
	if err := e.traps.pass(starting); err != nil {
		return err
	}
	return e.Enumerator.Start(ctx)
}

type trapReader struct {
	connector.Reader[event, lane]
	traps *traps
}

func (r trapReader) Poll(b *element.Batch[event]) (string, error) {
	if err := r.traps.pass(polling); err != nil {
		return "", err
	}
	return r.Reader.Poll(b)
}

// TestWhoFailed fails a job at each place where code runs that is not the engine's, and looks at whom the exception history
// blames: a connector that returns an error says that the world failed; a panic, or an error of a function of the job, is
// the user's.
func TestWhoFailed(t *testing.T) {
	boom := func() error { panic("boom") }
	inEach := moment("a function that a sink calls")
	for _, tc := range []struct {
		at     moment
		spring func() error
		want   core.FailureKind
	}{
		{starting, nil, core.World},
		{starting, boom, core.User},
		{polling, nil, core.World},
		{polling, boom, core.User},
		{inMap, nil, core.User},
		{inMap, boom, core.User},
		{opening, nil, core.World},
		{writing, nil, core.World},
		{writing, boom, core.User},
		{preparing, nil, core.World},
		{snapshot, nil, core.World},
		{inEach, nil, core.User},
	} {
		name := string(tc.at)
		if tc.spring != nil {
			name += ", panic"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounting(t)
			none := stream.NoRestart()
			r := newRig(t, setting{restart: &none})
			c.traps.arm(tc.at, 1, tc.spring)
			c.feed.flow(100)
			c.feed.end()
			j := r.start(func(env *stream.Env) error {
				events := env.From("events", trapFeed{c.feed, c.traps}).
					MapE(func(e *event) (event, error) { return *e, c.traps.pass(inMap) })
				events.To("each", connector.Each(func(context.Context, *event) error { return c.traps.pass(inEach) }))
				events.Map(func(*event) result { return result{} }).To("out", trapSink[result]{c.rows.Sink(), c.traps})
				return nil
			}, embedded.RunOptions{})
			j.end("FAILED")
			if d := j.status(); len(d.Failures) == 0 || d.Failures[0].Kind != tc.want {
				t.Errorf("failures %+v, want one of kind %v", d.Failures, tc.want)
			}
		})
	}
}
