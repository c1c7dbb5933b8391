// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command several is a program with two jobs, each of which writes the numbers up to a limit.
package main

import (
	"strconv"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

func main() {
	weir.MainJobs(map[string]weir.Build{"evens": numbers("evens", 0), "odds": numbers("odds", 1)})
}

func numbers(name string, first int64) weir.Build {
	return func(env *stream.Env) error {
		out := env.Flag("out", "", "directory of the results")
		limit := env.Flag("limit", int64(1000), "how many numbers")
		env.From("numbers", generator.New(func(i int64, out *int64) { *out = 2*i + first }).Limit(limit)).
			Map(func(i *int64) string { return strconv.FormatInt(*i, 10) }).
			To("out", file.LinesSink(out+"/"+name))
		return nil
	}
}
