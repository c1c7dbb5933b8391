// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv_test

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/csv"
)

// level marshals as text.
type level int

func (l level) MarshalText() ([]byte, error) {
	if l < 0 {
		return nil, errors.New("negative level")
	}
	return fmt.Appendf(nil, "L,%d", int(l)), nil
}

func (l *level) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "L,%d", (*int)(l))
	return err
}

type name string

type embedded struct {
	WindMPH float32
	At      time.Time `csv:"observed"`
}

type everything struct {
	DepDelayMin int
	I8          int8
	U16         uint16
	U64         uint64
	Score       float64
	On          bool
	Text        name
	Raw         []byte
	embedded
	Level   level
	MaybeI  *int32
	MaybeT  *time.Time
	MaybeS  *string
	MaybeL  *level
	Skipped map[string]int `csv:"-"`
	hidden  int
}

const everyColumn = "dep_delay_min,i8,u16,u64,score,on,text,raw,wind_mph,observed,level,maybe_i,maybe_t,maybe_s,maybe_l\n"

func decode[T any](t testing.TB, text string) (rows []T, faults []error) {
	t.Helper()
	d, err := csv.NewDecoder[T]()
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.Head([]byte(text), true)
	if err != nil {
		return nil, []error{err}
	}
	for rest := []byte(text[n:]); len(rest) > 0; {
		var row T
		n, err := d.Decode(rest, true, &row)
		if n == 0 {
			t.Fatalf("no progress at %q", rest)
		}
		rest = rest[n:]
		switch {
		case errors.Is(err, format.ErrNone):
		case err != nil:
			faults = append(faults, err)
		default:
			rows = append(rows, row)
		}
	}
	return rows, faults
}

