// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
)

type row struct {
	Name string
	N    int
}

func TestSink(t *testing.T) {
	connectortest.Sink(t, connectortest.SinkConfig[row, connector.None, collect.Committable[row]]{
		New: func(*testing.T) connectortest.Place[row, connector.None, collect.Committable[row]] {
			c := collect.New[row]()
			return connectortest.Place[row, connector.None, collect.Committable[row]]{Sink: c.Sink(), Visible: c.Rows}
		},
		Row: func(i int) row { return row{fmt.Sprint("row ", i), i} },
	})
}

func TestTakeForgets(t *testing.T) {
	c := collect.New[int]()
	committer, err := c.Sink().NewCommitter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := []collect.Committable[int]{{ID: "a", Rows: []int{1, 2}}}
	if err := committer.Commit(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got := c.Take(); !reflect.DeepEqual(got, []int{1, 2}) {
		t.Errorf("took %v", got)
	}
	if err := committer.Commit(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got := c.Rows(); len(got) != 0 {
		t.Errorf("a committable that was taken came back: %v", got)
	}
}

type deep struct {
	Text string
	List []string
	By   map[string][]byte
	At   *string
	Any  any
	Pair [2]string
}

// TestOwnsWhatRecordsReferTo overwrites the memory behind a record after Write, as an exchange that lends strings does.
func TestOwnsWhatRecordsReferTo(t *testing.T) {
	text := []byte("abc")
	lent := unsafe.String(&text[0], len(text))
	list, blob, at := []string{lent}, []byte("blob"), lent
	c := collect.New[deep]()
	w, err := c.Sink().NewWriter(t.Context(), connectortest.NewRuntime(0, 1, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[deep](1)
	*b.Append() = deep{lent, list, map[string][]byte{"k": blob}, &at, lent, [2]string{lent, ""}}
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	copy(text, "xyz")
	copy(blob, "....")
	list[0], at = "gone", "gone"
	committables, err := w.PrepareCommit(t.Context(), 1)
	if err != nil || len(committables) != 1 {
		t.Fatal(committables, err)
	}
	got := committables[0].Rows[0]
	abc := "abc"
	want := deep{abc, []string{abc}, map[string][]byte{"k": []byte("blob")}, &abc, abc, [2]string{abc, ""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kept %+v, want %+v", got, want)
	}
}
