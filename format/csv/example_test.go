// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv_test

import (
	"fmt"

	"github.com/weir-stream/weir/format/csv"
)

func ExampleEncoder() {
	type hour struct {
		Origin     string
		MeanDelay  *float64 `csv:"mean_delay_min"`
		NumFlights int
	}
	e, err := csv.NewEncoder[hour]()
	if err != nil {
		panic(err)
	}
	mean := 2.5
	text := e.Head(nil)
	for _, h := range []hour{{"EWR", &mean, 4}, {"J,F,K", nil, 0}} {
		if text, err = e.Append(text, &h); err != nil {
			panic(err)
		}
	}
	fmt.Print(string(text))
	// Output:
	// origin,mean_delay_min,num_flights
	// EWR,2.5,4
	// "J,F,K",,0
}
