// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package spelling

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"rest.port", "rest.address", "heartbeat.interval"}
	for word, want := range map[string]string{
		"rest.prot": "rest.port", "rest.adress": "rest.address", "heartbeat.intervals": "heartbeat.interval", "rest.port": "rest.port",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
