// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command blocked is a job whose user code never returns: no barrier passes it, so it can't be stopped with a checkpoint.
package main

import (
	"context"
	"fmt"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

func main() { weir.Main("blocked", build) }

func build(env *stream.Env) error {
	env.From("numbers", generator.New(func(i int64, out *int64) { *out = i })).
		To("nowhere", connector.Each(func(context.Context, *int64) error {
			fmt.Println("blocked")
			select {}
		}))
	return nil
}
