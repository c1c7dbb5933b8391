// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	tokenReader   = "reader-token-0123456789"
	tokenOperator = "operator-token-0123456789"
	tokenAdmin    = "admin-token-0123456789"
)

func testTokens(t *testing.T) *Tokens {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	text := "# who may do what\n\nread-only " + tokenReader + "\noperator " + tokenOperator + "\nadmin " + tokenAdmin + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := LoadTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "no token",
		"# only a comment\n":                "no token",
		"admin short\n":                     "line 1: the token is shorter",
		"\nroot 0123456789abcdef\n":         "line 2: the first word has to be a role",
		"admin 0123456789abcdef secret\n":   "line 1: it has to be a role",
		strings.Repeat("x", tokenLineChars): "read tokens",
	} {
		_, err := ParseTokens(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	if _, err := LoadTokens(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	const job = "/jobs/" + jobRunning
	least := map[string]Role{
		"GET /overview": ReadOnly, "GET " + job: ReadOnly, "GET /metrics": ReadOnly, "GET /": ReadOnly,
		"GET /jobmanager/log": ReadOnly, "PATCH " + job: Operator, "GET " + job + "/yarn-cancel": Operator,
		"POST " + job + "/stop": Operator, "POST /jars/upload": Operator, "POST /jars/" + programID1 + "/run": Operator,
		"GET /jars/" + programID1 + "/plan": Operator, "DELETE /jars/" + programID1: Operator,
		"POST /savepoint-disposal": Operator, "POST /applications/" + jobRunning + "/cancel": Operator,
		"DELETE /cluster": Admin, "POST /weir/taskmanagers/tm-1/drain": Admin,
	}
	tokens := testTokens(t)
	h := newTestAPI(t, newFake(), func(c *Config) { c.Tokens = tokens })
	for request, role := range least {
		method, path, _ := strings.Cut(request, " ")
		for token, has := range map[string]Role{
			"": noRole, "wrong-token-0123456789": noRole, tokenReader: ReadOnly, tokenOperator: Operator, tokenAdmin: Admin,
		} {
			for _, basic := range []bool{false, true} {
				w := do(t, h, method, "/v1"+path, "{}", func(r *http.Request) {
					switch {
					case token == "":
					case basic:
						r.SetBasicAuth("anyone", token)
					default:
						r.Header.Set("Authorization", "bearer "+token)
					}
				})
				switch {
				case has == noRole && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == ""):
					t.Errorf("%s with the token %q: %d", request, token, w.Code)
				case has != noRole && has < role && w.Code != http.StatusForbidden:
					t.Errorf("%s as %s: %d", request, has, w.Code)
				case has >= role && (w.Code == http.StatusForbidden || w.Code == http.StatusUnauthorized):
					t.Errorf("%s as %s: %d %s", request, has, w.Code, w.Body)
				}
				if strings.Contains(w.Body.String(), "-token-") {
					t.Errorf("%s: the answer shows a token: %s", request, w.Body)
				}
			}
		}
	}
}

// TestEveryRouteHasARole keeps a path that changes something from being open to those who may only look.
func TestEveryRouteHasARole(t *testing.T) {
	t.Parallel()
	a := &API{}
	for _, r := range a.routes() {
		if r.role == noRole {
			t.Errorf("%s has no role", r.pattern)
		}
		if r.role == ReadOnly && !strings.HasPrefix(r.pattern, "GET ") && !strings.Contains(r.pattern, "/profiler") {
			t.Errorf("%s is open to those who may only look", r.pattern)
		}
	}
}

func TestHostOfRequests(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), func(c *Config) { c.Hosts = []string{"flows.example:443"} })
	for host, ok := range map[string]bool{
		"localhost:8081": true, "localhost": true, "LOCALHOST.": true, "127.0.0.1:8081": true, "127.9.9.9": true,
		"[::1]:8081": true, "cluster.example:1": true, "flows.example": true,
		"": false, "evil.example": false, "localhost.evil.example": false, "192.0.2.7:8081": false, "evil.example:8081": false,
		"127.0.0.1.nip.example": false, "cluster.example.evil": false,
	} {
		w := do(t, h, http.MethodGet, "/overview", "", func(r *http.Request) { r.Host = host })
		if (w.Code == http.StatusOK) != ok {
			t.Errorf("Host %q: status %d", host, w.Code)
		}
	}
}

