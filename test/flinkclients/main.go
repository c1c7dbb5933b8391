// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command flinkclients proves that what was written for Flink works with a cluster of Weir, unchanged: Flink's command
// line, the calls that its Kubernetes operator and autoscaler make, decoded by Flink's own classes, and each page of its
// dashboard in a browser.
//
//	make flink-clients                    in temporary directories
//	FLINK_HOME=DIR make flink-clients     Flink is installed into DIR, or is there already
//
// It needs Java, pip and the package index to install Flink, and Chromium for the pages; so it is no part of the tests
// of a change. It starts a session cluster with the flights job, prints a line for each thing tried, and ends with 1 if one
// did not work.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// timeMax bounds the whole, installation included.
const timeMax = 20 * time.Minute

func main() {
	var o options
	flag.StringVar(&o.flink, "flink", os.Getenv("FLINK_HOME"), "directory of Flink, which is installed there if need be")
	flag.StringVar(&o.shots, "screenshots", "", "directory for a picture of each page")
	flag.StringVar(&o.only, "only", "", "what to try: cli, calls or pages; all of it if empty")
	flag.StringVar(&o.chromium, "browser", "chromium", "the browser for the pages, Chromium or one like it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ctx, cancel := context.WithTimeout(ctx, timeMax)
	failed, err := try(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flinkclients:", err)
		os.Exit(1)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

type options struct{ flink, shots, only, chromium string }

// try does it all and returns how many things did not work.
func try(ctx context.Context, o options) (failed int, err error) {
	dir, err := os.MkdirTemp("", "weir-flink-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.flink == "" {
		o.flink = filepath.Join(dir, "flink")
	}
	f, err := install(ctx, o.flink, dir)
	if err != nil {
		return 0, fmt.Errorf("install Flink into %s: %w", o.flink, err)
	}
	c, err := startCluster(ctx, dir, f.web)
	if err != nil {
		return 0, err
	}
	defer c.stop(context.WithoutCancel(ctx))
	r := &report{}
	for _, part := range []struct {
		name string
		try  func() error
	}{
		{"cli", func() error { return tryCommands(ctx, r, f, c) }},
		{"calls", func() error { return tryCalls(ctx, r, f, c) }},
		{"pages", func() error { return tryPages(ctx, r, o, c) }},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		if err := part.try(); err != nil {
			return 0, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	return r.failed, nil
}

// report prints what was tried and counts.
type report struct{ passed, failed int }

func (r *report) add(kind, what string, err error) {
	if err == nil {
		r.passed++
		fmt.Printf("ok    %-6s %s\n", kind, what)
		return
	}
	r.failed++
	fmt.Printf("FAIL  %-6s %s\n      %s\n", kind, what, strings.ReplaceAll(err.Error(), "\n", "\n      "))
}
