// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/weir-stream/weir/internal/certs"
	"github.com/weir-stream/weir/internal/exchange"
)

// secured protects connections among executors by mutual TLS: both sides show the certificate of the cluster's parts, and
// want one of the same authority.
func secured(dir string) (exchange.Secure, error) {
	config, err := certs.Internal(dir)
	if err != nil {
		return exchange.Secure{}, err
	}
	return exchange.Secure{
		Listener: func(l net.Listener) net.Listener { return tls.NewListener(l, config) },
		Conn: func(ctx context.Context, conn net.Conn, _ string) (net.Conn, error) {
			c := tls.Client(conn, config)
			if err := c.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return c, nil
		},
	}, nil
}
