// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

type tick struct{ N, Count int64 }

func fillTick(i int64, out *tick) { out.N, out.Count = i, 1 }

func (t *tick) at() time.Time { return time.Unix(t.N, 0) }
func (t *tick) key() int64    { return t.N % 7 }
func (t *tick) count() *int64 { return &t.Count }

// counting is a job that counts the numbers from 0 on, by their remainder and by minutes, a number a second. Without a
// limit it never ends.
func counting(limit int64, to *collect.Collector[tick]) weir.Build {
	return func(env *stream.Env) error {
		src := generator.New(fillTick).Rate(env.Flag("rate", 0.0, "numbers a second"))
		if limit >= 0 {
			src = src.Limit(limit)
		}
		env.Checkpoint(stream.Checkpoints{Interval: 10 * time.Millisecond})
		env.From("numbers", src).
			Watermarks(watermark.Ascending((*tick).at)).
			KeyBy((*tick).key).
			Window(window.Tumbling(time.Minute)).
			Sum("counts", (*tick).count).
			To("out", to.Sink())
		return nil
	}
}

// total sums up what was counted.
func total(rows []tick) (n int64) {
	for _, r := range rows {
		n += r.Count
	}
	return n
}

func start(t *testing.T, build weir.Build, o weir.Options) *weir.Handle {
	t.Helper()
	h, err := weir.Run(t.Context(), "counting", build, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// within fails the test if something of the job takes longer than it ever should.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// await waits until the job has counted something.
func await(t *testing.T, to *collect.Collector[tick]) {
	t.Helper()
	ctx := within(t)
	for range time.Tick(time.Millisecond) {
		if len(to.Rows()) > 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("nothing was counted")
		}
	}
}

func TestRunToTheEnd(t *testing.T) {
	to := collect.New[tick]()
	h := start(t, counting(10_000, to), weir.Options{Slots: 3, TaskManagers: 2, Settings: map[string]string{"parallelism.default": "3"}})
	if len(h.JobID()) != 32 {
		t.Errorf("job id %q", h.JobID())
	}
	if err := h.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := total(to.Rows()); got != 10_000 {
		t.Errorf("counted %d, want 10000", got)
	}
	select {
	case <-h.Done():
	default:
		t.Error("Done is open behind Wait")
	}
	if s := h.Status(); s != "FINISHED" {
		t.Errorf("status %s", s)
	}
	m := h.Metrics()
	if m["numbers"].RecordsOut != 10_000 || m["counts"].RecordsIn != 10_000 || m["out"].RecordsIn != int64(len(to.Rows())) {
		t.Errorf("metrics %+v", m)
	}
	if err := h.Cancel(within(t)); err != nil {
		t.Errorf("Cancel behind the end: %v", err)
	}
	if _, err := h.Savepoint(within(t), t.TempDir()); err == nil {
		t.Error("a savepoint behind the end")
	}
}

func TestRunReportsWhatIsWrong(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		build weir.Build
		o     weir.Options
		want  string
	}{
		{"error of build", func(*stream.Env) error { return broken }, weir.Options{}, "broken"},
		{"panic of build", func(*stream.Env) error { panic("oops") }, weir.Options{}, "oops"},
		{"no steps", func(*stream.Env) error { return nil }, weir.Options{}, "describes no steps"},
		{"unknown flag", counting(1, collect.New[tick]()), weir.Options{Args: []string{"--rat=1"}}, "unknown flag --rat"},
		{"malformed flag", counting(1, collect.New[tick]()), weir.Options{Args: []string{"--rate=x"}}, "--rate=x: not a float64"},
		{"unknown setting", counting(1, collect.New[tick]()), weir.Options{Settings: map[string]string{"parallelism": "1"}}, "did you mean parallelism.default"},
		{"too few slots", counting(1, collect.New[tick]()), weir.Options{Slots: 1, Settings: map[string]string{"parallelism.default": "2"}}, "needs 2 slots"},
		{"no such savepoint", counting(1, collect.New[tick]()), weir.Options{Restore: "/no/such/place"}, "/no/such/place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := weir.Run(t.Context(), "j", tt.build, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := weir.Run(t.Context(), "j", func(*stream.Env) error { return broken }, weir.Options{}); !errors.Is(err, broken) {
		t.Errorf("the error of build is not wrapped: %v", err)
	}
}

func TestRunCancel(t *testing.T) {
	to := collect.New[tick]()
	h := start(t, counting(-1, to), weir.Options{})
	await(t, to)
	if s := h.Status(); s != "RUNNING" {
		t.Errorf("status %s", s)
	}
	if err := h.Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(); !errors.Is(err, weir.ErrCanceled) {
		t.Errorf("Wait returns %v", err)
	}
	if s := h.Status(); s != "CANCELED" {
		t.Errorf("status %s", s)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	to := collect.New[tick]()
	ctx, cancel := context.WithCancel(t.Context())
	h, err := weir.Run(ctx, "counting", counting(-1, to), weir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, to)
	cancel()
	if err := h.Wait(); !errors.Is(err, weir.ErrCanceled) {
		t.Errorf("Wait returns %v", err)
	}
}

// failing is a job that fails at a number, for good.
func failing(to *collect.Collector[tick]) weir.Build {
	return func(env *stream.Env) error {
		env.Restart(stream.NoRestart())
		env.From("numbers", generator.New(fillTick).Limit(1000)).
			MapE(func(in *tick) (tick, error) {
				if in.N == 500 {
					return tick{}, errors.New("500 is too much")
				}
				return *in, nil
			}).Name("check").
			To("out", to.Sink())
		return nil
	}
}

func TestRunFails(t *testing.T) {
	dir := t.TempDir()
	h := start(t, failing(collect.New[tick]()), weir.Options{CheckpointDir: dir})
	err := h.Wait()
	if err == nil || !strings.Contains(err.Error(), "500 is too much") || !strings.Contains(err.Error(), "check") {
		t.Errorf("Wait returns %v", err)
	}
	if s := h.Status(); s != "FAILED" {
		t.Errorf("status %s", s)
	}
	// After its end `latest` reports the result.
	again := start(t, failing(collect.New[tick]()), weir.Options{CheckpointDir: dir, Restore: "latest"})
	if again.JobID() != h.JobID() {
		t.Errorf("latest is job %s, want %s", again.JobID(), h.JobID())
	}
	if err := again.Wait(); err == nil || !strings.Contains(err.Error(), "500 is too much") {
		t.Errorf("Wait returns %v", err)
	}
}

// TestRunSuspendAndContinue stops a job with a last checkpoint and goes on, at another parallelism each time: nothing is
// lost or counted twice.
func TestRunSuspendAndContinue(t *testing.T) {
	to, dir := collect.New[tick](), t.TempDir()
	const limit = 30_000
	var id string
	for life, parallelism := range []string{"1", "3", "2", "1"} {
		o := weir.Options{
			CheckpointDir: dir, Restore: "latest", // the first finds no run, and begins one
			Settings: map[string]string{"parallelism.default": parallelism},
		}
		last := life == 3
		if !last {
			o.Args = []string{"--rate=20000"}
		}
		h := start(t, counting(limit, to), o)
		if life == 0 {
			id = h.JobID()
		}
		if h.JobID() != id {
			t.Errorf("life %d is job %s, want %s", life, h.JobID(), id)
		}
		if last {
			if err := h.Wait(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		before := len(to.Rows())
		for range time.Tick(time.Millisecond) {
			if len(to.Rows()) > before {
				break
			}
		}
		if err := h.Suspend(within(t)); err != nil {
			t.Fatal(err)
		}
		if s := h.Status(); s != "SUSPENDED" {
			t.Errorf("status %s", s)
		}
	}
	if got := total(to.Rows()); got != limit {
		t.Errorf("counted %d, want %d", got, limit)
	}
	h := start(t, counting(limit, to), weir.Options{CheckpointDir: dir, Restore: "latest"})
	if err := h.Wait(); err != nil || h.JobID() != id || h.Status() != "FINISHED" {
		t.Errorf("after its end latest is job %s %s, %v", h.JobID(), h.Status(), err)
	}
}

// TestRunCheckpoint takes checkpoints of a job that takes none by itself within the hour.
func TestRunCheckpoint(t *testing.T) {
	to := collect.New[tick]()
	h := start(t, func(env *stream.Env) error {
		defer env.Checkpoint(stream.Checkpoints{Interval: time.Hour})
		return counting(-1, to)(env)
	}, weir.Options{Args: []string{"--rate=20000"}})
	if c := h.LastCheckpoint(); c.ID != 0 {
		t.Errorf("checkpoint %+v before the first", c)
	}
	ctx, began := within(t), time.Now()
	full, err := h.Checkpoint(ctx, true)
	for err != nil && ctx.Err() == nil { // it is refused while tasks start
		began = time.Now()
		full, err = h.Checkpoint(ctx, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if full.ID == 0 || full.Bytes == 0 || full.Duration <= 0 || full.Duration > took || full.Completed.Before(began) {
		t.Errorf("checkpoint %+v, which took %v from %v on", full, took, began)
	}
	if c := h.LastCheckpoint(); c != full {
		t.Errorf("the last is %+v, not %+v", c, full)
	}
	next, err := h.Checkpoint(within(t), false)
	if err != nil || next.ID <= full.ID || h.LastCheckpoint() != next {
		t.Errorf("checkpoint %+v behind %d, the last is %+v: %v", next, full.ID, h.LastCheckpoint(), err)
	}
	if err := h.Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Checkpoint(within(t), true); err == nil {
		t.Error("a checkpoint behind the end")
	}
}

// TestRunSavepoints takes one while the job runs, one to stop, and one to drain, and begins new runs from them.
func TestRunSavepoints(t *testing.T) {
	saves := t.TempDir()
	parallelism := func(n string) map[string]string { return map[string]string{"parallelism.default": n} }
	slow := []string{"--rate=20000"}

	first := collect.New[tick]()
	h := start(t, counting(-1, first), weir.Options{Args: slow, Settings: parallelism("2")})
	await(t, first)
	running, err := h.Savepoint(within(t), saves)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(running) || filepath.Dir(running) != saves || h.Status() != "RUNNING" {
		t.Errorf("savepoint %s, job %s", running, h.Status())
	}
	stopped, err := h.StopWithSavepoint(within(t), saves)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(); err != nil || h.Status() != "FINISHED" {
		t.Errorf("stopped: %s, %v", h.Status(), err)
	}

	// From where the job stopped; what it committed and what follows are whole windows, each once. The savepoint holds what
	// was committed with it, which is committed again, to no effect in the same place.
	before := len(first.Rows())
	h = start(t, counting(-1, first), weir.Options{Args: slow, Restore: stopped, Settings: parallelism("3")})
	for range time.Tick(time.Millisecond) {
		if len(first.Rows()) > before {
			break
		}
	}
	if _, err := h.Drain(within(t), saves); err != nil {
		t.Fatal(err)
	}
	rows := first.Rows()
	slices.SortFunc(rows, func(a, b tick) int { return int(a.N - b.N) })
	for i, r := range rows {
		if i > 0 && rows[i-1].N == r.N {
			t.Errorf("the window of %d came twice", r.N)
		}
	}
	// Drained, it counted each number that was read: a prefix, but for what lanes are ahead of each other.
	read := h.Metrics()["numbers"].RecordsOut
	if got, atLeast := total(rows), read; got < atLeast {
		t.Errorf("counted %d, the second run alone read %d", got, atLeast)
	}

	// From the savepoint before: a new run with an id of its own.
	third := collect.New[tick]()
	other := start(t, counting(-1, third), weir.Options{Restore: running})
	if other.JobID() == h.JobID() {
		t.Error("a run from a savepoint has the id of the one before")
	}
	await(t, third)
	if err := other.Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
	lost := func(env *stream.Env) error {
		env.From("other", generator.New(fillTick).Limit(10)).To("out", collect.New[tick]().Sink())
		return nil
	}
	if _, err := weir.Run(t.Context(), "lost", lost, weir.Options{Restore: running}); err == nil || !strings.Contains(err.Error(), "counts") {
		t.Errorf("state without a place: %v", err)
	}
	h = start(t, lost, weir.Options{Restore: running, AllowNonRestoredState: true})
	if err := h.Wait(); err != nil {
		t.Errorf("allowed: %v", err)
	}
}

// TestRunIsFenced continues a run whose process still lives: that one notices, says so and commits nothing more.
func TestRunIsFenced(t *testing.T) {
	dir := t.TempDir()
	oldRows, newRows := collect.New[tick](), collect.New[tick]()
	older := start(t, counting(-1, oldRows), weir.Options{CheckpointDir: dir})
	await(t, oldRows)
	newer := start(t, counting(-1, newRows), weir.Options{CheckpointDir: dir, Restore: "latest"})
	if newer.JobID() != older.JobID() {
		t.Errorf("continued job %s, want %s", newer.JobID(), older.JobID())
	}
	err := older.Wait()
	if !errors.Is(err, weir.ErrDeposed) {
		t.Errorf("the older one ends with %v", err)
	}
	await(t, newRows)
	if err := newer.Suspend(within(t)); err != nil {
		t.Fatal(err)
	}
	// What the older one committed before and what the newer one committed are whole windows; both may have committed
	// what the checkpoint holds that was taken over.
	seen := map[tick]bool{}
	for _, r := range oldRows.Rows() {
		seen[r] = true
	}
	again := 0
	for _, r := range newRows.Rows() {
		if seen[r] {
			again++
		}
		seen[r] = true
	}
	byWindow := map[int64]tick{}
	for r := range seen {
		if o, ok := byWindow[r.N]; ok {
			t.Errorf("a window came as %v and as %v", o, r)
		}
		byWindow[r.N] = r
	}
	t.Logf("%d rows of %d were committed again by the newer one", again, len(newRows.Rows()))
}

// TestRunTouchesNothing runs a job inside a process whose standard output and default logger are watched.
func TestRunTouchesNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, logger := os.Stdout, os.Stderr, slog.Default()
	os.Stdout, os.Stderr = w, w
	var logged strings.Builder
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	mine := slog.Default()
	defer func() { os.Stdout, os.Stderr = stdout, stderr; slog.SetDefault(logger) }()
	build := func(env *stream.Env) error {
		env.Restart(stream.NoRestart())
		env.From("numbers", generator.New(fillTick).Limit(10)).
			To("out", connector.Each(func(context.Context, *tick) error { return errors.New("no") }))
		return nil
	}
	h := start(t, build, weir.Options{})
	if err := h.Wait(); err == nil {
		t.Error("the job did not fail")
	}
	if slog.Default() != mine {
		t.Error("the default logger was changed")
	}
	os.Stdout, os.Stderr = stdout, stderr
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var b [100]byte
	if n, _ := r.Read(b[:]); n > 0 || logged.Len() > 0 {
		t.Errorf("written: %q, logged: %q", b[:n], logged.String())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
