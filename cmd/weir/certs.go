// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/certs"
	"github.com/weir-stream/weir/internal/config"
)

func (a *app) certsCommand() *cobra.Command {
	certsCmd := &cobra.Command{
		Use: "certs", Short: "Make the certificates of a cluster", Args: commands,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var hosts []string
	c := &cobra.Command{
		Use: "init [DIR]", Short: "Make a certificate authority and certificates for all parts", Args: cobra.MaximumNArgs(1),
		Long: "Make in DIR (default: security.ssl.dir, or certs) an authority of the cluster's own, a certificate that its parts show\n" +
			"to each other, and one for the REST API. Copy the directory to each machine of the cluster, and set\n" +
			"security.ssl.dir, security.ssl.internal.enabled and security.ssl.rest.enabled. Clients need only ca.pem.\n" +
			"Files that are there are not replaced.",
		RunE: func(_ *cobra.Command, args []string) error {
			dir := cmp.Or(a.config.String(config.CertificatesDir), "certs")
			if len(args) > 0 {
				dir = args[0]
			}
			if err := certs.Init(dir, hosts); err != nil {
				return err
			}
			return a.print(map[string]any{"dir": dir, "hosts": hosts}, func(w io.Writer) {
				fmt.Fprintf(w, "certificates are in %s; to use them:\n\n  security.ssl.dir: %s\n  security.ssl.internal.enabled: true\n  security.ssl.rest.enabled: true\n", dir, absolute(dir))
			})
		},
	}
	c.Flags().StringSliceVar(&hosts, "host", nil, "names and addresses of the machines, beside loopback and this one's")
	certsCmd.AddCommand(c)
	return certsCmd
}
