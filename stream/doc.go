// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package stream describes jobs: typed streams, their transformations, state and time. Describing runs nothing and links
// no server: weir.Main and weir.Run run what build described.
//
//	func build(env *stream.Env) error {
//		orders := env.From("orders", file.JSON[Order]("orders/*.json")).
//			Watermarks(watermark.BoundedOutOfOrderness(5*time.Second, (*Order).time))
//		orders.KeyBy((*Order).buyer).
//			Window(window.Tumbling(time.Hour)).
//			Aggregate("spend", aggregate.Sum((*Order).amount)).
//			To("out", file.CSVSink[int64]("spend/"))
//		return nil
//	}
//
// Each verb adds a step. What is wrong with one (a uid missing or given twice, a type that can't be encoded, a window
// without event time, a setting where there is no step) is reported when build returns, naming the step.
//
// One function value serves all subtasks of a step at once, so it must not change what it captures: what changes is
// state. Pointers handed to it, and what it reaches through them, are valid during the call. Strings and byte slices of records
// are too where the setting pipeline.object-reuse is on: a function that keeps one elsewhere than in its row clones it.
//
// Every stateful step, source and sink takes its UID first: state is found by it after the program changed.
//
// Non-obvious: a verb that makes a step has a type parameter of its own, though Filter, Reduce, Watermarks and Print would
// need none; it is always inferred. The compiler makes all other methods of a generic type for each type of a stream, so a
// job would compile all operators for all of its records.
package stream
