// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
)

// TestProbeFromASavepoint lets a run begin from what another has left: that one's results stay, and nobody else's do.
func TestProbeFromASavepoint(t *testing.T) {
	const a, b, partA, hiddenA, partB = "a\n", "b\n", "part-a-0-1-0.csv", ".part-a-0-1-1.csv.pending", "part-b-0-1-0.csv"
	for name, test := range map[string]struct {
		files map[string]string
		// unsure is whether the run that is begun from may have gone on.
		unsure bool
		// refused and overwritten are parts of the refusals without and with overwrite; empty where the run may begin.
		refused, overwritten string
		// left are the files of a run that may begin.
		left []string
	}{
		"nobody's directory": {nil, true, "", "", []string{".weir-run"}},
		"of the run begun from": {
			map[string]string{".weir-run": a, partA: "", hiddenA: ""},
			false,
			"", "",
			[]string{hiddenA, ".weir-run", ".weir-run-2", partA},
		},
		"of one that has gone on": {
			map[string]string{".weir-run": a, partA: ""}, true, "run a has gone on", "another directory", nil,
		},
		"of one that has gone on and wrote nothing": {
			map[string]string{".weir-run": a}, true, "run a, 0 files", "", []string{".weir-run"},
		},
		"of another that began from the same": {
			map[string]string{".weir-run": a, ".weir-run-2": b, partA: "", partB: ""},
			false,
			"run b, 1 files", "",
			[]string{".weir-run", ".weir-run-2", partA},
		},
		"of the run begun from, which had begun from another": {
			map[string]string{".weir-run": b, ".weir-run-2": a, partA: "", partB: ""},
			false,
			"", "",
			[]string{".weir-run", ".weir-run-2", ".weir-run-3", partA, partB},
		},
		"of another run": {
			map[string]string{".weir-run": b, partB: ""}, false, "run b, 1 files", "", []string{".weir-run"},
		},
		"claimed by the run before it died": {
			map[string]string{".weir-run": a, ".weir-run-2": "new\n", partA: ""},
			true,
			"", "",
			[]string{".weir-run", ".weir-run-2", partA},
		},
		"claimed by the run and then by another": {
			map[string]string{".weir-run": a, ".weir-run-2": "new\n", ".weir-run-3": b, partA: ""},
			false,
			"run b", "",
			[]string{".weir-run", ".weir-run-2", partA},
		},
		"unclaimed results of the run begun from": {
			map[string]string{partA: ""}, false, "1 files", "another directory", nil,
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
				run := connector.NewRun{JobID: "new", From: "a", Newest: !test.unsure}
				err := CSVSink[reading](dir).Overwrite(overwrite).Probe(t.Context(), run)
				want := test.refused
				if overwrite {
					want = test.overwritten
				}
				if want != "" {
					if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
						t.Errorf("probe: %v, want a refusal with %q", err, want)
					}
					if after := listNames(t, dir); !slices.Equal(after, before) {
						t.Errorf("a refused run changed %v to %v", before, after)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(test.left)
				if left := listNames(t, dir); !slices.Equal(left, test.left) {
					t.Errorf("left %v, want %v", left, test.left)
				}
				c, err := look(osDisk{}, dir)
				if err != nil || c.markers[len(c.markers)-1].run != "new" {
					t.Errorf("markers %v, %v", c.markers, err)
				}
			})
		}
	}
}

// TestOneRunTakesADirectoryOver lets a second run from the same savepoint come between the look and the claim of the first,
// and has that one give the directory back.
func TestOneRunTakesADirectoryOver(t *testing.T) {
	d := newMemDisk()
	next := func(id string) connector.NewRun { return connector.NewRun{JobID: id, From: "a", Newest: true} }
	if err := probe(t.Context(), d, "/out", connector.NewRun{JobID: "a"}, false); err != nil {
		t.Fatal(err)
	}
	d.fail = func(op, name string) error {
		if op == "create" && name == ".weir-run-2" {
			d.files["/out/.weir-run-2"] = bytes.NewBufferString("c\n")
		}
		return nil
	}
	if err := probe(t.Context(), d, "/out", next("b"), false); !errors.Is(err, ErrOccupied) {
		t.Errorf("probe: %v, want a refusal", err)
	}
	d.fail = nil
	if err := withdraw(d, "/out", "b"); err != nil {
		t.Error(err)
	}
	expectNames(t, d, markerName, ".weir-run-2")
	if err := errors.Join(withdraw(d, "/out", "c"), probe(t.Context(), d, "/out", next("b"), false)); err != nil {
		t.Errorf("a place that was given back: %v", err)
	}
}

// TestFormerOwnerIsFenced takes the directory of a run that still writes: it hands out no committables any more, and no
// other attempt of it begins.
func TestFormerOwnerIsFenced(t *testing.T) {
	for name, take := range map[string]func(Sink[string]) error{
		"from a savepoint": func(s Sink[string]) error {
			return s.Probe(t.Context(), connector.NewRun{JobID: "new", From: "job", Newest: true})
		},
		"by overwriting": func(s Sink[string]) error {
			return s.Overwrite(true).Probe(t.Context(), connector.NewRun{JobID: "new"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := memSink()
			if err := s.Probe(t.Context(), connector.NewRun{JobID: "job"}); err != nil {
				t.Fatal(err)
			}
			w := newWriter(t, s, 0, 1, 1)
			write(t, w, "a")
			if p := prepare(t, w); len(p) != 1 {
				t.Fatalf("prepared %v", p)
			}
			if err := take(s); err != nil {
				t.Fatal(err)
			}
			write(t, w, "b")
			for range 2 {
				if p, err := w.PrepareCommit(t.Context(), 2); !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), `"new"`) {
					t.Errorf("prepared %v, %v", p, err)
				}
			}
			if _, err := s.NewWriter(t.Context(), ofJob{connectortest.NewRuntime(0, 1, 2), "job"}, nil); !errors.Is(err, ErrOccupied) {
				t.Errorf("another attempt: %v", err)
			}
			if _, err := s.NewWriter(t.Context(), ofJob{connectortest.NewRuntime(0, 1, 1), "new"}, nil); err != nil {
				t.Errorf("an attempt of the new owner: %v", err)
			}
		})
	}
}

// ofJob is the runtime of a subtask of another job.
type ofJob struct {
	*connectortest.Runtime
	job string
}

func (r ofJob) JobID() string { return r.job }
