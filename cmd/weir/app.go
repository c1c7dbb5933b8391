// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/internal/restclient"
)

// configFile is read from the working directory unless another is named.
const configFile = "weir.yaml"

// app is what all commands share.
type app struct {
	out, err   io.Writer
	interrupts <-chan os.Signal
	// interrupted ends the context of the command.
	interrupted func()
	flags       struct {
		config, output, rest, dataDir string
		settings                      []string
	}
	config *config.Config
}

// load reads the configuration, before any command runs.
func (a *app) load(c *cobra.Command) error {
	if a.flags.output != "text" && a.flags.output != "json" {
		return usageError{c.Name(), fmt.Errorf("--output %s: want text or json", a.flags.output)}
	}
	a.config = config.New(options())
	if err := a.loadFile(); err != nil {
		return usageError{c.Name(), err}
	}
	if err := a.config.Environment(os.Environ()); err != nil {
		return usageError{c.Name(), err}
	}
	for _, s := range a.flags.settings {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return usageError{c.Name(), fmt.Errorf("-D %s: want key=value", s)}
		}
		if err := a.config.Set("-D", key, text); err != nil {
			return usageError{c.Name(), err}
		}
	}
	if a.flags.dataDir != "" {
		if err := a.config.Set("--data-dir", config.DataDir, a.flags.dataDir); err != nil {
			return usageError{c.Name(), err}
		}
	}
	for _, w := range a.config.Warnings {
		fmt.Fprintln(a.err, "weir: "+w)
	}
	return nil
}

func (a *app) loadFile() error {
	name := cmp.Or(a.flags.config, os.Getenv("WEIR_CONFIG"), configFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && a.flags.config == "" && os.Getenv("WEIR_CONFIG") == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return a.config.File(name, text)
}

// options are those of the cluster and the defaults of jobs.
func options() []config.Option {
	all := config.Cluster()
	for _, o := range jobsettings.OfJobs() {
		all = append(all, config.Option{
			Key: o.Key, Deprecated: o.Deprecated(), Scope: config.Job, Doc: sentence(o.Usage), Check: o.Check,
		})
	}
	return all
}

// sentence makes one of half a sentence.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// client reaches the JobManager.
func (a *app) client() (*restclient.Client, error) {
	return a.clientAt(cmp.Or(a.flags.rest, a.clusterAddress(),
		net.JoinHostPort(a.config.String(config.RESTAddress), a.config.String(config.RESTPort))))
}

// clientAt reaches the JobManager at an address.
func (a *app) clientAt(address string) (*restclient.Client, error) {
	t, err := a.clientTLS()
	if err != nil {
		return nil, err
	}
	return restclient.New(restclient.Config{Address: address, Token: a.token(), TLS: t}), nil
}

// clusterAddress is where the cluster of the data directory says that it is, if one is up there and nothing else was set.
func (a *app) clusterAddress() string {
	if a.config.IsSet(config.RESTAddress) || a.config.IsSet(config.RESTPort) && a.config.Int(config.RESTPort) != 0 {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(a.dataDir(), restAddressFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// dataDir is the cluster's directory, absolute.
func (a *app) dataDir() string {
	dir := a.config.String(config.DataDir)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// json tells whether the output is for programs.
func (a *app) json() bool { return a.flags.output == "json" }

// print writes v as JSON, or what text writes.
func (a *app) print(v any, text func(w io.Writer)) error {
	if a.json() {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	text(a.out)
	return nil
}

// count writes a number with a noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
