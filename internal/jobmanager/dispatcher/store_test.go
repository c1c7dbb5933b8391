// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of the current format")

var epochStart = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func submitted(id string) *core.Record {
	return &core.Record{At: epochStart, Submitted: &core.Submitted{Jobs: []*core.Job{{ID: id, Submitted: epochStart}}}}
}

func ended(id string) *core.Record {
	return &core.Record{At: epochStart, Ended: &core.Ended{Job: id, End: core.End{State: stateFinished, At: epochStart}}}
}

// open opens the store in a directory of a file system as leader.
func open(fs storage.FS, epoch int64) (*store, error) {
	return openIn(storage.Files(fs, "/jobs"), epoch)
}

func openIn(o storage.Objects, epoch int64) (*store, error) {
	s, err := openStore(context.Background(), o, epoch, "x", epochStart)
	if err == nil {
		s.every = 4
	}
	return s, err
}

// ids are the jobs of a state, with those that have ended marked.
func ids(s *store) (out []string) {
	s.view(func(st *core.State) {
		for _, j := range st.Jobs() {
			id := j.ID
			if j.End != nil {
				id += "!"
			}
			out = append(out, id)
		}
	})
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreRemembers(t *testing.T) {
	t.Parallel()
	o := storage.Files(storage.OS(), t.TempDir())
	var want []string
	for epoch := int64(1); epoch <= 4; epoch++ {
		s, err := openIn(o, epoch)
		must(t, err)
		if got := ids(s); !slices.Equal(got, want) {
			t.Fatalf("epoch %d finds %q, want %q", epoch, got, want)
		}
		for n := range 5 {
			id := fmt.Sprintf("%d-%d", epoch, n)
			must(t, s.write(t.Context(), submitted(id)))
			must(t, s.write(t.Context(), ended(id)))
			want = append(want, id+"!")
		}
		if err := s.write(t.Context(), submitted(want[0][:3])); !errors.Is(err, core.ErrJobExists) {
			t.Errorf("an id that is taken: %v", err)
		}
		names, err := o.List(t.Context(), logDir)
		must(t, err)
		if len(names) > 8 {
			t.Errorf("%d records are kept: %q", len(names), names)
		}
	}
}

func TestStoreDeposed(t *testing.T) {
	t.Parallel()
	for _, records := range []int{0, 1, 20} {
		t.Run(fmt.Sprint(records, " records later"), func(t *testing.T) {
			t.Parallel()
			o := storage.Files(storage.OS(), t.TempDir())
			first, err := openIn(o, 1)
			must(t, err)
			must(t, first.write(t.Context(), submitted("a")))
			must(t, first.verify(t.Context()))
			second, err := openIn(o, 2)
			must(t, err)
			for n := range records {
				must(t, second.write(t.Context(), submitted(fmt.Sprint("later", n))))
			}
			if err := first.write(t.Context(), submitted("b")); !errors.Is(err, ErrDeposed) {
				t.Errorf("the first leader writes: %v", err)
			}
			if err := first.verify(t.Context()); !errors.Is(err, ErrDeposed) {
				t.Errorf("the first leader looks: %v", err)
			}
			if _, err := openIn(o, 1); !errors.Is(err, ErrDeposed) {
				t.Errorf("the first leader opens the store: %v", err)
			}
			must(t, second.write(t.Context(), submitted("c")))
			third, err := openIn(o, 3)
			must(t, err)
			if got, want := ids(third), ids(second); !slices.Equal(got, want) || slices.Contains(got, "b") {
				t.Errorf("the third leader finds %q, the second had %q", got, want)
			}
		})
	}
}

// story is what a leader that writes was told.
type story struct {
	stored []string // ids whose submissions are stored for sure
	tried  string   // the one whose submission ended in an error
}

// lead opens the store and submits jobs until it fails.
func (st *story) lead(fs storage.FS, epoch int64) error {
	s, err := open(fs, epoch)
	if err != nil {
		return err
	}
	for n := range 7 {
		id := fmt.Sprintf("%d-%d", epoch, n)
		st.tried = id
		if err := s.write(context.Background(), submitted(id)); err != nil {
			return err
		}
		st.stored = append(st.stored, id)
	}
	return nil
}

func (st *story) check(t *testing.T, s *store, when string) {
	t.Helper()
	got := ids(s)
	for _, id := range st.stored {
		if !slices.Contains(got, id) {
			t.Fatalf("%s: %s is lost; there are %q", when, id, got)
		}
	}
	for _, id := range got {
		if !slices.Contains(st.stored, id) && id != st.tried {
			t.Fatalf("%s: nobody submitted %s", when, id)
		}
	}
}

// TestStoreCrashAtEveryOperation crashes the machine at each operation of two leaders, one after the other; what was
// stored is there after it.
func TestStoreCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	errCrash := errors.New("crash")
	points := 0
	for at := 1; ; at++ {
		d := faultfs.New()
		view := d.View()
		view.Before = func(op faultfs.Op) error {
			if op.N >= at {
				return errCrash
			}
			return nil
		}
		var st story
		err := st.lead(view, 1)
		if err == nil {
			err = st.lead(view, 2)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatalf("before operation %d: %v", at, err)
		}
		points++
		for seed := range uint64(3) {
			when := fmt.Sprintf("crash at operation %d, seed %d", at, seed)
			after := d.Crash(3*uint64(at) + seed)
			s, err := open(after.View(), 3)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			st.check(t, s, when)
			must(t, s.write(t.Context(), submitted("after")))
			for name := range after.Tree() {
				if strings.HasPrefix(filepath.Base(name), ".") {
					t.Fatalf("%s: %s is left", when, name)
				}
			}
		}
	}
	if points < 100 {
		t.Errorf("only %d operations to crash at", points)
	}
}

