// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/weir-stream/weir/internal/role"
	"github.com/weir-stream/weir/stream"
)

// serveRole does what a cluster asks of this process, and ends it then, if it was started by one.
func serveRole(jobs map[string]Build) {
	link, err := role.FromEnvironment()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	case link != nil:
		os.Exit(role.Serve(context.Background(), link, programOf(jobs)))
	}
}

// programOf is what roles know of the program.
func programOf(jobs map[string]Build) role.Program {
	p := role.Program{
		Jobs: map[string]func(*stream.Env) error{}, Reserved: reserved, Version: engineVersion(),
		Help: helpOnCluster,
	}
	for name, build := range jobs {
		p.Jobs[name] = build
	}
	return p
}

// engineVersion is the version of this module that the program is built with.
func engineVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/weir-stream/weir" {
			return m.Version
		}
	}
	return info.Main.Version
}
