// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/rpc"
)

// addTools adds the commands that concern no running cluster.
func (a *app) addTools(root *cobra.Command) {
	for _, c := range []*cobra.Command{a.configCommand(), a.versionCommand(), a.initCommand(), a.certsCommand()} {
		c.GroupID = groupTools
		root.AddCommand(c)
	}
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
}

func (a *app) configCommand() *cobra.Command {
	var docs, changed bool
	c := &cobra.Command{
		Use: "config", Short: "Show every option, its value, and where that came from", Args: cobra.NoArgs,
		Long: "Show every option with its value and where that came from, and with --changed only those that don't have their\n" +
			"default.\n\n" +
			"Precedence, the first wins: what the graph of a job sets for an operator, the job's code, flags and -D, the\n" +
			"environment (WEIR_ and the key in capitals, _ for other characters), the configuration file, the default.",
		RunE: func(*cobra.Command, []string) error {
			entries := a.config.Entries()
			type row struct {
				Key    string `json:"key"`
				Value  string `json:"value"`
				Origin string `json:"origin"`
				Scope  string `json:"scope"`
				Kind   string `json:"kind"`
				Doc    string `json:"doc"`
			}
			rows := make([]row, 0, len(entries))
			for _, e := range entries {
				if !changed || e.Origin != "default" {
					rows = append(rows, row{e.Key, e.Value, e.Origin, e.Option.Scope.String(), e.Option.Kind.String(), e.Option.Doc})
				}
			}
			return a.print(rows, func(w io.Writer) {
				if docs {
					for _, r := range rows {
						fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", r.Key, r.Scope, r.Kind, code(r.Value), r.Doc)
					}
					return
				}
				lines := [][]string{{"OPTION", "VALUE", "FROM"}}
				for _, r := range rows {
					lines = append(lines, []string{r.Key, r.Value, r.Origin})
				}
				table(w, lines)
			})
		},
	}
	c.Flags().BoolVarP(&changed, "changed", "c", false, "only options that don't have their default")
	c.Flags().BoolVar(&docs, "docs", false, "as rows of a Markdown table, as in docs/configuration.md")
	return c
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show versions of the binary and of what it speaks", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.print(v, func(w io.Writer) {
				table(w, [][]string{
					{"weir", v.Version},
					{"commit", v.Commit},
					{"built with", v.Go},
					{"platform", v.Platform},
					{"protocol", strconv.Itoa(v.Protocol)},
				})
			})
		},
	}
}

// version is what a binary is.
type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Protocol int    `json:"protocol"`
}

func buildVersion() version {
	v := version{
		Version: "(devel)", Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Protocol: rpc.Protocol,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Commit += " with changes"
		}
	}
	return v
}
