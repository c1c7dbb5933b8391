// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/certs"
)

// Executors on different machines meet by mutual TLS: with certificates of one authority the job runs, and where one of
// them has those of another the job fails and says so.
func TestProtectedExchange(t *testing.T) {
	ours, foreign := t.TempDir(), t.TempDir()
	for _, dir := range []string{ours, foreign} {
		if err := certs.Init(dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("ours", func(t *testing.T) {
		c := newCluster(t, "--n", "1000")
		c.certificates = map[string]string{"taskmanager-a": ours, "taskmanager-b": ours}
		c.lead(nil)
		if last := c.await("at an end", ended); last.GetResult().GetState() != "FINISHED" {
			t.Errorf("%v", last)
		}
		if n := c.counted(); n != 1000 {
			t.Errorf("%d numbers were counted", n)
		}
	})
	t.Run("foreign", func(t *testing.T) {
		c := newCluster(t, "--n", "1000")
		c.certificates = map[string]string{"taskmanager-a": ours, "taskmanager-b": foreign}
		c.settings = map[string]string{"restart-strategy.type": "none"}
		c.lead(nil)
		if r := c.await("at an end", ended).GetResult(); r.GetState() != "FAILED" || !strings.Contains(r.GetError(), "certificate") {
			t.Errorf("%v", r)
		}
		if n := c.counted(); n != 0 {
			t.Errorf("%d numbers were counted", n)
		}
	})
}
