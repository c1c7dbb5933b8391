// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/certs"
	"github.com/weir-stream/weir/internal/config"
)

// internalTLS is what the parts show each other; nil where they trust whoever connects, which only loopback may. bindHost is
// the key of the address that the caller is to listen on.
func (a *app) internalTLS(ctx context.Context, bindHost string) (*tls.Config, error) {
	dir, err := a.certificates(config.InternalSSL)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		return certs.Internal(dir)
	}
	host := a.config.String(bindHost)
	only, err := onlyLoopback(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bindHost, err)
	}
	if !only {
		return nil, fmt.Errorf("%s: %q is no loopback address, and whoever reaches it could run programs here: "+
			"set security.ssl.internal.enabled, with security.ssl.dir and the certificates of `weir certs init`", bindHost, host)
	}
	return nil, nil
}

// onlyLoopback tells whether a socket that is bound to a host is reached from this machine alone. The empty host is that of
// all interfaces, and a name counts by what it resolves to.
func onlyLoopback(ctx context.Context, host string) (bool, error) {
	if host == "" {
		return false, nil
	}
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return false, err
	}
	for _, a := range addresses {
		if !a.IP.IsLoopback() {
			return false, nil
		}
	}
	return len(addresses) > 0, nil
}

// certificates is the directory of certificates where they are to be used, else empty; the key says for what.
func (a *app) certificates(enabled string) (dir string, err error) {
	if !a.config.Bool(enabled) {
		return "", nil
	}
	if dir = a.config.String(config.CertificatesDir); dir == "" {
		return "", fmt.Errorf("%s is set, and %s is not: it names the directory of the certificates, which `weir certs init` makes",
			enabled, config.CertificatesDir)
	}
	return absolute(dir), nil
}

// restTLS is for the server of the REST API; nil for plain text.
func (a *app) restTLS() (*tls.Config, error) {
	dir, err := a.certificates(config.RESTSSL)
	if dir == "" || err != nil {
		return nil, err
	}
	return certs.REST(dir)
}

// clientTLS is for its clients; nil for plain text.
func (a *app) clientTLS() (*tls.Config, error) {
	dir, err := a.certificates(config.RESTSSL)
	if dir == "" || err != nil {
		return nil, err
	}
	return certs.Client(dir)
}

// token is what the client shows: rest.token, or, where the cluster's own file of tokens can be read, the one of most rights
// in it. The latter is not shown to a cluster that is named by the command, which may be another.
func (a *app) token() string {
	token, file := a.config.String(config.RESTToken), a.config.String(config.RESTTokenFile)
	if token != "" || file == "" || a.flags.rest != "" {
		return token
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "" // the cluster says what is missing
	}
	most := -1
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		if rights := slices.Index([]string{"read-only", "operator", "admin"}, fields[0]); rights > most {
			most, token = rights, fields[1]
		}
	}
	return token
}
