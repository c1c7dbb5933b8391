// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/metrics"
)

// API answers requests. It is made by newAPI and used by Server, which adds the limits of connections.
type API struct {
	cluster Cluster
	config  Config
	logger  *slog.Logger
	rates   *metrics.Rates
	process *metrics.Process
	guard   *guard
	web     http.Handler
	now     func() time.Time
}

const (
	// bodyBytesMax bounds a body that is no upload.
	bodyBytesMax = 4 << 20
	// requestTimeout bounds how long the cluster may take for an answer; describing a program may take describeTimeout,
	// and an upload as long as bytes arrive.
	requestTimeout  = 30 * time.Second
	describeTimeout = 2 * time.Minute
)

func newAPI(c Config, web http.Handler) *API {
	return &API{
		cluster: c.Cluster, config: c, logger: c.Logger, rates: metrics.NewRates(), process: c.Process,
		guard: newGuard(c), web: web, now: time.Now,
	}
}

// handler returns the whole of it: what every request goes through, then the routes.
func (a *API) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		mux.Handle(r.pattern, a.permit(r.role, a.bound(r, a.serve(r.handle))))
	}
	mux.Handle("GET /metrics", a.permit(ReadOnly, metrics.Handler(a.prometheus, a.logger)))
	mux.Handle("/", a.permit(ReadOnly, http.HandlerFunc(a.otherwise)))
	return a.recovered(a.guarded(versioned(mux)))
}

// versioned makes the paths answer with and without the version.
func versioned(next http.Handler) http.Handler {
	stripped := http.StripPrefix("/v1", next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.EscapedPath(), "/v1/") {
			stripped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recovered answers a panic of a handler with 500; what it panicked with goes to the log and not to the client.
func (a *API) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.recoverFrom(w, r)
		next.ServeHTTP(w, r)
	})
}

func (a *API) recoverFrom(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	a.logger.ErrorContext(r.Context(), "A handler of a request panicked",
		"method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	writeError(w, errors.New("internal error: the log of the JobManager has the details"))
}

// bound limits the body of a request and the time that its answer may take.
func (a *API) bound(route route, next http.Handler) http.Handler {
	if route.upload {
		return a.patience(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout := requestTimeout
		if route.slow {
			timeout = describeTimeout
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		// The client gets time to read the answer after the time that making it may take.
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(timeout + a.config.BodyTimeout)) // fails without a connection only
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytesMax)
		next.ServeHTTP(w, r)
	})
}

// otherwise serves the files of the dashboard to those who look for a page, and says to others that there is no such path.
func (a *API) otherwise(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, notFound("there is no %s %s", r.Method, clip(r.URL.Path)))
		return
	}
	a.web.ServeHTTP(w, r)
}
