// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

func TestHosts(t *testing.T) {
	for name, s := range media(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			r := newRun(t, s, "job")
			takeOver := func(l *storage.Leader, want []storage.Host, wantKnown bool) {
				t.Helper()
				hosts, known, err := l.TakeOverHosts(ctx)
				if err != nil || known != wantKnown || !slices.Equal(hosts, want) {
					t.Errorf("hosts %v, known %v, %v; want %v, %v", hosts, known, err, want, wantKnown)
				}
			}
			a, _ := lead(t, r, "a")
			takeOver(a, nil, true) // nobody was there before
			must(t, a.RecordHosts(ctx, []storage.Host{{"tm-1", "x"}}))
			must(t, a.RecordHosts(ctx, []storage.Host{{"tm-1", "x"}, {"tm-2", "x"}}))

			b, _ := lead(t, r, "b")
			takeOver(b, []storage.Host{{"tm-1", "x"}, {"tm-2", "x"}}, true)
			if err := a.RecordHosts(ctx, nil); !errors.Is(err, storage.ErrDeposed) {
				t.Errorf("a deposed leader records hosts: %v", err)
			}
			if err := a.ForgetHosts(ctx); !errors.Is(err, storage.ErrDeposed) {
				t.Errorf("a deposed leader forgets hosts: %v", err)
			}
			must(t, b.ForgetHosts(ctx))

			c, _ := lead(t, r, "c")
			takeOver(c, nil, false)
			d, _ := lead(t, r, "d") // c died before it knew
			takeOver(d, nil, false)
			must(t, d.RecordHosts(ctx, []storage.Host{}))
			e, _ := lead(t, r, "e")
			takeOver(e, []storage.Host{}, true)
		})
	}
}
