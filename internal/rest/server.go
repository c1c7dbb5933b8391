// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/metrics"
)

// Config says how the API is served. Zero values have the default in brackets.
type Config struct {
	Cluster Cluster
	Logger  *slog.Logger
	// Listen is host and port.
	Listen string
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Tokens are who may do what; nil lets everyone do everything.
	Tokens *Tokens
	// InsecureBind allows to listen on other addresses than loopback without tokens or without TLS.
	InsecureBind bool
	// Advertised is the host by which others reach the JobManager, Hosts further names that it is served under, with or
	// without a port.
	Advertised string
	Hosts      []string
	// Origins are the origins of other web pages that may call the API, as https://host:port.
	Origins []string
	// WebDir is the folder of a dashboard's files; empty for the built-in start page.
	WebDir string
	// UploadBytesMax bounds a program [uploadBytesMax].
	UploadBytesMax int64
	// HideSubmit and HideCancel tell the dashboard not to offer them.
	HideSubmit, HideCancel bool
	// RefreshInterval is how often the dashboard asks [3 s].
	RefreshInterval time.Duration
	// Process reads the figures of this process [one of its own].
	Process *metrics.Process
	// HeaderTimeout, BodyTimeout and IdleTimeout bound how long a client may take for the header of a request, for the
	// body (of an upload: for a part of it) or the reading of an answer, and until the next request [10 s, 30 s, 2 min].
	HeaderTimeout, BodyTimeout, IdleTimeout time.Duration
}

const (
	uploadBytesMax  = 1 << 30
	refreshInterval = 3 * time.Second
	headerTimeout   = 10 * time.Second
	bodyTimeout     = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	headerBytesMax  = 32 << 10
	connectionsMax  = 1024
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	set(&c.RefreshInterval, refreshInterval)
	set(&c.HeaderTimeout, headerTimeout)
	set(&c.BodyTimeout, bodyTimeout)
	set(&c.IdleTimeout, idleTimeout)
	if c.UploadBytesMax == 0 {
		c.UploadBytesMax = uploadBytesMax
	}
	if c.Process == nil {
		c.Process = &metrics.Process{}
	}
	return c
}

// Server serves the API.
type Server struct {
	http     *http.Server
	listener net.Listener
	web      interface{ Close() error }
	serving  sync.WaitGroup
}

// Serve listens, and serves when it returns. It refuses to listen where others could do what they like, unless
// Config.InsecureBind says so.
func Serve(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	web, err := openWeb(c.WebDir)
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, c)
	if err != nil {
		return nil, errors.Join(err, web.Close())
	}
	s := &Server{listener: l, web: web}
	s.http = &http.Server{
		Handler:           newAPI(c, web).handler(),
		ReadHeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, MaxHeaderBytes: headerBytesMax,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	s.serving.Go(func() { _ = s.http.Serve(l) }) // ends with an error always: that the listener is closed
	return s, nil
}

// listen opens the listener of c.
func listen(ctx context.Context, c Config) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for REST requests: %w", err)
	}
	if err := CheckBind(l.Addr().String(), c); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l = &limitListener{Listener: l, slots: make(chan struct{}, connectionsMax), closed: make(chan struct{})}
	if c.TLS != nil {
		l = tls.NewListener(plainListener{l}, c.TLS)
	}
	return l, nil
}

// CheckBind refuses an address, IP:port, that others reach without being asked who they are, or in plain text. Serve does
// it, too.
func CheckBind(addr string, c Config) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("listen for REST requests: %w", err)
	}
	if at.Addr().Unmap().IsLoopback() || c.InsecureBind || c.Tokens != nil && c.TLS != nil {
		return nil
	}
	missing := "tokens and TLS"
	switch {
	case c.Tokens != nil:
		missing = "TLS"
	case c.TLS != nil:
		missing = "tokens"
	}
	return fmt.Errorf("listen for REST requests on %s: that is no loopback address, and there are no %s: whoever reaches "+
		"it could run programs here; configure them, or set rest.insecure-bind: true if that is meant", addr, missing)
}

// Addr is the address that it listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop ends all connections once their requests are answered or ctx ends, and waits for that.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.serving.Wait()
	return errors.Join(err, s.web.Close())
}

// limitListener bounds the connections that are open: a client that comes when all are taken waits.
type limitListener struct {
	net.Listener

	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

// Accept waits for a free place and a client.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends Accept.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitConn gives its place back when it is closed.
type limitConn struct {
	net.Conn

	release func()
}

// Close closes the connection.
func (c *limitConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
