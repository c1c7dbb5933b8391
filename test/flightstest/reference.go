// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package flightstest computes what the flights example must write, by a plain program that shares nothing with it, and
// compares that with what a run has left behind.
package flightstest

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Expected is what the flights example must compute, as sorted rows.
type Expected struct{ hourly, worst []string }

type hourKey struct {
	hour   time.Time
	origin string
}

type hourSum struct{ flights, cancelled, late, left, sum int64 }

type carrierSum struct{ departures, left, sum int64 }

// Reference computes it for a directory of flights-*.csv.gz, weather-*.csv and airlines.csv.
func Reference(t *testing.T, dir string) Expected {
	t.Helper()
	hours := map[hourKey]*hourSum{}
	days := map[string]map[string]*carrierSum{}
	for _, name := range matches(t, dir, "flights-*.csv.gz") {
		for _, f := range readCSV(t, name) {
			at := ParseTime(t, f["scheduled"])
			key := hourKey{at.Truncate(time.Hour), f["origin"]}
			h := hours[key]
			if h == nil {
				h = &hourSum{}
				hours[key] = h
			}
			h.flights++
			if f["cancelled"] == "true" {
				h.cancelled++
				continue
			}
			day := at.Format(time.DateOnly)
			if days[day] == nil {
				days[day] = map[string]*carrierSum{}
			}
			c := days[day][f["carrier"]]
			if c == nil {
				c = &carrierSum{}
				days[day][f["carrier"]] = c
			}
			c.departures++
			if f["dep_delay_min"] == "" {
				continue
			}
			delay, err := strconv.ParseInt(f["dep_delay_min"], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			c.left++
			c.sum += delay
			h.left++
			h.sum += delay
			if delay > 15 {
				h.late++
			}
		}
	}
	return Expected{hourlyRows(hours, weather(t, dir)), worstRows(days, airlines(t, dir))}
}

// weather is the latest row of each hour and origin: wind, rain, visibility.
func weather(t *testing.T, dir string) map[hourKey][3]string {
	t.Helper()
	latest := map[hourKey]time.Time{}
	sky := map[hourKey][3]string{}
	for _, name := range matches(t, dir, "weather-*.csv") {
		for _, w := range readCSV(t, name) {
			at := ParseTime(t, w["observed"])
			key := hourKey{at.Truncate(time.Hour), w["origin"]}
			if !at.Before(latest[key]) {
				latest[key] = at
				sky[key] = [3]string{w["wind_mph"], w["precip_in"], w["visibility_mi"]}
			}
		}
	}
	return sky
}

func airlines(t *testing.T, dir string) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, a := range readCSV(t, filepath.Join(dir, "airlines.csv")) {
		names[a["carrier"]] = a["name"]
	}
	return names
}

func hourlyRows(hours map[hourKey]*hourSum, sky map[hourKey][3]string) []string {
	var rows []string
	for key, h := range hours {
		mean := ""
		if h.left > 0 {
			mean = decimals(h.sum, h.left)
		}
		s := sky[key]
		rows = append(rows, fmt.Sprintf("%s|%s|%d|%d|%d|%s|%s|%s|%s", key.hour.UTC().Format(time.RFC3339), key.origin,
			h.flights, h.cancelled, h.late, mean, s[0], s[1], s[2]))
	}
	slices.Sort(rows)
	return rows
}

func worstRows(days map[string]map[string]*carrierSum, names map[string]string) []string {
	type ranked struct {
		name string
		mean *big.Rat
		sum  *carrierSum
	}
	var rows []string
	for day, carriers := range days {
		var all []ranked
		for code, c := range carriers {
			if c.departures < 50 || c.left == 0 {
				continue
			}
			name := names[code]
			if name == "" {
				name = code
			}
			all = append(all, ranked{name, big.NewRat(c.sum, c.left), c})
		}
		slices.SortFunc(all, func(a, b ranked) int {
			if c := b.mean.Cmp(a.mean); c != 0 {
				return c
			}
			if a.name < b.name {
				return -1
			}
			return 1
		})
		for i, r := range all[:min(3, len(all))] {
			rows = append(rows, fmt.Sprintf("%s|%d|%s|%d|%s", day, i+1, r.name, r.sum.departures, decimals(r.sum.sum, r.sum.left)))
		}
	}
	slices.Sort(rows)
	return rows
}

// decimals rounds an exact fraction to two decimals, half away from zero.
func decimals(sum, n int64) string {
	s := big.NewRat(sum, n).FloatString(2)
	if s == "-0.00" {
		return "0.00"
	}
	return s
}

// ParseTime reads a time of an input file.
func ParseTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func matches(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// readCSV reads a file with a header as maps by column.
func readCSV(t *testing.T, name string) []map[string]string {
	t.Helper()
	records := ReadRecords(t, name)
	rows := make([]map[string]string, 0, len(records))
	for _, rec := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// ReadRecords reads a file, gzipped or not, header included.
func ReadRecords(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	var r io.Reader = f
	if filepath.Ext(name) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return records
}
