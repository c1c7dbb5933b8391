// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

type event struct {
	Key   int64
	Name  string
	Value float64
}

func source() generator.Source[event] {
	return generator.New(func(i int64, e *event) { e.Key = i }).Limit(10)
}

func events(env *stream.Env) stream.Stream[event] { return env.From("events", source()) }

func timed(env *stream.Env) stream.Stream[event] {
	return env.From("timed", source()).Watermarks(watermark.Ascending(func(e *event) time.Time { return time.Unix(e.Key, 0) }))
}

func pairs(_ *stream.WindowCtx[int64], a, _ *event, out *stream.Out[event]) error {
	out.Emit(*a)
	return nil
}

func near(*stream.Ctx[int64], *event, *event, *stream.Out[event]) error { return nil }

func groups(_ *stream.WindowCtx[int64], _, _ iter.Seq[*event], _ *stream.Out[event]) error {
	return nil
}

func sink[T any]() collect.Sink[T] { return collect.New[T]().Sink() }

type hidden struct{ n int64 }

type withChannel struct{ Wake chan int }

type badState struct {
	Seen state.List[func()]
}

type counted struct{ N int64 }

// TestBuildErrors checks what build reports: each error names the step and says what to do.
func TestBuildErrors(t *testing.T) {
	count := func(st *counted, _ *stream.Ctx[int64], in *event, out *stream.Out[event]) error {
		st.N++
		out.Emit(*in)
		return nil
	}
	key := func(e *event) int64 { return e.Key }
	for name, test := range map[string]struct {
		build func(env *stream.Env) error
		want  []string
	}{
		"no steps":       {func(*stream.Env) error { return nil }, []string{"describes no steps"}},
		"error of build": {func(*stream.Env) error { return errors.New("no such file") }, []string{"no such file"}},
		"panic in build": {func(*stream.Env) error { panic("oh") }, []string{"panicked: oh", "build_test.go"}},
		"empty uid": {func(env *stream.Env) error {
			events(env).KeyBy(key).Process("", count).To("out", sink[event]())
			return nil
		}, []string{"KeyedProcess", "uid is empty"}},
		"uid taken": {func(env *stream.Env) error {
			events(env).KeyBy(key).Process("events", count).To("out", sink[event]())
			return nil
		}, []string{`KeyedProcess "events"`, "taken by From"}},
		"top of none": {func(env *stream.Env) error {
			events(env).KeyBy(key).TopN("best", 0, func(a, b *event) int { return 0 }, func(_ int, in, out *event) { *out = *in }).
				To("out", sink[event]())
			return nil
		}, []string{`TopN "best"`, "n is 0"}},
		"top without order": {func(env *stream.Env) error {
			events(env).KeyBy(key).TopN("best", 1, nil, func(_ int, in, out *event) { *out = *in }).To("out", sink[event]())
			return nil
		}, []string{`TopN "best"`, "nil"}},
		"latest by nothing": {func(env *stream.Env) error {
			events(env).KeyBy(key).LatestBy[int64]("last", nil).To("out", sink[event]())
			return nil
		}, []string{`LatestBy "last"`, "nil"}},
		"float key": {func(env *stream.Env) error {
			events(env).KeyBy(func(e *event) float64 { return e.Value }).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{`"sum"`, "float64"}},
		"unexported field": {func(env *stream.Env) error {
			events(env).Map(func(*event) hidden { return hidden{} }).To("out", sink[hidden]())
			return nil
		}, []string{`"Map"`, "hidden", "n", "weir:"}},
		"channel in a record": {func(env *stream.Env) error {
			events(env).Map(func(*event) withChannel { return withChannel{} }).KeyBy(func(*withChannel) int64 { return 0 }).
				Reduce("last", func(acc, in *withChannel) { *acc = *in }).To("out", sink[withChannel]())
			return nil
		}, []string{`"Map"`, "Wake", "chan int"}},
		"pointer records": {func(env *stream.Env) error {
			events(env).Map(func(e *event) *event { return e }).Filter(func(**event) bool { return true }).
				Map(func(e **event) event { return **e }).To("out", sink[event]())
			return nil
		}, []string{`"Map"`, "*stream_test.event", "records are values"}},
		"state that can't be encoded": {func(env *stream.Env) error {
			events(env).KeyBy(key).Process("bad",
				func(*badState, *stream.Ctx[int64], *event, *stream.Out[event]) error { return nil }).To("out", sink[event]())
			return nil
		}, []string{`KeyedProcess "bad"`, "Seen", "func"}},
		"setting without a step": {func(env *stream.Env) error {
			events(env).Rebalance().Parallelism(2).Filter(func(*event) bool { return true }).To("out", sink[event]())
			return nil
		}, []string{"Parallelism", "no step here"}},
		"parallelism of zero": {func(env *stream.Env) error {
			events(env).Parallelism(0).To("out", sink[event]())
			return nil
		}, []string{"events", "parallelism is 0"}},
		"source that nobody reads": {func(env *stream.Env) error {
			events(env)
			return nil
		}, []string{"events", "not read"}},
		"window without event time": {func(env *stream.Env) error {
			events(env).Filter(func(*event) bool { return true }).KeyBy(key).Window(window.Tumbling(time.Minute)).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{`Window "sum"`, "no event time", `source "events"`}},
		"window of no size": {func(env *stream.Env) error {
			events(env).KeyBy(key).Window(window.Assigner{}).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{`Window "sum"`, "positive"}},
		"session without event time": {func(env *stream.Env) error {
			events(env).KeyBy(key).Window(window.Session(time.Minute)).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{`Window "sum"`, "no event time"}},
		"session without a gap": {func(env *stream.Env) error {
			events(env).KeyBy(key).Window(window.Session(0)).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{`Window "sum"`, "gap of 0s", "positive"}},
		"session with a gap of no function": {func(env *stream.Env) error {
			events(env).KeyBy(key).WindowBy(window.SessionBy[event](nil)).
				Reduce("sum", func(acc, in *event) { acc.Value += in.Value }).To("out", sink[event]())
			return nil
		}, []string{"WindowBy", "nil"}},
		"join without event time": {func(env *stream.Env) error {
			events(env).KeyBy(key).Join(timed(env).KeyBy(key), window.Tumbling(time.Minute)).Apply("join", pairs).To("out", sink[event]())
			return nil
		}, []string{`Join "join"`, "no event time", `source "events"`}},
		"join of no window": {func(env *stream.Env) error {
			timed(env).KeyBy(key).Join(timed(env).KeyBy(key), window.Assigner{}).Apply("join", pairs).To("out", sink[event]())
			return nil
		}, []string{`Join "join"`, "positive"}},
		"join with no function": {func(env *stream.Env) error {
			s := timed(env).KeyBy(key)
			s.Join(s, window.Tumbling(time.Minute)).Apply("join",
				(func(*stream.WindowCtx[int64], *event, *event, *stream.Out[event]) error)(nil)).To("out", sink[event]())
			return nil
		}, []string{`Join "join"`, "nil"}},
		"co-group without event time": {func(env *stream.Env) error {
			timed(env).KeyBy(key).CoGroup(events(env).KeyBy(key), window.Session(time.Minute)).
				Apply("groups", groups).To("out", sink[event]())
			return nil
		}, []string{`CoGroup "groups"`, "no event time", `source "events"`}},
		"co-group of no gap": {func(env *stream.Env) error {
			s := timed(env).KeyBy(key)
			s.CoGroup(s, window.Session(-1)).Apply("groups", groups).To("out", sink[event]())
			return nil
		}, []string{`CoGroup "groups"`, "gap of -1ns"}},
		"join of two jobs": {func(env *stream.Env) error {
			var other stream.Keyed[int64, event]
			_, _ = stream.Describe(stream.Setup{Name: "other"}, func(env *stream.Env) error {
				other = events(env).KeyBy(key)
				return nil
			})
			timed(env).KeyBy(key).Join(other, window.Tumbling(time.Minute)).Apply("join", pairs).To("out", sink[event]())
			return nil
		}, []string{"Join", "different jobs"}},
		"interval the other way round": {func(env *stream.Env) error {
			s := timed(env).KeyBy(key)
			s.IntervalJoin(s, stream.Between(2, 1)).Apply("near", near).To("out", sink[event]())
			return nil
		}, []string{`IntervalJoin "near"`, "above the upper"}},
		"interval without a moment": {func(env *stream.Env) error {
			s := timed(env).KeyBy(key)
			s.IntervalJoin(s, stream.Between(2, 2).LowerExclusive().UpperExclusive()).Apply("near", near).To("out", sink[event]())
			return nil
		}, []string{`IntervalJoin "near"`, "above the upper"}},
		"interval join without event time": {func(env *stream.Env) error {
			events(env).KeyBy(key).IntervalJoin(timed(env).KeyBy(key), stream.Between(0, 1)).Apply("near", near).To("out", sink[event]())
			return nil
		}, []string{`IntervalJoin "near"`, "no event time"}},
		"interval join with no function": {func(env *stream.Env) error {
			s := timed(env).KeyBy(key)
			s.IntervalJoin(s, stream.Between(0, 1)).Apply("near",
				(func(*stream.Ctx[int64], *event, *event, *stream.Out[event]) error)(nil)).To("out", sink[event]())
			return nil
		}, []string{`IntervalJoin "near"`, "nil"}},
		"nil function": {func(env *stream.Env) error {
			events(env).Filter((func(*event) bool)(nil)).To("out", sink[event]())
			return nil
		}, []string{"Filter", "nil"}},
		"side output behind a partitioning": {func(env *stream.Env) error {
			s := events(env).Rebalance()
			s.SideOutput(stream.NewTag[event]("late")).To("late", sink[event]())
			return nil
		}, []string{`SideOutput("late")`, "from the stream of the step"}},
		"streams of two jobs": {func(env *stream.Env) error {
			var other stream.Keyed[int64, event]
			_, _ = stream.Describe(stream.Setup{Name: "other"}, func(env *stream.Env) error {
				other = events(env).KeyBy(key)
				return nil
			})
			events(env).KeyBy(key).Connect(other).Process("both", count, count).To("out", sink[event]())
			return nil
		}, []string{"Connect", "different jobs"}},
		"unknown flag": {func(env *stream.Env) error {
			env.Flag("rate", 0.0, "rows a second")
			events(env).To("out", sink[event]())
			return nil
		}, []string{"unknown flag --speed", "--rate"}},
		"malformed flag": {func(env *stream.Env) error {
			env.Flag("speed", time.Second, "how fast")
			events(env).To("out", sink[event]())
			return nil
		}, []string{"--speed=fast", "not a duration"}},
		"reserved flag": {func(env *stream.Env) error {
			env.Flag("restore", "", "mine")
			env.Flag("speed", "", "")
			events(env).To("out", sink[event]())
			return nil
		}, []string{"--restore", "another name"}},
	} {
		t.Run(name, func(t *testing.T) {
			setup := stream.Setup{Name: "job", Reserved: []string{"restore"}}
			if strings.Contains(name, "flag") {
				setup.Args = []string{"--speed=fast"}
			}
			_, err := stream.Describe(setup, test.build)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
		})
	}
}

func TestRelativePathsAreRefused(t *testing.T) {
	setup := stream.Setup{Name: "job", Dir: "/d", RejectRelativePaths: true}
	_, err := stream.Describe(setup, func(env *stream.Env) error {
		lines := env.From("in", file.Lines("in/*.txt"))
		lines.To("out", file.LinesSink("out"))
		lines.To("other", file.LinesSink("/there"))
		return nil
	})
	if want := `From "in": path "in/*.txt" is relative`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestFlags(t *testing.T) {
	type flags struct {
		s string
		b bool
		n int
		d time.Duration
		f float64
	}
	read := func(t *testing.T, args ...string) (f flags) {
		t.Helper()
		_, err := stream.Describe(stream.Setup{Name: "job", Args: args}, func(env *stream.Env) error {
			f = flags{
				env.Flag("name", "x", ""), env.Flag("dry", false, ""), env.Flag("n", 3, ""),
				env.Flag("every", time.Second, ""), env.Flag("rate", 0.5, ""),
			}
			events(env).To("out", sink[event]())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, test := range []struct {
		args []string
		want flags
	}{
		{nil, flags{"x", false, 3, time.Second, 0.5}},
		{[]string{"--name=a b", "--dry", "--n=7"}, flags{"a b", true, 7, time.Second, 0.5}},
		{[]string{"--name", "y", "--dry=false", "--every", "2m", "-rate", "-1.5"}, flags{"y", false, 3, 2 * time.Minute, -1.5}},
		{[]string{"--dry", "-rate", "-.5", "--name", "-"}, flags{"-", true, 3, time.Second, -0.5}},
		{[]string{"--n=1", "--n=2", "--dry"}, flags{"x", true, 2, time.Second, 0.5}},
	} {
		if got := read(t, test.args...); got != test.want {
			t.Errorf("%q: got %+v, want %+v", test.args, got, test.want)
		}
	}
}

// TestReplace puts connectors in place of others; one of another type is an error.
func TestReplace(t *testing.T) {
	build := func(env *stream.Env) error {
		events(env).KeyBy(func(e *event) int64 { return e.Key }).
			Aggregate("sum", aggregate.Sum(func(e *event) float64 { return e.Value })).To("out", sink[float64]())
		return nil
	}
	describe := func(r ...stream.Replacement) error {
		_, err := stream.Describe(stream.Setup{Name: "job", Replace: r}, build)
		return err
	}
	if err := describe(stream.ReplaceSource("events", generator.Slice(event{Key: 1})),
		stream.ReplaceSink("out", sink[float64]())); err != nil {
		t.Error(err)
	}
	for _, r := range []stream.Replacement{
		stream.ReplaceSource("events", generator.Slice[int64](1)), stream.ReplaceSink("out", sink[event]()),
		stream.ReplaceSource("elsewhere", generator.Slice(event{})),
	} {
		if err := describe(r); err == nil || !strings.Contains(err.Error(), "replace") {
			t.Errorf("a replacement of another type or uid: %v", err)
		}
	}
}
