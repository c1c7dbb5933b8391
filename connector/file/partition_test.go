// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/format/lines"
)

// byLastDigit partitions numbers.
func byLastDigit(s *string) string { return "digit=" + (*s)[len(*s)-1:] }

// paths are the files of a disk below the sink's directory, with their content.
func (d *memDisk) paths(dir string) map[string]string {
	all := map[string]string{}
	for f, text := range d.files {
		all[strings.TrimPrefix(f, dir+"/")] = text.String()
	}
	return all
}

func expectPaths(t *testing.T, d *memDisk, dir string, want map[string]string) {
	t.Helper()
	if got := d.paths(dir); !maps.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// TestPartitions follows two partitions: what is hidden lies in the sink's own directory, what is finished in theirs.
func TestPartitions(t *testing.T) {
	s, d := memSink()
	s = s.PartitionBy(func(row *string) string { return strings.TrimSuffix((*row)[:3], "/") })
	w := newWriter(t, s, 3, 4, 17)
	write(t, w, "a/x1", "b/y1", "a/x2")
	p := prepare(t, w)
	expectPaths(t, d, s.dir, map[string]string{
		".part-job-3-17-0.txt.pending": "a/x1\na/x2\n", ".part-job-3-17-1.txt.pending": "b/y1\n",
	})
	write(t, w, "a/x3")
	for range 2 { // and once more, as after a crash
		if err := commit(t, s, p); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"a/x/part-job-3-17-0.txt": "a/x1\na/x2\n", "b/y/part-job-3-17-1.txt": "b/y1\n", ".part-job-3-17-2.txt.inprogress": "",
	}
	expectPaths(t, d, s.dir, want)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	delete(want, ".part-job-3-17-2.txt.inprogress")
	expectPaths(t, d, s.dir, want)
	if n := len(d.log); !slices.Contains(d.log, "syncdir x") || !slices.Contains(d.log[:n-1], "syncdir out") {
		t.Errorf("the directories are not durable: %v", d.log)
	}
}

// TestPartitionsAreOccupied lets another run find the results in partitions.
func TestPartitionsAreOccupied(t *testing.T) {
	s, d := memSink()
	s = s.PartitionBy(byLastDigit)
	w := newWriter(t, s, 0, 1, 1)
	write(t, w, "1", "2")
	if err := commit(t, s, prepare(t, w)); err != nil {
		t.Fatal(err)
	}
	other := connector.NewRun{JobID: "other"}
	if err := s.Probe(t.Context(), other); !errors.Is(err, ErrOccupied) {
		t.Errorf("another run: %v", err)
	}
	if err := s.Overwrite(true).Probe(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	expectPaths(t, d, s.dir, map[string]string{markerName: "other\n"})
}

// TestManyPartitions has more than files may be open: those without records for longest are finished.
func TestManyPartitions(t *testing.T) {
	s, d := memSink()
	s = s.PartitionBy(func(row *string) string { return "p" + *row })
	w := newWriter(t, s, 0, 1, 1)
	const n = openMax + 10
	var rows []string
	for i := range n {
		write(t, w, fmt.Sprint(i), "0") // partition 0 stays in use
		rows = append(rows, fmt.Sprint(i), "0")
	}
	open := 0
	for _, name := range d.names() {
		if strings.HasSuffix(name, inProgressSuffix) {
			open++
		}
	}
	if open != openMax {
		t.Errorf("%d files are open, want %d", open, openMax)
	}
	p := prepare(t, w)
	if len(p) != n {
		t.Errorf("%d files, want one for each of %d partitions", len(p), n)
	}
	if err := commit(t, s, p); err != nil {
		t.Fatal(err)
	}
	got := finished(t, d, lines.NewDecoder())
	slices.Sort(got)
	slices.Sort(rows)
	if !slices.Equal(got, rows) {
		t.Errorf("got %v, want %v", got, rows)
	}
}

// TestPartitionsRoll rolls each by its own age.
func TestPartitionsRoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := memSink()
		s = s.PartitionBy(byLastDigit).RollInterval(time.Minute)
		w := newWriter(t, s, 0, 1, 1)
		write(t, w, "1")
		time.Sleep(30 * time.Second)
		write(t, w, "2")
		time.Sleep(30 * time.Second)
		write(t, w, "11", "12")
		if err := commit(t, s, prepare(t, w)); err != nil {
			t.Fatal(err)
		}
		expectPaths(t, d, s.dir, map[string]string{
			"digit=1/part-job-0-1-0.txt": "1\n", "digit=2/part-job-0-1-1.txt": "2\n12\n", "digit=1/part-job-0-1-2.txt": "11\n",
		})
	})
}

func TestPartitionsThatAreRefused(t *testing.T) {
	for _, partition := range []string{"/a", "../a", "a/../b", "a//b", ".", ".a", "a/.b", "a/", strings.Repeat("a/", depthMax) + "a"} {
		s, d := memSink()
		w := newWriter(t, s.PartitionBy(func(*string) string { return partition }), 0, 1, 1)
		err := w.Write(t.Context(), batchOf("a"))
		if _, ok := errors.AsType[*connector.FunctionError](err); !ok || !strings.Contains(err.Error(), fmt.Sprintf("%q", partition)) {
			t.Errorf("partition %q: %v", partition, err)
		}
		expectNames(t, d)
	}
}
