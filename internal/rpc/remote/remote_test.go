// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/remote/remotepb"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestConnect(t *testing.T) {
	jm := serve(t, nil)
	one, two := connect(t, "tm1", jm.Addr()), connect(t, "tm2", jm.Addr())
	welcome := await(t, "welcome", one.connected)
	if welcome.GetLeaderEpoch() != 3 || welcome.GetProtocol() != rpc.Protocol || welcome.GetClusterId() != "c" {
		t.Errorf("welcome %v", welcome)
	}
	one.box.reached(t, jm.router, "tm1", 1)
	two.box.reached(t, one.router, "tm2", 2) // by way of the JobManager
	for i := range int64(1000) {
		one.router.Send(envelope("dispatcher", 10+i))
	}
	one.Stop() // after what was said before
	for i := range int64(1000) {
		jm.box.expect(t, fmt.Sprint(10+i))
	}
	jm.box.expect(t, "lost tm1")
	two.box.eventually(t, "lost tm1")
	one.box.eventually(t, "lost *")
	if err := await(t, "lost", one.lost); err == nil {
		t.Error("no reason for the end of a connection")
	}
	one.Stop()
	jm.Stop()
	jm.Stop()
	two.box.eventually(t, "lost *")
	_ = await(t, "lost", two.lost)
}

// TestLongFrames: the longest Frame passes, a longer one is dropped and harms nothing.
func TestLongFrames(t *testing.T) {
	jm := serve(t, nil)
	tm := connect(t, "tm", jm.Addr())
	await(t, "welcome", tm.connected)
	long := envelope("dispatcher", 1)
	long.JobId = strings.Repeat("j", rpc.FrameBytesMax-100)
	tooLong := envelope("dispatcher", 2)
	tooLong.JobId = strings.Repeat("j", rpc.FrameBytesMax)
	tm.router.Send(long)
	tm.router.Send(tooLong)
	tm.router.Send(envelope("dispatcher", 3))
	jm.box.expect(t, "1")
	jm.box.expect(t, "3")
}

func TestVersions(t *testing.T) {
	jm := serve(t, nil)
	for _, tt := range []struct {
		name     string
		min, max uint32
		refusal  string
	}{
		{"newer that speaks ours", 1, 9, ""},
		{"newer", 7, 9, "TaskManager tm of version 0.8.0 speaks protocols 7 to 9, the JobManager of version 0.9.0 speaks protocol 1"},
		{"of no version", 0, 0, "speaks protocol 0,"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, tm := configured(t, "tm", jm.Addr())
			tm.Client = newClient(c)
			tm.hello.ProtocolMin, tm.hello.ProtocolMax = tt.min, tt.max
			tm.wg.Go(func() {
				connected, err := tm.attempt(jm.Addr())
				switch refused := (*refusedError)(nil); {
				case connected != (tt.refusal == ""):
					t.Errorf("connected %v: %v", connected, err)
				case !connected && (!errors.As(err, &refused) || !strings.Contains(err.Error(), tt.refusal)):
					t.Errorf("error %q, want %q", err, tt.refusal)
				}
			})
			if tt.refusal == "" {
				if w := await(t, "welcome", tm.connected); w.GetProtocol() != 1 {
					t.Errorf("protocol %d", w.GetProtocol())
				}
				tm.cancel(errStopped)
			}
			tm.wg.Wait()
			tm.Stop()
		})
	}
	t.Run("told once", func(t *testing.T) {
		c, tm := configured(t, "tm", jm.Addr())
		unfit := make(chan error, 1)
		c.Unfit = func(err error) { unfit <- err }
		tm.Client = newClient(c)
		tm.hello.ProtocolMin, tm.hello.ProtocolMax = 7, 9
		tm.wg.Go(tm.keepUp)
		if err := await(t, "refusal", unfit); !strings.Contains(err.Error(), "adjacent versions") {
			t.Errorf("error %q", err)
		}
		tm.wg.Wait() // it tries no more
		tm.Stop()
	})
	t.Run("JobManager of another version", func(t *testing.T) {
		_, tm := configured(t, "tm", jm.Addr())
		c, _ := configured(t, "other", jm.Addr())
		tm.Client = newClient(c)
		defer tm.Stop()
		conn, err := tm.dial(jm.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		stream, err := remotepb.NewControlPlaneClient(conn).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&weirpb.Frame{}); err != nil {
			t.Error(err)
		}
		if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "must be a hello") {
			t.Errorf("another first frame: %v", err)
		}
	})
}

