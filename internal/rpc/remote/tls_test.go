// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs the certificates of a test's cluster.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return &authority{cert: signed(t, template, template, key, key), key: key}
}

func signed(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// part returns a certificate for a part of the cluster on this machine.
func (a *authority) part(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := signed(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// logText collects what a Server logs.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *logText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	with := func(roots *authority, certs ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: roots.pool(), Certificates: certs}
	}
	for _, tt := range []struct {
		name   string
		config *tls.Config
		log    string // of the JobManager; empty if it connects
	}{
		{"certificate of the cluster", with(ours, ours.part(t, "tm")), ""},
		{"no certificate", with(ours), "didn't provide a certificate"},
		{"certificate of another cluster", with(ours, theirs.part(t, "tm")), "certificate"},
		{"JobManager of another cluster", with(theirs, theirs.part(t, "tm")), "bad certificate"},
		{"plain text", nil, "does not look like a TLS handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log logText
			jm := serve(t, func(c *ServerConfig) {
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c.TLS = &tls.Config{
					Certificates: []tls.Certificate{ours.part(t, "jobmanager")},
					ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ours.pool(),
				}
			})
			c, tm := configured(t, "tm", jm.Addr())
			c.TLS = tt.config
			tm.Client = newClient(c)
			defer tm.Stop()
			if tt.log != "" {
				connected, err := tm.attempt(jm.Addr())
				jm.Stop() // waits for the handshake
				if text := log.take(); connected || err == nil || !strings.Contains(text, tt.log) {
					t.Errorf("connected %v, error %v, the JobManager logs %q, want %q", connected, err, text, tt.log)
				}
				return
			}
			tm.wg.Go(tm.keepUp)
			await(t, "welcome", tm.connected)
			data := program(100)
			sum, to := put(t, jm.store, data), cache(t)
			if err := tm.Fetch(t.Context(), sum, to); err != nil {
				t.Fatal(err)
			}
			contains(t, to, sum, data)
		})
	}
}
