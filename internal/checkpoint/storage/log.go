// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import "context"

// Log is a directory of records, numbered from 1, of one kind. Each is made by a conditional create and carries the epoch
// of its maker in what is encoded. Old ones may be removed, but not the newest. A Log holds no state: its methods may be
// called from any goroutine.
//
// A new leader first makes the next record, repeating until it wins, and only then reads. Whoever appended before finds
// its next number taken, and is deposed.
type Log struct {
	objects   Objects
	dir, kind string
}

// NewLog returns the log in a directory of o, which need not be there. kind stands in the head of each record.
func NewLog(o Objects, dir, kind string) Log { return Log{o, dir, kind} }

func (l Log) name(n int64) string { return l.dir + "/" + number(n) }

// Numbers lists the records that are there, ascending.
func (l Log) Numbers(ctx context.Context) ([]int64, error) {
	names, err := l.objects.List(ctx, l.dir)
	if err != nil {
		return nil, err
	}
	return numbersOf(names), nil
}

func numbersOf(names []string) []int64 {
	var ns []int64
	for _, name := range names {
		if n, ok := parseNumber(name); ok {
			ns = append(ns, n)
		}
	}
	return ns
}

// Newest returns the number of the newest record, 0 if there is none.
func (l Log) Newest(ctx context.Context) (int64, error) {
	ns, err := l.Numbers(ctx)
	return last(ns), err
}

// Look is Newest for who only asks whether others have made a record: it need not be durable.
func (l Log) Look(ctx context.Context) (int64, error) {
	names, err := l.objects.Look(ctx, l.dir)
	return last(numbersOf(names)), err
}

func last(ns []int64) int64 {
	if len(ns) == 0 {
		return 0
	}
	return ns[len(ns)-1]
}

// Read reads record n into v.
func (l Log) Read(ctx context.Context, n int64, v any) error {
	return GetRecord(ctx, l.objects, l.name(n), l.kind, v)
}

// Append makes record n, which has to carry the epoch of its maker: a record that is there with the same bytes is taken
// for the caller's own, made by an attempt that ended in an error. It counts only if none is newer: one that was removed
// can be made again by who slept. After an error it may have been made or not.
func (l Log) Append(ctx context.Context, n int64, v any) (won bool, err error) {
	won, err = createRecord(ctx, l.objects, l.name(n), l.kind, v)
	if err != nil || !won {
		return false, err
	}
	newest, err := l.Newest(ctx)
	return err == nil && newest == n, err
}

// Prune removes the records before keep.
func (l Log) Prune(ctx context.Context, keep int64) error {
	ns, err := l.Numbers(ctx)
	if err != nil {
		return err
	}
	var old []string
	for _, n := range ns {
		if n < keep {
			old = append(old, l.name(n))
		}
	}
	return l.objects.Remove(ctx, old...)
}

// Refresh replaces record n, which its maker alone may do, and does not wait until that is durable: after the machine has
// lost power the record may be the one before, or not whole.
func (l Log) Refresh(ctx context.Context, n int64, v any) error {
	b, err := encodeRecord(l.kind, v)
	if err != nil {
		return err
	}
	return l.objects.Refresh(ctx, l.name(n), b)
}
