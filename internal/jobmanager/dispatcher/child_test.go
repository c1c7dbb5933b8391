// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// recorder is a child that keeps what it is sent.
type recorder struct{ frames []*weirpb.Frame }

func (r *recorder) Send(f *weirpb.Frame) bool {
	r.frames = append(r.frames, f)
	return true
}
func (r *recorder) Done() <-chan struct{} { return nil }
func (r *recorder) Exit() process.Exit    { return process.Exit{} }
func (r *recorder) Stop(time.Duration)    {}

// TestWhatIsSentEarlyWaits sends before it is known that the process has taken on its role, as requests are that its first
// summary calls forth.
func TestWhatIsSentEarlyWaits(t *testing.T) {
	t.Parallel()
	m := &master{}
	var want []*weirpb.Frame
	send := func(taken bool) {
		t.Helper()
		f := &weirpb.Frame{}
		if m.Send(f) != taken {
			t.Fatalf("frame %d: %v", len(want), !taken)
		}
		if taken {
			want = append(want, f)
		}
	}
	for range earlyMax {
		send(true)
	}
	send(false)
	p := &recorder{}
	m.adopt(p)
	send(true)
	if len(p.frames) != len(want) {
		t.Fatalf("%d frames arrive, want %d", len(p.frames), len(want))
	}
	for i, f := range p.frames {
		if f != want[i] {
			t.Fatalf("frame %d is out of order", i)
		}
	}
}
