// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// plainPatience is how long a client in plain text may take to send its request and read the answer.
const plainPatience = 2 * time.Second

// errPlain ends the handshake with a client that does not speak TLS; it has its answer.
var errPlain = errors.New("the client speaks HTTP in plain text")

// plainListener answers clients that speak HTTP in plain text where TLS is served, whatever they ask for: they learn what is
// wrong instead of seeing the connection end.
type plainListener struct{ net.Listener }

// Accept returns the next connection, of which nothing was read.
func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &plainConn{Conn: conn}, nil
}

// plainConn looks at the first byte that comes: records of TLS begin with a number, requests in plain text with a letter.
type plainConn struct {
	net.Conn
	begin sync.Once
}

// Read reads for TLS.
func (c *plainConn) Read(p []byte) (n int, err error) {
	n, err = c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	c.begin.Do(func() {
		if p[0] >= 'A' && p[0] <= 'Z' || p[0] >= 'a' && p[0] <= 'z' {
			c.answer()
			n, err = 0, errPlain
		}
	})
	return n, err
}

// answer says what is wrong. The client may be sending its request still: what is left unread would break the connection before
// the answer has come.
func (c *plainConn) answer() {
	if err := c.SetDeadline(time.Now().Add(plainPatience)); err != nil {
		return
	}
	const body = `{"errors":["TLS is served here, and the request came in plain text: ask for https:// in place of http://"]}`
	if _, err := fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n"+
		"Connection: close\r\n\r\n%s", http.StatusBadRequest, http.StatusText(http.StatusBadRequest), len(body), body); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.Conn) // until the client has gone, or the deadline
}
