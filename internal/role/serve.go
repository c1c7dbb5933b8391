// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// What a process with a role finds in its environment; all variables with the prefix are the engine's.
const (
	envRole   = "WEIR_ROLE"
	envFD     = "WEIR_FD"
	envPrefix = "WEIR_"
)

// FromEnvironment returns the link to the parent if the environment says that this process has a role, and nil if it has
// none. It takes what is the engine's out of the environment: neither user code nor what that starts is to see it.
func FromEnvironment() (io.ReadWriteCloser, error) {
	role, number := os.Getenv(envRole), os.Getenv(envFD)
	if role == "" {
		return nil, nil
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			if err := os.Unsetenv(name); err != nil {
				return nil, fmt.Errorf("environment: %w", err)
			}
		}
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 0 {
		return nil, fmt.Errorf("%s is set but %s is %q: want a descriptor", envRole, envFD, number)
	}
	syscall.CloseOnExec(fd)
	// Without it a read would hold a thread.
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("%s=%d is no connection to a parent: %w", envFD, fd, err)
	}
	return os.NewFile(uintptr(fd), "link"), nil
}

// Exit codes of a process with a role. Its parent reads the frames that came before.
const (
	exitDone   = 0
	exitFailed = 1
)

// session is the process in its role.
type session struct {
	program Program
	spec    *weirpb.RoleSpec
	router  *rpc.Router
	link    *rpc.Link
}

// Serve does what the parent at the other end of conn asks for, until that closes it. It returns the exit code of the
// process, which is to end then: what the role has running is not stopped. ctx is the process's own.
func Serve(ctx context.Context, conn io.ReadWriteCloser, p Program) int {
	s := &session{program: p, router: rpc.NewRouter(startLogger(os.Stderr))}
	specs, attached := make(chan *weirpb.RoleSpec, 1), make(chan struct{})
	var attachment *rpc.Attachment // set before attached is closed
	s.link = rpc.NewLink(conn, func(f *weirpb.Frame) {
		if spec := f.GetSpec(); spec != nil {
			select {
			case specs <- spec:
			default: // one is enough
			}
			return
		}
		<-attached
		attachment.Receive(f)
	})
	attachment = s.router.Attach(s.link, true)
	close(attached)
	select {
	case s.spec = <-specs:
	case <-s.link.Done():
		return exitDone
	}
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }() // Owner: the process, which ends when Serve returns
	select {
	case <-s.link.Done():
		return exitDone
	case err := <-done:
		if err == nil {
			return s.leave(exitDone)
		}
		return s.fail(err)
	}
}

// run takes on the role. It returns when there is nothing more to do, or with why it can't be done.
func (s *session) run(ctx context.Context) error {
	if s.spec.GetProtocolMin() > rpc.Protocol || s.spec.GetProtocolMax() < rpc.ProtocolMin {
		return failure{weirpb.FailureKind_FAILURE_KIND_FATAL, fmt.Errorf(
			"the cluster speaks versions %d to %d of the protocol, the program %d to %d: build it with a version of Weir that fits",
			s.spec.GetProtocolMin(), s.spec.GetProtocolMax(), rpc.ProtocolMin, rpc.Protocol)}
	}
	switch r := s.spec.GetRole(); r {
	case weirpb.Role_ROLE_DESCRIBE:
		s.describe()
		return nil
	case weirpb.Role_ROLE_JOB_MASTER:
		return s.jobMaster(ctx)
	case weirpb.Role_ROLE_EXECUTOR:
		return s.executor(ctx)
	case weirpb.Role_ROLE_UNSPECIFIED:
		return fatalf("no role is given")
	default:
		return fatalf("role %v is not known to the program: build it with a newer version of Weir", r)
	}
}

// fail tells the parent why the process gives its role up.
func (s *session) fail(err error) int {
	f := &weirpb.RoleFailed{Error: strings.ToValidUTF8(err.Error(), "\uFFFD"), Kind: weirpb.FailureKind_FAILURE_KIND_WORLD}
	if of, ok := errors.AsType[failure](err); ok {
		f.Kind = of.kind
	}
	s.send(&weirpb.Frame{Body: &weirpb.Frame_Failed{Failed: f}})
	return s.leave(exitFailed)
}

// leave closes the link behind what was sent.
func (s *session) leave(code int) int {
	if err := s.link.Close(); err != nil && code == exitDone {
		return exitFailed
	}
	return code
}

// send passes a frame to the parent; one that ends its link ends the process too.
func (s *session) send(f *weirpb.Frame) { _ = s.link.Send(f) }

// ready tells the parent that the role is taken on.
func (s *session) ready(d *weirpb.JobDescription) {
	s.send(&weirpb.Frame{Body: &weirpb.Frame_Ready{Ready: &weirpb.RoleReady{
		Protocol: min(s.spec.GetProtocolMax(), rpc.Protocol), Version: s.program.Version, Job: d,
	}}})
}

// failure is an error with who is to blame; others are the world's.
type failure struct {
	kind weirpb.FailureKind
	error
}

func (f failure) Unwrap() error { return f.error }

func fatalf(format string, args ...any) error {
	return failure{weirpb.FailureKind_FAILURE_KIND_FATAL, fmt.Errorf(format, args...)}
}

func ofUser(err error) error { return failure{weirpb.FailureKind_FAILURE_KIND_USER, err} }
