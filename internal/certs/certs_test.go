// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/tls"
	"net"
	"os"
	"strings"
	"testing"
)

// handshake connects two sides and returns what each says.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan error, 1)
	go func() { // Owner: handshake, which receives from done
		a, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		s := tls.Server(a, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		_ = a.Close()
		done <- err
	}()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(b, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // in TLS 1.3 a refusal of the client comes here
	}
	_ = b.Close()
	return <-done, clientErr
}

func TestInternal(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, other} {
		if err := Init(dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	mine, err := Internal(one)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := Internal(other)
	if err != nil {
		t.Fatal(err)
	}
	if s, c := handshake(t, mine, mine); s != nil || c != nil {
		t.Errorf("the same authority: %v, %v", s, c)
	}
	if s, c := handshake(t, mine, foreign); s == nil || c == nil {
		t.Error("a part of another authority was let in")
	}
	bare, err := Client(one)
	if err != nil {
		t.Fatal(err)
	}
	bare.ServerName = InternalName
	if s, _ := handshake(t, mine, bare); s == nil {
		t.Error("a part without certificate was let in")
	}
}

func TestREST(t *testing.T) {
	dir := t.TempDir()
	if err := Init(dir, []string{"weir.example.org", "192.0.2.7"}); err != nil {
		t.Fatal(err)
	}
	server, err := REST(dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := Client(dir)
	if err != nil {
		t.Fatal(err)
	}
	for host, good := range map[string]bool{"localhost": true, "127.0.0.1": true, "weir.example.org": true, "192.0.2.7": true, "evil.example.org": false} {
		client.ServerName = host
		if _, c := handshake(t, server, client); (c == nil) != good {
			t.Errorf("%s: %v", host, c)
		}
	}
}

func TestInitKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := Init(dir, nil); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, nil); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second time: %v", err)
	}
	info, err := os.Stat(keyPath(dir, internal))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the key can be read by others: %v", info.Mode())
	}
	if _, err := REST(t.TempDir()); err == nil || !strings.Contains(err.Error(), "weir certs init") {
		t.Errorf("nothing there: %v", err)
	}
}
