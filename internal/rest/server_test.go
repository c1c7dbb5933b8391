// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveTest starts a server on a loopback port and stops it at the end of the test.
func serveTest(t *testing.T, f *fakeCluster, change func(*Config)) *Server {
	t.Helper()
	c := Config{Cluster: f.cluster(), Logger: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0"}
	if change != nil {
		change(&c)
	}
	s, err := Serve(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// send sends a request over a connection of its own and returns status and body.
func send(t *testing.T, method, url, kind string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestServes(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := serveTest(t, f, nil)
	status, body := send(t, http.MethodGet, "http://"+s.Addr()+"/v1/overview", "", nil)
	if status != http.StatusOK || !strings.Contains(body, `"flink-version":"2.3.0"`) {
		t.Errorf("%d %s", status, body)
	}
	// A log of a megabyte arrives whole, though it is read in parts.
	log := "http://" + s.Addr() + "/taskmanagers/tm-1/logs/" + jobRunning + "/jobmaster.log"
	status, body = send(t, http.MethodGet, log, "", nil)
	if status != http.StatusOK || body != strings.Repeat("0123456789", 100_000) {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	if _, err := Serve(t.Context(), Config{
		Cluster: f.cluster(), Logger: slog.New(slog.DiscardHandler), Listen: s.Addr(),
	}); err == nil {
		t.Error("two servers listen on one port")
	}
	if _, err := Serve(t.Context(), Config{
		Cluster: f.cluster(), Logger: slog.New(slog.DiscardHandler), Listen: "0.0.0.0:0",
	}); err == nil || !strings.Contains(err.Error(), "no loopback address") {
		t.Errorf("all addresses are served without tokens: %v", err)
	}
}

func TestServesTLS(t *testing.T) {
	t.Parallel()
	authority := httptest.NewTLSServer(nil)
	defer authority.Close()
	s := serveTest(t, newFake(), func(c *Config) {
		c.TLS = &tls.Config{Certificates: authority.TLS.Certificates, MinVersion: tls.VersionTLS12}
	})
	client := authority.Client()
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Addr()+"/jars", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), `"address":"https://`) {
		t.Errorf("%s %v", text, err)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	f := newFake()
	s := serveTest(t, f, func(c *Config) { c.UploadBytesMax = limit })
	url := "http://" + s.Addr() + "/v1/jars/upload"
	program := strings.Repeat("p", limit)
	form, kind := multipartOf(`C:\jobs\flights.exe`, program)
	status, body := send(t, http.MethodPost, url, kind, strings.NewReader(form))
	if status != http.StatusOK || !strings.Contains(body, `"status":"success"`) {
		t.Errorf("%d %s", status, body)
	}
	two, kindOfTwo := multipartOf("a", "x")
	boundary := kindOfTwo[strings.Index(kindOfTwo, "boundary=")+len("boundary="):]
	two = strings.Replace(two, "--"+boundary+"--", "--"+boundary+
		"\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"b\"\r\n\r\nx\r\n--"+boundary+"--", 1)
	large, kindOfLarge := multipartOf("large", program+"p")
	nameless, kindOfNameless := multipartOf("", "x")
	dots, kindOfDots := multipartOf("..", "x")
	cut, kindOfCut := multipartOf("cut", "x")
	for name, c := range map[string]struct {
		kind, form string
		want       int
	}{
		"too large":   {kindOfLarge, large, http.StatusRequestEntityTooLarge},
		"two parts":   {kindOfTwo, two, http.StatusBadRequest},
		"no name":     {kindOfNameless, nameless, http.StatusBadRequest},
		"dots":        {kindOfDots, dots, http.StatusBadRequest},
		"no form":     {"application/json", "{}", http.StatusBadRequest},
		"no part":     {kind, "", http.StatusBadRequest},
		"a form less": {kindOfCut, cut[:len(cut)-20], http.StatusInternalServerError},
	} {
		if status, body := send(t, http.MethodPost, url, c.kind, strings.NewReader(c.form)); status != c.want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, content := range f.uploaded {
		if strings.ContainsAny(name, `/:`) || string(content) != program {
			t.Errorf("stored under %q: %d bytes", name, len(content))
		}
	}
	if len(f.uploaded) != 1 {
		t.Errorf("%d programs are stored, want the good one", len(f.uploaded))
	}
}

// TestUploadOfFlink: Flink's own client sends a part with a message before the file.
func TestUploadOfFlink(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := serveTest(t, f, nil)
	const form = "--b\r\nContent-Disposition: form-data; name=\"request\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n{}\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file_0\"; filename=\"flights\"\r\n" +
		"Content-Type: application/java-archive\r\n\r\nprogram\r\n--b--\r\n"
	status, body := send(t, http.MethodPost, "http://"+s.Addr()+"/v1/jars/upload", "multipart/form-data; boundary=b", strings.NewReader(form))
	if status != http.StatusOK || !strings.Contains(body, "flights") {
		t.Errorf("%d %s", status, body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.uploaded) != 1 || string(f.uploaded["flights"]) != "program" {
		t.Errorf("stored: %v", f.uploaded)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := serveTest(t, f, nil)
	body := bytes.NewReader([]byte(`{"x":"` + strings.Repeat("y", bodyBytesMax) + `"}`))
	status, text := send(t, http.MethodPost, "http://"+s.Addr()+"/jobs/"+jobRunning+"/savepoints", "application/json", body)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", status, text)
	}
	if asked := f.noted(); len(asked) > 0 {
		t.Errorf("the cluster was asked %v", asked)
	}
	// A client with a Java job graph hears what to do instead, whatever the graph's size.
	status, text = send(t, http.MethodPost, "http://"+s.Addr()+"/v1/jobs", "multipart/form-data",
		bytes.NewReader(make([]byte, 4*bodyBytesMax)))
	if status != http.StatusBadRequest || !strings.Contains(text, "/jars/upload") {
		t.Errorf("a Java job graph: %d %s", status, text)
	}
}

// TestSlowClients: a client that sends its request drop by drop, or not at all, is let go.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := serveTest(t, newFake(), func(c *Config) {
		c.HeaderTimeout, c.BodyTimeout, c.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	form, kind := multipartOf("flights", strings.Repeat("p", 1000))
	upload := fmt.Sprintf("POST /jars/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		kind, len(form), form[:len(form)/2])
	for name, request := range map[string]string{
		"header": "GET /overview HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"body":   "POST /jobs/" + jobRunning + "/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		"upload": upload,
		"idle":   "GET /overview HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		text, err := io.ReadAll(bufio.NewReader(conn))
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open: %s", name, text)
		}
		if strings.Contains(string(text), "200 OK") != (name == "idle") {
			t.Errorf("%s: %s", name, text)
		}
		_ = conn.Close()
	}
}

// TestManyConnections: a client that opens all connections there may be is alone with them, and when it goes others come.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &limitListener{Listener: inner, slots: make(chan struct{}, 1), closed: make(chan struct{})}
	accepted := make(chan net.Conn)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	})
	for range 2 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test's
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection was accepted while the only place is taken")
	default:
	}
	_ = first.Close()
	_ = first.Close() // a second close gives no second place
	second := <-accepted
	_ = second.Close()
	_ = l.Close()
	accepting.Wait()
	if len(l.slots) != 0 {
		t.Errorf("%d places are taken by nobody", len(l.slots))
	}
}

// TestPanics: the client hears that something is wrong, and the log what.
func TestPanics(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.crash = true
	var log bytes.Buffer
	h := newTestAPI(t, f, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, path := range []string{"/jobs/" + jobRunning, "/jobs/metrics", "/metrics"} {
		w := do(t, h, http.MethodGet, path, "", nil)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if !strings.Contains(log.String(), "a secret of the inside") || !strings.Contains(log.String(), "fake_test.go") {
		t.Errorf("the log: %s", log.String())
	}
}

// TestClientsThatLeave: the cluster is no longer waited for.
func TestClientsThatLeave(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.block = true
	h := newTestAPI(t, f, nil)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := do(t, h, http.MethodGet, "/jobs/"+jobRunning, "", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFileOfTokensIsClosed(t *testing.T) {
	t.Parallel()
	if _, err := LoadTokens(os.DevNull); err == nil {
		t.Error("an empty file of tokens lets everyone in")
	}
}
