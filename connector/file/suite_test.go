// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format"
)

// flight is a record with a field of most kinds.
type flight struct {
	Number    int64
	Scheduled time.Time
	Tail      string
	Delay     *float64 `csv:"dep_delay_min"`
	Cancelled bool
	Note      string `csv:",optional"`
}

func flightRow(i int) flight {
	f := flight{
		Number: int64(i), Scheduled: time.Unix(int64(i)*977, 0).UTC(), Tail: fmt.Sprint("N", i*31), Cancelled: i%7 == 0,
		Note: fmt.Sprintf("note, \"%d\"\nand a second line", i),
	}
	if i%3 > 0 {
		delay := float64(i) / 4
		f.Delay = &delay
	}
	return f
}

func flightKey(f *flight) string {
	delay := "-"
	if f.Delay != nil {
		delay = strconv.FormatFloat(*f.Delay, 'g', -1, 64)
	}
	return fmt.Sprint(f.Number, f.Scheduled, f.Tail, delay, f.Cancelled, f.Note)
}

func flights(n int) []flight {
	rows := make([]flight, n)
	for i := range rows {
		rows[i] = flightRow(i)
	}
	return rows
}

// csvText writes rows as another program might: quoted where it needs to be, \r\n at some line ends, with columns that
// nobody asked for in another order.
func csvText(rows []flight) string {
	var b strings.Builder
	b.WriteString("\ufeffCANCELLED,unknown,dep_delay_min,number,scheduled,note,tail\r\n")
	for _, f := range rows {
		delay := ""
		if f.Delay != nil {
			delay = strconv.FormatFloat(*f.Delay, 'g', -1, 64)
		}
		end := "\n"
		if f.Number%2 == 0 {
			end = "\r\n"
		}
		fmt.Fprintf(&b, "%v,\"a \"\"b\"\"\",%s,%d,%s,\"%s\",%s%s", f.Cancelled, delay, f.Number,
			f.Scheduled.Format(time.RFC3339), strings.ReplaceAll(f.Note, `"`, `""`), f.Tail, end)
	}
	return b.String()
}

func gz(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	return w.EncodeAll([]byte(text), nil)
}

// closed closes at the end of a test.
func closed(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// flightFiles spreads rows over files, plain and compressed.
func flightFiles(t testing.TB, rows []flight) map[string][]byte {
	t.Helper()
	n := len(rows)
	return map[string][]byte{
		"flights-1.csv":     []byte(csvText(rows[:n/2])),
		"flights-2.csv.gz":  append(gz(t, csvText(rows[n/2:n*3/4])), gz(t, "")...), // two members
		"flights-3.csv.zst": zst(t, csvText(rows[n*3/4:])),
		"flights-4.csv":     {},
		".flights-5.csv":    []byte("hidden"),
		"other.txt":         []byte("no match"),
	}
}

func writeFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSource(t *testing.T) {
	rows := flights(120)
	dir := t.TempDir()
	files := flightFiles(t, rows)
	writeFiles(t, dir, files)
	embedded := fstest.MapFS{}
	for name, text := range files {
		embedded["in/"+name] = &fstest.MapFile{Data: text}
	}
	for name, src := range map[string]Source[flight]{
		"glob":             CSV[flight](filepath.Join(dir, "flights-*")),
		"small splits":     CSV[flight](filepath.Join(dir, "flights-*")).splits(1000),
		"rate":             CSV[flight](filepath.Join(dir, "flights-*")).Rate(3000),
		"fs":               CSV[flight]("in/flights-*").FS(embedded).splits(2000),
		"fs without seeks": CSV[flight]("in/flights-*").FS(plainFS{embedded}).splits(2000),
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Source(t, connectortest.SourceConfig[flight, Split, Progress]{
				New:  func(*testing.T) connector.Source[flight, Split, Progress] { return src },
				Want: rows,
				Key:  flightKey,
			})
		})
	}
}

func TestLineSources(t *testing.T) {
	dir := t.TempDir()
	var text, values strings.Builder
	var wantLines []string
	for i := range 100 {
		line := fmt.Sprint("line ", i, strings.Repeat(".", i))
		wantLines = append(wantLines, line)
		fmt.Fprintf(&text, "%s\n", line)
		fmt.Fprintf(&values, "{\"number\":%d,\"tail\":\"é%d\"}\r\n\n", i, i)
	}
	writeFiles(t, dir, map[string][]byte{
		"a.txt": []byte(strings.TrimSuffix(text.String(), "\n")), "b.jsonl": []byte(values.String()),
	})
	t.Run("lines", func(t *testing.T) {
		connectortest.Source(t, connectortest.SourceConfig[string, Split, Progress]{
			New: func(*testing.T) connector.Source[string, Split, Progress] {
				return Lines(filepath.Join(dir, "a.txt")).splits(700)
			},
			Want: wantLines,
		})
	})
	var wantValues []flight
	for i := range 100 {
		wantValues = append(wantValues, flight{Number: int64(i), Tail: fmt.Sprint("é", i)})
	}
	t.Run("json", func(t *testing.T) {
		connectortest.Source(t, connectortest.SourceConfig[flight, Split, Progress]{
			New: func(*testing.T) connector.Source[flight, Split, Progress] {
				return JSON[flight](filepath.Join(dir, "b.*")).splits(700)
			},
			Want: wantValues,
			Key:  flightKey,
		})
	})
}

