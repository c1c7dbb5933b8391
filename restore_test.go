// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

// writing is a job that writes the numbers from 0 on into files, without an end.
func writing(dir string, overwrite bool) weir.Build {
	return func(env *stream.Env) error {
		env.Checkpoint(stream.Checkpoints{Interval: 10 * time.Millisecond})
		env.From("numbers", generator.New(fillTick).Rate(20_000)).
			To("out", file.JSONSink[tick](dir).Overwrite(overwrite))
		return nil
	}
}

// written are the numbers in the finished files of a directory, in order.
func written(t *testing.T, dir string) (all []int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "part-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var row tick
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			all = append(all, row.N)
		}
	}
	slices.Sort(all)
	return all
}

// more waits until a job has written more than n numbers.
func more(t *testing.T, dir string, n int) {
	t.Helper()
	ctx := within(t)
	for range time.Tick(time.Millisecond) {
		if len(written(t, dir)) > n {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("nothing more was written")
		}
	}
}

// stopped lets a job write some more, stops it and returns its savepoint.
func stopped(t *testing.T, h *weir.Handle, dir, saves string) string {
	t.Helper()
	more(t, dir, len(written(t, dir)))
	path, err := h.StopWithSavepoint(within(t), saves)
	if err == nil {
		err = h.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// occupied wants a run from a savepoint refused, and nothing changed by it.
func occupied(t *testing.T, dir, from, checkpoints string, overwrite bool, names ...string) {
	t.Helper()
	before := written(t, dir)
	h, err := weir.Run(t.Context(), "writing", writing(dir, overwrite), weir.Options{Restore: from, CheckpointDir: checkpoints})
	if err == nil {
		_ = h.Cancel(within(t))
	}
	if !errors.Is(err, file.ErrOccupied) {
		t.Fatalf("a run whose results would come twice: %v", err)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("refusal %q does not name %s", err, name)
		}
	}
	if after := written(t, dir); !slices.Equal(before, after) {
		t.Errorf("a refused run changed %d numbers to %d", len(before), len(after))
	}
}

// TestRunsFromOneSavepointIntoOneDirectory: the first goes on where the savepoint's run left off, a second one would write
// the same rows again.
func TestRunsFromOneSavepointIntoOneDirectory(t *testing.T) {
	dir, saves, checkpoints := filepath.Join(t.TempDir(), "out"), t.TempDir(), t.TempDir()
	run := func(o weir.Options, overwrite bool) *weir.Handle {
		o.CheckpointDir = checkpoints
		return start(t, writing(dir, overwrite), o)
	}
	once := func() {
		t.Helper()
		if all := written(t, dir); len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Error("numbers were written twice")
		}
	}
	first := stopped(t, run(weir.Options{}, false), dir, saves)
	ofFirst := written(t, dir)
	second := stopped(t, run(weir.Options{Restore: first}, false), dir, saves)
	once()
	occupied(t, dir, first, checkpoints, false, dir, "--restore latest", "--overwrite")

	third := run(weir.Options{Restore: second}, false)
	more(t, dir, len(written(t, dir)))
	plain, err := third.Savepoint(within(t), saves)
	if err != nil {
		t.Fatal(err)
	}
	last := stopped(t, third, dir, saves)
	once()
	// The third run went on: its rows behind the savepoint can't be told from those before it, so not even overwriting helps.
	occupied(t, dir, plain, checkpoints, true, dir, "gone on", "another directory")

	// To overwrite is to go back to the savepoint: what came before it stays.
	again := stopped(t, run(weir.Options{Restore: first}, true), dir, saves)
	once()
	all := written(t, dir)
	for _, n := range ofFirst {
		if _, ok := slices.BinarySearch(all, n); !ok {
			t.Fatalf("%d, written before the savepoint, is gone", n)
		}
	}
	occupied(t, dir, last, checkpoints, false, dir)
	if err := run(weir.Options{Restore: again}, false).Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
}
