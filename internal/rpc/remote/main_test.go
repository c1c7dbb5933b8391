// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/rpctest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// enough is how long a test waits for what should happen at once.
const enough = 30 * time.Second

func logger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// box is an endpoint whose messages a test waits for: "sequence", or "lost NAMES".
type box chan string

func bound(t *testing.T, r *rpc.Router, name string) box {
	t.Helper()
	b := make(box, 5000)
	unbind, err := r.Bind(name, func(e *weirpb.Envelope) {
		if l := e.GetPeerLost(); l != nil {
			b <- "lost " + strings.Join(l.GetNames(), " ")
			return
		}
		b <- fmt.Sprint(e.GetSequence())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unbind)
	return b
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(enough):
		t.Fatalf("%s: nothing within %v", what, enough)
		panic("unreachable")
	}
}

func (b box) expect(t *testing.T, want string) {
	t.Helper()
	if got := await(t, "message "+want, b); got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// eventually waits for a message behind repetitions of earlier ones.
func (b box) eventually(t *testing.T, want string) {
	t.Helper()
	for await(t, "message "+want, b) != want {
	}
}

func envelope(to string, sequence int64) *weirpb.Envelope {
	return &weirpb.Envelope{
		Protocol: rpc.Protocol, From: "test", To: to, Sequence: sequence,
		Body: &weirpb.Envelope_CancelTasks{CancelTasks: &weirpb.CancelTasks{Attempts: []int64{1}}},
	}
}

// reached repeats a message to a name until it arrives: names take a moment to be known.
func (b box) reached(t *testing.T, from *rpc.Router, to string, sequence int64) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(enough)
	for {
		from.Send(envelope(to, sequence))
		select {
		case got := <-b:
			if got == fmt.Sprint(sequence) {
				return
			}
		case <-ticker.C:
		case <-late:
			t.Fatalf("%s is not reached", to)
		}
	}
}

// jobManager is a Server with what it serves.
type jobManager struct {
	*Server
	router *rpc.Router
	box    box
	store  *artifacts.Store
}

// serve starts a Server; with changes its configuration.
func serve(t *testing.T, with func(*ServerConfig)) *jobManager {
	t.Helper()
	store, err := artifacts.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := ServerConfig{
		Listen: "127.0.0.1:0", Router: rpc.NewRouter(logger(t)), Artifacts: store, Logger: logger(t),
		Welcome: func(*weirpb.Hello) (*weirpb.Welcome, *weirpb.Refused) {
			return &weirpb.Welcome{Version: "0.9.0", LeaderEpoch: 3, ClusterId: "c"}, nil
		},
	}
	if with != nil {
		with(&c)
	}
	s, err := Serve(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &jobManager{Server: s, router: c.Router, box: bound(t, c.Router, "dispatcher"), store: store}
}

// taskManager is a Client with what it connects.
type taskManager struct {
	*Client
	router    *rpc.Router
	box       box
	connected chan *weirpb.Welcome
	lost      chan error
}

func configured(t *testing.T, id string, addresses ...string) (ClientConfig, *taskManager) {
	t.Helper()
	tm := &taskManager{
		router: rpc.NewRouter(logger(t)), connected: make(chan *weirpb.Welcome, 100), lost: make(chan error, 100),
	}
	tm.box = bound(t, tm.router, id)
	return ClientConfig{
		Addresses: addresses, Router: tm.router, Hello: &weirpb.Hello{Version: "0.8.0", Id: id, Incarnation: "i"},
		Logger:    logger(t),
		Connected: func(w *weirpb.Welcome) { tm.connected <- w },
		Lost:      func(err error) { tm.lost <- err },
	}, tm
}

func connect(t *testing.T, id string, addresses ...string) *taskManager {
	t.Helper()
	c, tm := configured(t, id, addresses...)
	tm.Client = Connect(c)
	t.Cleanup(tm.Stop)
	return tm
}

func proxyTo(t *testing.T, target string) *rpctest.Proxy {
	t.Helper()
	p, err := rpctest.NewProxy("tcp", "127.0.0.1:0", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
