// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"testing"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestApplicationOfJob(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		"INITIALIZING": "RUNNING", "RUNNING": "RUNNING", "RESTARTING": "RUNNING", "CANCELLING": "CANCELING",
		"FAILING": "FAILING", "FAILED": "FAILED", "FINISHED": "FINISHED", "CANCELED": "CANCELED", "SUSPENDED": "RUNNING",
	} {
		a := ApplicationOf(&weirpb.JobSummary{
			JobId: "j", Name: "n", State: state, StartUnixMillis: 1, ModifiedUnixMillis: 2, EndUnixMillis: 3,
		})
		if a.Status != want || a.Timestamps[want] == 0 {
			t.Errorf("job %s: application %s at %d, want %s", state, a.Status, a.Timestamps[want], want)
		}
	}
}
