// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"errors"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

// KeyGroups returns, by operator id, the max parallelism of the state that a submission would start from: it is fixed for
// the life of the state, so the graph has to be built with it. It changes nothing. The graph of s is not looked at.
func KeyGroups(ctx context.Context, objects func(string) storage.Objects, s Submission) (map[string]int, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	location := s.Restore
	run, err := earlierRun(ctx, storage.NewStore(s.Store), &s)
	switch {
	case err == nil:
		newest, err := run.Latest(ctx, nil)
		if err != nil {
			return nil, err
		}
		if newest.Metadata != nil {
			return keyGroupsOf(newest.Metadata), nil
		}
		location = run.Info().RestoredFrom
	case !errors.Is(err, storage.ErrNoRun):
		return nil, err
	case s.Restore == Latest:
		location = ""
	}
	if location == "" {
		return map[string]int{}, nil
	}
	snap, err := storage.OpenSnapshot(ctx, objects, location, nil)
	if err != nil {
		return nil, err
	}
	return keyGroupsOf(snap.Metadata), nil
}

func keyGroupsOf(md *checkpoint.Metadata) map[string]int {
	groups := map[string]int{}
	for _, op := range md.Operators {
		groups[string(op.ID)] = op.MaxParallelism
	}
	return groups
}
