// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each connection with what it sends.
func echo(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy, network string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a byte and waits for it to come back; the time is that after which silence is an error.
func ask(c net.Conn, within time.Duration) error {
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	return answer(c, within)
}

func answer(c net.Conn, within time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

const (
	enough = 30 * time.Second
	silent = 20 * time.Millisecond
)

func TestProxy(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			at, listen := "127.0.0.1:0", "127.0.0.1:0"
			if network == "unix" {
				at, listen = filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
			}
			p, err := NewProxy(network, listen, echo(t, network, at))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			c := dial(t, p, network)
			if err := ask(c, enough); err != nil {
				t.Fatal(err)
			}
			p.Delay(silent)
			begin := time.Now()
			if err := ask(c, enough); err != nil || time.Since(begin) < 2*silent {
				t.Errorf("delayed: %v after %v", err, time.Since(begin))
			}
			p.Delay(0)

			p.Freeze()
			other := dial(t, p, network)
			for _, c := range []net.Conn{c, other} {
				var timeout net.Error
				if err := ask(c, silent); !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("frozen: %v", err)
				}
			}
			p.Resume()
			for _, c := range []net.Conn{c, other} {
				if err := answer(c, enough); err != nil {
					t.Errorf("resumed: %v", err)
				}
			}
			if half, ok := c.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
				t.Error("not half closed")
			}
			if err := answer(c, enough); !errors.Is(err, io.EOF) {
				t.Errorf("the end passes: %v", err)
			}

			p.DropAfter(1)
			if err := ask(other, enough); err == nil {
				t.Error("not dropped")
			}
			if c = dial(t, p, network); ask(c, enough) != nil {
				t.Error("new connections don't pass")
			}
			p.Cut()
			if ask(c, enough) == nil {
				t.Error("not cut")
			}
			if c, err := net.Dial(network, p.Addr()); err == nil { // it may be reset already
				if ask(c, enough) == nil {
					t.Error("a new connection passes")
				}
				_ = c.Close()
			}
			p.Resume()
			if err := ask(dial(t, p, network), enough); err != nil {
				t.Errorf("resumed: %v", err)
			}
			if n := p.Passed(); n < 10 {
				t.Errorf("%d bytes passed", n)
			}
		})
	}
}

func TestProxyWithoutTarget(t *testing.T) {
	p, err := NewProxy("unix", filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "nobody"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if ask(dial(t, p, "unix"), enough) == nil {
		t.Error("somebody answered")
	}
	if _, err := NewProxy("unix", p.Addr(), ""); err == nil {
		t.Error("listens twice")
	}
}
