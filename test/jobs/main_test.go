// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var seedFlag = flag.Uint64("jobs.seed", 0, "repeat the runs of this seed instead of picking new ones")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seeds are those of a test: the one that is to be repeated, or n new ones.
func seeds(n int) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64N(1e9) + 1
	}
	return all
}

// patience is how long a test waits for what must happen; the machine may be busy.
const patience = 40 * time.Second

// eventually returns when the condition holds, and ends the test if it doesn't within patience.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// contains reports whether a text has all the parts.
func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
