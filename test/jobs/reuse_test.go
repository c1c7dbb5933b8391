// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/stream"
)

// TestObjectReuseGivesTheSame lends the strings of records to all steps: each has a task of its own, and half of the records
// come through a socket. In builds with invariants the memory that is given back is overwritten.
func TestObjectReuseGivesTheSame(t *testing.T) {
	for _, s := range []setting{
		{network: "tcp", unchained: true},
		{network: "unix", rowsMax: 7},
	} {
		s.parallelism, s.managers, s.reuse = 2, 2, true
		t.Run(s.network, func(t *testing.T) {
			t.Parallel()
			in := input{seed: 11, events: 2000}
			rows := collect.New[result]()
			newRig(t, s).start(func(env *stream.Env) error {
				pipeline(in.readEvents(env), in.readQuotes(env), hooks{}).To("out", rows.Sink())
				return nil
			}, embedded.RunOptions{}).end("FINISHED")
			compare(t, rows.Rows(), reference(in))
		})
	}
}

// keeping is a user's function that keeps strings of its records, which it must not where they are lent.
type keeping struct {
	mu           sync.Mutex
	kept, cloned []string
}

func (k *keeping) see(e *event) event {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, e.Word)
	k.cloned = append(k.cloned, strings.Clone(e.Word))
	return *e
}

// TestKeptStringsAreLost shows that strings are in fact lent, with the setting alone.
func TestKeptStringsAreLost(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("memory that is given back is overwritten in builds with invariants only")
	}
	for _, reuse := range []bool{false, true} {
		t.Run(fmt.Sprint(reuse), func(t *testing.T) {
			in := input{seed: 11, events: 500}
			k, rows := &keeping{}, collect.New[event]()
			s := setting{network: "unix", parallelism: 2, managers: 2, rowsMax: 7, reuse: reuse}
			newRig(t, s).start(func(env *stream.Env) error {
				in.readEvents(env).Rebalance().Map(k.see).To("out", rows.Sink())
				return nil
			}, embedded.RunOptions{}).end("FINISHED")
			lost := 0
			for i, kept := range k.kept {
				if kept != k.cloned[i] {
					lost++
				}
			}
			if (lost > 0) != reuse {
				t.Errorf("%d of %d strings were lost", lost, len(k.kept))
			}
			for _, row := range rows.Rows() {
				if row.Word != words[0] && !strings.Contains(strings.Join(words[:], "|"), row.Word) {
					t.Fatalf("the sink was given the word %q", row.Word)
				}
			}
		})
	}
}