// TestStoreErrorAtEveryOperation fails each operation once, without effect and with: the leader goes on, also when the
// record whose writing failed is stored.
func TestStoreErrorAtEveryOperation(t *testing.T) {
	t.Parallel()
	for _, effect := range []bool{false, true} {
		t.Run(fmt.Sprintf("effect=%v", effect), func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				d := faultfs.New()
				view := d.View()
				fail := func(op faultfs.Op) error {
					if op.N == at {
						return syscall.ENOSPC
					}
					return nil
				}
				if effect {
					view.After = fail
				} else {
					view.Before = fail
				}
				if done := storeDespite(t, d, view, at); done {
					break
				}
			}
		})
	}
}

func storeDespite(t *testing.T, d *faultfs.Disk, view *faultfs.FS, at int) (done bool) {
	t.Helper()
	when := fmt.Sprintf("error at operation %d", at)
	s, err := open(view, 1)
	if errors.Is(err, syscall.ENOSPC) {
		s, err = open(view, 1)
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	var st story
	for n := range 7 {
		id := fmt.Sprint(n)
		err := s.write(t.Context(), submitted(id))
		switch {
		case err == nil:
			st.stored = append(st.stored, id)
		case errors.Is(err, syscall.ENOSPC):
			st.tried = id
		default:
			t.Fatalf("%s: job %s: %v", when, id, err)
		}
	}
	must(t, s.settle(t.Context()))
	st.check(t, s, when)
	again, err := open(d.View(), 2)
	if err != nil {
		t.Fatalf("%s: the next leader: %v", when, err)
	}
	if diff := cmp.Diff(ids(s), ids(again)); diff != "" {
		t.Fatalf("%s: the next leader finds (-first +next):\n%s", when, diff)
	}
	return view.Ops() < at
}

func TestStoreDamaged(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"changed", "missing"} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := storage.Files(storage.OS(), dir)
			s, err := openIn(o, 1)
			must(t, err)
			must(t, s.write(t.Context(), submitted("a")))
			must(t, s.write(t.Context(), submitted("b")))
			name := filepath.Join(dir, logDir, fmt.Sprintf("%020d", 2))
			if damage == "missing" {
				must(t, os.Remove(name))
			} else {
				b, err := os.ReadFile(name)
				must(t, err)
				b[len(b)/2]++
				must(t, os.WriteFile(name, b, 0o600))
			}
			_, err = openIn(o, 2)
			if err == nil || damage == "changed" && (!errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), name)) {
				t.Errorf("a record that is %s: %v", damage, err)
			}
		})
	}
}

