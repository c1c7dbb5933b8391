// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/cluster"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/remote"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of a JobManager in a directory, on free ports.
func settings(t *testing.T, dir, ha string) Config {
	t.Helper()
	return Config{
		DataDir: dir, HADir: ha, ClusterID: "test", RPCListen: "127.0.0.1:0", RPCHost: "127.0.0.1",
		RESTListen: "127.0.0.1:0", RESTHost: "127.0.0.1", CheckpointDir: filepath.Join(dir, "checkpoints"),
		Heartbeat: 20 * time.Millisecond, HeartbeatTimeout: 5 * time.Second, DescribeTimeout: time.Minute,
		Settings: []rest.Setting{{Key: "rest.port", Value: "0"}}, Version: "test", Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, c Config) *JobManager {
	t.Helper()
	j, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func stop(t *testing.T, j *JobManager) {
	t.Helper()
	if err := j.Stop(context.WithoutCancel(t.Context()), false); err != nil {
		t.Error(err)
	}
}

// get reads a page of the REST API.
func get(t *testing.T, j *JobManager, path string, v any) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + j.RESTAddress() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r.StatusCode
}

func TestServes(t *testing.T) {
	dir := t.TempDir()
	j := start(t, settings(t, dir, filepath.Join(dir, "ha")))
	defer stop(t, j)
	var overview map[string]any
	if code := get(t, j, "/v1/overview", &overview); code != 200 || overview["taskmanagers"] != 0.0 {
		t.Errorf("overview: %d %v", code, overview)
	}
	var configuration []map[string]string
	if code := get(t, j, "/jobmanager/config", &configuration); code != 200 || !slices.ContainsFunc(configuration, func(e map[string]string) bool {
		return e["key"] == "rest.port"
	}) {
		t.Errorf("config: %d %v", code, configuration)
	}
	var missing map[string][]string
	if code := get(t, j, "/taskmanagers/nobody/thread-dump", &missing); code != 404 {
		t.Errorf("a TaskManager that is not there: %d %v", code, missing)
	}
	c := settings(t, t.TempDir(), t.TempDir())
	c.RESTListen = j.RESTAddress()
	if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "port of the REST API") {
		t.Errorf("a port in use: %v", err)
	}
}

// TestStandby: another JobManager leads when the first is gone, and its TaskManagers find it.
func TestStandby(t *testing.T) {
	dir := t.TempDir()
	ha := filepath.Join(dir, "ha")
	first := start(t, settings(t, filepath.Join(dir, "a"), ha))
	second := make(chan *JobManager)
	go func() { // Owner: this test, which receives from second
		j, err := Start(t.Context(), settings(t, filepath.Join(dir, "b"), ha))
		if err != nil {
			t.Error(err)
		}
		second <- j
	}()
	// A TaskManager that knows nothing else is told by whoever answers; here it is told both addresses.
	welcomes := make(chan *weirpb.Welcome, 10)
	connect := func(address string) *remote.Client {
		return remote.Connect(remote.ClientConfig{
			Addresses: []string{address}, Router: rpc.NewRouter(slog.New(slog.DiscardHandler)),
			Hello:  &weirpb.Hello{Id: "tm", Incarnation: "1", Version: "test"},
			Logger: slog.New(slog.DiscardHandler), Connected: func(w *weirpb.Welcome) { welcomes <- w },
		})
	}
	a := connect(first.RPCAddress())
	if w := <-welcomes; w.GetLeaderEpoch() != 1 {
		t.Errorf("epoch %d", w.GetLeaderEpoch())
	}
	select {
	case <-second:
		t.Fatal("two lead at once")
	default:
	}
	stop(t, first)
	a.Stop()
	j := <-second
	defer stop(t, j)
	b := connect(j.RPCAddress())
	defer b.Stop()
	if w := <-welcomes; w.GetLeaderEpoch() != 2 || w.GetClusterId() != "test" {
		t.Errorf("welcome %v", w)
	}
}

// TestShutdown: who asks for the end of the cluster by REST has it end.
func TestShutdown(t *testing.T) {
	dir := t.TempDir()
	j := start(t, settings(t, dir, filepath.Join(dir, "ha")))
	defer stop(t, j)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+j.RESTAddress()+"/cluster", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if reason := <-j.Done(); !reason.Shutdown || reason.Err != nil {
		t.Errorf("reason %+v", reason)
	}
}

// provider notes what it is asked for.
type provider struct {
	mu      sync.Mutex
	workers []cluster.Worker
	started chan string
	stopped chan string
}

func (p *provider) StartWorker(_ context.Context, profile cluster.Profile) (cluster.Worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.workers) > 0 {
		return cluster.Worker{}, errors.New("one is enough")
	}
	w := cluster.Worker{ID: "extra", Profile: profile}
	p.workers = append(p.workers, w)
	p.started <- w.ID
	return w, nil
}

func (p *provider) StopWorker(_ context.Context, id string) error {
	p.stopped <- id
	return nil
}

func (p *provider) Running(context.Context) ([]cluster.Worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.workers), nil
}

func (p *provider) Ended(context.Context, []string) ([]string, error) { return nil, nil }

// jobMaster declares the needs of a job that is not there.
type jobMaster struct {
	endpoint *rpc.Endpoint
	slots    int32
	next     time.Time
}

func (m *jobMaster) Receive(*weirpb.Envelope) {}
func (m *jobMaster) Next() time.Time          { return m.next }

func (m *jobMaster) Tick(now time.Time) {
	m.next = now.Add(10 * time.Millisecond)
	m.endpoint.Send("resourcemanager", &weirpb.Envelope{JobId: "j", Epoch: 1, Body: &weirpb.Envelope_DeclareNeeds{
		DeclareNeeds: &weirpb.DeclareNeeds{JobId: "j", JobMaster: "m", Version: 1, Slots: m.slots},
	}})
}

// TestOnDemand: slots that are missing are asked of the provider, once.
func TestOnDemand(t *testing.T) {
	dir := t.TempDir()
	c := settings(t, dir, filepath.Join(dir, "ha"))
	p := &provider{started: make(chan string, 10), stopped: make(chan string, 10)}
	c.Provider, c.Profile, c.WorkersMax, c.Mode = p, cluster.Profile{Slots: 2}, 3, dispatcher.Session
	j := start(t, c)
	defer stop(t, j)
	m := &jobMaster{endpoint: rpc.NewEndpoint("m", j.router), slots: 2, next: time.Now()}
	if err := m.endpoint.Start(m); err != nil {
		t.Fatal(err)
	}
	defer m.endpoint.Stop()
	if id := <-p.started; id != "extra" {
		t.Errorf("started %s", id)
	}
	if err := j.provideOnce(t.Context()); err != nil { // it is on its way: no other is asked for
		t.Error(err)
	}
}

// TestListenFails leaves nothing behind.
func TestListenFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := settings(t, t.TempDir(), t.TempDir())
	c.RPCListen = l.Addr().String()
	if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "port of the JobManager") {
		t.Errorf("a port in use: %v", err)
	}
}
