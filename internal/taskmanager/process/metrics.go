// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/metrics"
)

// Limits of who asks for metrics.
const (
	metricsHeaderTimeout  = 10 * time.Second
	metricsWriteTimeout   = 30 * time.Second
	metricsIdleTimeout    = 2 * time.Minute
	metricsHeaderBytesMax = 32 << 10
)

// metricsServer serves /metrics and nothing else.
type metricsServer struct {
	http     *http.Server
	listener net.Listener
	wg       sync.WaitGroup
}

// serveMetrics serves on the first port that is free.
func serveMetrics(ctx context.Context, host string, ports []int, source metrics.Source, logger *slog.Logger) (*metricsServer, error) {
	l, err := firstFree(ctx, host, ports)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", guardMetrics(l.Addr(), metrics.Handler(source, logger)))
	s := &metricsServer{listener: l, http: &http.Server{
		Handler: mux, ReadHeaderTimeout: metricsHeaderTimeout, WriteTimeout: metricsWriteTimeout, IdleTimeout: metricsIdleTimeout,
		MaxHeaderBytes: metricsHeaderBytesMax, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
	s.wg.Go(func() { _ = s.http.Serve(l) }) // ends with an error always: that it was closed
	logger.InfoContext(ctx, "metrics are served", "address", l.Addr().String())
	return s, nil
}

// firstFree listens on the first of the ports that nobody else has.
func firstFree(ctx context.Context, host string, ports []int) (l net.Listener, err error) {
	for _, port := range ports {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("none of the ports is free: %w; name more of them, one for each TaskManager of a machine", err)
}

// guardMetrics keeps the pages of others, whose name may resolve to loopback, from reading what is served there.
func guardMetrics(at net.Addr, next http.Handler) http.Handler {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.Unmap().IsLoopback()) {
			http.Error(w, "metrics are served to this machine only, under the name localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stop ends all connections and waits.
func (s *metricsServer) stop() {
	_ = s.http.Close() // nothing that is asked for is lost
	s.wg.Wait()
}
