// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
)

// assignee takes what an enumerator assigns to one reader.
type assignee struct {
	splits []Split
	noMore bool
}

func (a *assignee) Readers() []int                { return []int{0} }
func (a *assignee) Assign(_ int, splits ...Split) { a.splits = append(a.splits, splits...) }
func (a *assignee) NoMoreSplits(int)              { a.noMore = true }
func (a *assignee) Fail(err error)                { panic(err) }
func (a *assignee) Logger() *slog.Logger          { return slog.New(slog.DiscardHandler) }

func TestFilesComeInOrderOfName(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{
		"b.txt": []byte("3\n4"), "a.txt.gz": gz(t, "1\n2\n"), "c.txt.zst": zst(t, "5\n"), ".hidden": []byte("no"),
	})
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	embedded := os.DirFS(dir)
	for name, test := range map[string]struct {
		src  Source[string]
		want string
	}{
		"directory":          {Lines(dir), "1 2 3 4 5"},
		"directory with /":   {Lines(dir + "/"), "1 2 3 4 5"},
		"file":               {Lines(filepath.Join(dir, "b.txt")), "3 4"},
		"glob":               {Lines(filepath.Join(dir, "[ab].*")), "1 2 3 4"},
		"all":                {Lines(filepath.Join(dir, "*")), "1 2 3 4 5"},
		"hidden on demand":   {Lines(filepath.Join(dir, ".*")), "no"},
		"embedded glob":      {Lines("*.txt*").FS(embedded), "1 2 3 4 5"},
		"embedded all":       {Lines(".").FS(embedded), "1 2 3 4 5"},
		"embedded one":       {Lines("./c.txt.zst").FS(embedded), "5"},
		"small parts":        {Lines(dir).splits(1), "1 2 3 4 5"},
		"resolved directory": {resolved(t, Lines("."), dir), "1 2 3 4 5"},
		"resolved embedded":  {resolved(t, Lines("b*").FS(embedded), "/nowhere"), "3 4"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := readAll(t, test.src)
			if got := strings.Join(rows, " "); err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func resolved[T any](t *testing.T, s Source[T], dir string) Source[T] {
	t.Helper()
	s, err := s.Resolve(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRateIsSharedByThoseWhoRead tells readers how many of them there is something for.
func TestRateIsSharedByThoseWhoRead(t *testing.T) {
	for parts, want := range map[int]int{1: 1, 2: 2, 9: 4} {
		readers := &assignments{readers: 4}
		e := newEnumerator(readers, cutter{size: 100}, "", &Progress{
			Listed: true, Parts: parts, Files: []File{{Path: "f.gz", Size: 10}},
		})
		if err := e.ReaderReady(3); err != nil {
			t.Fatal(err)
		}
		if len(readers.splits) != 1 || readers.splits[0].Readers != want {
			t.Errorf("%d parts: assigned %+v, want a share among %d readers", parts, readers.splits, want)
		}
	}
	c := cutter{size: 100}
	for file, want := range map[File]int{{Path: "a.gz", Size: 1e6}: 1, {Path: "a", Size: 149}: 1, {Path: "a", Size: 1000}: 10} {
		if got := c.parts(file); got != want {
			t.Errorf("%+v makes %d parts, want %d", file, got, want)
		}
	}
}

// assignments keeps what an enumerator assigns.
type assignments struct {
	connector.EnumeratorContext[Split]
	readers int
	splits  []Split
}

func (a *assignments) Readers() []int                { return make([]int, a.readers) }
func (a *assignments) Assign(_ int, splits ...Split) { a.splits = append(a.splits, splits...) }

func TestNothingToRead(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"empty.csv": {}, "none.csv.gz": gz(t, "")})
	for _, pattern := range []string{"missing.csv", "*.json", "folder/*"} {
		_, err := readAll(t, Lines(filepath.Join(dir, pattern)))
		if !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: %v, want ErrNoFile with the pattern", pattern, err)
		}
	}
	if _, err := readAll(t, Lines(filepath.Join(dir, "[-"))); err == nil || errors.Is(err, ErrNoFile) {
		t.Errorf("bad pattern: %v", err)
	}
	rows, err := readAll(t, CSV[flight](filepath.Join(dir, "*.csv*")))
	if err != nil || len(rows) > 0 {
		t.Errorf("empty files: %v, %v", rows, err)
	}
}

type reading struct {
	A int
	B string
}

func TestMalformedRecords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "readings.csv")
	writeFiles(t, dir, map[string][]byte{"readings.csv": []byte("a,b\n1,x\n2,\"two\nlines\"\nthree,y\n\n4,z\n5\n6,z\n")})
	_, err := readAll(t, CSV[reading](path))
	m, ok := errors.AsType[*Malformed](err)
	if !ok {
		t.Fatalf("read: %v, want a *Malformed", err)
	}
	if m.Path != path || m.Line != 5 || m.Offset != 22 || m.Field != "a" || m.Text != "three,y" {
		t.Errorf("path %s, line %d, byte %d, field %s, text %q", m.Path, m.Line, m.Offset, m.Field, m.Text)
	}
	if want := path + `, line 5, field a: malformed record: "three" is no int: invalid syntax`; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}

	rt := connectortest.NewRuntime(0, 1, 1)
	rows, _, err := readAllAs(t, CSV[reading](path).OnMalformed(Skip), rt)
	if want := []reading{{1, "x"}, {2, "two\nlines"}, {4, "z"}, {6, "z"}}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("skipping: %v, %v; want %v", rows, err, want)
	}
	if n := rt.Counted("malformed"); n != 2 {
		t.Errorf("counted %d", n)
	}

	side := func(m *Malformed) reading { return reading{-int(m.Line), m.Field + "|" + m.Text} }
	rows, err = readAll(t, CSV[reading](path).MalformedTo(side))
	if want := []reading{{1, "x"}, {2, "two\nlines"}, {-5, "a|three,y"}, {4, "z"}, {-8, "|5"}, {6, "z"}}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("side output: %v, %v; want %v", rows, err, want)
	}
}

