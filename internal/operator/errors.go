// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"strings"
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