// TestFollowsLeader: the JobManager that isn't the leader names it, rightly or not.
func TestFollowsLeader(t *testing.T) {
	leader := serve(t, nil)
	refuse := func(to func() string) func(*ServerConfig) {
		return func(c *ServerConfig) {
			c.Welcome = func(*weirpb.Hello) (*weirpb.Welcome, *weirpb.Refused) {
				return nil, &weirpb.Refused{Reason: "not the leader", Leader: to()}
			}
		}
	}
	standby := serve(t, refuse(leader.Addr))
	dead := serve(t, nil)
	dead.Stop()
	tm := connect(t, "tm", dead.Addr(), standby.Addr())
	await(t, "welcome", tm.connected)
	tm.box.reached(t, leader.router, "tm", 1)

	var first, second *jobManager
	first = serve(t, refuse(func() string { return second.Addr() }))
	second = serve(t, refuse(first.Addr))
	lost := connect(t, "lost", first.Addr())
	lost.Stop() // two that name each other don't keep it from stopping
}

func TestReconnects(t *testing.T) {
	jm := serve(t, nil)
	proxy := proxyTo(t, jm.Addr())
	tm := connect(t, "tm", proxy.Addr())
	await(t, "welcome", tm.connected)
	tm.box.reached(t, jm.router, "tm", 1)
	for i := range int64(3) {
		begin := time.Now()
		proxy.Cut()
		if err := await(t, "lost", tm.lost); err == nil {
			t.Error("no reason for the end of a connection")
		}
		jm.box.expect(t, "lost tm")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a cut connection was noticed after %v", took)
		}
		proxy.Resume()
		await(t, "welcome", tm.connected)
		tm.box.reached(t, jm.router, "tm", 2+i)
	}
}

// TestSilence: nothing passes, and nothing says so. Both ends notice, and the TaskManager turns to the other JobManager.
func TestSilence(t *testing.T) {
	jm, other := serve(t, nil), serve(t, nil)
	proxy := proxyTo(t, jm.Addr())
	tm := connect(t, "tm", proxy.Addr(), other.Addr())
	await(t, "welcome", tm.connected)
	tm.box.reached(t, jm.router, "tm", 1)
	begin := time.Now()
	proxy.Freeze()
	if err := await(t, "lost", tm.lost); !errors.Is(err, errNoAnswer) {
		t.Errorf("lost: %v", err)
	}
	jm.box.expect(t, "lost tm")
	// The bar is that of a machine with nothing else to do; this one may be busy.
	if took := time.Since(begin); took > 2*SilenceMax {
		t.Errorf("silence was noticed after %v", took)
	}
	await(t, "welcome", tm.connected)
	tm.box.reached(t, other.router, "tm", 2)
}

func TestStopWhileConnecting(t *testing.T) {
	proxy := proxyTo(t, "127.0.0.1:1")
	proxy.Freeze()
	tm := connect(t, "tm", proxy.Addr())
	begin := time.Now()
	tm.Stop()
	if took := time.Since(begin); took > greetTimeout/2 {
		t.Errorf("stopped after %v", took)
	}
}

func TestPortInUse(t *testing.T) {
	jm := serve(t, nil)
	_, err := Serve(ServerConfig{Listen: jm.Addr(), Router: jm.router, Artifacts: jm.store, Logger: logger(t)})
	if err == nil || !strings.Contains(err.Error(), jm.Addr()) {
		t.Errorf("error %v", err)
	}
}
