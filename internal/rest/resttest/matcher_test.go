// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package resttest

import (
	"strconv"
	"strings"
	"testing"
)

func TestMatcherCatches(t *testing.T) {
	t.Parallel()
	m := matcher{
		ours:     map[string]bool{"weir": true},
		optional: func(field string, _ map[string]any) bool { return field == "end" },
		more:     map[string][]string{"state": {"FAILING"}},
	}
	shape := map[string]any{
		"id": "hex32", "n": "int", "f": "float|string:NaN", "state": "string:RUNNING|FINISHED", "value": "numeric string",
		"tasks": map[string]any{"<hex32>": map[string]any{"size": "int"}}, "list": []any{"int"}, "end": "int",
		"op": map[string]any{"one of": []any{"null", map[string]any{"location": "string"}}},
	}
	id := strings.Repeat("a", 32)
	good := func() map[string]any {
		return map[string]any{
			"id": id, "n": 1.0, "f": 0.5, "state": "RUNNING", "value": "12.5", "op": nil, "list": []any{1.0},
			"tasks": map[string]any{id: map[string]any{"size": 1.0}}, "weir": true,
		}
	}
	if err := m.match(shape, good(), ""); err != nil {
		t.Errorf("the body is right, and it says: %v", err)
	}
	for field, values := range map[string][]any{
		"f": {"NaN"}, "state": {"FINISHED", "FAILING"}, "value": {"-3", "1E10"}, "op": {map[string]any{"location": "x"}},
	} {
		for _, v := range values {
			body := good()
			body[field] = v
			if err := m.match(shape, body, ""); err != nil {
				t.Errorf("%s may be %v, and it says: %v", field, v, err)
			}
		}
	}
	for field, values := range map[string][]any{
		"id": {"xyz", 1.0}, "n": {1.5, "1", nil}, "f": {"Infinity", true}, "state": {"SLEEPING", nil}, "value": {"abc", 1.0},
		"tasks": {map[string]any{"x": map[string]any{"size": 1.0}}, map[string]any{id: map[string]any{}}, []any{}},
		"list":  {[]any{"a"}, map[string]any{}}, "op": {map[string]any{"location": 1.0}, "x"}, "other": {1.0},
	} {
		for _, v := range values {
			body := good()
			body[field] = v
			if m.match(shape, body, "") == nil {
				t.Errorf("%s = %v passes", field, v)
			}
		}
	}
	body := good()
	delete(body, "n")
	if m.match(shape, body, "") == nil {
		t.Error("a missing field passes")
	}
	if isType("int", strconv.Itoa(1)) {
		t.Error("text passes as a number")
	}
}