// splits sets the size of splits.
func (s Source[T]) splits(size int64) Source[T] {
	s.splitSize = size
	return s
}

// plainFS has files that can only be read from the start.
type plainFS struct{ of fs.FS }

type plainFile struct{ of fs.File }

func (p plainFS) Open(name string) (fs.File, error) {
	f, err := p.of.Open(name)
	if err != nil {
		return nil, err
	}
	if dir, ok := f.(fs.ReadDirFile); ok {
		return dir, nil
	}
	return plainFile{f}, nil
}

func (p plainFile) Stat() (fs.FileInfo, error)  { return p.of.Stat() }
func (p plainFile) Read(to []byte) (int, error) { return p.of.Read(to[:min(len(to), 100)]) }
func (p plainFile) Close() error                { return p.of.Close() }

func TestSinks(t *testing.T) {
	t.Run("csv", func(t *testing.T) { sinkSuite(t, CSVSink[flight]("/out"), flightRow, flightKey) })
	t.Run("csv, rolled after every record", func(t *testing.T) {
		sinkSuite(t, CSVSink[flight]("/out").RollSize(1), flightRow, flightKey)
	})
	t.Run("json", func(t *testing.T) { sinkSuite(t, JSONSink[flight]("/out").RollSize(300), flightRow, flightKey) })
	t.Run("lines", func(t *testing.T) { sinkSuite(t, LinesSink("/out"), strconv.Itoa, nil) })
	t.Run("partitions", func(t *testing.T) { sinkSuite(t, LinesSink("/out").PartitionBy(byLastDigit), strconv.Itoa, nil) })
}

func sinkSuite[T any](t *testing.T, sink Sink[T], row func(int) T, key func(*T) string) {
	t.Helper()
	type place = connectortest.Place[T, connector.None, Pending]
	connectortest.Sink(t, connectortest.SinkConfig[T, connector.None, Pending]{
		New: func(t *testing.T) place {
			t.Helper()
			d := newMemDisk()
			sink.disk = d
			return place{
				Sink:    sink,
				Visible: func() []T { return finished(t, d, decoderOf[T](t, sink.suffix)) },
				Destroy: func() {
					for name := range d.files {
						if strings.HasPrefix(filepath.Base(name), ".part-") {
							delete(d.files, name)
						}
					}
				},
			}
		},
		Row: row, Key: key,
	})
}

// decoderOf returns the decoder of what a sink with that suffix writes.
func decoderOf[T any](t testing.TB, suffix string) format.Decoder[T] {
	t.Helper()
	src := any(Lines(""))
	switch suffix {
	case ".csv":
		src = CSV[T]("")
	case ".jsonl":
		src = JSON[T]("")
	}
	dec, err := src.(Source[T]).decoder()
	if err != nil {
		t.Fatal(err)
	}
	return dec
}

// readAll reads a source by one reader, in order.
func readAll[T any](t testing.TB, src Source[T]) ([]T, error) {
	t.Helper()
	rows, _, err := readAllAs(t, src, connectortest.NewRuntime(0, 1, 1))
	return rows, err
}

func readAllAs[T any](t testing.TB, src Source[T], rt *connectortest.Runtime) (rows []T, splits []Split, err error) {
	t.Helper()
	to := &assignee{}
	enum, err := src.NewEnumerator(t.Context(), to, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := enum.Start(t.Context()); err != nil {
		return nil, nil, err
	}
	r, err := src.NewReader(t.Context(), rt)
	if err != nil {
		return nil, nil, err
	}
	defer closed(t, r)
	if err := enum.ReaderReady(0); err != nil {
		return nil, nil, err
	}
	for {
		if len(to.splits) > 0 {
			splits = append(splits, to.splits...)
			if err := r.Add(to.splits); err != nil {
				return rows, splits, err
			}
			to.splits = nil
		} else if to.noMore {
			r.NoMoreSplits()
		}
		b := element.NewBatch[T](element.MaxRows)
		_, err := r.Poll(b)
		rows = append(rows, b.Rows()...)
		switch {
		case errors.Is(err, connector.ErrWait):
			rt.Wait(t)
		case errors.Is(err, connector.ErrSplitEnd):
			if err := enum.ReaderReady(0); err != nil {
				return rows, splits, err
			}
		case errors.Is(err, io.EOF):
			return rows, splits, nil
		case err != nil:
			return rows, splits, err
		}
	}
}
