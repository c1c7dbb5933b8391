// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/file"
)

type Weather struct {
	WindMPH string `csv:"wind_mph"`
}

type Flight struct {
	Scheduled   time.Time
	DepDelayMin *int
	Plane       string `csv:"tail"`
	Gate        string `csv:"gate,optional"`
	Note        string `csv:"-"`
	Weather
}

// from and to have the constraints with which a job takes its sources and sinks: no type argument is written.
func from[T any, S connector.Split, E any, Src connector.Source[T, S, E]](src Src) string {
	return fmt.Sprintf("%T from %T, bounded %v", *new(T), *new(S), src.Boundedness() == connector.Bounded)
}

func to[T, W, C any, S connector.Sink[T, W, C]](_ []T, _ S) string {
	return fmt.Sprintf("%T as %T", *new(T), *new(C))
}

func Example() {
	fmt.Println(from(file.CSV[Flight]("in/flights-*.csv.gz").Rate(1000)))
	fmt.Println(from(file.JSON[Weather]("in/weather/").OnMalformed(file.Skip)))
	fmt.Println(from(file.Lines("words.txt").FS(os.DirFS("."))))
	fmt.Println(to([]Flight{}, file.CSVSink[Flight]("out/flights").Overwrite(true)))
	fmt.Println(to([]Weather{}, file.JSONSink[Weather]("out/w").RollSize(128<<20).RollInterval(10*time.Minute)))
	fmt.Println(to([]Flight{}, file.CSVSink[Flight]("out/days").PartitionBy(func(f *Flight) string {
		return f.Scheduled.UTC().Format("day=2006-01-02/hour=15")
	})))
	fmt.Println(to([]string{}, file.LinesSink("out/words")))
	// Output:
	// file_test.Flight from file.Split, bounded true
	// file_test.Weather from file.Split, bounded true
	// string from file.Split, bounded true
	// file_test.Flight as file.Pending
	// file_test.Weather as file.Pending
	// file_test.Flight as file.Pending
	// string as file.Pending
}

func ExampleSink_Probe() {
	dir, err := os.MkdirTemp("", "results")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := file.CSVSink[Flight](filepath.Join(dir, "out"))
	fmt.Println(out.Probe(context.Background(), connector.NewRun{JobID: "monday"}))
	fmt.Println(out.Probe(context.Background(), connector.NewRun{JobID: "tuesday"}) != nil)
	fmt.Println(out.Overwrite(true).Probe(context.Background(), connector.NewRun{JobID: "tuesday"}))
	// Output:
	// <nil>
	// true
	// <nil>
}
