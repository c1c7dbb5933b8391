// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package lines_test

import (
	"fmt"

	"github.com/weir-stream/weir/format/lines"
)

func ExampleDecoder() {
	var line string
	text, d := []byte("one\r\ntwo\n"), lines.NewDecoder()
	for len(text) > 0 {
		n, err := d.Decode(text, true, &line)
		fmt.Printf("%q %v\n", line, err)
		text = text[n:]
	}
	// Output:
	// "one" <nil>
	// "two" <nil>
}
