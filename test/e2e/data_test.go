// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/test/flightstest"
)

// months writes n files of each kind: the shipped month, shifted by 31 days each, with other delays and carriers.
func months(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		shift := time.Duration(i) * 31 * 24 * time.Hour
		writeCSV(t, filepath.Join(dir, fmt.Sprintf("flights-%03d.csv.gz", i)), filepath.Join(shipped, "flights-2013-01.csv.gz"),
			func(column, value string) string {
				switch {
				case column == "reported" || column == "scheduled":
					return flightstest.ParseTime(t, value).Add(shift).Format(time.RFC3339)
				case column == "carrier" && value == "UA" && i%2 == 1:
					return "ZZ" // a code without a name
				default:
					return value
				}
			})
		writeCSV(t, filepath.Join(dir, fmt.Sprintf("weather-%03d.csv", i)), filepath.Join(shipped, "weather-2013-01.csv"),
			func(column, value string) string {
				if column == "observed" {
					return flightstest.ParseTime(t, value).Add(shift + time.Duration(i)*time.Minute).Format(time.RFC3339)
				}
				return value
			})
	}
	names, err := os.ReadFile(filepath.Join(shipped, "airlines.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "airlines.csv"), names, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeCSV copies a file, with each value changed.
func writeCSV(t *testing.T, to, from string, change func(column, value string) string) {
	t.Helper()
	rows := flightstest.ReadRecords(t, from)
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for i, row := range rows {
		if i > 0 {
			for c := range row {
				row[c] = change(rows[0][c], row[c])
			}
		}
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	data := b.Bytes()
	if strings.HasSuffix(to, ".gz") {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		if _, err := g.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		data = z.Bytes()
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
