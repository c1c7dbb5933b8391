// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// journalLines is how many lines of the log a failing test prints, the newest.
const journalLines = 60

// journal keeps the end of a cluster's log, for a test that fails and for tests of what is said.
type journal struct {
	mu struct {
		sync.Mutex
		text bytes.Buffer
	}
}

// newJournal prints its end if the test fails.
func newJournal(t *testing.T) *journal {
	t.Helper()
	j := &journal{}
	t.Cleanup(func() {
		if t.Failed() || testing.Verbose() {
			lines := strings.SplitAfter(j.text(), "\n")
			t.Logf("the end of the log:\n%s", strings.Join(lines[max(0, len(lines)-journalLines):], ""))
		}
	})
	return j
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// note writes what the test does into the log.
func (j *journal) note(format string, args ...any) {
	j.logger().Info("test", "does", fmt.Sprintf(format, args...))
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.text.Write(b)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.text.String()
}
