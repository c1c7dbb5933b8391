// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/certs"
	"github.com/weir-stream/weir/internal/config"
)

// TestListenElsewhere: without certificates nothing listens where others reach it.
func TestListenElsewhere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"0.0.0.0", "::", "", "192.0.2.1", "::ffff:0.0.0.0", host} {
		only, err := onlyLoopback(t.Context(), host)
		if only {
			t.Logf("%s is this machine's loopback address", host) // as on Debian
			continue
		}
		for _, line := range [][]string{
			{"jobmanager", "-D", config.RPCBindHost + "=" + host},
			{"taskmanager", "-D", config.TaskManagerBindHost + "=" + host},
			{"cluster", "up", "-D", config.RPCBindHost + "=" + host, "-D", config.RPCPort + "=0"},
			{"cluster", "up", "-D", config.TaskManagerBindHost + "=" + host},
		} {
			code, _, errs := call(t, line...)
			if code == exitDone || !strings.Contains(errs, "bind-host") {
				t.Errorf("%q: exit code %d: %s", line, code, errs)
			}
			if err == nil && !strings.Contains(errs, "security.ssl.internal.enabled") {
				t.Errorf("%q does not say what helps: %s", line, errs)
			}
		}
	}
	for _, host := range []string{"127.0.0.1", "::1", "localhost", "127.0.0.2"} {
		if only, err := onlyLoopback(t.Context(), host); err != nil || !only {
			t.Errorf("%s is no loopback address: %v", host, err)
		}
	}
}

// TestNoCertificates: where certificates are to be used and none are there, nobody goes on without.
func TestNoCertificates(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, tt := range []struct{ line, want string }{
		{"list -D security.ssl.rest.enabled=true", "security.ssl.dir is not"},
		{"list -D security.ssl.rest.enabled=true -D security.ssl.dir=none", "weir certs init"},
		{"jobmanager -D security.ssl.rest.enabled=true", "security.ssl.dir is not"},
		{"jobmanager -D security.ssl.internal.enabled=true", "security.ssl.dir is not"},
		{"taskmanager -D security.ssl.internal.enabled=true -D security.ssl.dir=none", "weir certs init"},
		{"jobmanager -D rest.port=0 -D jobmanager.rpc.port=0 -D rest.bind-address=0.0.0.0", "no tokens and TLS"},
		{"jobmanager -D rest.port=0 -D jobmanager.rpc.port=0 -D rest.bind-address=::", "no tokens and TLS"},
	} {
		if code, _, errs := call(t, strings.Fields(tt.line)...); code == exitDone || !strings.Contains(errs, tt.want) {
			t.Errorf("weir %s: exit code %d: %s", tt.line, code, errs)
		}
	}
	if err := certs.Init("certs", nil); err != nil {
		t.Fatal(err)
	}
	code, _, errs := call(t, strings.Fields("jobmanager -D rest.port=0 -D jobmanager.rpc.port=0 -D rest.bind-address=0.0.0.0 "+
		"-D security.ssl.rest.enabled=true -D security.ssl.dir=certs")...)
	if code == exitDone || !strings.Contains(errs, "no tokens:") {
		t.Errorf("TLS alone: exit code %d: %s", code, errs)
	}
}

// TestTokenOfTheClusterItself: who can read the cluster's file of tokens needs no other, and shows none of it elsewhere.
func TestTokenOfTheClusterItself(t *testing.T) {
	t.Chdir(t.TempDir())
	text := "# ours\nread-only reader-token-0123456789\nadmin admin-token-0123456789\noperator operator-token-0123456789\n"
	if err := os.WriteFile("tokens", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var shown string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer s.Close()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"-D", "rest.address=" + host, "-D", "rest.port=" + port, "-D", "rest.token-file=tokens"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{here, "Bearer admin-token-0123456789"},
		{append(here, "-D", "rest.token=mine"), "Bearer mine"},
		{[]string{"-m", s.Listener.Addr().String(), "-D", "rest.token-file=tokens"}, ""},
		{append(here, "-D", "rest.token-file=none"), ""},
	} {
		shown = ""
		if code, _, errs := call(t, append([]string{"list"}, tt.args...)...); code != exitFailed || !strings.Contains(errs, "WEIR_REST_TOKEN") {
			t.Errorf("%q: exit code %d: %s", tt.args, code, errs)
		}
		if shown != tt.want {
			t.Errorf("%q showed %q, want %q", tt.args, shown, tt.want)
		}
	}
}
