// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// silenceMax is how long nothing may come by a connection between hosts: as long as heartbeats may be missing. pingInterval is
// the time between two frames that say that an end is there.
const (
	silenceMax   = 5 * time.Second
	pingInterval = 2 * time.Second
)

// A host, or the network between two, can go away without a word. The system finds that out within seconds on a connection
// that is quiet, and after a quarter of an hour where something was sent that nobody acknowledges. So both ends of a
// connection between hosts send a frame every pingInterval, whatever else they send, and give the connection up when nothing
// came for silenceMax. Sockets of one host need none of that.

// betweenHosts tells whether a connection may be one between hosts.
func betweenHosts(conn net.Conn) bool { return strings.HasPrefix(conn.LocalAddr().Network(), "tcp") }

// keepPinging says time and again that this end is there, until done is closed or a write fails: whoever reads finds out why. Writes
// of whole frames don't mix, so it needs no turn of the connection's writer, which may be busy with encoding.
func (n *network) keepPinging(conn net.Conn, done <-chan struct{}) {
	if !betweenHosts(conn) {
		return
	}
	ping := header{kind: framePing}.append(nil)
	t := time.NewTicker(pingInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-done:
			return
		}
		if _, err := conn.Write(ping); err != nil {
			return
		}
		n.written.Add(int64(len(ping)))
	}
}

// aliveReader reads from a connection whose other end never is silent for long.
type aliveReader struct{ net.Conn }

// readerOf reads from a connection, for as long as its other end shows that it is there.
func readerOf(conn net.Conn) io.Reader {
	if betweenHosts(conn) {
		return aliveReader{conn}
	}
	return conn
}

// Read waits half of the time twice: if this process itself stood still, the first half is over at once, and in the second one
// what the other end has sent meanwhile is read.
func (r aliveReader) Read(p []byte) (int, error) {
	for half := 1; ; half++ {
		if err := r.SetReadDeadline(time.Now().Add(silenceMax / 2)); err != nil {
			return 0, err
		}
		n, err := r.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if half == 2 {
			return 0, fmt.Errorf("nothing came for %v, the other side or the network may be gone", silenceMax)
		}
	}
}
