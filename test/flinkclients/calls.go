// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// calls is a Java program that makes the calls of Flink's Kubernetes operator and prints a line for each: its name and a
// tab, followed by what is wrong, if something is.
//
//go:embed Calls.java
var calls []byte

// tryCalls runs it.
func tryCalls(ctx context.Context, r *report, f *flink, c *cluster) error {
	job, err := c.job(ctx)
	if err != nil {
		return err
	}
	source := filepath.Join(c.dir, "Calls.java")
	if err := os.WriteFile(source, calls, 0o600); err != nil {
		return err
	}
	host, port := c.hostPort()
	cmd, err := f.java(ctx, source, host, port, job, c.program, c.dir)
	if err != nil {
		return err
	}
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		name, wrong, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			continue
		}
		var failure error
		if wrong != "" {
			failure = fmt.Errorf("%s", wrong)
		}
		r.add("call", name, failure)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, errors.String())
	}
	if _, err := c.command(ctx, "cancel", job); err != nil {
		return err
	}
	return c.state(ctx, job, "CANCELED")
}
