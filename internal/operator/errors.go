// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/weir-stream/weir/connector"
)

// UserError says that code of the job failed: it fails the task and counts for the restart strategy. It is of the step
// whose code it was, also where that ran inside the call of a step before it in the chain.
type UserError struct {
	// UID and Name are those of the step; UID is empty for steps without state.
	UID, Name string
	// Err is what the code returned, or the value of the panic.
	Err error
	// Stack is that of the panic; nil where an error was returned.
	Stack []byte
}

// Error names the step, and ends in the stack of the panic if it was one.
func (e *UserError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "user code failed: step %q", e.Name)
	if e.UID != "" {
		fmt.Fprintf(&b, " (uid %q)", e.UID)
	}
	if e.Stack == nil {
		fmt.Fprintf(&b, ": %v", e.Err)
		return b.String()
	}
	fmt.Fprintf(&b, ": panic: %v\n\n%s", e.Err, e.Stack)
	return b.String()
}

// Unwrap returns what the code returned or panicked with.
func (e *UserError) Unwrap() error { return e.Err }

// ConnectorError says that a call of a connector returned an error: what it reads from or writes to failed, as far as
// anyone here can tell. It is no fault of the job's code, unless it wraps a connector.FunctionError.
type ConnectorError struct {
	// Call says which call of which connector failed.
	Call string
	// Err is what it returned.
	Err error
}

// Error is the call and what it returned.
func (e *ConnectorError) Error() string { return e.Call + ": " + e.Err.Error() }

// Unwrap returns what the call returned.
func (e *ConnectorError) Unwrap() error { return e.Err }

// called makes the error of a call of a connector; nil stays nil.
func called(call string, err error) error {
	if err == nil {
		return nil
	}
	return &ConnectorError{Call: call, Err: err}
}

// Blame tells whose failure an error is.
type Blame uint8

// An error is the engine's where it is of nobody else: an invariant is broken.
const (
	OfEngine Blame = iota
	OfUser
	OfConnector
)

// BlameFor tells who failed as far as errors of operators, enumerators and committers say. What user code returned is the
// user's, whatever it wraps and wherever it ran.
func BlameFor(err error) Blame {
	switch {
	case errors.As(err, new(*UserError)), errors.As(err, new(*connector.FunctionError)):
		return OfUser
	case errors.As(err, new(*ConnectorError)):
		return OfConnector
	}
	return OfEngine
}

// failed makes the error of a step whose code returned err.
func (i *Info) failed(err error) error { return &UserError{UID: i.UID, Name: i.Name, Err: err} }

// guard turns a panic into the error of the call, as in
//
//	defer guard(&s.rt.Info, &err)
//
// once a batch. Steps further down the chain have guards of their own, so a panic is of the step that catches it first.
// A violated invariant of the engine is no fault of the user's and is told so.
func guard(i *Info, err *error) {
	v := recover()
	if v == nil {
		return
	}
	stack := trimStack(debug.Stack())
	if text, ok := v.(string); ok && strings.HasPrefix(text, "invariant violated: ") {
		*err = fmt.Errorf("step %q: %s\n\n%s", i.Name, text, stack)
		return
	}
	cause, ok := v.(error)
	if !ok {
		cause = fmt.Errorf("%v", v)
	}
	*err = &UserError{UID: i.UID, Name: i.Name, Err: cause, Stack: stack}
}

// trimStack drops the frames that only tell how the panic was caught.
func trimStack(stack []byte) []byte {
	_, after, ok := bytes.Cut(stack, []byte("\npanic("))
	if !ok {
		return stack
	}
	for range 2 { // the line of the call and that of its place
		_, after, _ = bytes.Cut(after, []byte("\n"))
	}
	return bytes.TrimRight(after, "\n")
}
