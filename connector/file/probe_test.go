// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/connector"
)

func TestProbe(t *testing.T) {
	for name, test := range map[string]struct {
		// files are there before, with their text.
		files map[string]string
		// refused is part of the refusal; empty where the run may begin.
		refused string
		// left are the files of a run that may begin, or that overwrites.
		left []string
	}{
		"no directory":          {nil, "", []string{".weir-run"}},
		"same run again":        {map[string]string{".weir-run": "new\n", "part-new-0-1-0.csv": ""}, "", []string{".weir-run", "part-new-0-1-0.csv"}},
		"foreign files":         {map[string]string{"README": "x", "part.csv": ""}, "", []string{".weir-run", "README", "part.csv"}},
		"marker of another run": {map[string]string{".weir-run": "old\n", "README": ""}, "run old", []string{".weir-run", "README"}},
		"empty marker":          {map[string]string{".weir-run": ""}, "is empty", []string{".weir-run"}},
		"results of another run": {
			map[string]string{"part-old-0-1-0.csv": "", ".part-old-0-1-1.csv.pending": "", "part-x.csv": ""},
			"2 files, .part-old-0-1-1.csv.pending for one",
			[]string{".weir-run", "part-x.csv"},
		},
		"marker and results": {
			map[string]string{".weir-run": "old", "part-old-0-1-0.txt": "", ".part-old-0-1-1.csv.inprogress": "", "notes": ""},
			"run old, 2 files",
			[]string{".weir-run", "notes"},
		},
	} {
		for _, overwrite := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", overwrite"}[overwrite], func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "out")
				for file, text := range test.files {
					if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)); err != nil {
						t.Fatal(err)
					}
				}
				before := listNames(t, dir)
				err := CSVSink[reading](dir).Overwrite(overwrite).Probe(t.Context(), connector.NewRun{JobID: "new"})
				if test.refused != "" && !overwrite {
					if !errors.Is(err, ErrOccupied) {
						t.Fatalf("probe: %v, want a refusal", err)
					}
					for _, part := range []string{dir, "--restore latest", "--overwrite", test.refused} {
						if !strings.Contains(err.Error(), part) {
							t.Errorf("refusal %q does not name %s", err, part)
						}
					}
					if after := listNames(t, dir); !slices.Equal(after, before) {
						t.Errorf("a refused run changed %v to %v", before, after)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if left := listNames(t, dir); !slices.Equal(left, test.left) {
					t.Errorf("left %v, want %v", left, test.left)
				}
				if text, err := os.ReadFile(filepath.Join(dir, ".weir-run")); err != nil || string(text) != "new\n" {
					t.Errorf("marker %q, %v", text, err)
				}
				if err := CSVSink[reading](dir).Probe(t.Context(), connector.NewRun{JobID: "third"}); !errors.Is(err, ErrOccupied) {
					t.Errorf("another run afterwards: %v", err)
				}
			})
		}
	}
}

func listNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestOneOfTwoRunsClaimsADirectory lets the second come between the look and the claim of the first.
func TestOneOfTwoRunsClaimsADirectory(t *testing.T) {
	d := newMemDisk()
	interrupted := false
	d.fail = func(op, name string) error {
		if op == "create" && name == markerName && !interrupted {
			interrupted = true
			d.files["/out/"+markerName] = nil
		}
		return nil
	}
	if err := probe(t.Context(), d, "/out", connector.NewRun{JobID: "a"}, false); !errors.Is(err, ErrOccupied) {
		t.Errorf("probe: %v, want a refusal", err)
	}
}

// TestOverwriteThatFailsLeavesAnOccupiedDirectory: the next run is refused, or overwrites the rest.
func TestOverwriteThatFailsLeavesAnOccupiedDirectory(t *testing.T) {
	for n := 1; ; n++ {
		d := newMemDisk()
		if err := probe(t.Context(), d, "/out", connector.NewRun{JobID: "old"}, false); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"part-old-0-1-0.csv", "part-old-0-1-1.csv", "notes"} {
			if _, err := d.Create("/out/" + file); err != nil {
				t.Fatal(err)
			}
		}
		count := 0
		d.fail = func(string, string) error {
			if count++; count == n {
				return syscall.EIO
			}
			return nil
		}
		err := probe(t.Context(), d, "/out", connector.NewRun{JobID: "new"}, true)
		if d.fail = nil; count < n {
			return
		}
		if err == nil {
			continue // a look at the directory that failed is made up for by making it
		}
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "/out") {
			t.Fatalf("operation %d: %v", n, err)
		}
		if marked := slices.Contains(d.names(), markerName); !marked && slices.Contains(d.names(), "part-old-0-1-0.csv") {
			t.Errorf("operation %d failed: results without a marker: %v", n, d.names())
		}
		if err := probe(t.Context(), d, "/out", connector.NewRun{JobID: "next"}, true); err != nil {
			t.Errorf("operation %d failed: the next run: %v", n, err)
		}
		expectNames(t, d, markerName, "notes")
	}
}

// TestWithdraw gives a directory back that was claimed, by the run that claimed it only.
func TestWithdraw(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := CSVSink[reading](dir)
	if err := s.Withdraw(t.Context(), "a"); err != nil {
		t.Errorf("from no directory: %v", err)
	}
	if err := s.Probe(t.Context(), connector.NewRun{JobID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), "b"); err != nil {
		t.Errorf("by another run: %v", err)
	}
	if err := s.Probe(t.Context(), connector.NewRun{JobID: "b"}); !errors.Is(err, ErrOccupied) {
		t.Errorf("another run took the place: %v", err)
	}
	if err := s.Withdraw(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := s.Probe(t.Context(), connector.NewRun{JobID: "b"}); err != nil {
		t.Errorf("a place that was given back: %v", err)
	}
}
