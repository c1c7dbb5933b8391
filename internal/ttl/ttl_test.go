// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package ttl

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseTag(t *testing.T) {
	t.Parallel()
	tests := []struct {
		tag  string
		want Tag
		err  string
	}{
		{``, Tag{Name: "F"}, ""},
		{`weir:"-"`, Tag{Skip: true}, ""},
		{`weir:"old"`, Tag{Name: "old"}, ""},
		{`weir:",ttl=30m"`, Tag{Name: "F", TTL: 30 * time.Minute}, ""},
		{`weir:"n,ttl=1h,refresh=read"`, Tag{Name: "n", TTL: time.Hour, OnRead: true}, ""},
		{`weir:"n,refresh=write,ttl=1s"`, Tag{Name: "n", TTL: time.Second}, ""},
		{`weir:",ttl=soon"`, Tag{}, "field F: ttl of tag"},
		{`weir:",ttl=0s"`, Tag{}, "must be positive"},
		{`weir:",ttl=-1s"`, Tag{}, "must be positive"},
		{`weir:",ttl=1s,refresh=never"`, Tag{}, "must be read or write"},
		{`weir:",refresh=read"`, Tag{}, "no ttl"},
		{`weir:",tll=1s"`, Tag{}, `unknown option "tll=1s"`},
	}
	for _, test := range tests {
		got, err := ParseTag(reflect.StructField{Name: "F", Tag: reflect.StructTag(test.tag)})
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.tag, got, test.want)
		}
		if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", test.tag, err, test.err)
		}
	}
}
