// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/stream"
)

// TestAnySettingGivesTheSame runs one job in many settings. Each output is that of the plain computation, so they equal
// one another too.
func TestAnySettingGivesTheSame(t *testing.T) {
	runs := 12
	if testing.Short() {
		runs = 4
	}
	for _, seed := range seeds(runs) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			in := input{seed: seed, events: 3000}
			s := anySetting(rng)
			t.Logf("-jobs.seed=%d: %v", seed, s)
			rows := collect.New[result]()
			newRig(t, s).start(func(env *stream.Env) error {
				pipeline(in.readEvents(env), in.readQuotes(env), hooks{}).To("out", rows.Sink())
				return nil
			}, embedded.RunOptions{}).end("FINISHED")
			compare(t, rows.Rows(), reference(in))
		})
	}
}