// TestGolden compares what is stored with docs/formats/job-store.md's golden files, and reads those back.
func TestGolden(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "job-store-v1")
	if *rewrite {
		must(t, os.RemoveAll(dir))
		writeGolden(t, dir)
	}
	fresh := t.TempDir()
	writeGolden(t, fresh)
	for _, name := range files(t, dir) {
		want, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		got, err := os.ReadFile(filepath.Join(fresh, name))
		must(t, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is written otherwise than the golden file (-want +got):\n%s", name, diff)
		}
	}
	if g, w := files(t, fresh), files(t, dir); !slices.Equal(g, w) {
		t.Errorf("files %q, golden %q", g, w)
	}
	for _, kind := range []string{"records", "summary"} {
		// A copy, since opening makes a record.
		to := filepath.Join(fresh, "copy", kind)
		must(t, os.CopyFS(to, os.DirFS(filepath.Join(dir, kind))))
		s, err := openStore(t.Context(), storage.Files(storage.OS(), to), 9, "y", epochStart)
		must(t, err)
		if got, want := ids(s), []string{jobA + "!", jobB}; !slices.Equal(got, want) {
			t.Errorf("jobs of the golden %s: %q, want %q", kind, got, want)
		}
		s.view(func(s *core.State) {
			if s.Job(jobA).Canceling || !s.Job(jobB).Canceling {
				t.Errorf("the golden %s has other jobs to cancel", kind)
			}
		})
		d, err := s.detail(t.Context(), jobA)
		if err != nil || d.GetState() != stateFinished {
			t.Errorf("detail of the golden %s: %v, %v", kind, d, err)
		}
	}
}

const (
	jobA = "0123456789abcdef0123456789abcdef"
	jobB = "1123456789abcdef0123456789abcdef"
	appC = "2123456789abcdef0123456789abcdef"
)

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, err = filepath.Rel(dir, name)
			names = append(names, name)
		}
		return err
	}))
	return names
}

// writeGolden writes a store with a record of each kind, and one that consists of a summary.
func writeGolden(t *testing.T, dir string) {
	t.Helper()
	writeStore(t, filepath.Join(dir, "records"), false)
	writeStore(t, filepath.Join(dir, "summary"), true)
}

func writeStore(t *testing.T, dir string, summary bool) {
	t.Helper()
	s, err := openStore(t.Context(), storage.Files(storage.OS(), dir), 3, "host-1, process 42", epochStart)
	must(t, err)
	hash := strings.Repeat("ab", 32)
	job := core.Job{
		ID: jobA, Name: "flights", Entry: "flights", Program: hash, Arguments: []string{"--rate", "2000"}, Dir: "/home/ada",
		Settings: map[string]string{parallelismKey: "2"}, Restore: "/savepoints/1", AllowNonRestoredState: true,
		CheckpointDir: "/data/checkpoints", Described: []byte{0x0a, 0x01, 0x61}, Submitted: epochStart,
	}
	template := core.Job{Program: hash, RejectRelative: true, CheckpointDir: "/data/checkpoints"}
	other := template
	other.ID, other.Application, other.Name, other.Submitted = jobB, appC, "visits", epochStart
	for _, r := range []*core.Record{
		{ProgramAdded: &core.Program{ID: hash + "_flights", Name: "flights", Hash: hash, Size: 7, Uploaded: epochStart}},
		{Submitted: &core.Submitted{Jobs: []*core.Job{&job}}},
		{Canceling: &core.Canceling{Job: jobA}},
		{Ended: &core.Ended{Job: jobA, End: core.End{
			State: stateFinished, Savepoint: "/savepoints/2", At: epochStart.Add(time.Minute), Epoch: 2,
			Tasks: map[string]int32{"FINISHED": 4},
		}}},
		{ApplicationBegun: &core.Application{ID: appC, Name: "app", Template: template, Begun: epochStart}},
		{Submitted: &core.Submitted{Jobs: []*core.Job{&other}}},
		{Canceling: &core.Canceling{Job: jobB}},
		{ApplicationBegun: &core.Application{ID: strings.Repeat("3", 32), Name: "bad", Template: template, Begun: epochStart}},
		{ApplicationFailed: &core.ApplicationFailure{
			Application: strings.Repeat("3", 32), State: stateFailed, Error: "the program names no job", At: epochStart,
		}},
	} {
		r.At = epochStart
		must(t, s.write(t.Context(), r))
	}
	must(t, s.putDetail(t.Context(), jobA, &weirpb.JobDetail{JobId: jobA, State: stateFinished}))
	if summary {
		// It takes the place of all records before it.
		s.every = 0
		must(t, s.write(t.Context(), &core.Record{At: epochStart, ProgramRemoved: &core.ProgramRemoved{Program: hash + "_flights"}}))
	}
}
