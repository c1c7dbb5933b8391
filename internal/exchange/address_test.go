// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	const golden = "weir1:host-1,unix=/run/a,tcp=b,c/x.sock,tcp=worker-1.example.org:40123"
	a := address{"host-1", "/run/a,tcp=b,c/x.sock", "worker-1.example.org:40123"}
	if got, err := parseAddress(golden); err != nil || got != a || a.String() != golden {
		t.Errorf("%q is read as %+v, %v, and written as %q", golden, got, err, a)
	}
	for _, text := range []string{
		"", "weir1:", "weir2:h,unix=/s,tcp=h:1", "weir1:h,tcp=h:1", "weir1:h,unix=/s", "weir1:,unix=/s,tcp=h:1", "weir1:h,unix=s,tcp=h:1",
		"weir1:h,unix=,tcp=h:1", "weir1:h,unix=/s,tcp=h", "weir1:h,unix=/s,tcp=h:", "weir1:h,unix=/s,tcp=h:1,more",
		"weir1:" + strings.Repeat("h", hostIDBytesMax+1) + ",unix=/s,tcp=h:1", "weir1:h,unix=/" + strings.Repeat("s", socketBytesMax) + ",tcp=h:1",
	} {
		if a, err := parseAddress(text); err == nil {
			t.Errorf("%q is read as %+v", text, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("weir1:h,unix=/s,tcp=h:1")
	f.Add("weir1:h,unix=/a,tcp=b,unix=c,tcp=[::1]:1")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := parseAddress(text); err == nil && a.String() != text {
			t.Errorf("%q is read as %+v", text, a)
		}
	})
}

// both is a configuration of an environment that is reached two ways.
func both(t *testing.T, hostID string) Config {
	t.Helper()
	return Config{
		Network: "both", Job: "job", Listen: "127.0.0.1:0", Socket: filepath.Join(t.TempDir(), "s"), HostID: hostID,
	}
}

func openBoth(t *testing.T, c Config) *Environment {
	t.Helper()
	e, err := NewEnvironment(c)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e
}

// ways are the networks of the connections that an environment has.
func (n *network) ways() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ways []string
	for conn := range n.mu.conns {
		ways = append(ways, conn.LocalAddr().Network())
	}
	return strings.Join(ways, " ")
}

func TestNearestWayIsTaken(t *testing.T) {
	producer := both(t, "a")
	producer.Host = "localhost"
	up := openBoth(t, producer)
	if !strings.HasPrefix(up.Address(), "weir1:a,unix="+producer.Socket+",tcp=localhost:") {
		t.Errorf("address %q", up.Address())
	}
	p := partition(t, up, PartitionID{}, 2)
	for i, tt := range []struct{ hostID, way string }{{"a", "unix"}, {"b", "tcp"}} {
		down := openBoth(t, both(t, tt.hostID))
		k := newTaker(t, 1)
		k.connect(t, down, up, i, PartitionID{})
		must(t, p.Senders()[i].Send(batch(0, 0, 1), none))
		k.Release(k.take())
		if got := down.network.ways(); got != tt.way {
			t.Errorf("from host %s by %q, want %s", tt.hostID, got, tt.way)
		}
	}
	for _, hostID := range []string{"a", "b"} {
		other := both(t, hostID)
		other.Job = "other"
		k := newTaker(t, 1)
		k.connect(t, openBoth(t, other), up, 0, PartitionID{})
		expectLost(t, k, `job "other", want "job"`)
	}
}

func TestSocketOfTheDeadIsReplaced(t *testing.T) {
	c := both(t, "a")
	l, err := net.Listen("unix", c.Socket)
	must(t, err)
	if e, err := NewEnvironment(c); err == nil {
		t.Error("took the socket of a process that lives")
		must(t, e.Close())
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a kill leaves it
	must(t, l.Close())
	if _, err := os.Stat(c.Socket); err != nil {
		t.Fatal(err)
	}
	openBoth(t, c)
}

func TestConfigOfBothIsValidated(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no host id":            func(c *Config) { c.HostID = "" },
		"host id with a comma":  func(c *Config) { c.HostID = "a,b" },
		"no socket":             func(c *Config) { c.Socket = "" },
		"long path":             func(c *Config) { c.Socket = "/" + strings.Repeat("x", socketBytesMax) },
		"relative path":         func(c *Config) { c.Socket = "s" },
		"nowhere to listen":     func(c *Config) { c.Listen = "" },
		"all interfaces":        func(c *Config) { c.Listen = "0.0.0.0:0" },
		"host with a comma":     func(c *Config) { c.Host = "a,b" },
		"directory is missing":  func(c *Config) { c.Socket += "/missing/s" },
		"half protected":        func(c *Config) { c.Secure.Listener = func(l net.Listener) net.Listener { return l } },
		"protected unix socket": func(c *Config) { c.Network, c.Secure.Listener = "unix", func(l net.Listener) net.Listener { return l } },
	} {
		c := both(t, "a")
		change(&c)
		if e, err := NewEnvironment(c); err == nil {
			t.Errorf("%s: was taken", name)
			must(t, e.Close())
		}
	}
	c := both(t, "a")
	c.Listen, c.Host = "0.0.0.0:0", "localhost"
	openBoth(t, c)
}

// secured makes connections by TCP those of a mutual TLS whose one certificate is its own authority.
func secured(t *testing.T, with *tls.Config) Secure {
	t.Helper()
	return Secure{
		Listener: func(l net.Listener) net.Listener { return tls.NewListener(l, with) },
		Conn: func(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			with := with.Clone()
			with.ServerName = host
			c := tls.Client(conn, with)
			if err := c.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return c, nil
		},
	}
}

func mutual(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

func TestSecured(t *testing.T) {
	ours := secured(t, mutual(t))
	c := both(t, "a")
	c.Secure = ours
	up := openBoth(t, c)
	p := partition(t, up, PartitionID{}, 2)
	for i, hostID := range []string{"a", "b"} {
		c := both(t, hostID)
		c.Secure = ours
		down := openBoth(t, c)
		k := newTaker(t, 1)
		k.connect(t, down, up, i, PartitionID{})
		for n := range int64(100) {
			must(t, p.Senders()[i].Send(batch(0, n, 100), none))
			k.Release(k.take())
		}
	}
	for name, secure := range map[string]Secure{"plain text": {}, "another certificate": secured(t, mutual(t))} {
		t.Run(name, func(t *testing.T) {
			c := both(t, "c")
			c.Secure, c.DialTimeout = secure, time.Second
			k := newTaker(t, 1)
			k.connect(t, openBoth(t, c), up, 0, PartitionID{})
			expectLost(t, k)
		})
	}
}
