// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package json_test

import (
	"fmt"

	"github.com/weir-stream/weir/format/json"
)

func ExampleDecoder() {
	type record struct {
		Name string
		N    int
	}
	var row record
	text := []byte("{\"name\": \"one\", \"n\": 1}\n{\"name\": \"two\"}\n")
	n, err := json.NewDecoder[record]().Decode(text, false, &row)
	fmt.Println(row, n, err)
	// Output: {one 1} 24 <nil>
}
