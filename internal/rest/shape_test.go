// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shapeMatcher compares bodies with the shapes that were recorded. A field that no shape has is an error unless it is one
// of Weir's, and one that is missing is an error unless it may be.
type shapeMatcher struct {
	// ours are fields that Weir adds; optional tells those that an object need not have.
	ours     map[string]bool
	optional func(field string, object map[string]any) bool
	// more are values of enumerations that the recording did not meet, by the name of the field.
	more map[string][]string
}

var (
	hex32   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	numeric = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// match returns the first difference, with its place.
func (m shapeMatcher) match(shape, value any, place string) error {
	switch s := shape.(type) {
	case string:
		return m.matchType(s, value, place)
	case []any:
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s: %v is no list", place, value)
		}
		for i, v := range list {
			if len(s) > 0 {
				if err := m.match(s[0], v, fmt.Sprintf("%s[%d]", place, i)); err != nil {
					return err
				}
			}
		}
		return nil
	case map[string]any:
		if variants, ok := s["one of"].([]any); ok {
			var all []string
			for _, v := range variants {
				err := m.match(v, value, place)
				if err == nil {
					return nil
				}
				all = append(all, err.Error())
			}
			return fmt.Errorf("%s: none of the variants: %s", place, strings.Join(all, "; "))
		}
		object, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %v is no object", place, value)
		}
		return m.matchObject(s, object, place)
	}
	return fmt.Errorf("%s: the shape %v is not understood", place, shape)
}

func (m shapeMatcher) matchObject(shape, object map[string]any, place string) error {
	if len(shape) == 0 {
		return nil // an object of anything
	}
	for _, keys := range []struct {
		name string
		is   func(string) bool
	}{{"<hex32>", hex32.MatchString}, {"<key>", func(string) bool { return true }}} {
		element, ok := shape[keys.name]
		if !ok {
			continue
		}
		for k, v := range object {
			if !keys.is(k) {
				return fmt.Errorf("%s: the key %q is no %s", place, k, keys.name)
			}
			if err := m.match(element, v, place+"."+k); err != nil {
				return err
			}
		}
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		element, ok := shape[k]
		if !ok {
			if m.ours[k] {
				continue
			}
			return fmt.Errorf("%s: Flink has no field %s", place, k)
		}
		if err := m.match(element, object[k], place+"."+k); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(shape)) {
		if _, ok := object[k]; !ok && !m.optional(k, object) {
			return fmt.Errorf("%s: the field %s is missing", place, k)
		}
	}
	return nil
}

func (m shapeMatcher) matchType(types string, value any, place string) error {
	field := place[strings.LastIndex(place, ".")+1:]
	if i := strings.Index(field, "["); i >= 0 {
		field = field[:i]
	}
	var texts []string
	for t := range strings.SplitSeq(types, "|") {
		if isType(t, value) {
			return nil
		}
		if text, ok := strings.CutPrefix(t, "string:"); ok {
			texts = append(texts, text)
		} else if len(texts) > 0 {
			texts = append(texts, t) // "string:A|B" goes on
		}
	}
	if text, ok := value.(string); ok && len(texts) > 0 && slices.Contains(append(texts, m.more[field]...), text) {
		return nil
	}
	return fmt.Errorf("%s: %v is not of %s", place, value, types)
}

func isType(t string, value any) bool {
	switch v := value.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "bool"
	case float64:
		return t == "float" || t == "int" && v == math.Trunc(v)
	case string:
		return t == "string" || t == "hex32" && hex32.MatchString(v) || t == "numeric string" && numeric.MatchString(v)
	}
	return false
}

func TestShapeMatcherCatches(t *testing.T) {
	t.Parallel()
	m := shapeMatcher{
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
