// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command odd is a job whose description goes wrong, in a way that an argument picks.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

func main() { weir.Main("odd", build) }

func build(env *stream.Env) error {
	how := env.Flag("how", "", "clock, endless, error, panic or exit")
	name := "numbers"
	switch how {
	case "clock":
		name = fmt.Sprint("numbers of ", time.Now().UnixNano())
	case "endless":
		fmt.Println("describing for ever")
		select {}
	case "error":
		return errors.New("there is no such thing")
	}
	env.From("numbers", generator.New(func(i int64, out *int64) { *out = i }).Rate(1000)).
		Map(func(i *int64) int64 { return *i + 1 }).Name(name).
		To("nowhere", connector.Each(func(_ context.Context, i *int64) error {
			switch {
			case how == "panic" && *i == 100:
				panic("it is a hundred")
			case how == "exit" && *i == 100:
				fmt.Println("leaving at a hundred")
				os.Exit(7)
			}
			return nil
		}))
	return nil
}
