// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

type word struct {
	Text string
	N    int64
}

// A job inside a service: Run starts it and gives a handle; it touches no signals, flags, loggers nor standard output.
func ExampleRun() {
	counts := collect.New[word]()
	build := func(env *stream.Env) error {
		lines := env.From("lines", generator.Slice("to be or not", "to be"))
		lines.
			FlatMap(func(line *string, out *stream.Out[word]) {
				for w := range strings.FieldsSeq(*line) {
					out.Emit(word{w, 1})
				}
			}).
			Filter(func(w *word) bool { return w.Text == "be" }).
			KeyBy(func(w *word) string { return w.Text }).
			Sum("count", func(w *word) *int64 { return &w.N }).
			To("out", counts.Sink())
		return nil
	}
	job, err := weir.Run(context.Background(), "words", build, weir.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := job.Wait(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(job.Status(), job.Metrics()["lines"].RecordsOut, "lines:", counts.Rows())
	// Output: FINISHED 2 lines: [{be 1} {be 2}]
}

// A service that stops goes on where it was, when it is started again with the same directory.
func ExampleHandle_Suspend() {
	ctx, dir := context.Background(), "" // a directory in earnest: without one, checkpoints end with the process
	build := func(env *stream.Env) error {
		env.From("numbers", generator.New(func(i int64, out *int64) { *out = i })).
			To("out", collect.New[int64]().Sink())
		return nil
	}
	job, err := weir.Run(ctx, "numbers", build, weir.Options{CheckpointDir: dir, Restore: "latest"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := job.Suspend(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(job.Status())
	// Output: SUSPENDED
}
