// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"fmt"
	"strings"
)

// Policy is what a malformed record does.
type Policy uint8

const (
	// Fail fails the task with a *Malformed.
	Fail Policy = iota
	// Skip drops the record and counts it in the metric "malformed".
	Skip
)

// Malformed is a record that can't be decoded. It is an error that names the file, the line and the field.
type Malformed struct {
	Path string
	// Line counts from 1; it is 0 where it isn't known, in later parts of large files.
	Line int64
	// Offset is where the record begins in the decompressed stream.
	Offset int64
	// Field is empty where the record as a whole is malformed.
	Field string
	// Text is the record as it was read, without the line end.
	Text string
	Err  error
}

// Error names file, line and field.
func (m *Malformed) Error() string {
	var b strings.Builder
	b.WriteString(m.Path)
	if m.Line > 0 {
		fmt.Fprintf(&b, ", line %d", m.Line)
	} else {
		fmt.Fprintf(&b, ", byte %d", m.Offset)
	}
	if m.Field != "" {
		fmt.Fprintf(&b, ", field %s", m.Field)
	}
	fmt.Fprintf(&b, ": malformed record: %v", m.Err)
	return b.String()
}

// Unwrap returns what the decoder said.
func (m *Malformed) Unwrap() error { return m.Err }
