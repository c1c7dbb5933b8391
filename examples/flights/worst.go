// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// Rank is a row of the result: one of the three carriers with the worst mean delay of a day.
type Rank struct {
	Day          string
	Rank         int64
	Carrier      string
	Departures   int64
	MeanDelayMin string
}

const (
	// ranked is how many carriers of a day are named, and departuresMin how many departures qualify one.
	ranked        = 3
	departuresMin = 50
	// lateCounter counts rows whose hour or day is over, beside those that windows drop.
	lateCounter = "lateRecordsDropped"
)

// worst ranks the carriers of each day when the day is over: a keyed process function with state and a timer.
func worst(flights stream.Stream[Flight], data dataset) stream.Stream[Rank] {
	return flights.
		KeyBy(func(f *Flight) int64 { return dayOf(f.Scheduled) }).
		ProcessRich("ranking", func() *ranking { return &ranking{data: data} })
}

// carriers is the state of a day.
type carriers struct{ Of state.Map[string, carrier] }

// carrier is a carrier's day: flights that were not cancelled, and the mean of the delays that are known.
type carrier struct {
	Departures int64
	Delay      mean
}

// ranking is the process function; the names of the carriers are read once a subtask.
type ranking struct {
	stream.Lifecycle
	data  dataset
	names map[string]string
}

// Open reads airlines.csv.
func (r *ranking) Open(context.Context, *stream.RuntimeContext) (err error) {
	r.names, err = r.data.airlines()
	return err
}

// Process adds a departure to its carrier's mean.
func (r *ranking) Process(day *carriers, ctx *stream.Ctx[int64], in *Flight, _ *stream.Out[Rank]) error {
	end := dayStart(ctx.Key() + 1).Add(-time.Nanosecond)
	if !ctx.Watermark().Before(end) {
		ctx.Runtime().Counter(lateCounter).Add(1)
		ctx.Delete()
		return nil
	}
	if !in.Cancelled {
		c := day.Of.At(in.Carrier)
		c.Departures++
		if in.DepDelayMin != nil {
			c.Delay.add(*in.DepDelayMin)
		}
	}
	ctx.EventTimer(end)
	return nil
}

// OnTimer ranks the carriers of the day.
func (r *ranking) OnTimer(day *carriers, ctx *stream.Ctx[int64], _ stream.Timer, out *stream.Out[Rank]) error {
	type candidate struct {
		name string
		carrier
	}
	var all []candidate
	for code, c := range day.Of.All() {
		if c.Departures >= departuresMin && c.Delay.Count > 0 {
			all = append(all, candidate{cmp.Or(r.names[code], code), *c})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(b.Delay.compare(&a.Delay), cmp.Compare(a.name, b.name))
	})
	for i, c := range all[:min(ranked, len(all))] {
		out.Emit(Rank{dayStart(ctx.Key()).Format(time.DateOnly), int64(i + 1), c.name, c.Departures, c.Delay.String()})
	}
	ctx.Delete()
	return nil
}

// airlines reads the names of the carriers by code.
func (d dataset) airlines() (map[string]string, error) {
	files := d.files
	if files == nil {
		files = os.DirFS(d.dir)
	}
	f, err := files.Open("airlines.csv")
	if err != nil {
		return nil, fmt.Errorf("names of carriers: %w", err)
	}
	rows, err := csv.NewReader(f).ReadAll()
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, fmt.Errorf("names of carriers: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("names of carriers: airlines.csv is empty")
	}
	code, name := slices.Index(rows[0], "carrier"), slices.Index(rows[0], "name")
	if code < 0 || name < 0 {
		return nil, fmt.Errorf("names of carriers: airlines.csv has the columns %q, want carrier and name", rows[0])
	}
	names := make(map[string]string, len(rows))
	for _, row := range rows[1:] {
		names[row[code]] = row[name]
	}
	return names, nil
}

const secondsOfDay = 24 * 60 * 60

// dayOf is the number of the UTC day since the epoch, rounded down also before it.
func dayOf(at time.Time) int64 {
	s := at.Unix()
	if s < 0 {
		s -= secondsOfDay - 1
	}
	return s / secondsOfDay
}

func dayStart(day int64) time.Time { return time.Unix(day*secondsOfDay, 0).UTC() }
