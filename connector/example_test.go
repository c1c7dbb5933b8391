// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/stream"
)

// The shortest sink: a function that is called for each record, from each subtask.
func ExampleEach() {
	var mu sync.Mutex
	var seen []int
	job, err := weir.Run(context.Background(), "each", func(env *stream.Env) error {
		env.From("numbers", generator.Slice(3, 1, 2)).
			To("out", connector.Each(func(_ context.Context, n *int) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, *n)
				return nil
			}))
		return nil
	}, weir.Options{})
	if err == nil {
		err = job.Wait()
	}
	slices.Sort(seen)
	fmt.Println(seen, err)
	// Output: [1 2 3] <nil>
}
