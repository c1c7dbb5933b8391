// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// parent is the supervisor that started this process, if one did: with it the process ends.
type parent struct {
	link *rpc.Link
	// gone is closed when the parent has ended; suspend when it asked for the end with the jobs suspended.
	gone    <-chan struct{}
	suspend chan struct{}
}

// openParent takes the link that a supervisor left in the environment. Without one nothing ever comes.
func openParent() *parent {
	p := &parent{suspend: make(chan struct{})}
	fd, err := strconv.Atoi(os.Getenv(process.EnvFD))
	if err != nil {
		return p
	}
	// What this process starts has another parent.
	_, _ = os.Unsetenv(process.EnvFD), os.Unsetenv(process.EnvRole)
	asked := false
	p.link = rpc.NewLink(os.NewFile(uintptr(fd), "supervisor"), func(f *weirpb.Frame) {
		if f.GetEnvelope().GetJobRequest().GetSuspend() != nil && !asked {
			asked = true
			close(p.suspend)
		}
	})
	p.gone = p.link.Done()
	return p
}