// TestLinesAreUnknownInLaterParts: the error names the byte instead.
func TestLinesAreUnknownInLaterParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.csv")
	if err := os.WriteFile(path, []byte("a,b\n1,x\n2,y\nthree,z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readAll(t, CSV[reading](path).splits(5))
	if err == nil || !strings.HasPrefix(err.Error(), path+", byte 12, field a:") {
		t.Errorf("read: %v", err)
	}
}

func TestFilesThatChange(t *testing.T) {
	text := strings.Repeat("0123456\n", 100)
	for name, test := range map[string]struct {
		change func(path string) error
		from   int64
		want   string
	}{
		"vanished":                  {os.Remove, 0, "no such file"},
		"shrank below the end":      {func(p string) error { return os.Truncate(p, 400) }, 0, "the file shrank"},
		"shrank below the position": {func(p string) error { return os.Truncate(p, 400) }, 600, "the file shrank"},
		"shrank to nothing":         {func(p string) error { return os.Truncate(p, 0) }, 8, "the file shrank"},
	} {
		for _, fsys := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", fs ", fsys), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "f.txt")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := test.change(path); err != nil {
					t.Fatal(err)
				}
				src, split := Lines(dir), Split{Path: path, To: 800, Pos: test.from}
				if fsys {
					src, split.Path = src.FS(plainFS{os.DirFS(dir)}), "f.txt"
				}
				err := readSplit(t, src, split)
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), split.Path) {
					t.Errorf("read: %v, want the path and %q", err, test.want)
				}
			})
		}
	}
}

func TestAFileIsReadAsItWasListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.txt")
	if err := os.WriteFile(path, []byte("1\n2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rt := connectortest.NewRuntime(0, 1, 1)
	r, err := Lines(path).NewReader(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	if err := r.Add([]Split{{Path: path, To: 4}}); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[string](10)
	for {
		if _, err = r.Poll(b); !errors.Is(err, connector.ErrWait) {
			break
		}
		rt.Wait(t)
	}
	if !errors.Is(err, connector.ErrSplitEnd) || !slices.Equal(b.Rows(), []string{"1", "2"}) {
		t.Errorf("got %v, %v", b.Rows(), err)
	}
}

// readSplit reads a split until an error, or to its end.
func readSplit[T any](t *testing.T, src Source[T], s Split) error {
	t.Helper()
	rt := connectortest.NewRuntime(0, 1, 1)
	r, err := src.NewReader(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	if err := r.Add([]Split{s}); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := r.Poll(element.NewBatch[T](100))
		switch {
		case errors.Is(err, connector.ErrWait):
			rt.Wait(t)
		case errors.Is(err, connector.ErrSplitEnd):
			return nil
		case err != nil:
			return err
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	whole := gz(t, strings.Repeat("line\n", 10_000))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-5]++ // the checksum
	long := append(bytes.Repeat([]byte{'x'}, recordBytesMax+1), '\n')
	dir := t.TempDir()
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"short.gz":    {whole[:len(whole)/2], "unexpected EOF"},
		"damaged.gz":  {damaged, "invalid checksum"},
		"plain.gz":    {[]byte("this is plain text"), "invalid header"},
		"plain.zst":   {[]byte("this is plain text"), "magic number"},
		"long.txt":    {long, "record is longer than"},
		"head.csv":    {[]byte("A\n1\n"), "header lacks column b"},
		"damaged.csv": {[]byte("a,b\n1,\"x\n"), "line 2, field b: malformed record: a quote is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			writeFiles(t, dir, map[string][]byte{name: test.text})
			path := filepath.Join(dir, name)
			var err error
			if strings.HasSuffix(name, ".csv") {
				_, err = readAll(t, CSV[reading](path))
			} else {
				_, err = readAll(t, Lines(path))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("read: %v, want the path and %q", err, test.want)
			}
		})
	}
}

// TestPartsBeginWithRecords cuts random CSV text, with line ends in quotes and malformed rows, at all sizes: together
// the parts hold what the whole does, and each begins where a row begins.
func TestPartsBeginWithRecords(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.SampledFrom([]string{
			"1,x\n", "2,\"a\nb,\"\"\n\"\"\"\r\n", "\n", "3,\n", "broken\n", "4,a\"b\n", "5,\"x\"y\n", "66,\"\n\n\n\n\n\"\n",
		}), 1, 30).Draw(rt, "rows")
		text := "a,b\n" + strings.Join(rows, "")
		path := filepath.Join(dir, "f.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		src := CSV[reading](path).MalformedTo(func(m *Malformed) reading { return reading{-1, m.Text} })
		want, _, err := readAllAs(t, src, connectortest.NewRuntime(0, 1, 1))
		if err != nil {
			rt.Fatal(err)
		}
		size := rapid.Int64Range(1, int64(len(text))).Draw(rt, "size")
		got, parts, err := readAllAs(t, src.splits(size), connectortest.NewRuntime(0, 1, 1))
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("in parts of %d: %+v, %v; want %+v", size, got, err, want)
		}
		for i, p := range parts {
			if i > 0 && p.From != parts[i-1].To || p.To-p.From < min(size, int64(len(text))-p.From) {
				rt.Fatalf("parts %+v", parts)
			}
		}
	})
}

func TestResolveRefusesTypesThatCantBeRead(t *testing.T) {
	if _, err := CSV[int]("x").Resolve("/"); err == nil {
		t.Error("a source of CSV rows that are int is accepted")
	}
	if _, err := CSVSink[chan int]("x").Resolve("/"); err == nil {
		t.Error("a sink of CSV rows that are channels is accepted")
	}
	s, err := CSVSink[reading]("x/y").Resolve("/base")
	if err != nil || s.dir != "/base/x/y" {
		t.Errorf("resolved to %q, %v", s.dir, err)
	}
	if s, _ = s.Resolve("/other"); s.dir != "/base/x/y" {
		t.Errorf("an absolute directory became %q", s.dir)
	}
	if _, err := CSVSink[reading]("x/y").Resolve(""); err == nil || !strings.Contains(err.Error(), `"x/y" is relative`) {
		t.Errorf("without a directory, a relative one gives: %v", err)
	}
}

// BenchmarkRead reads the text of a file to records, through everything but the disk.
func BenchmarkRead(b *testing.B) {
	const row = "2013-01-01T10:15:00Z,N14228,2,1545,false\n"
	text := "scheduled,tail,dep_delay_min,number,cancelled\n" + strings.Repeat(row, 200_000)
	fsys := fstest.MapFS{"f.csv": &fstest.MapFile{Data: []byte(text)}}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rt := connectortest.NewRuntime(0, 1, 1)
		r, err := CSV[flight]("f.csv").FS(fsys).NewReader(b.Context(), rt)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Add([]Split{{Path: "f.csv", To: int64(len(text))}}); err != nil {
			b.Fatal(err)
		}
		batch := element.NewBatch[flight](512)
		for {
			batch.Reset()
			_, err := r.Poll(batch)
			if errors.Is(err, connector.ErrSplitEnd) {
				break
			}
			if errors.Is(err, connector.ErrWait) {
				rt.Wait(b)
			} else if err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*200_000/b.Elapsed().Seconds(), "rows/s")
}