func encode[T any](t testing.TB, rows ...T) string {
	t.Helper()
	e, err := csv.NewEncoder[T]()
	if err != nil {
		t.Fatal(err)
	}
	text := e.Head(nil)
	for i := range rows {
		if text, err = e.Append(text, &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

func TestEveryKindOfField(t *testing.T) {
	at := time.Date(2013, 1, 1, 10, 15, 0, 500_000_000, time.UTC)
	full := everything{
		-7, -128, 65535, math.MaxUint64, 0.1, true, "a, \"b\"\r\nc", []byte("raw"),
		embedded{2.5, at},
		3,
		new(int32(math.MinInt32)), &at, new(" s "), new(level(4)), nil, 0,
	}
	want := everyColumn +
		"-7,-128,65535,18446744073709551615,0.1,true,\"a, \"\"b\"\"\r\nc\",raw,2.5,2013-01-01T10:15:00.5Z,\"L,3\"," +
		"-2147483648,2013-01-01T10:15:00.5Z, s ,\"L,4\"\n" +
		"0,0,0,0,0,false,,,0,,\"L,0\",,,,\n"
	if got := encode(t, full, everything{}); got != want {
		t.Errorf("encoded\n%q, want\n%q", got, want)
	}
	rows, faults := decode[everything](t, want)
	if len(faults) > 0 || !reflect.DeepEqual(rows, []everything{full, {}}) {
		t.Errorf("decoded %+v, %v", rows, faults)
	}
	rows, faults = decode[everything](t, everyColumn+strings.Repeat(",", 14)+"\n")
	if len(faults) > 0 || !reflect.DeepEqual(rows, []everything{{}}) {
		t.Errorf("empty fields are %+v, %v; want a zero record", rows, faults)
	}
}

func TestTimesAndFloats(t *testing.T) {
	type row struct {
		At time.Time
		F  float64
		G  float32
	}
	rows, faults := decode[row](t, "g,F,AT\n0.1,1e3,2013-01-01T01:00:00+02:00\n")
	if len(faults) > 0 || rows[0].At != time.Date(2012, 12, 31, 23, 0, 0, 0, time.UTC) || rows[0].F != 1000 {
		t.Errorf("decoded %+v, %v", rows, faults)
	}
	tenth := 0.1
	for f, want := range map[float64]string{
		0: "0", 3: "3", -2.5: "-2.5", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-6: "0.000001", 1e-7: "1e-07",
		tenth + 0.2: "0.30000000000000004", math.Inf(1): "+Inf",
	} {
		if got := encode(t, row{F: f, G: 0.1}); got != "at,f,g\n,"+want+",0.1\n" {
			t.Errorf("%v is written as %q", f, got)
		}
	}
	e, err := csv.NewEncoder[row]()
	if err != nil {
		t.Fatal(err)
	}
	before := []byte("kept")
	after, err := e.Append(before, &row{At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)})
	if fault, ok := errors.AsType[*format.Error](err); !ok || fault.Field != "at" || string(after) != "kept" {
		t.Errorf("year 12000: %v, %q", err, after)
	}
}

type pair struct {
	A int
	B string
}

func TestRows(t *testing.T) {
	for text, want := range map[string][]pair{
		"a,b\n1,x\n2,y\n":                  {{1, "x"}, {2, "y"}},
		"a,b\r\n1,x\r\n2,y":                {{1, "x"}, {2, "y"}},
		"\ufeffB,A\nx,1\n":                 {{1, "x"}},
		"\ufeff\"b\",\"a\"\n\"x\",\"1\"\n": {{1, "x"}},
		"b,z,a\nx,\"ignored, \n\",1\n":     {{1, "x"}},
		"a,b\n\n1,\"x\n\ny\"\n\r\n":        {{1, "x\n\ny"}},
		"a,b\n1,\"\"\"q\"\"\"\r\n2,\"\"\n": {{1, `"q"`}, {2, ""}},
		"a,b\n1,\"x\"":                     {{1, "x"}},
		"a,b\n1,\"x\"\r":                   {{1, "x"}},
		"a,b\n,\n":                         {{}},
		"a,b\n1,":                          {{1, ""}},
		"a,b\n\"1\",":                      {{1, ""}},
		"a,b\n":                            nil,
		"a,b":                              nil,
		"\n\na,b\n1,x\n":                   {{1, "x"}},
		" a , b \n1, x \n":                 {{1, " x "}},
		"a,b\n+5,a\rb\n":                   {{5, "a\rb"}},
		"a,b\n1,\xff\n":                    {{1, "\xff"}},
	} {
		rows, faults := decode[pair](t, text)
		if len(faults) > 0 || !reflect.DeepEqual(rows, want) {
			t.Errorf("%q: %+v, %v; want %+v", text, rows, faults, want)
		}
	}
}

func TestMalformedRowsNameTheFieldAndAreSkipped(t *testing.T) {
	for row, want := range map[string]string{
		"x,y\n":                   `field a: "x" is no int: invalid syntax`,
		"1\n":                     "row has 1 fields, header 2",
		"1,2,3\n":                 "row has 3 fields, header 2",
		"x,2,3\n":                 "row has 3 fields, header 2",
		"\"1\",2,3\n":             "row has 3 fields, header 2",
		"\"x\",y\n":               `field a: "x" is no int: invalid syntax`,
		"1,y\"z\"\n":              "field b: a quote within a field that does not begin with one",
		"1,\"y\"z,\n":             "field b: text behind a closing quote",
		"\"1\"\r2,y\n":            "field a: text behind a closing quote",
		"9223372036854775808,y\n": `field a: "9223372036854775808" is no int: value out of range`,
	} {
		rows, faults := decode[pair](t, "a,b\n1,before\n"+row+"2,after\n")
		if len(faults) != 1 || faults[0].Error() != want {
			t.Errorf("%q: %v, want %s", row, faults, want)
		}
		if !reflect.DeepEqual(rows, []pair{{1, "before"}, {2, "after"}}) {
			t.Errorf("%q: the rows around it are %v", row, rows)
		}
	}
	_, faults := decode[pair](t, "a,b\n1,\"never closed\n2,after\n")
	if len(faults) != 1 || faults[0].Error() != "field b: a quote is not closed" {
		t.Errorf("open quote: %v", faults)
	}
	type small struct {
		I int8
		T time.Time
		B bool
		F float32
		L level
	}
	for row, want := range map[string]string{
		"128,,,,\n":                         `field i: "128" is no int8: value out of range`,
		"-129,,,,\n":                        `field i: "-129" is no int8: value out of range`,
		",2013-01-01,,,\n":                  `field t: "2013-01-01" is no time.Time: want RFC 3339, like 2006-01-02T15:04:05Z`,
		",,maybe,,\n":                       `field b: "maybe" is no bool: invalid syntax`,
		",,,1e60,\n":                        `field f: "1e60" is no float32: value out of range`,
		",,,,three\n":                       `field l: "three" is no csv_test.level: input does not match format`,
		strings.Repeat("9", 100) + ",,,,\n": `field i: "` + strings.Repeat("9", 80) + `"... is no int8: value out of range`,
	} {
		if _, faults := decode[small](t, "i,t,b,f,l\n"+row); len(faults) != 1 || faults[0].Error() != want {
			t.Errorf("%q: %v, want %s", row, faults, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	type optional struct {
		A int
		B string `csv:"bee,optional"`
		C int    `csv:",optional"`
	}
	rows, faults := decode[optional](t, "a\n1\n")
	if len(faults) > 0 || rows[0].A != 1 {
		t.Errorf("without the optional columns: %v, %v", rows, faults)
	}
	for text, want := range map[string]string{
		"b\nx\n":       "csv: header lacks column a of csv_test.pair (columns: b)",
		"c\nx\n":       "csv: header lacks column a, b of csv_test.pair (columns: c)",
		"a,b,A\n":      "csv: header names column A twice",
		"":             "csv: no header",
		"\n\r\n":       "csv: no header",
		"\ufeff":       "csv: no header",
		"a,b\"\n1,2\n": "csv: header: a quote within a field that does not begin with one",
	} {
		if _, faults := decode[pair](t, text); len(faults) != 1 || faults[0].Error() != want {
			t.Errorf("%q: %v, want %s", text, faults, want)
		}
	}
}

func TestTypesThatAreNoRows(t *testing.T) {
	type twice struct {
		A int
		B int `csv:"A"`
	}
	type nested struct{ P struct{ X, Y int } }
	type tagged struct {
		a int `csv:"a"`
	}
	type option struct {
		A int `csv:"a,omitempty"`
	}
	_ = tagged{}.a
	for want, build := range map[string]func() error{
		"records are int: want a struct":       fails[int],
		"two fields are column A":              fails[twice],
		"field P: a struct { X int; Y int }":   fails[nested],
		"field a has a csv tag but isn't":      fails[tagged],
		`unknown option "omitempty"`:           fails[option],
		"has no exported fields":               fails[struct{}],
		"a *struct {} can't be a column":       fails[struct{ P *struct{} }],
		"a map[string]int can't be a column":   fails[struct{ M map[string]int }],
		"a []string can't be a column: embed ": fails[struct{ L []string }],
	} {
		if err := build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func fails[T any]() error {
	_, err := csv.NewDecoder[T]()
	if _, other := csv.NewEncoder[T](); (other == nil) != (err == nil) {
		return fmt.Errorf("decoder says %w, encoder %w", err, other)
	}
	return err
}

func TestOneEmptyColumnIsARow(t *testing.T) {
	type one struct{ S string }
	text := encode(t, one{}, one{"x"}, one{})
	rows, faults := decode[one](t, text)
	if len(faults) > 0 || !reflect.DeepEqual(rows, []one{{}, {"x"}, {}}) {
		t.Errorf("%q: %v, %v", text, rows, faults)
	}
}

// texts draws fields that stress quoting.
func texts() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("ab,\"\n\r é")), 0, 8, -1)
}

// TestAgreesWithEncodingCSV reads what another writer wrote, whole and in pieces, and has another reader read ours.
func TestAgreesWithEncodingCSV(t *testing.T) {
	type row struct{ A, B, C string }
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "rows")
		var rows []row
		var text bytes.Buffer
		w := stdcsv.NewWriter(&text)
		_ = w.Write([]string{"c", "a", "b"})
		for range n {
			// encoding/csv reads \r\n within quotes as \n, so \r stands alone nowhere.
			clean := strings.NewReplacer("\r", "")
			r := row{clean.Replace(texts().Draw(t, "a")), clean.Replace(texts().Draw(t, "b")), clean.Replace(texts().Draw(t, "c"))}
			rows = append(rows, r)
			_ = w.Write([]string{r.C, r.A, r.B})
		}
		w.Flush()
		got := inPieces[row](t, text.Bytes(), rapid.IntRange(1, 9).Draw(t, "piece"))
		if !reflect.DeepEqual(got, rows) {
			t.Fatalf("read %q, want %q", got, rows)
		}
		e, err := csv.NewEncoder[row]()
		if err != nil {
			t.Fatal(err)
		}
		ours := e.Head(nil)
		for i := range rows {
			if ours, err = e.Append(ours, &rows[i]); err != nil {
				t.Fatal(err)
			}
		}
		all, err := stdcsv.NewReader(bytes.NewReader(ours)).ReadAll()
		if err != nil || len(all) != n+1 {
			t.Fatalf("encoding/csv reads %q as %q, %v", ours, all, err)
		}
		for i, r := range rows {
			if !reflect.DeepEqual(all[i+1], []string{r.A, r.B, r.C}) {
				t.Fatalf("encoding/csv reads %q, want %q", all[i+1], r)
			}
		}
	})
}

// inPieces decodes text that arrives piece by piece: the decoder must ask for more, and never misread a prefix.
func inPieces[T any](t interface{ Fatalf(string, ...any) }, text []byte, piece int) []T {
	d, err := csv.NewDecoder[T]()
	if err != nil {
		t.Fatalf("%v", err)
	}
	var rows []T
	var buf []byte
	head := false
	for {
		last := len(text) == 0
		for len(buf) > 0 || last && !head {
			var n int
			var err error
			var row T
			if !head {
				n, err = d.Head(buf, last)
				head = n > 0
			} else if n, err = d.Decode(buf, last, &row); n > 0 && err == nil {
				rows = append(rows, row)
			}
			if err != nil && !errors.Is(err, format.ErrNone) {
				t.Fatalf("decode %q: %v", buf, err)
			}
			if n == 0 {
				break
			}
			buf = buf[n:]
		}
		if last {
			if len(buf) > 0 {
				t.Fatalf("left over: %q", buf)
			}
			return rows
		}
		n := min(piece, len(text))
		buf, text = append(bytes.Clone(buf), text[:n]...), text[n:]
	}
}

// FuzzFramerAgreesWithDecoder: the framer finds the ends of records as the decoder does, also of malformed ones, and
// both get to the end of any text.
func FuzzFramerAgreesWithDecoder(f *testing.F) {
	for _, seed := range []string{"1,x\n", "1,\"a\nb\"\r\n2,\"\"\"\"", "1,\"a\"b\n\"", "\"\r", ",\n\n\r\n", "a\"\n\"b,\n"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, last bool) {
		d, err := csv.NewDecoder[pair]()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Head([]byte("a,b\n"), true); err != nil {
			t.Fatal(err)
		}
		var frame csv.Framer
		for len(text) > 0 {
			var row pair
			n, err := d.Decode(text, last, &row)
			if framed := frame.Next(text, last); framed != n {
				t.Fatalf("%q: the decoder takes %d bytes, the framer %d", text, n, framed)
			}
			if n == 0 {
				if last || err != nil {
					t.Fatalf("%q: no progress, %v", text, err)
				}
				return
			}
			text = text[n:]
		}
	})
}

