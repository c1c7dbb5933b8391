// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package aggregate has incremental aggregates for windows and keyed streams.
//
// An aggregate is three functions over an accumulator: records are added, accumulators merged, and a result is read. The
// accumulator is part of the state of the step, so it is a plain type that can be stored.
//
//	record -Add-> acc ----+
//	record -Add-> acc ----+-Merge-> acc -Result-> result
//
// Non-obvious: a window asks for the result of an accumulator and goes on adding to it. Merge keeps order: an aggregate
// that depends on it sees the records of the first accumulator as the earlier ones.
package aggregate

import (
	"cmp"

	"github.com/weir-stream/weir/state"
)

// Function folds records of T into an accumulator A and turns that into a result R.
// One value serves all subtasks at once, so it holds settings only. A zero A is the empty accumulator.
type Function[T, A, R any] interface {
	// Add folds one record into acc; in is valid during the call.
	Add(acc *A, in *T)
	// Merge folds from into acc, as if its records had been added after those of acc. Slices, sessions
	// and pre-aggregation before a shuffle rest on it.
	Merge(acc, from *A)
	// Result reads acc, which goes on growing afterwards.
	Result(acc *A) R
}

// Of makes one of three functions, best of methods of A: Of((*tally).add, (*tally).merge, (*tally).mean).
func Of[T, A, R any](add func(acc *A, in *T), merge func(acc, from *A), result func(acc *A) R) Function[T, A, R] {
	return functions[T, A, R]{add, merge, result}
}

type functions[T, A, R any] struct {
	add    func(acc *A, in *T)
	merge  func(acc, from *A)
	result func(acc *A) R
}

func (f functions[T, A, R]) Add(acc *A, in *T)  { f.add(acc, in) }
func (f functions[T, A, R]) Merge(acc, from *A) { f.merge(acc, from) }
func (f functions[T, A, R]) Result(acc *A) R    { return f.result(acc) }

// Adder is Add without the calls that lead to it, for the engine: one call a record counts.
func (f functions[T, A, R]) Adder() func(acc *A, in *T) { return f.add }

// Number is what can be summed.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Count counts records. T appears in no argument, so it is written: Count[Bid]().
func Count[T any]() Function[T, int64, int64] { return count[T]{} }

type count[T any] struct{}

func (count[T]) Add(acc *int64, _ *T)    { *acc++ }
func (count[T]) Adder() func(*int64, *T) { return func(acc *int64, _ *T) { *acc++ } }
func (count[T]) Merge(acc, from *int64)  { *acc += *from }
func (count[T]) Result(acc *int64) int64 { return *acc }

// Sum adds up of(record).
func Sum[T any, N Number](of func(*T) N) Function[T, N, N] { return sum[T, N]{of} }

type sum[T any, N Number] struct{ of func(*T) N }

func (s sum[T, N]) Add(acc *N, in *T)  { *acc += s.of(in) }
func (s sum[T, N]) Merge(acc, from *N) { *acc += *from }
func (s sum[T, N]) Result(acc *N) N    { return *acc }

// Tally is the accumulator of Avg.
type Tally struct {
	Count int64
	Sum   float64
}

// Avg is the mean of of(record), zero over no records.
func Avg[T any, N Number](of func(*T) N) Function[T, Tally, float64] { return avg[T, N]{of} }

type avg[T any, N Number] struct{ of func(*T) N }

func (a avg[T, N]) Add(acc *Tally, in *T) {
	acc.Count++
	acc.Sum += float64(a.of(in))
}

func (avg[T, N]) Merge(acc, from *Tally) {
	acc.Count += from.Count
	acc.Sum += from.Sum
}

func (avg[T, N]) Result(acc *Tally) float64 {
	if acc.Count == 0 {
		return 0
	}
	return acc.Sum / float64(acc.Count)
}

// Best is the accumulator of Min and Max; Seen tells the empty one.
type Best[N cmp.Ordered] struct {
	Value N
	Seen  bool
}

// Min finds the least of of(record), zero over no records.
func Min[T any, N cmp.Ordered](of func(*T) N) Function[T, Best[N], N] {
	return best[T, N]{of, func(x, y N) bool { return cmp.Less(x, y) }}
}

// Max finds the greatest of of(record), zero over no records.
func Max[T any, N cmp.Ordered](of func(*T) N) Function[T, Best[N], N] {
	return best[T, N]{of, func(x, y N) bool { return cmp.Less(y, x) }}
}

type best[T any, N cmp.Ordered] struct {
	of     func(*T) N
	better func(x, than N) bool
}

func (b best[T, N]) Add(acc *Best[N], in *T) {
	if v := b.of(in); !acc.Seen || b.better(v, acc.Value) {
		acc.Value, acc.Seen = v, true
	}
}

func (b best[T, N]) Merge(acc, from *Best[N]) {
	if from.Seen && (!acc.Seen || b.better(from.Value, acc.Value)) {
		*acc = *from
	}
}

func (best[T, N]) Result(acc *Best[N]) N { return acc.Value }

// Distinct is the accumulator of CountDistinct: the values seen.
type Distinct[D comparable] struct{ Seen state.Map[D, struct{}] }

// CountDistinct counts the different values of of(record), exactly: the accumulator holds each of them. D is restricted as
// the keys of KeyBy are. Where there are many values for one key, let them be keys of a step of their own.
func CountDistinct[T any, D comparable](of func(*T) D) Function[T, Distinct[D], int64] {
	return countDistinct[T, D]{of}
}

type countDistinct[T any, D comparable] struct{ of func(*T) D }

func (c countDistinct[T, D]) Add(acc *Distinct[D], in *T) { acc.Seen.Put(c.of(in), struct{}{}) }

func (countDistinct[T, D]) Merge(acc, from *Distinct[D]) {
	for v := range from.Seen.All() {
		acc.Seen.Put(v, struct{}{})
	}
}

func (countDistinct[T, D]) Result(acc *Distinct[D]) int64 { return int64(acc.Seen.Len()) }
