// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package ttl is the time to live of fields of a state struct: the tag that asks for it, and the clock that the
// collections of package state read while the engine lends a row. Time is processing time and always given.
//
//	Calls int64                `weir:",ttl=30m"`               expires half an hour after it was last written
//	Best  state.Value[Bid]     `weir:"best,ttl=1h"`            so does a value
//	Seen  state.List[int64]    `weir:",ttl=24h,refresh=read"`  each element on its own, a read renews it
package ttl

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Clock is what a collection with a time to live needs to know. A field's clock is shared by all rows of a table, and
// the table sets Now once a batch.
type Clock struct {
	// Now is processing time in Unix nanoseconds.
	Now int64
	// TTL is in nanoseconds and positive.
	TTL int64
	// OnRead tells that a read renews what it sees.
	OnRead bool
}

// Expired reports whether what was written at that time has lived its time.
func (c *Clock) Expired(written int64) bool { return c.Now-written >= c.TTL }

// Tag is a `weir:"name,ttl=30m,refresh=read"` tag. A TTL of zero is none.
type Tag struct {
	Name   string
	Skip   bool
	TTL    time.Duration
	OnRead bool
}

// ParseTag reads the tag of a field. The error names the field.
func ParseTag(f reflect.StructField) (Tag, error) {
	text := f.Tag.Get("weir")
	if text == "-" {
		return Tag{Skip: true}, nil
	}
	parts := strings.Split(text, ",")
	tag := Tag{Name: parts[0]}
	if tag.Name == "" {
		tag.Name = f.Name
	}
	refresh := ""
	for _, option := range parts[1:] {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "ttl":
			d, err := time.ParseDuration(value)
			if err != nil {
				return Tag{}, fmt.Errorf("field %s: ttl of tag %q: %w", f.Name, text, err)
			}
			if d <= 0 {
				return Tag{}, fmt.Errorf("field %s: ttl of tag %q must be positive", f.Name, text)
			}
			tag.TTL = d
		case "refresh":
			if value != "read" && value != "write" {
				return Tag{}, fmt.Errorf("field %s: refresh of tag %q must be read or write", f.Name, text)
			}
			refresh = value
		default:
			return Tag{}, fmt.Errorf("field %s: tag %q has an unknown option %q", f.Name, text, option)
		}
	}
	if refresh != "" && tag.TTL == 0 {
		return Tag{}, fmt.Errorf("field %s: tag %q has a refresh but no ttl", f.Name, text)
	}
	tag.OnRead = refresh == "read"
	return tag, nil
}
