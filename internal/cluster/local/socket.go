// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/cluster"
)

// What is said on the socket: one request and one answer a connection, each a line of JSON.
type (
	request struct {
		// Do is start, stop, running, ended or down.
		Do      string          `json:"do"`
		Profile cluster.Profile `json:"profile"`
		ID      string          `json:"id,omitempty"`
		IDs     []string        `json:"ids,omitempty"`
	}
	answer struct {
		Error   string           `json:"error,omitempty"`
		Workers []cluster.Worker `json:"workers,omitempty"`
		IDs     []string         `json:"ids,omitempty"`
	}
)

// socketTimeout bounds an exchange on the socket, but the answer to down.
const socketTimeout = 10 * time.Second

// SocketPath is where the supervisor of a directory listens. Who may write to the directory may ask it.
func SocketPath(dir string) string { return filepath.Join(dir, "supervisor.sock") }

// listen opens the socket; the lock of the directory is held, so what is there is left from a process that died.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket of the supervisor: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EINVAL) {
		return nil, fmt.Errorf("socket of the supervisor: the path is too long for a socket: %s; name a shorter --data-dir", path)
	}
	if err != nil {
		return nil, fmt.Errorf("socket of the supervisor: %w", err)
	}
	return l, nil
}

// serve answers requests until the socket is closed.
func (s *Supervisor) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.handle(conn) })
	}
}

func (s *Supervisor) handle(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the answer is complete or not needed
	if err := conn.SetDeadline(time.Now().Add(socketTimeout)); err != nil {
		return
	}
	line, err := bufio.NewReaderSize(conn, 1<<16).ReadSlice('\n')
	if err != nil {
		return
	}
	var q request
	var a answer
	if err := json.Unmarshal(line, &q); err != nil {
		a.Error = err.Error()
	} else {
		a = s.answer(q)
	}
	_ = json.NewEncoder(conn).Encode(a) // who asked has gone otherwise
}

func (s *Supervisor) answer(q request) (a answer) {
	var err error
	switch q.Do {
	case "start":
		var w cluster.Worker
		w, err = s.StartWorker(s.ctx, q.Profile)
		a.Workers = []cluster.Worker{w}
	case "stop":
		err = s.StopWorker(s.ctx, q.ID)
	case "running":
		a.Workers, err = s.Running(s.ctx)
	case "ended":
		a.IDs, err = s.Ended(s.ctx, q.IDs)
	case "down":
		s.mu.Lock()
		if !s.mu.isEnded {
			s.mu.isEnded = true
			close(s.done)
		}
		s.mu.Unlock()
	default:
		err = fmt.Errorf("request %q is not known", q.Do)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}

// Client is the Provider of a JobManager whose parent is a Supervisor.
type Client struct{ path string }

var _ cluster.Provider = Client{}

// NewClient returns the one of a directory; nothing is connected yet.
func NewClient(dir string) Client { return Client{SocketPath(dir)} }

// StartWorker implements cluster.Provider.
func (c Client) StartWorker(ctx context.Context, p cluster.Profile) (cluster.Worker, error) {
	a, err := c.ask(ctx, request{Do: "start", Profile: p})
	if err != nil || len(a.Workers) != 1 {
		return cluster.Worker{}, fmt.Errorf("start TaskManager: %w", err)
	}
	return a.Workers[0], nil
}

// StopWorker implements cluster.Provider.
func (c Client) StopWorker(ctx context.Context, id string) error {
	_, err := c.ask(ctx, request{Do: "stop", ID: id})
	return err
}

// Running implements cluster.Provider.
func (c Client) Running(ctx context.Context) ([]cluster.Worker, error) {
	a, err := c.ask(ctx, request{Do: "running"})
	return a.Workers, err
}

// Ended implements cluster.Provider.
func (c Client) Ended(ctx context.Context, ids []string) ([]string, error) {
	a, err := c.ask(ctx, request{Do: "ended", IDs: ids})
	return a.IDs, err
}

// Down asks for the end of the cluster; it does not wait for it.
func (c Client) Down(ctx context.Context) error {
	_, err := c.ask(ctx, request{Do: "down"})
	return err
}

// ErrNotUp says that no supervisor listens.
var ErrNotUp = errors.New("no cluster is up in this directory")

func (c Client) ask(ctx context.Context, q request) (a answer, err error) {
	conn, err := (&net.Dialer{Timeout: socketTimeout}).DialContext(ctx, "unix", c.path)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return a, fmt.Errorf("%s: %w", filepath.Dir(c.path), ErrNotUp)
	}
	if err != nil {
		return a, fmt.Errorf("ask the supervisor: %w", err)
	}
	defer func() { _ = conn.Close() }() // everything is said
	err = conn.SetDeadline(time.Now().Add(socketTimeout))
	if err == nil {
		err = json.NewEncoder(conn).Encode(q)
	}
	if err == nil {
		err = json.NewDecoder(conn).Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("ask the supervisor: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}
