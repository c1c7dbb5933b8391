// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package restclient

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWhatIsMissing: where a token or TLS is missing, or is not the right one, the error says what to set.
func TestWhatIsMissing(t *testing.T) {
	refuse := func(status int, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if _, err := io.WriteString(w, `{"errors":["`+text+`"]}`); err != nil {
				t.Error(err)
			}
		})
	}
	plain := httptest.NewServer(refuse(http.StatusUnauthorized, "this cluster takes a token"))
	defer plain.Close()
	role := httptest.NewServer(refuse(http.StatusForbidden, "DELETE /cluster takes the role admin, and the token has the role operator"))
	defer role.Close()
	secured := httptest.NewUnstartedServer(refuse(http.StatusOK, ""))
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer secured.Close()
	ours := x509.NewCertPool()
	ours.AddCert(secured.Certificate())
	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for name, tt := range map[string]struct {
		config Config
		want   string
	}{
		"no token":          {Config{Address: address(plain)}, "set rest.token, or WEIR_REST_TOKEN"},
		"not the role":      {Config{Address: address(role)}, "a token of that role"},
		"plain to TLS":      {Config{Address: address(secured)}, "set security.ssl.rest.enabled"},
		"TLS to plain":      {Config{Address: address(plain), TLS: &tls.Config{}}, "and not there"},
		"another authority": {Config{Address: address(secured), TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, "ca.pem"},
		"another name":      {Config{Address: address(secured), TLS: &tls.Config{RootCAs: ours, ServerName: "evil.example.net"}}, "--host"},
	} {
		k := New(tt.config)
		if err := k.Get(t.Context(), "/cluster", nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		k.Close()
	}
}
