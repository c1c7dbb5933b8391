// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// errorBytesMax bounds the text of a failure: a stack is long, a record may be longer.
const errorBytesMax = 64 << 10

// fatal failures can't be mended by a restart.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// kindOf tells who failed: what user code returned is the user's whatever it wraps, what connectors return, disks,
// connections and other tasks are the world's, all else is ours.
func kindOf(err error) weirpb.FailureKind {
	blame := operator.BlameFor(err)
	var path *fs.PathError
	var call *os.SyscallError
	var no syscall.Errno
	var network net.Error
	switch {
	case errors.As(err, new(fatal)):
		return weirpb.FailureKind_FAILURE_KIND_FATAL
	case blame == operator.OfUser:
		return weirpb.FailureKind_FAILURE_KIND_USER
	case blame == operator.OfConnector, errors.Is(err, exchange.ErrClosed), errors.Is(err, exchange.ErrLost), errors.Is(err, errInjected),
		errors.As(err, &path), errors.As(err, &call), errors.As(err, &no), errors.As(err, &network):
		return weirpb.FailureKind_FAILURE_KIND_WORLD
	}
	return weirpb.FailureKind_FAILURE_KIND_ENGINE
}

// errInjected marks failures that a test asked for.
var errInjected = errors.New("failure by request")

// textOf is the text of a failure as a message can carry it.
func textOf(err error) string {
	if err == nil {
		return "the task failed without an error"
	}
	text := err.Error()
	if len(text) > errorBytesMax {
		text = text[:errorBytesMax] + " [...]"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
