// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/stream"
)

// q10 logs all bids to files, by day and minute, exactly once.
//
//	CREATE TABLE log (auction, bidder, price, dateTime, extra, day, minute) PARTITIONED BY (day, minute)
//	  WITH (connector = filesystem, format = csv)
//	INSERT INTO log SELECT auction, bidder, price, dateTime, extra, DATE_FORMAT(dateTime, 'yyyy-MM-dd'),
//	  DATE_FORMAT(dateTime, 'HH:mm') FROM bid
func q10(events stream.Stream[Event], dir string) (stream.Stream[Offer], file.Sink[Offer]) {
	return q0(events), file.CSVSink[Offer](dir).PartitionBy(new(minutes).of)
}

// minutes names the directories of the log. It remembers the last name, since most bids are of the minute of the one before;
// all subtasks share it.
type minutes struct{ last atomic.Pointer[minute] }

// minute is the number of a minute, from the epoch on, and its directory.
type minute struct {
	number Millis
	name   string
}

func (m *minutes) of(o *Offer) string {
	number := o.At / Millis(time.Minute.Milliseconds())
	last := m.last.Load()
	if last == nil || last.number != number {
		last = &minute{number, o.At.Time().Format("day=2006-01-02/minute=15-04")}
		m.last.Store(last)
	}
	return last.name
}

// logQuery is q10 with a sink of its own.
func logQuery() query {
	return query{name: "q10", hand: handQ10, flinkPerCore: 122_000, job: func(g *Generator, s settings, rows *counter) weir.Build {
		return func(env *stream.Env) error {
			s.apply(env)
			bids, log := q10(eventsOf(env, Source{g, s.lingers}), filepath.Join(s.checkpointDir, "q10"))
			bids.To("out", countedLog{log.Overwrite(true), rows})
			return nil
		}
	}}
}

// countedLog counts the rows of a log.
type countedLog struct {
	file.Sink[Offer]
	rows *counter
}

// NewWriter makes a writer that counts.
func (s countedLog) NewWriter(
	ctx context.Context, rt connector.RuntimeContext, restored []connector.None,
) (connector.Writer[Offer, connector.None, file.Pending], error) {
	w, err := s.Sink.NewWriter(ctx, rt, restored)
	return countedWriter{w, s.rows}, err
}

type countedWriter struct {
	connector.Writer[Offer, connector.None, file.Pending]
	rows *counter
}

// Write counts the batch.
func (w countedWriter) Write(ctx context.Context, in *element.Batch[Offer]) error {
	w.rows.n.Add(int64(in.Len()))
	return w.Writer.Write(ctx, in)
}
