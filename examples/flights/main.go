// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command flights turns a month of departures from New York, out of order by most of a day, into two tables: what each
// hour at each airport was like, with its weather, and which carriers were the worst of each day.
//
//	go run ./examples/flights                 results in out/hourly and out/worst
//	go run ./examples/flights --rate 2000     slowly, to watch it, or to kill it: then go on with
//	go run ./examples/flights --restore latest
//
//	flights --+-- by origin: hours (window) --+-- by origin and hour: weather-join --> out/hourly
//	          |                    weather ---+
//	          +-- by day: worst (state and a timer) ---------------------------------> out/worst
package main

import (
	"embed"
	"io/fs"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

func main() { weir.Main("flights", build) }

//go:embed data
var shipped embed.FS

// Flight is a row of flights-*.csv.gz.
type Flight struct {
	Scheduled time.Time
	// DepDelayMin is nil for a flight that never left.
	DepDelayMin *int64
	Carrier     string
	Origin      string
	Cancelled   bool
}

// Weather is a row of weather-*.csv; Sky goes to the result as it is in the source.
type Weather struct {
	Observed time.Time
	Origin   string
	Sky
}

// Sky is what an hour's weather adds to a row of hourly.
type Sky struct {
	WindMph      string
	PrecipIn     string
	VisibilityMi string
}

// restartsMax is how many failures within a minute the job survives.
const restartsMax = 3

// lateness is how far departures may be behind the latest one seen.
const lateness = 24 * time.Hour

func build(env *stream.Env) error {
	in := env.Flag("in", "", "directory of flights-*.csv.gz, weather-*.csv and airlines.csv; the shipped month if empty")
	out := env.Flag("out", "./out", "directory of the results, hourly/ and worst/")
	rate := env.Flag("rate", 0.0, "flights a second, to watch it live; 0 is no limit")
	overwrite := env.Flag("overwrite", false, "delete the results of another run in --out")
	if p := env.Flag("parallelism", 0, "subtasks of each step; 0 is one for each slot"); p > 0 {
		env.Parallelism(p)
	}
	env.Checkpoint(stream.Checkpoints{
		Interval: env.Flag("checkpoint-interval", 10*time.Second, "time between checkpoints"),
	})

	env.Restart(stream.FailureRate(restartsMax, time.Minute, time.Second)) // what can't be read fails the job in the end

	data, err := open(in)
	if err != nil {
		return err
	}
	flights := env.From("flights", rows[Flight](data, "flights-*.csv.gz").Rate(rate)).
		Watermarks(watermark.BoundedOutOfOrderness(lateness, func(f *Flight) time.Time { return f.Scheduled }))
	weather := env.From("weather", rows[Weather](data, "weather-*.csv")).
		Watermarks(watermark.Ascending(func(w *Weather) time.Time { return w.Observed }))

	hourly(flights, weather).
		To("hourly", file.CSVSink[Hour](out+"/hourly").Overwrite(overwrite))
	worst(flights, data).
		To("worst", file.CSVSink[Rank](out+"/worst").Overwrite(overwrite))
	return nil
}

// dataset is where the input files are: the shipped ones, or a directory.
type dataset struct {
	files fs.FS
	dir   string
}

func open(dir string) (dataset, error) {
	if dir != "" {
		return dataset{dir: dir}, nil
	}
	files, err := fs.Sub(shipped, "data")
	return dataset{files: files}, err
}

// rows reads the files of a data set that match a pattern, in order of name.
func rows[T any](d dataset, pattern string) file.Source[T] {
	if d.files != nil {
		return file.CSV[T](pattern).FS(d.files)
	}
	return file.CSV[T](d.dir + "/" + pattern)
}
