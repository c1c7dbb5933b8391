// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Host is a TaskManager that may run tasks of the job: its name, and which start of it is meant.
type Host struct {
	TaskManager string `json:"task_manager"`
	Incarnation string `json:"incarnation"`
}

// hostsRecord lists the hosts. Unknown tells that there may be others.
type hostsRecord struct {
	Epoch   int64  `json:"epoch"`
	Unknown bool   `json:"unknown,omitempty"`
	Hosts   []Host `json:"hosts"`
}

// TakeOverHosts closes the log of hosts to earlier leaders, and returns the TaskManagers to which they may have deployed
// tasks that run still. known is false where there may be others. To be called after TakeOver, before RecordHosts.
func (l *Leader) TakeOverHosts(ctx context.Context) (hosts []Host, known bool, err error) {
	for {
		n, err := l.hosts.Newest(ctx)
		rec := hostsRecord{Unknown: l.epoch > 1} // before the first epoch there was nobody
		if err == nil && n > 0 {
			rec = hostsRecord{}
			err = l.hosts.Read(ctx, n, &rec)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // an earlier leader has just written a newer one
		case errors.Is(err, checkpoint.ErrCorrupt):
			rec = hostsRecord{Unknown: true}
		case err != nil:
			return nil, false, fmt.Errorf("take over the hosts: %w", err)
		}
		rec.Epoch = l.epoch
		won, err := l.appendHosts(ctx, n+1, rec)
		if err != nil {
			return nil, false, fmt.Errorf("take over the hosts: %w", err)
		}
		if won {
			return rec.Hosts, !rec.Unknown, SweepTemporary(ctx, l.objects, l.path("hosts"))
		}
	}
}

// RecordHosts notes to which TaskManagers tasks may be deployed from now on, and that none runs elsewhere that anybody
// would go on with. Where it fails the successor of this leader may find either record, or none.
func (l *Leader) RecordHosts(ctx context.Context, hosts []Host) error {
	n, err := l.hosts.Newest(ctx)
	won := false
	if err == nil {
		won, err = l.appendHosts(ctx, n+1, hostsRecord{Epoch: l.epoch, Hosts: hosts})
	}
	if err == nil && !won {
		err = fmt.Errorf("%w: record %d of the hosts is another's", ErrDeposed, n+1)
	}
	if err != nil {
		return fmt.Errorf("record the hosts: %w", err)
	}
	return nil
}

// ForgetHosts leaves the successor without knowledge of the hosts. It needs no room on a disk.
func (l *Leader) ForgetHosts(ctx context.Context) error {
	n, err := l.hosts.Newest(ctx)
	if err == nil {
		err = l.fence(ctx)
	}
	if err == nil {
		err = l.hosts.Prune(ctx, n+1)
	}
	return err
}

func (l *Leader) appendHosts(ctx context.Context, n int64, rec hostsRecord) (won bool, err error) {
	if err = l.fence(ctx); err == nil {
		won, err = l.hosts.Append(ctx, n, rec)
	}
	if won {
		err = l.hosts.Prune(ctx, n)
	}
	return won, err
}