func TestOriginOfRequests(t *testing.T) {
	t.Parallel()
	h := newTestAPI(t, newFake(), func(c *Config) { c.Origins = []string{"https://console.example/"} })
	for _, c := range []struct {
		origin, host string
		tls, ok      bool
	}{
		{"http://localhost:8081", "localhost:8081", false, true},
		{"http://LOCALHOST:8081", "localhost:8081", false, true},
		{"http://localhost", "localhost", false, true},
		{"http://localhost:80", "localhost", false, true},
		{"https://localhost", "localhost:443", true, true},
		{"https://console.example", "localhost:8081", false, true},
		{"https://localhost:8081", "localhost:8081", false, false},
		{"http://localhost:8081", "localhost:8081", true, false},
		{"http://localhost:9999", "localhost:8081", false, false},
		{"http://127.0.0.1:8081", "localhost:8081", false, false},
		{"http://evil.example", "localhost:8081", false, false},
		{"http://console.example", "localhost:8081", false, false},
		{"null", "localhost:8081", false, false},
		{"", "localhost:8081", false, false},
		{"http://user@localhost:8081", "localhost:8081", false, false},
		{"http://localhost:8081/path", "localhost:8081", false, false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPatch} {
			w := do(t, h, method, "/jobs/"+jobRunning, "", func(r *http.Request) {
				r.Host = c.host
				r.Header["Origin"] = []string{c.origin}
				if c.tls {
					r.TLS = &tls.ConnectionState{}
				}
			})
			if (w.Code < 300) != c.ok {
				t.Errorf("%s from %q at %s: status %d", method, c.origin, c.host, w.Code)
			}
			if readable := w.Header().Get("Access-Control-Allow-Origin") != ""; readable != strings.Contains(c.origin, "https://console") {
				t.Errorf("%s from %q: the page may read it: %t", method, c.origin, readable)
			}
		}
	}
	w := do(t, h, http.MethodGet, "/overview", "", func(r *http.Request) {
		r.Header["Origin"] = []string{"http://localhost:8081", "http://evil.example"}
	})
	if w.Code != http.StatusForbidden {
		t.Errorf("two origins: status %d", w.Code)
	}
}

// TestPreflight: the question that a browser asks first carries no token.
func TestPreflight(t *testing.T) {
	t.Parallel()
	tokens := testTokens(t)
	f := newFake()
	h := newTestAPI(t, f, func(c *Config) { c.Tokens, c.Origins = tokens, []string{"https://console.example"} })
	for origin, want := range map[string]int{
		"https://console.example": http.StatusNoContent, "https://evil.example": http.StatusForbidden,
	} {
		w := do(t, h, http.MethodOptions, "/jobs/"+jobRunning, "", func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "PATCH")
		})
		if w.Code != want || want == http.StatusForbidden && w.Header().Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: status %d, %v", origin, w.Code, w.Header())
		}
	}
	if asked := f.noted(); len(asked) > 0 {
		t.Errorf("the cluster was asked %v", asked)
	}
}

// TestRequestsOfOtherPages: an image of a foreign page has no Origin, but the browser says where it is from.
func TestRequestsOfOtherPages(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := newTestAPI(t, f, nil)
	for _, c := range []struct {
		site, mode, path string
		ok               bool
	}{
		{"cross-site", "no-cors", "/jobs/" + jobRunning + "/yarn-cancel", false},
		{"cross-site", "navigate", "/jobs/" + jobRunning + "/yarn-cancel", false},
		{"same-site", "no-cors", "/overview", false},
		{"cross-site", "navigate", "/", true},
		{"same-origin", "cors", "/overview", true},
		{"none", "navigate", "/overview", true},
	} {
		w := do(t, h, http.MethodGet, c.path, "", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", c.site)
			r.Header.Set("Sec-Fetch-Mode", c.mode)
		})
		if (w.Code < 300) != c.ok {
			t.Errorf("%s %s %s: status %d", c.site, c.mode, c.path, w.Code)
		}
	}
	if asked := f.noted(); len(asked) > 0 {
		t.Errorf("the cluster was asked %v", asked)
	}
}

