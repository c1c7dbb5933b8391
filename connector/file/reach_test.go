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

// readOnly is a disk on which nothing can be made.
type readOnly struct{ disk }

func (readOnly) Create(string) (durable, error) { return nil, syscall.EROFS }

// TestReach looks for the directory of run "mine" on machines where it is there, or not.
func TestReach(t *testing.T) {
	for name, test := range map[string]struct {
		files    map[string]string
		readOnly bool
		refused  string
	}{
		"the run's":           {map[string]string{".weir-run": "mine\n"}, false, ""},
		"taken over":          {map[string]string{".weir-run": "old\n", ".weir-run-2": "mine\n"}, false, ""},
		"a probe that died":   {map[string]string{".weir-run": "mine\n", ".weir-probe-tm": "tm\n"}, false, ""},
		"no directory":        {nil, false, "is not there"},
		"another of its name": {map[string]string{"README": "x"}, false, "is not the JobMaster's"},
		"another run's":       {map[string]string{".weir-run": "old\n"}, false, "is not the JobMaster's"},
		"read only":           {map[string]string{".weir-run": "mine\n"}, true, "can't be written"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			for file, text := range test.files {
				if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			sink := CSVSink[reading](dir)
			if test.readOnly {
				sink.disk = readOnly{sink.disk}
			}
			err := sink.Reach(t.Context(), "mine", "tm")
			switch {
			case test.refused == "" && err != nil:
				t.Error(err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused) || !strings.Contains(err.Error(), dir)):
				t.Errorf("%v, want %q and %s", err, test.refused, dir)
			}
			if test.refused == "" && slices.Contains(listNames(t, dir), ".weir-probe-tm") {
				t.Error("the file of the probe is left")
			}
		})
	}
}

// TestReachAfterProbe lets the JobMaster prepare the directory.
func TestReachAfterProbe(t *testing.T) {
	sink := CSVSink[reading](filepath.Join(t.TempDir(), "out"))
	if err := sink.Probe(t.Context(), connector.NewRun{JobID: "mine"}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Reach(t.Context(), "mine", "tm"); err != nil {
		t.Error(err)
	}
}
