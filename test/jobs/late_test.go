// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"iter"
	"testing"
	"testing/fstest"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// late is the side output of records that come too late for all of their windows.
var late = stream.NewTag[event]("late")

// TestLateRecordsAreSomewhere has records later than the watermark says. Which ones are late depends on how the job runs;
// but each is either in the last firing of its window or in the late output, never in both and never in none.
func TestLateRecordsAreSomewhere(t *testing.T) {
	const total = 6000
	often := stream.Checkpoints{Interval: 5 * time.Millisecond}
	for _, s := range []setting{
		{parallelism: 1, checkpoints: often},
		{parallelism: 3, rowsMax: 7, checkpoints: often},
		{parallelism: 2, unchained: true, network: "tcp", rowsMax: 1, checkpoints: often},
	} {
		for _, lateness := range []time.Duration{0, 10 * time.Millisecond} {
			t.Run(fmt.Sprintf("parallelism %d, lateness %v", s.parallelism, lateness), func(t *testing.T) {
				t.Parallel()
				in := input{seed: 21, events: total}
				fired, lates := collect.New[result](), collect.New[event]()
				source := newFeed(in.event)
				source.lanes = 3 // the watermark is the least of theirs: with few it is soon ahead of stragglers
				j := newRig(t, s).start(func(env *stream.Env) error {
					windows := env.From("events", source).
						Watermarks(watermark.BoundedOutOfOrderness(0, (*event).time)).
						KeyBy((*event).key).Window(window.Tumbling(tumble*time.Millisecond)).
						AllowedLateness(lateness).LateOutput(late).
						Process("windows", func(ctx *stream.WindowCtx[int64], in iter.Seq[*event], out *stream.Out[result]) error {
							r := result{Key: ctx.Key(), At: ctx.Window().Start.UnixMilli()}
							for e := range in {
								r.N++
								r.Sum += e.Seq
							}
							out.Emit(r)
							return nil
						})
					windows.To("fired", fired.Sink())
					windows.SideOutput(late).To("late", lates.Sink())
					return nil
				}, embedded.RunOptions{})
				for n := int64(0); n < total; n += 100 { // a watermark comes where the input runs idle
					source.flow(n)
					eventually(t, "the rows are read", func() bool { return source.polled.Load() >= n && source.waiting() >= s.parallelism })
				}
				source.flow(total)
				source.end()
				j.end("FINISHED")
				checkLate(t, in, fired.Rows(), lates.Rows(), lateness)
			})
		}
	}
}

// checkLate adds the late records to the last firings of their windows: that must be all.
func checkLate(t *testing.T, in input, fired []result, lates []event, lateness time.Duration) {
	t.Helper()
	type id struct{ key, at int64 }
	sums := map[id]result{}
	for _, r := range fired {
		old, again := sums[id{r.Key, r.At}]
		if again && lateness == 0 {
			t.Errorf("window %+v fired twice without lateness", r)
		}
		if r.N > old.N { // a later firing of a window has all that the earlier had
			sums[id{r.Key, r.At}] = r
		}
	}
	add := func(all map[id]result, e *event) {
		i := id{e.Key, floor(e.At, tumble)}
		r := all[i]
		all[i] = result{Key: i.key, At: i.at, N: r.N + 1, Sum: r.Sum + e.Seq}
	}
	for i := range lates {
		add(sums, &lates[i])
	}
	want := map[id]result{}
	for _, e := range in.allEvents() {
		add(want, &e)
	}
	if len(lates) == 0 {
		t.Error("no record was late")
	}
	compare(t, values(sums), values(want))
}

func values[K comparable, V any](m map[K]V) (all []V) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// reading is a row of a file.
type reading struct {
	ID    int64  `json:"id"`
	Error string `json:"-"`
}

// broken is the side output of malformed rows.
var broken = stream.NewTag[string]("broken")

// TestMalformedRows reads a file with a broken row by each of the three choices.
func TestMalformedRows(t *testing.T) {
	fsys := fstest.MapFS{"in/a.json": {Data: []byte(`{"id":1}` + "\n" + `{"id":"two"}` + "\n" + `{"id":3}` + "\n")}}
	source := file.JSON[reading]("in/*.json").FS(fsys)
	toError := func(m *file.Malformed) reading { return reading{Error: m.Error()} }
	for _, tc := range []struct {
		name   string
		source file.Source[reading]
		status string
		rows   []int64
		errors int
	}{
		{"fail", source, "FAILED", nil, 0},
		{"skip", source.OnMalformed(file.Skip), "FINISHED", []int64{1, 3}, 0},
		{"side output", source.MalformedTo(toError), "FINISHED", []int64{1, 3}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rows, errs := collect.New[int64](), collect.New[string]()
			never := stream.NoRestart()
			r := newRig(t, setting{restart: &never})
			j := r.start(func(env *stream.Env) error {
				read := env.From("in", tc.source).Process(func(ctx *stream.PlainCtx, in *reading, out *stream.Out[int64]) error {
					if in.Error != "" {
						ctx.Output(broken, in.Error)
					} else {
						out.Emit(in.ID)
					}
					return nil
				})
				read.To("out", rows.Sink())
				read.SideOutput(broken).To("errors", errs.Sink())
				return nil
			}, embedded.RunOptions{})
			e := j.end(tc.status)
			compare(t, rows.Rows(), tc.rows)
			if len(errs.Rows()) != tc.errors {
				t.Errorf("errors %q, want %d", errs.Rows(), tc.errors)
			}
			for _, said := range append(errs.Rows(), e.Error) {
				if said != "" && !contains(said, "in/a.json", "line 2", "field", "id") {
					t.Errorf("%q lacks file, line or field", said)
				}
			}
			if tc.status == "FAILED" && e.Error == "" {
				t.Error("the job does not say why it failed")
			}
			if tc.status == "FINISHED" {
				eventually(t, "the malformed row is counted", func() bool { return j.counter("malformed") == 1 })
			}
		})
	}
}
