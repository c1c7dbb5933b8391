// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format/lines"
)

type lineWriter = connector.Writer[string, connector.None, Pending]

// memSink is a sink of lines on a disk in memory.
func memSink() (Sink[string], *memDisk) {
	d := newMemDisk()
	s := LinesSink("/data/out")
	s.disk = d
	return s, d
}

func newWriter(t testing.TB, s Sink[string], subtask, parallelism int, attempt int64) lineWriter {
	t.Helper()
	w, err := s.NewWriter(t.Context(), connectortest.NewRuntime(subtask, parallelism, attempt), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func batchOf(rows ...string) *element.Batch[string] {
	b := element.NewBatch[string](len(rows))
	for _, row := range rows {
		*b.Append() = row
	}
	return b
}

func write(t testing.TB, w lineWriter, rows ...string) {
	t.Helper()
	if err := w.Write(t.Context(), batchOf(rows...)); err != nil {
		t.Fatal(err)
	}
}

func prepare(t testing.TB, w lineWriter) []Pending {
	t.Helper()
	p, err := w.PrepareCommit(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func commit(t testing.TB, s Sink[string], p []Pending) error {
	t.Helper()
	c, err := s.NewCommitter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(c.Commit(t.Context(), p), c.Close())
}

func expectNames(t testing.TB, d *memDisk, want ...string) {
	t.Helper()
	if got := d.names(); !slices.Equal(got, want) {
		t.Errorf("files\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStagesOfAFile(t *testing.T) {
	s, d := memSink()
	w := newWriter(t, s, 3, 4, 17)
	expectNames(t, d)
	write(t, w, "a")
	expectNames(t, d, ".part-job-3-17-0.txt.inprogress")
	p := prepare(t, w)
	expectNames(t, d, ".part-job-3-17-0.txt.pending")
	if want := (Pending{s.dir, ".part-job-3-17-0.txt.pending", "part-job-3-17-0.txt", 2}); len(p) != 1 || p[0] != want {
		t.Errorf("prepared %+v, want %+v", p, want)
	}
	if again := prepare(t, w); len(again) > 0 {
		t.Errorf("prepared %+v without records", again)
	}
	write(t, w, "b")
	if err := commit(t, s, p); err != nil {
		t.Fatal(err)
	}
	expectNames(t, d, ".part-job-3-17-1.txt.inprogress", "part-job-3-17-0.txt")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	expectNames(t, d, "part-job-3-17-0.txt")
}

// TestDurableBeforePrepared reads the order of operations: no committable before the file, its name and the directory
// are on disk, and no commit returns before the new name is.
func TestDurableBeforePrepared(t *testing.T) {
	s, d := memSink()
	w := newWriter(t, s, 0, 1, 1)
	d.log = nil
	write(t, w, "a")
	p := prepare(t, w)
	want := []string{
		"create .part-job-0-1-0.txt.inprogress", "write .part-job-0-1-0.txt.inprogress",
		"sync .part-job-0-1-0.txt.inprogress", "close .part-job-0-1-0.txt.inprogress",
		"rename .part-job-0-1-0.txt.inprogress", "syncdir out",
	}
	if !slices.Equal(d.log, want) {
		t.Errorf("prepared by\n%s, want\n%s", strings.Join(d.log, "\n"), strings.Join(want, "\n"))
	}
	for range 2 { // also a second time: the first may have died before the sync
		d.log = nil
		if err := commit(t, s, p); err != nil {
			t.Fatal(err)
		}
		if n := len(d.log); d.log[n-1] != "syncdir out" {
			t.Errorf("committed by %v, want a sync at the end", d.log)
		}
	}
}

// TestParentsAreDurable makes two directories: without the entry for the first, the second would be lost with it.
func TestParentsAreDurable(t *testing.T) {
	_, d := memSink()
	d.dirs["/"] = true
	if err := makeDir(d, "/data/out"); err != nil {
		t.Fatal(err)
	}
	want := []string{"stat out", "stat data", "mkdir data", "syncdir /", "mkdir out", "syncdir data"}
	if !slices.Equal(d.log, want) {
		t.Errorf("made by %v, want %v", d.log, want)
	}
}

func TestRolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type row struct{ A, B string }
		d := newMemDisk()
		s := CSVSink[row]("/out").RollSize(20).RollInterval(time.Minute)
		s.disk = d
		w, err := s.NewWriter(t.Context(), connectortest.NewRuntime(0, 1, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, pause := range []time.Duration{0, 0, 59 * time.Second, 0, time.Minute, 30 * time.Second} {
			time.Sleep(pause)
			b := element.NewBatch[row](1)
			*b.Append() = row{strings.Repeat("x", 3*i), "y"}
			if err := w.Write(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.PrepareCommit(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range d.names() {
			got = append(got, d.files["/out/"+name].String())
		}
		want := []string{
			"a,b\n,y\nxxx,y\nxxxxxx,y\n",               // 20 bytes are reached with the third
			"a,b\nxxxxxxxxx,y\n",                       // a minute has passed when the next comes
			"a,b\nxxxxxxxxxxxx,y\nxxxxxxxxxxxxxxx,y\n", // half a minute has not
		}
		if !slices.Equal(got, want) {
			t.Errorf("files %q, want %q", got, want)
		}
	})
}

// TestSweep lists who removes what when a new attempt starts.
func TestSweep(t *testing.T) {
	files := []string{
		".part-job-0-5-0.txt.inprogress", ".part-job-0-5-1.txt.pending", // the attempt before
		".part-job-0-9-0.txt.inprogress", // a successor
		".part-job-1-5-0.txt.pending",    // another subtask
		".part-job-2-5-0.txt.inprogress", // a subtask that is gone after a change from three to two
		".part-job-3-5-0.csv.pending",
		"part-job-0-5-2.txt",                                                                     // finished
		".part-other-0-5-0.txt.inprogress",                                                       // of another run
		".part-job-0-x-0.txt.inprogress", ".hidden", "part-job-0-5-0.txt.inprogress", "data.txt", // of somebody else
	}
	for _, test := range []struct {
		subtask, parallelism int
		gone                 []string
	}{
		{0, 4, files[:2]},
		{0, 2, []string{files[0], files[1], files[4]}},
		{1, 2, []string{files[3], files[5]}},
		{0, 1, []string{files[0], files[1], files[3], files[4], files[5]}},
	} {
		s, d := memSink()
		if err := makeDir(d, s.dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if _, err := d.Create(filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		newWriter(t, s, test.subtask, test.parallelism, 7)
		var gone []string
		for _, name := range files {
			if !slices.Contains(d.names(), name) {
				gone = append(gone, name)
			}
		}
		if !slices.Equal(gone, test.gone) {
			t.Errorf("subtask %d of %d swept %v, want %v", test.subtask, test.parallelism, gone, test.gone)
		}
	}
}

// TestSweepOfEarlierRuns removes what a run left that another one goes on from, whatever the attempt, and nobody else's.
func TestSweepOfEarlierRuns(t *testing.T) {
	s, d := memSink()
	if err := makeDir(d, s.dir); err != nil {
		t.Fatal(err)
	}
	for i, run := range []string{"first", "job"} {
		if err := writeMarker(d, s.dir, marker{number: i + 1, run: run}); err != nil {
			t.Fatal(err)
		}
	}
	stay := []string{".part-first-1-9-0.txt.pending", ".part-other-0-5-0.txt.pending", "part-first-0-8-0.txt"}
	swept := []string{".part-first-0-9-0.txt.pending", ".part-first-2-9-1.txt.inprogress"}
	for _, name := range slices.Concat(stay, swept) {
		if _, err := d.Create(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	newWriter(t, s, 0, 2, 7)
	expectNames(t, d, stay[0], stay[1], ".weir-run", ".weir-run-2", stay[2])
}

func TestNamesAreParsed(t *testing.T) {
	for _, job := range []string{"a", "a-1", "0123abc", "part-1-2-3", "a.b_c"} {
		n := name{job: job, subtask: 12, attempt: 1 << 40, number: 3, suffix: ".jsonl"}
		for file, committed := range map[string]bool{n.final(): true, n.pending(): false, n.inProgress(): false} {
			if p, ok := parseName(file); !ok || p.name != n || p.committed != committed {
				t.Errorf("%s: %+v, %v", file, p, ok)
			}
		}
	}
	for _, file := range []string{
		"", ".", "part", "part-.csv", "part-a-1-2-3", "part-a-1-2.csv", "part-a-1-2-3.csv.pending", ".part-a-1-2-3.csv",
		"xpart-a-1-2-3.csv", "part--1-2-3.csv", "part-a-1-2-99999999999999999999.csv", "part-a b-1-2-3.csv", ".weir-run",
	} {
		if p, ok := parseName(file); ok {
			t.Errorf("%q is taken for %+v", file, p)
		}
	}
	s, _ := memSink()
	for _, job := range []string{"", "a/b", "a b"} {
		if got, ok := parseName((name{job: job, suffix: s.suffix}).final()); ok && got.job == job {
			t.Errorf("job id %q passes", job)
		}
	}
}

func TestCommitsThatCannotSucceed(t *testing.T) {
	s, d := memSink()
	w := newWriter(t, s, 0, 1, 1)
	write(t, w, "a")
	p := prepare(t, w)[0]
	temp, final := filepath.Join(s.dir, p.Temp), filepath.Join(s.dir, p.Final)

	whole := d.files[temp]
	d.files[temp].WriteString("more")
	if err := commit(t, s, []Pending{p}); !errors.Is(err, connector.ErrPermanent) || !strings.Contains(err.Error(), temp) {
		t.Errorf("pending file of another size: %v", err)
	}
	whole.Truncate(2)

	d.files[final] = d.files[temp]
	p.Size = 3
	if err := commit(t, s, []Pending{p}); !errors.Is(err, connector.ErrPermanent) || !strings.Contains(err.Error(), final) {
		t.Errorf("finished file of another size: %v", err)
	}
	p.Size = 2
	delete(d.files, final)
	delete(d.files, temp)
	err := commit(t, s, []Pending{p})
	if !errors.Is(err, connector.ErrPermanent) || !strings.Contains(err.Error(), temp) || !strings.Contains(err.Error(), final) {
		t.Errorf("no file at all: %v", err)
	}
	clear(d.dirs)
	if err := commit(t, s, []Pending{p}); err == nil || errors.Is(err, connector.ErrPermanent) {
		t.Errorf("no directory: %v, want an error that is tried again", err)
	}
}

// TestCommitElsewhere commits the files of another run where that left them, and those of a directory that was moved.
func TestCommitElsewhere(t *testing.T) {
	for _, moved := range []bool{false, true} {
		dir := t.TempDir()
		old := LinesSink(filepath.Join(dir, "old"))
		w := newWriter(t, old, 0, 1, 1)
		write(t, w, "a")
		p := prepare(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s, at := LinesSink(filepath.Join(dir, "new")), old.dir
		if moved {
			at = s.dir
			if err := os.Rename(old.dir, at); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // and once more, as after a crash
			if err := commit(t, s, p); err != nil {
				t.Fatalf("moved %v: %v", moved, err)
			}
		}
		if b, err := os.ReadFile(filepath.Join(at, p[0].Final)); err != nil || string(b) != "a\n" {
			t.Errorf("moved %v: committed %q, %v", moved, b, err)
		}
	}
}

func TestDiskFull(t *testing.T) {
	s, d := memSink()
	w := newWriter(t, s, 0, 1, 1)
	write(t, w, "a")
	d.fail = func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	_, err := w.PrepareCommit(t.Context(), 1)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/data/out/.part-job-0-1-0.txt.inprogress") {
		t.Errorf("prepare: %v, want the reason and the file", err)
	}
	d.fail = nil
	if _, again := w.PrepareCommit(t.Context(), 2); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("the attempt goes on after a write that failed: %v", again)
	}
	if again := w.Write(t.Context(), batchOf("b")); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("the attempt goes on after a write that failed: %v", again)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	expectNames(t, d) // the half of a file does not fill the disk further
}

func TestDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := LinesSink(dir)
	w := newWriter(t, s, 0, 1, 1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err := w.Write(t.Context(), batchOf("a"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("write: %v, want one that names %s", err, dir)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	again := newWriter(t, s, 0, 1, 2)
	write(t, again, "a")
	p := prepare(t, again)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := commit(t, s, p); err == nil || errors.Is(err, connector.ErrPermanent) || !strings.Contains(err.Error(), dir) {
		t.Errorf("commit: %v, want an error that names %s and is tried again", err, dir)
	}
}

func TestTwoSinksInOneDirectoryCollideLoudly(t *testing.T) {
	s, _ := memSink()
	a, b := newWriter(t, s, 0, 1, 1), newWriter(t, s, 0, 1, 1)
	write(t, a, "a")
	if err := b.Write(t.Context(), batchOf("b")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("write: %v", err)
	}
}

// TestEveryOperationFails runs a job whose disk fails at the n-th operation, once for each n, and restarts it as the
// engine does until it is through: the result is exact each time, and nothing is left behind.
func TestEveryOperationFails(t *testing.T) {
	t.Run("one file", func(t *testing.T) {
		everyOperationFails(t, func(s Sink[string]) Sink[string] { return s.RollSize(4) })
	})
	t.Run("partitions", func(t *testing.T) {
		everyOperationFails(t, func(s Sink[string]) Sink[string] { return s.PartitionBy(byLastDigit) })
	})
}

func everyOperationFails(t *testing.T, settings func(Sink[string]) Sink[string]) {
	t.Helper()
	for n, ended := 1, false; !ended; n++ {
		s, d := memSink()
		s = settings(s)
		count := 0
		d.fail = func(string, string) error {
			if count++; count == n {
				return syscall.EIO
			}
			return nil
		}
		ended = true
		job := &failingJob{sink: s}
		for job.attempt = 1; ; job.attempt++ {
			err := job.run(t)
			if err == nil {
				break
			}
			if ended = false; !errors.Is(err, syscall.EIO) || job.attempt > 2 {
				t.Fatalf("operation %d: attempt %d: %v", n, job.attempt, err)
			}
		}
		rows := finished(t, d, lines.NewDecoder())
		slices.Sort(rows)
		if got := strings.Join(rows, " "); got != "0 1 10 11 2 3 4 5 6 7 8 9" {
			t.Fatalf("operation %d failed: result %s", n, got)
		}
		for _, name := range d.names() {
			if strings.HasPrefix(name, ".part-") {
				t.Errorf("operation %d failed: %s is left behind", n, name)
			}
		}
		if n > 500 {
			t.Fatal("no end")
		}
	}
}

// failingJob writes the numbers to 11, with a checkpoint after every four.
type failingJob struct {
	sink    Sink[string]
	attempt int64
	// next and committables are those of the last completed checkpoint.
	next         int
	committables []Pending
}

func (j *failingJob) run(t *testing.T) error {
	t.Helper()
	c, err := j.sink.NewCommitter(t.Context())
	if err != nil {
		return err
	}
	if err := c.Commit(t.Context(), j.committables); err != nil {
		return err
	}
	w, err := j.sink.NewWriter(t.Context(), connectortest.NewRuntime(0, 1, j.attempt), nil)
	if err != nil {
		return err
	}
	for next := j.next; next < 12; {
		for range 4 {
			if err := w.Write(t.Context(), batchOf(fmt.Sprint(next))); err != nil {
				return err
			}
			next++
		}
		p, err := w.PrepareCommit(t.Context(), int64(next))
		if err != nil {
			return err
		}
		j.next, j.committables = next, p
		if err := c.Commit(t.Context(), p); err != nil {
			return err
		}
	}
	return w.Close()
}

// TestOnDisk takes the real file system through a crash.
func TestOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "out")
	s := LinesSink(dir)
	if err := s.Probe(t.Context(), connector.NewRun{JobID: "job"}); err != nil {
		t.Fatal(err)
	}
	first := newWriter(t, s, 0, 1, 1)
	write(t, first, "1", "2")
	p := prepare(t, first)
	write(t, first, "3") // lost, and written again
	if err := commit(t, s, p); err != nil {
		t.Fatal(err)
	}
	second := newWriter(t, s, 0, 1, 2)
	write(t, second, "3", "4")
	p = prepare(t, second)
	if rows, err := readAll(t, Lines(dir)); err != nil || !slices.Equal(rows, []string{"1", "2"}) {
		t.Errorf("before the commit: %v, %v", rows, err)
	}
	if err := errors.Join(commit(t, s, p), commit(t, s, p)); err != nil {
		t.Fatal(err)
	}
	if rows, err := readAll(t, Lines(dir)); err != nil || !slices.Equal(rows, []string{"1", "2", "3", "4"}) {
		t.Errorf("after the commit: %v, %v", rows, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("directory holds %v, %v; want two files and the marker", entries, err)
	}
}
