// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// handQ10 writes the log into a directory that it removes. It has one file open, as event time goes on. What goes wrong
// with files is a panic.
func handQ10(g *Generator) (rows int64) {
	dir, err := os.MkdirTemp("", "nexmark-q10-")
	must(err)
	defer func() { must(os.RemoveAll(dir)) }()
	minute := Millis(-1)
	var f *os.File
	var w *bufio.Writer
	next := func(at Millis) {
		if f != nil {
			must(w.Flush())
			must(f.Sync())
			must(f.Close())
		}
		of := filepath.Join(dir, at.Time().Format("day=2006-01-02/minute=15-04"))
		must(os.MkdirAll(of, 0o755))
		f, err = os.Create(filepath.Join(of, "log.csv"))
		must(err)
		w = bufio.NewWriterSize(f, 64<<10)
	}
	var line []byte
	g.offers(func(b *Bid) {
		if m := b.At / Millis(time.Minute.Milliseconds()); m != minute {
			minute = m
			next(b.At)
		}
		line = line[:0]
		for _, n := range []int64{b.Auction, b.Bidder, b.Price, int64(b.At)} {
			line = append(strconv.AppendInt(line, n, 10), ',')
		}
		line = append(append(line, b.Extra...), '\n')
		_, err := w.Write(line)
		must(err)
		rows++
	})
	if f != nil {
		must(w.Flush())
		must(f.Sync())
		must(f.Close())
	}
	return rows
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
