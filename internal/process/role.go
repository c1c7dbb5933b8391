// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Why a program does not take on its role; all but the last two are for the one who made the program to mend.
var (
	// ErrNotWeir: it ended well without a word.
	ErrNotWeir = errors.New("process: not a job program of Weir")
	// ErrOtherPlatform: this machine can't run it.
	ErrOtherPlatform = errors.New("process: program for another platform")
	// ErrCrashed: it ended before it had taken on its role.
	ErrCrashed = errors.New("process: program crashed at its start")
	// ErrProtocol: it is too old or too new for this build.
	ErrProtocol = errors.New("process: protocol not spoken")
	// ErrNoAnswer: it runs, but has not answered in time.
	ErrNoAnswer = errors.New("process: program does not answer")
	// ErrKilledForMemory: it took too much memory before it answered.
	ErrKilledForMemory = errors.New("process: program takes too much memory")
)

// Refused is the error of a program that can't take on its role, in its own words.
type Refused struct {
	Text string
	Kind weirpb.FailureKind
}

// Error implements error.
func (r *Refused) Error() string { return r.Text }

// KindOf says who failed when StartRole did.
func KindOf(err error) weirpb.FailureKind {
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		return refused.Kind
	case errors.Is(err, ErrNotWeir), errors.Is(err, ErrOtherPlatform), errors.Is(err, ErrProtocol):
		return weirpb.FailureKind_FAILURE_KIND_FATAL
	case errors.Is(err, ErrCrashed), errors.Is(err, ErrNoAnswer), errors.Is(err, ErrKilledForMemory):
		return weirpb.FailureKind_FAILURE_KIND_USER
	default:
		return weirpb.FailureKind_FAILURE_KIND_WORLD
	}
}

// Answer is what a program says when it has taken on its role: Description if that was to describe, else Ready.
type Answer struct {
	Ready       *weirpb.RoleReady
	Description *weirpb.Description
}

// StartRole starts a program in a role and waits until it has taken it on, for up to timeout or until ctx ends. All other
// frames go to c.Receive, also those that come before the answer, and a later RoleFailed: the program gives its role up.
// After an error nothing of the process is left.
func StartRole(ctx context.Context, c Config, spec *weirpb.RoleSpec, timeout time.Duration) (*Process, *Answer, error) {
	answers := make(chan *weirpb.Frame, 1)
	receive, said := c.Receive, false
	c.Receive = func(f *weirpb.Frame) {
		switch f.GetBody().(type) {
		case *weirpb.Frame_Ready, *weirpb.Frame_Failed, *weirpb.Frame_Description:
			if !said {
				said = true
				answers <- f
				return
			}
		}
		receive(f)
	}
	p, err := Start(c)
	if err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w: %s is %s, and this machine is %s/%s: build it with GOOS=%[4]s GOARCH=%[5]s CGO_ENABLED=0",
				ErrOtherPlatform, c.Path, platformOf(c.Path), runtime.GOOS, runtime.GOARCH)
		}
		return nil, nil, err
	}
	spec.ProtocolMin, spec.ProtocolMax = rpc.ProtocolMin, rpc.Protocol
	p.Send(&weirpb.Frame{Body: &weirpb.Frame_Spec{Spec: spec}}) // if it fails, the process has ended
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var answer *Answer
	select {
	case f := <-answers:
		answer, err = answered(f)
	case <-p.Done():
		select {
		case f := <-answers: // it answered and ended
			answer, err = answered(f)
		default:
			err = endedWithoutAnswer(p.Exit())
		}
	case <-timer.C:
		err = fmt.Errorf("%w: %s has not answered within %v: it does not call weir.Main, or its build function does not end",
			ErrNoAnswer, c.Path, timeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		p.Stop(0)
		return nil, nil, err
	}
	return p, answer, nil
}

// answered reads the first answer of a program.
func answered(f *weirpb.Frame) (*Answer, error) {
	if r := f.GetFailed(); r != nil {
		return nil, &Refused{Text: r.GetError(), Kind: r.GetKind()}
	}
	a := &Answer{Ready: f.GetReady(), Description: f.GetDescription()}
	if r := a.Ready; r != nil && (r.GetProtocol() < rpc.ProtocolMin || r.GetProtocol() > rpc.Protocol) {
		return nil, fmt.Errorf("%w: the program, of version %s, speaks version %d, and this build %d to %d: build it with "+
			"a version of Weir that fits", ErrProtocol, r.GetVersion(), r.GetProtocol(), rpc.ProtocolMin, rpc.Protocol)
	}
	return a, nil
}

func endedWithoutAnswer(e Exit) error {
	switch {
	case e.OOM:
		return fmt.Errorf("%w: it %v", ErrKilledForMemory, e)
	case e.Code == 0:
		return fmt.Errorf("%w, as it never called weir.Main: it %v", ErrNotWeir, e)
	default:
		return fmt.Errorf("%w, before weir.Main had taken over: it %v", ErrCrashed, e)
	}
}

// platformOf says what a program was built for.
func platformOf(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "no program that Go has built"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return "for " + settings["GOOS"] + "/" + settings["GOARCH"]
}
