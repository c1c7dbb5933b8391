// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package certs makes and loads the certificates of a cluster: an authority of its own, one certificate that all parts
// show to each other (mutual TLS, so that whoever has none of this authority is not let in), and one for the REST API,
// whose clients need the authority's certificate only.
//
//	ca.pem, ca-key.pem                 the authority; its key is needed to make further certificates only
//	internal.pem, internal-key.pem     for JobManagers, TaskManagers and executors
//	rest.pem, rest-key.pem             for the REST API
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of a directory of certificates, each with a key beside it.
const (
	authority = "ca"
	internal  = "internal"
	rest      = "rest"
)

// InternalName is the name that the certificate of the parts is made for: they are known by their authority, not by the
// host that they run on.
const InternalName = "weir-internal"

// lifetime is how long certificates are valid.
const lifetime = 10 * 365 * 24 * time.Hour

// Init makes all certificates in dir, which is made if it is missing. hosts are names and addresses of the REST API
// beside those of this machine. What is there is kept; a directory with a part of the files is refused.
func Init(dir string, hosts []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for _, name := range []string{authority, internal, rest} {
		if _, err := os.Stat(path(dir, name)); err == nil {
			return fmt.Errorf("make certificates: %s is there already; name another directory, or remove it", path(dir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make certificates: %w", err)
		}
	}
	ca, err := newAuthority()
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := ca.store(dir, authority); err != nil {
		return err
	}
	parts, err := ca.issue("weir cluster", []string{InternalName}, nil)
	if err != nil {
		return err
	}
	if err := parts.store(dir, internal); err != nil {
		return err
	}
	names, addresses := restNames(hosts)
	api, err := ca.issue("weir rest", names, addresses)
	if err != nil {
		return err
	}
	return api.store(dir, rest)
}

// restNames are what the REST API is reached by: loopback, the name of this machine and what the caller says.
func restNames(hosts []string) (names []string, addresses []net.IP) {
	names = []string{"localhost"}
	addresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, h)
		}
	}
	return names, addresses
}

// pair is a certificate with its key.
type pair struct {
	der  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*pair, error) {
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "weir certificate authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil)
}

// issue makes a certificate of the authority.
func (p *pair) issue(subject string, names []string, addresses []net.IP) (*pair, error) {
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: subject}, DNSNames: names, IPAddresses: addresses,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, p)
}

// sign completes a template and signs it with its own key, or with that of an authority.
func sign(template *x509.Certificate, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour) // clocks of machines differ
	template.NotAfter = template.NotBefore.Add(lifetime)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &pair{der, cert, key}, err
}

func (p *pair) store(dir, name string) error {
	key, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return fmt.Errorf("store certificate %s: %w", name, err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
		mode       fs.FileMode
	}{{keyPath(dir, name), "PRIVATE KEY", key, 0o600}, {path(dir, name), "CERTIFICATE", p.der, 0o644}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(f.name, text, f.mode); err != nil {
			return fmt.Errorf("store certificate %s: %w", name, err)
		}
	}
	return nil
}

func path(dir, name string) string    { return filepath.Join(dir, name+".pem") }
func keyPath(dir, name string) string { return filepath.Join(dir, name+"-key.pem") }

// Client is what a client of the REST API needs: trust in the authority.
func Client(dir string) (*tls.Config, error) {
	pool, err := pool(dir)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

// REST is the server side of the REST API.
func REST(dir string) (*tls.Config, error) {
	cert, err := load(dir, rest)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}

// Internal is both sides of connections among the parts: each shows the certificate and wants one of the same authority.
func Internal(dir string) (*tls.Config, error) {
	cert, err := load(dir, internal)
	if err != nil {
		return nil, err
	}
	pool, err := pool(dir)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, ServerName: InternalName,
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}

func load(dir, name string) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(path(dir, name), keyPath(dir, name))
	if err != nil {
		return cert, fmt.Errorf("certificate %s: %w; `weir certs init` makes them", name, err)
	}
	return cert, nil
}

func pool(dir string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path(dir, authority))
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w; `weir certs init` makes one", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate of the authority: %s holds none", path(dir, authority))
	}
	return pool, nil
}
