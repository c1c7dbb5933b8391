// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"io"
)

// Objects is durable storage of named bytes below one place, a directory or a prefix of a bucket. Names are relative,
// with slashes, of letters, digits, '-', '_' and '.', no part beginning with '.'. Its methods may be called from any
// goroutine of any process. An error wraps fs.ErrNotExist if what was asked for is not there.
type Objects interface {
	// Location is the place, absolute, for messages and for checkpoint.Join.
	Location() string
	// Create makes an object unless one has the name already: of all that ever try, one gets true. The object is whole
	// and durable before Create returns, whatever it returns but an error. After an error it may exist or not.
	Create(ctx context.Context, name string, data []byte) (created bool, err error)
	// Put makes or replaces an object; readers see the old or the new one whole.
	Put(ctx context.Context, name string, data []byte) error
	// Refresh replaces an object that is there, for who shows by it that it lives. Readers see the old or the new one whole
	// as after Put, but nothing is durable: when the machine loses power it may be the old one, or damaged, but not gone.
	Refresh(ctx context.Context, name string, data []byte) error
	// Get returns an object's content, which is the caller's.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names directly below dir, without dir, sorted; none if there is no dir. What it returns is
	// durable.
	List(ctx context.Context, dir string) ([]string, error)
	// Look is List without that promise, and waits for no disk: for who only asks what others have made meanwhile.
	Look(ctx context.Context, dir string) ([]string, error)
	// Remove removes objects, durably at some later time; those that don't exist are no error.
	Remove(ctx context.Context, names ...string) error
	// RemoveDir removes a directory that is empty, if it is there and the medium has such a thing.
	RemoveDir(ctx context.Context, dir string) error
	// NewWriter begins an object that must not exist. It may be seen, incomplete, before Close.
	NewWriter(ctx context.Context, name string) (Writer, error)
	// Open opens an object for reading, also one of another place by its absolute name.
	Open(ctx context.Context, name string) (Object, error)
}

// Writer writes one object. One of Close and Abort ends it; after a failed Close, Abort removes what is left.
type Writer interface {
	io.Writer
	// Close makes the object durable.
	Close() error
	// Abort removes it.
	Abort() error
}

// Object is open for reading.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}
