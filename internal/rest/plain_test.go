// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPlainTextWhereTLSIsServed asks with each method, with and without a body that is longer than what buffers hold.
func TestPlainTextWhereTLSIsServed(t *testing.T) {
	t.Parallel()
	authority := httptest.NewTLSServer(nil)
	defer authority.Close()
	s := serveTest(t, newFake(), func(c *Config) {
		c.TLS = &tls.Config{Certificates: authority.TLS.Certificates, MinVersion: tls.VersionTLS12}
	})
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodOptions, "ODD",
	} {
		for name, body := range map[string]io.Reader{"no body": nil, "a body": bytes.NewReader(make([]byte, 300<<10))} {
			status, text := send(t, method, "http://"+s.Addr()+"/jobs/"+jobRunning+"?mode=cancel", "application/json", body)
			if status != http.StatusBadRequest || !strings.Contains(text, "https://") || !strings.HasPrefix(text, `{"errors":[`) {
				t.Errorf("%s with %s: %d %s", method, name, status, text)
			}
		}
	}
}
