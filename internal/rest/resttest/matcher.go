// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package resttest

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// matcher compares bodies with the shapes that were recorded. A field that no shape has is an error unless it is one
// of Weir's, and one that is missing is an error unless it may be.
type matcher struct {
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
func (m matcher) match(shape, value any, place string) error {
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

func (m matcher) matchObject(shape, object map[string]any, place string) error {
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

func (m matcher) matchType(types string, value any, place string) error {
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
