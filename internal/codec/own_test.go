// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// texts has strings and byte slices wherever they can lie.
type texts struct {
	N      int64
	Name   string
	Raw    []byte
	Pair   [2]string
	List   []string
	Nested struct{ Inner []struct{ Word string } }
	To     *string
	Map    map[string][]string
	hidden string
	At     time.Time
}

// lender cuts strings out of memory that is lent.
type lender struct {
	memory []byte
	next   int
}

func (l *lender) text(s string) string {
	part := l.memory[l.next : l.next+len(s)]
	l.next += copy(part, s)
	return unsafe.String(unsafe.SliceData(part), len(part))
}

func lentTexts(l *lender) texts {
	to := l.text("pointed to")
	t := texts{
		N: 7, Name: l.text("name"), Raw: []byte(nil), Pair: [2]string{l.text("left"), l.text("right")},
		List: []string{l.text("one"), "constant", l.text("three")}, To: &to, hidden: l.text("hidden"),
		Map: map[string][]string{l.text("key"): {l.text("value")}, "other": {"constant"}}, At: time.Unix(5, 0),
	}
	raw := l.text("raw")
	t.Raw = unsafe.Slice(unsafe.StringData(raw), len(raw))
	t.Nested.Inner = []struct{ Word string }{{l.text("inner")}, {}}
	return t
}

func TestOwnerCopiesWhatIsLent(t *testing.T) {
	o := OwnerOf[texts]()
	if !o.Needed() {
		t.Fatal("there is nothing to own")
	}
	l := &lender{memory: make([]byte, 1<<10)}
	rows := []texts{lentTexts(l), {}, lentTexts(l)}
	want := []texts{lentTexts(&lender{memory: make([]byte, 1<<10)}), {}, lentTexts(&lender{memory: make([]byte, 1<<10)})}
	constant := unsafe.StringData(rows[0].List[1])
	o.Own(rows, l.memory)
	for i := range l.memory {
		l.memory[i] = '?'
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("rows became %+v, want %+v", rows, want)
	}
	if unsafe.StringData(rows[0].List[1]) != constant {
		t.Error("a string that was not lent was copied")
	}
	if cap(rows[0].Raw) != len(rows[0].Raw) {
		t.Errorf("a byte slice has room for %d bytes: appending would write over another", cap(rows[0].Raw))
	}
}

func TestOwnerAllocatesOnce(t *testing.T) {
	type row struct {
		Name string
		N    int64
	}
	o := OwnerOf[row]()
	l := &lender{memory: make([]byte, 1<<10)}
	rows := make([]row, 64)
	fill := func() {
		l.next = 0
		for i := range rows {
			rows[i].Name = l.text("name")
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		fill()
		o.Own(rows, l.memory)
	}); n > 1 {
		t.Errorf("%v objects a batch", n)
	}
	if n := testing.AllocsPerRun(100, func() { o.Own(rows, l.memory) }); n > 0 {
		t.Errorf("%v objects a batch that holds nothing lent", n)
	}
}

func TestHoldsText(t *testing.T) {
	type numbers struct {
		A int64
		B []float64
		C map[int32]time.Time
		D *[3]bool
	}
	type recursive struct {
		Next *recursive
		N    int
	}
	for name, c := range map[string]struct{ got, want bool }{
		"numbers":   {HoldsText[numbers](), false},
		"recursive": {HoldsText[recursive](), false},
		"string":    {HoldsText[string](), true},
		"bytes":     {HoldsText[struct{ B []byte }](), true},
		"deep":      {HoldsText[map[int]*[2]struct{ S []string }](), true},
		"hidden":    {HoldsText[struct{ s string }](), true},
		"interface": {HoldsText[struct{ V any }](), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", name, c.got)
		}
	}
	if OwnerOf[numbers]().Needed() || OwnerOf[recursive]().Needed() {
		t.Error("there is something to own in numbers")
	}
}