type departure struct {
	Reported, Scheduled time.Time
	DepDelayMin         int
	ArrDelayMin         int
	Carrier             string
	Flight              int32
	Tail, Origin, Dest  string
	AirTimeMin          int
	DistanceMi          int
	Cancelled           bool
}

const departureRow = "2013-01-01T10:17:00Z,2013-01-01T10:15:00Z,2,11,UA,1545,N14228,EWR,IAH,227,1400,false\n"

const departureHead = "reported,scheduled,dep_delay_min,arr_delay_min,carrier,flight,tail,origin,dest,air_time_min,distance_mi,cancelled\n"

func BenchmarkDecode12Columns(b *testing.B) {
	d, err := csv.NewDecoder[departure]()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Head([]byte(departureHead), true); err != nil {
		b.Fatal(err)
	}
	text := []byte(strings.Repeat(departureRow, 1000))
	b.SetBytes(int64(len(departureRow)))
	b.ReportAllocs()
	rest, row := text, departure{}
	for b.Loop() {
		if len(rest) == 0 {
			rest = text
		}
		row = departure{}
		n, err := d.Decode(rest, false, &row)
		if err != nil {
			b.Fatal(err)
		}
		rest = rest[n:]
	}
}

// BenchmarkEncodingCSV12Columns is the reference: the standard reader, which only cuts the row into strings.
func BenchmarkEncodingCSV12Columns(b *testing.B) {
	text := strings.Repeat(departureRow, 1000)
	b.SetBytes(int64(len(departureRow)))
	b.ReportAllocs()
	r := stdcsv.NewReader(strings.NewReader(text))
	r.ReuseRecord = true
	for b.Loop() {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			r = stdcsv.NewReader(strings.NewReader(text))
			r.ReuseRecord = true
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode12Columns(b *testing.B) {
	e, err := csv.NewEncoder[departure]()
	if err != nil {
		b.Fatal(err)
	}
	rows, faults := decode[departure](b, departureHead+departureRow)
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		if buf, err = e.Append(buf[:0], &rows[0]); err != nil {
			b.Fatal(err)
		}
	}
}
