// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestKindOf(t *testing.T) {
	cause := errors.New("cause")
	disk := &fs.PathError{Op: "open", Path: "state", Err: fs.ErrNotExist}
	for name, tc := range map[string]struct {
		err  error
		want weirpb.FailureKind
	}{
		"anything else":         {cause, weirpb.FailureKind_FAILURE_KIND_ENGINE},
		"a connector":           {&operator.ConnectorError{Call: "write", Err: cause}, weirpb.FailureKind_FAILURE_KIND_WORLD},
		"a function for it":     {&operator.ConnectorError{Call: "write", Err: &connector.FunctionError{Err: cause}}, weirpb.FailureKind_FAILURE_KIND_USER},
		"user code on a disk":   {&operator.UserError{Name: "map", Err: disk}, weirpb.FailureKind_FAILURE_KIND_USER},
		"a disk":                {disk, weirpb.FailureKind_FAILURE_KIND_WORLD},
		"another task":          {exchange.ErrLost, weirpb.FailureKind_FAILURE_KIND_WORLD},
		"what no restart mends": {fatal{&operator.UserError{Name: "map", Err: cause}}, weirpb.FailureKind_FAILURE_KIND_FATAL},
	} {
		if got := kindOf(fmt.Errorf("task: %w", tc.err)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
