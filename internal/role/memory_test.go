// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import "testing"

func TestHeapIsWhatStateLeaves(t *testing.T) {
	for _, tt := range []struct{ allowed, state, want int64 }{
		{0, 0, 0},
		{0, 500, 0},
		{1000, 0, 900},
		{1000, 300, 600},
		{1000, 800, 200},
		{1000, 5000, 200},
	} {
		if m := (memory{allowed: tt.allowed, state: tt.state}); m.heap() != tt.want && !(tt.want == 0 && m.heap() <= 0) {
			t.Errorf("of %d with %d of state: %d, want %d", tt.allowed, tt.state, m.heap(), tt.want)
		}
	}
}