func TestBindingIsRefused(t *testing.T) {
	t.Parallel()
	tokens := &Tokens{}
	for _, c := range []struct {
		name   string
		addr   string
		config Config
		ok     bool
	}{
		{"loopback", "127.0.0.1", Config{}, true},
		{"loopback, version 6", "::1", Config{}, true},
		{"all addresses", "0.0.0.0", Config{}, false},
		{"all addresses, version 6", "::", Config{}, false},
		{"one address", "192.0.2.7", Config{}, false},
		{"tokens alone", "0.0.0.0", Config{Tokens: tokens}, false},
		{"TLS alone", "0.0.0.0", Config{TLS: &tls.Config{}}, false},
		{"both", "0.0.0.0", Config{Tokens: tokens, TLS: &tls.Config{}}, true},
		{"as it is meant", "0.0.0.0", Config{InsecureBind: true}, true},
	} {
		err := CheckBind(net.JoinHostPort(c.addr, "1"), c.config)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "rest.insecure-bind") {
			t.Errorf("%s: the error names no way out: %v", c.name, err)
		}
	}
}

// TestNamesOfFiles: no name leads out of the folder, whatever it is encoded as.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := filepath.Join(dir, "site")
	for name, text := range map[string]string{
		"secret": "SECRET", "site/index.html": "<p>home", "site/app.js": "app", "site/sub/page.html": "sub",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(site, "link")); err != nil {
		t.Fatal(err)
	}
	f := newFake()
	f.logs["../secret"], f.logs["secret"] = []byte("SECRET"), []byte("harmless")
	h := newTestAPI(t, f, func(c *Config) { c.WebDir = site })
	ways := []string{
		"../secret", "..%2fsecret", "..%2Fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "..%5csecret", "..\\secret",
		"sub/../../secret", "sub%2f..%2f..%2fsecret", "%2fsecret", "//secret", ".%00/secret", "..;/secret", "link",
		"%252e%252e%252fsecret",
	}
	for _, base := range []string{
		"/", "/jobmanager/logs/", "/taskmanagers/tm-1/logs/", "/weir/jobs/" + jobRunning + "/logs/jobmanager/", "/jars/",
	} {
		for _, way := range ways {
			for _, version := range []string{"", "/v1"} {
				target := version + base + way
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+target, nil)
				if err != nil {
					continue // no client can send it
				}
				w := do(t, h, http.MethodGet, "/", "", func(to *http.Request) { to.URL = r.URL })
				if w.Code < 300 || strings.Contains(w.Body.String(), "SECRET") {
					t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
				}
			}
		}
	}
	for _, asked := range f.noted() {
		if strings.Contains(asked, "../") {
			t.Errorf("a process was asked for %q", asked)
		}
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	site := t.TempDir()
	for name, text := range map[string]string{"index.html": "<p>home", "app.js": "app"} {
		if err := os.WriteFile(filepath.Join(site, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := newTestAPI(t, newFake(), func(c *Config) { c.WebDir = site })
	page := func(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }
	for _, c := range []struct {
		path, want string
		status     int
		change     func(*http.Request)
	}{
		{"/", "<p>home", http.StatusOK, nil},
		{"/index.html", "<p>home", http.StatusOK, nil},
		{"/app.js", "app", http.StatusOK, nil},
		{"/job/running", "<p>home", http.StatusOK, page},
		{"/job/running", "errors", http.StatusNotFound, nil},
		{"/none.js", "errors", http.StatusNotFound, page},
	} {
		w := do(t, h, http.MethodGet, c.path, "", c.change)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
	}
	if w := do(t, newTestAPI(t, newFake(), nil), http.MethodGet, "/", "", nil); !strings.Contains(w.Body.String(), "<h1>Weir</h1>") {
		t.Errorf("the start page: %d %s", w.Code, w.Body)
	}
	if _, err := openWeb(t.TempDir()); err == nil {
		t.Error("a folder without a first page is served")
	}
}
