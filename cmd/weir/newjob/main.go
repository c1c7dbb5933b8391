// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command newjob counts the words of text files.
package main

import (
	"strings"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
)

// Count is how often a word was seen up to some line.
type Count struct {
	Word  string
	Times int64
}

func main() { weir.Main("newjob", build) }

func build(env *stream.Env) error {
	in := env.Flag("in", "words.txt", "files of text to count the words of")
	out := env.Flag("out", "counts", "directory of the result")
	overwrite := env.Flag("overwrite", false, "delete the results of another run in --out")

	env.From("lines", file.Lines(in)).
		FlatMap(words).
		KeyBy(func(c *Count) string { return c.Word }).
		Sum("count", func(c *Count) *int64 { return &c.Times }).
		To("out", file.CSVSink[Count](out).Overwrite(overwrite))
	return nil
}

// words hands on each word of a line.
func words(line *string, out *stream.Out[Count]) {
	for word := range strings.FieldsSeq(*line) {
		out.Emit(Count{strings.ToLower(word), 1})
	}
}
