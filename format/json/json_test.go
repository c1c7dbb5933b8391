// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package json_test

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/json"
)

type inner struct{ Deep int }

type row struct {
	Name  string `json:"name"`
	Inner inner
	F     float64 `json:",omitempty"`
}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		text  string
		last  bool
		n     int
		want  row
		err   error
		field string
	}{
		{text: `{"name":"a<b","Inner":{"Deep":1}}` + "\nrest", n: 34, want: row{Name: "a<b", Inner: inner{1}}},
		{text: `{"name":"a"}` + "\r\n", n: 14, want: row{Name: "a"}},
		{text: `{"name":"a"}`, n: 0},
		{text: `{"name":"a"}`, last: true, n: 12, want: row{Name: "a"}},
		{text: " \r\n{}", n: 3, err: format.ErrNone},
		{text: `{"name":1}` + "\n", n: 11, err: &format.Error{}, field: "name"},
		{text: `{"Inner":{"Deep":"x"}}` + "\n", n: 23, err: &format.Error{}, field: "Inner.Deep"},
		{text: "{\n", n: 2, err: &format.Error{}},
	} {
		var got row
		n, err := json.NewDecoder[row]().Decode([]byte(test.text), test.last, &got)
		if n != test.n {
			t.Errorf("%q: length %d, want %d", test.text, n, test.n)
		}
		fault, isFault := errors.AsType[*format.Error](err)
		_, wantFault := errors.AsType[*format.Error](test.err)
		switch {
		case isFault != wantFault || (err == nil) != (test.err == nil):
			t.Errorf("%q: %v, want %v", test.text, err, test.err)
		case isFault && fault.Field != test.field:
			t.Errorf("%q: field %q, want %q", test.text, fault.Field, test.field)
		case err == nil && got != test.want:
			t.Errorf("%q: %+v, want %+v", test.text, got, test.want)
		}
	}
}

func TestEncodedIsDecoded(t *testing.T) {
	e := json.NewEncoder[row]()
	rows := []row{{Name: "a\nb<&>\u2028"}, {Inner: inner{-1}, F: 0.1}, {}}
	text := e.Head(nil)
	for i := range rows {
		var err error
		if text, err = e.Append(text, &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	var back []row
	for len(text) > 0 {
		var r row
		n, err := json.NewDecoder[row]().Decode(text, false, &r)
		if err != nil || n == 0 {
			t.Fatalf("%q: %d, %v", text, n, err)
		}
		back, text = append(back, r), text[n:]
	}
	if !reflect.DeepEqual(back, rows) {
		t.Errorf("read back %+v, want %+v", back, rows)
	}
	before := []byte("kept")
	after, err := e.Append(before, &row{F: math.NaN()})
	if _, ok := errors.AsType[*format.Error](err); !ok || string(after) != "kept" {
		t.Errorf("NaN: %v, %q", err, after)
	}
	text, err = e.Append(nil, &row{Name: "<"})
	if want := `{"name":"<","Inner":{"Deep":0}}` + "\n"; err != nil || string(text) != want {
		t.Errorf("encoded %q, %v; want %q", text, err, want)
	}
}
