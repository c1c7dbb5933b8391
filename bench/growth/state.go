// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/stream"
)

// Rows of state of growing sizes.
type (
	row32  struct{ N, Last, P0, P1 int64 }
	row128 struct {
		N, Last int64
		Pad     [14]int64
	}
	row512 struct {
		N, Last int64
		Pad     [62]int64
	}
	row2048 struct {
		N, Last int64
		Pad     [254]int64
	}
)

// note is what the rows have in common: a count, and the time of the last record.
func (r *row32) note(at int64) int64   { r.N, r.Last = r.N+1, at; return r.N }
func (r *row128) note(at int64) int64  { r.N, r.Last = r.N+1, at; return r.N }
func (r *row512) note(at int64) int64  { r.N, r.Last = r.N+1, at; return r.N }
func (r *row2048) note(at int64) int64 { r.N, r.Last = r.N+1, at; return r.N }

// noting counts records by key in rows of a type.
func noting[S any, P interface {
	*S
	note(at int64) int64
}]() func(*stream.Env, *feed, *tally[int64]) {
	return func(env *stream.Env, in *feed, out *tally[int64]) {
		env.Parallelism(1)
		env.From("records", in).KeyBy(keyOf).
			Process("note", func(st *S, _ *stream.Ctx[int64], in *record, out *stream.Out[int64]) error {
				out.Emit(P(st).note(in.At))
				return nil
			}).To("out", out)
	}
}

// rowKeys is the number of rows while their size grows.
const rowKeys = 50_000

// measureRows updates rows of growing sizes, of which each update changes 16 bytes.
func measureRows(ctx context.Context, o *options) error {
	var points []*point
	for _, r := range []struct {
		bytes    int
		describe func(*stream.Env, *feed, *tally[int64])
	}{{32, noting[row32]()}, {128, noting[row128]()}, {512, noting[row512]()}, {2048, noting[row2048]()}} {
		points = append(points, &point{
			name: strconv.Itoa(r.bytes), fill: rowKeys, round: o.records, readers: 1,
			in: &feed{fill: eachThenAny(rowKeys)}, describe: r.describe,
		})
	}
	if err := curve(ctx, o, points); err != nil {
		return err
	}
	show(o, "Rows: records counted by 50,000 keys, of whose rows each changes 16 bytes", "Bytes a row", points)
	return nil
}

// measureState takes savepoints, which hold all rows, of growing states.
func measureState(ctx context.Context, o *options) (err error) {
	dir, err := os.MkdirTemp("", "growth-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	const rowBytes = 128
	var points []*point
	for mb := int64(1); mb <= o.stateMax; mb *= 10 {
		n := mb * 1e6 / rowBytes
		p := &point{
			name: fmt.Sprintf("%d MB", mb), fill: n, round: n, readers: 1,
			in: &feed{fill: eachThenAny(n)}, describe: noting[row128](),
		}
		points = append(points, p)
	}
	defer func() {
		for _, p := range points {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	took := make([][]time.Duration, len(points))
	for _, p := range points {
		if err := p.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for range o.rounds {
		for i, p := range points {
			began, cpu := time.Now(), program.CPUTime()
			path, err := p.job.Savepoint(ctx, dir)
			if err != nil {
				return fmt.Errorf("savepoint of %s: %w", p.name, err)
			}
			p.spent, took[i] = append(p.spent, program.CPUTime()-cpu), append(took[i], time.Since(began))
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	t := table{head: []string{"State", "Savepoint after", "CPU time", "CPU time a row", "Ratio"}}
	for i, p := range points {
		t.add(p.name, short(middle(took[i])), short(middle(p.spent)), fmt.Sprintf("%.0f ns", p.median()), ratio(p.median(), points[0].median()))
	}
	t.print(o.out, "State: savepoints of rows of 128 bytes, one subtask")
	return nil
}
