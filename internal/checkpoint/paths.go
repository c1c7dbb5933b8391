// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"fmt"
	"strings"
)

// IsAbs reports whether a path in metadata is absolute: from the root, or with a scheme.
func IsAbs(path string) bool { return strings.HasPrefix(path, "/") || strings.Contains(path, "://") }

// Join makes a path below a location absolute, and leaves one that is.
func Join(location, path string) string {
	if IsAbs(path) {
		return path
	}
	return strings.TrimSuffix(location, "/") + "/" + path
}

// SavepointName names the directory of a savepoint, below the one that the user gave; ids never repeat in a run.
func SavepointName(jobID string, id int64) string {
	return fmt.Sprintf("savepoint-%s-%d", jobID[:min(6, len(jobID))], id)
}

// Rebased returns a copy of m in which relative paths are below location: metadata that can be kept elsewhere than its
// files.
func (m *Metadata) Rebased(location string) *Metadata {
	c := *m
	c.Operators = append([]Operator(nil), m.Operators...)
	for i := range c.Operators {
		op := &c.Operators[i]
		op.Subtasks = append([]Subtask(nil), op.Subtasks...)
		for s := range op.Subtasks {
			h := &op.Subtasks[s].State
			h.Segments = append([]Segment(nil), h.Segments...)
			for j := range h.Segments {
				if p := &h.Segments[j].Path; *p != "" {
					*p = Join(location, *p)
				}
			}
		}
	}
	return &c
}
