// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weir-stream/weir/bench/processes"
)

// sign tells that an attempt of a subtask, in a process, has a result at a moment.
type sign struct {
	process, subtask int
	opened, at       time.Time
}

// watcher receives the signs of a job.
type watcher struct {
	socket string
	conn   *net.UnixConn
	signs  chan sign
	wg     sync.WaitGroup
}

const (
	// signMax is the longest sign; signsMax is how many wait. What comes beyond that is dropped, for nobody waits then.
	signMax  = 256
	signsMax = 256
)

// watch listens for signs; the socket's name goes to the job.
func watch(c *processes.Cluster, name string) (*watcher, error) {
	w := &watcher{socket: filepath.Join(c.Dir, name), signs: make(chan sign, signsMax)}
	var err error
	if w.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.socket, Net: "unixgram"}); err != nil {
		return nil, err
	}
	w.wg.Go(w.receive)
	return w, nil
}

func (w *watcher) close() {
	_ = w.conn.Close() // nothing was written
	w.wg.Wait()
}

// receive reads all signs at once, since a job whose signs nobody reads waits.
func (w *watcher) receive() {
	buffer := make([]byte, signMax)
	for {
		n, err := w.conn.Read(buffer)
		if err != nil {
			return // it is closed
		}
		var s sign
		var opened, at int64
		if _, err := fmt.Fscan(strings.NewReader(string(buffer[:n])), &s.process, &s.subtask, &opened, &at); err != nil {
			continue // no sign of the job's
		}
		s.opened, s.at = time.Unix(0, opened), time.Unix(0, at)
		select {
		case w.signs <- s:
		default:
		}
	}
}

// next waits for a sign that is wanted.
func (w *watcher) next(ctx context.Context, wanted func(s sign) bool) (sign, error) {
	timeout := time.NewTimer(processes.Patience)
	defer timeout.Stop()
	for {
		select {
		case s := <-w.signs:
			if wanted(s) {
				return s, nil
			}
		case <-ctx.Done():
			return sign{}, context.Cause(ctx)
		case <-timeout.C:
			return sign{}, errors.New("the job shows no results")
		}
	}
}
