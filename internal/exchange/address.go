// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

const (
	addressPrefix = "weir1:"
	addressUnix   = ",unix="
	addressTCP    = ",tcp="
	// hostIDBytesMax bounds the name of a host.
	hostIDBytesMax = 128
	// socketBytesMax is what fits into the address of a unix socket on every platform.
	socketBytesMax = 103
)

// address is that of an environment which is reached by a unix socket on its own host, and by TCP from others. As text it
// is
//
//	weir1:HOSTID,unix=PATH,tcp=HOST:PORT
//
// where the path may have commas, and nothing else has any. docs/formats/wire.md describes it.
type address struct {
	hostID, socket, tcp string
}

func (a address) String() string {
	return addressPrefix + a.hostID + addressUnix + a.socket + addressTCP + a.tcp
}

func parseAddress(text string) (address, error) {
	rest, ok := strings.CutPrefix(text, addressPrefix)
	hostID, rest, unix := strings.Cut(rest, addressUnix)
	at := strings.LastIndex(rest, addressTCP)
	if !ok || !unix || at < 0 {
		return address{}, fmt.Errorf("address %q: want %s", text, address{"HOSTID", "PATH", "HOST:PORT"})
	}
	a := address{hostID: hostID, socket: rest[:at], tcp: rest[at+len(addressTCP):]}
	if err := a.validate(); err != nil {
		return address{}, fmt.Errorf("address %q: %w", text, err)
	}
	return a, nil
}

func (a address) validate() error {
	if err := validateHostID(a.hostID); err != nil {
		return err
	}
	if err := validateSocket(a.socket); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(a.tcp); err != nil || port == "" || strings.Contains(a.tcp, ",") {
		return fmt.Errorf("%q: want HOST:PORT", a.tcp)
	}
	return nil
}

func validateHostID(id string) error {
	if id == "" || len(id) > hostIDBytesMax || strings.ContainsAny(id, ",\n") {
		return fmt.Errorf("host id %q: want 1 to %d bytes without comma", id, hostIDBytesMax)
	}
	return nil
}

func validateSocket(path string) error {
	if !filepath.IsAbs(path) || len(path) > socketBytesMax {
		return fmt.Errorf("path of the socket %q has %d bytes: want an absolute path of at most %d", path, len(path), socketBytesMax)
	}
	return nil
}

// way returns the network and address by which this environment reaches another.
func (c Config) way(text string) (kind, where string, err error) {
	if strings.HasPrefix(text, addressPrefix) {
		a, err := parseAddress(text)
		switch {
		case err != nil:
			return "", "", err
		case a.hostID == c.HostID:
			return "unix", a.socket, nil
		default:
			return "tcp", a.tcp, nil
		}
	}
	kind, where, ok := strings.Cut(text, ":")
	if !ok || kind != "tcp" && kind != "unix" {
		return "", "", fmt.Errorf("address %q: want tcp:HOST:PORT, unix:PATH or %s", text, address{"HOSTID", "PATH", "HOST:PORT"})
	}
	return kind, where, nil
}

// advertised is what others name who reach the listener by TCP.
func (c Config) advertised(l net.Addr) (string, error) {
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return "", err
	}
	if c.Host != "" {
		return net.JoinHostPort(c.Host, port), nil
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		return "", errors.New("the host by which others reach this one must be set, since all interfaces are listened on")
	}
	return net.JoinHostPort(host, port), nil
}
