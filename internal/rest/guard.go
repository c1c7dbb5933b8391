// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// guard keeps web pages of others away from a cluster that their visitor's browser can reach. A page can send requests to
// any address, with the browser's stored password, and by a DNS name of its own that resolves to a loopback address it
// could even read the answers. So:
//
//   - the Host of a request has to be a name that the cluster is served under: a name of an attacker is none;
//   - a request with an Origin has to come from a page of the cluster itself, or a configured one;
//   - a request that the browser marks as cross-site may only open a page of the dashboard, as a link does.
type guard struct {
	tokens  *Tokens
	hosts   []string
	origins []string
}

func newGuard(c Config) *guard {
	g := &guard{tokens: c.Tokens, hosts: []string{"localhost"}}
	for _, h := range slices.Concat([]string{c.Advertised}, c.Hosts) {
		if h = hostName(h); h != "" {
			g.hosts = append(g.hosts, h)
		}
	}
	for _, o := range c.Origins {
		g.origins = append(g.origins, strings.ToLower(strings.TrimSuffix(o, "/")))
	}
	return g
}

// hostName is the name in lower case, without the port.
func hostName(hostPort string) string {
	name := hostPort
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
}

// guarded checks where a request comes from and goes to, and who sends it.
func (a *API) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(now.Add(a.config.BodyTimeout)) // fails in tests without a connection only
		_ = control.SetWriteDeadline(now.Add(requestTimeout + a.config.BodyTimeout))
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "SAMEORIGIN")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if err := a.guard.check(r); err != nil {
			writeError(w, err)
			return
		}
		if a.guard.crossOrigin(w, r) {
			return
		}
		role := a.guard.tokens.authenticate(r)
		if role == noRole {
			h.Add("WWW-Authenticate", `Bearer realm="weir"`)
			h.Add("WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
			writeError(w, refuse(http.StatusUnauthorized,
				"this cluster takes a token: as Authorization: Bearer, or as the password of basic authentication"))
			return
		}
		next.ServeHTTP(w, r.WithContext(withRole(r.Context(), role)))
	})
}

// check refuses requests that a web page of others may have made.
func (g *guard) check(r *http.Request) error {
	if !g.servedUnder(r) {
		return refuse(http.StatusForbidden, "the cluster is not served under the name %q: rest.allowed-hosts lists further names",
			clip(r.Host))
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) != 1 || !g.sameOrigin(r, origins[0]) && !g.configured(origins[0]) {
			return refuse(http.StatusForbidden, "pages of %q may not call this cluster: rest.allowed-origins lists those that may",
				clip(strings.Join(origins, ", ")))
		}
		return nil
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return nil
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Method == http.MethodGet && isPage(r.URL.Path) {
		return nil
	}
	return refuse(http.StatusForbidden, "other web pages may not call this cluster")
}

// isPage tells paths that a link from elsewhere may open: they show the dashboard and change nothing.
func isPage(path string) bool {
	return path == "/" || path == "/index.html"
}

func (g *guard) servedUnder(r *http.Request) bool {
	name := hostName(r.Host)
	if name == "" {
		return false
	}
	if slices.Contains(g.hosts, name) {
		return true
	}
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	if addr.Unmap().IsLoopback() {
		return true
	}
	// The address that the connection came in on can't be a name of somebody else.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().WithZone("") == addr.Unmap().WithZone("")
}

func (g *guard) sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return u.Scheme == scheme && strings.EqualFold(withPort(u.Host, scheme), withPort(r.Host, scheme))
}

func withPort(host, scheme string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := "80"
	if scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (g *guard) configured(origin string) bool {
	return slices.Contains(g.origins, strings.ToLower(origin))
}

// crossOrigin tells the browser that a configured origin may read the answer, and answers the question that it asks
// before (which carries no token).
func (g *guard) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || !g.configured(origin) {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
