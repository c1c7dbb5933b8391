// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"fmt"

	"github.com/weir-stream/weir/state"
)

// account is the state of an operator: one row a key.
type account struct {
	Balance int64
	Limit   state.Value[int64]
	Recent  state.List[string]         `weir:"recent,ttl=1h"`
	ByShop  state.Map[string, float64] `weir:"by_shop"`
}

// A row is used through its fields.
func Example() {
	var row account // the engine lends it to the function
	row.Balance += 40
	row.Recent.Append("book")
	*row.ByShop.At("corner") += 12.5
	fmt.Println(row.Balance, row.Recent.Len(), row.ByShop.Len())
	// Output: 40 1 1
}

func ExampleValue() {
	var limit state.Value[int64]
	_, ok := limit.Get()
	fmt.Println(ok)
	limit.Set(0)
	v, ok := limit.Get()
	fmt.Println(v, ok)
	// Output:
	// false
	// 0 true
}

func ExampleList_DeleteFunc() {
	var waiting state.List[int]
	for i := range 6 {
		waiting.Append(i)
	}
	waiting.DeleteFunc(func(v *int) bool { return *v%2 == 0 })
	for v := range waiting.All() {
		fmt.Print(*v, " ")
	}
	// Output: 1 3 5
}

// Entries come by ascending key, and the current one may be deleted.
func ExampleMap_All() {
	var m state.Map[string, int]
	m.Put("pear", 3)
	m.Put("apple", 0)
	m.Put("plum", 1)
	for k, v := range m.All() {
		if *v == 0 {
			m.Delete(k)
			continue
		}
		fmt.Println(k, *v)
	}
	fmt.Println(m.Len())
	// Output:
	// pear 3
	// plum 1
	// 2
}
