// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	"github.com/weir-stream/weir/internal/invariants"
)

// Strings says whom the strings and byte slices of decoded rows belong to.
type Strings bool

const (
	// Owned strings are copied out of the source, all of a call as one blob: one string that is kept keeps the blob.
	Owned Strings = false
	// Borrowed strings and byte slices alias the source: they are good as long as nobody writes to it.
	Borrowed Strings = true
)

// Codec encodes and decodes rows of T. It is safe for concurrent use.
type Codec[T any] struct {
	rules   compiler
	schema  *Schema
	plan    *plan
	blob    bool
	scratch sync.Pool // of *scratch
}

// For compiles the codec of T. The error names the field that can't be encoded, and the way out.
func For[T any]() (*Codec[T], error) { return compile[T](compiler{open: statePackage}) }

// Check returns the error that For returns for t, or nil.
func Check(t reflect.Type) error {
	_, err := compiler{open: statePackage}.check(t)
	return err
}

func (c compiler) check(t reflect.Type) (*node, error) {
	name := t.String()
	if t.Name() != "" {
		name = t.Name()
	}
	n, err := c.schema(t, name, nil)
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", t, err)
	}
	return n, nil
}

func compile[T any](rules compiler) (*Codec[T], error) {
	schema, p, err := rules.compile(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Codec[T]{rules: rules, schema: schema, plan: p, blob: schema.root.blob()}, nil
}

func (c compiler) compile(t reflect.Type) (*Schema, *plan, error) {
	root, err := c.check(t)
	if err != nil {
		return nil, nil, err
	}
	return &Schema{root}, c.plan(t, root), nil
}

// Schema returns the schema of what Append writes.
func (c *Codec[T]) Schema() *Schema { return c.schema }

// PointerFree reports whether T holds no pointers, so that its rows may live outside the collector's sight.
func (c *Codec[T]) PointerFree() bool { return c.plan.pointerFree }

// Texts reports whether encoded rows have strings or byte slices, so that there is something to borrow.
func (c *Codec[T]) Texts() bool { return c.blob }

// Append encodes rows, column by column, behind dst. Their number isn't part of it: who stores or sends the rows says
// how many there are. It allocates nothing when dst has room, unless T holds maps or is marshalled by methods of its
// own; an error of such a method is a panic, as there is no row to skip.
func (c *Codec[T]) Append(dst []byte, rows []T) []byte {
	return c.plan.append(c.blob, &c.scratch, dst, seg{unsafe.Pointer(unsafe.SliceData(rows)), len(rows)})
}

// Decode fills rows from what Append made of as many, and returns what follows it. Every field is overwritten. Errors
// wrap ErrCorrupt; rows hold anything then. It panics on no input, and allocates memory in proportion to the length of
// src: at most eight elements of slices and maps a byte.
func (c *Codec[T]) Decode(src []byte, rows []T, mode Strings) (rest []byte, err error) {
	if c.plan.zero {
		clear(rows)
	}
	return c.plan.decode(c.blob, &c.scratch, src, seg{unsafe.Pointer(unsafe.SliceData(rows)), len(rows)}, mode)
}

// Reader returns the decoder of rows that were written under another schema: struct fields are matched by name, missing
// ones are zero, unknown ones skipped, integers may have been narrower. Otherwise the error names the field and wraps
// ErrIncompatible.
func (c *Codec[T]) Reader(written *Schema) (*Reader[T], error) {
	p, err := c.rules.reader(c.schema, c.plan, written)
	if err != nil {
		return nil, err
	}
	return &Reader[T]{plan: p, blob: written.root.blob()}, nil
}

// reader returns the plan for rows of the written schema; own are schema and plan of the type.
func (c compiler) reader(own *Schema, p *plan, written *Schema) (*plan, error) {
	if own.root.equal(written.root) {
		return p, nil
	}
	if err := own.CanRead(written); err != nil {
		return nil, fmt.Errorf("read %v: %w", p.typ, err)
	}
	return c.plan(p.typ, written.root), nil
}

// Reader decodes rows that were written under one schema. It is safe for concurrent use.
type Reader[T any] struct {
	plan    *plan
	blob    bool
	scratch sync.Pool
}

// Decode is Codec.Decode for rows of the written schema.
func (r *Reader[T]) Decode(src []byte, rows []T, mode Strings) (rest []byte, err error) {
	if r.plan.zero {
		clear(rows)
	}
	return r.plan.decode(r.blob, &r.scratch, src, seg{unsafe.Pointer(unsafe.SliceData(rows)), len(rows)}, mode)
}

// append and decode are what Append and Decode do whatever T is: they are compiled once, and what has a type parameter with
// each type that a program stores or sends.
func (p *plan) append(blob bool, pool *sync.Pool, dst []byte, rows seg) []byte {
	if rows.n == 0 {
		return dst
	}
	e := encoder{dst: dst}
	start := len(dst)
	if blob {
		e.dst = append(slices.Grow(dst, blobHeader), make([]byte, blobHeader)...)
	}
	s := takeScratch(pool, p)
	e.scratch = s
	segs := [1]seg{rows}
	e.columns(p, segs[:], rows.n)
	giveScratch(pool, s)
	if blob {
		putBlobSize(e.dst[start:], e.blob)
	}
	return e.dst
}

// decode needs rows that are zero, where the plan says so.
func (p *plan) decode(blob bool, pool *sync.Pool, src []byte, rows seg, mode Strings) ([]byte, error) {
	if rows.n == 0 {
		return src, nil
	}
	d := decoder{src: src, mode: mode}
	if blob {
		if err := d.openBlob(); err != nil {
			return nil, fmt.Errorf("decode %v: %w", p.typ, err)
		}
	}
	s := takeScratch(pool, p)
	d.scratch = s
	segs := [1]seg{rows}
	err := d.columns(p, segs[:], rows.n)
	giveScratch(pool, s)
	if err != nil {
		return nil, fmt.Errorf("decode %v: %w", p.typ, err)
	}
	return d.src, nil
}

// scratch is memory of a call that the next one uses again. Both are stacks: who pushes pops.
type scratch struct {
	segs []seg
	ints []int64
}

func takeScratch(pool *sync.Pool, p *plan) *scratch {
	if !p.scratch {
		return nil
	}
	if s, ok := pool.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

// giveScratch takes s back. A call that failed or panicked half way may have left something on the stacks.
func giveScratch(pool *sync.Pool, s *scratch) {
	if s == nil {
		return
	}
	s.popSegs(0)
	s.ints = s.ints[:0]
	pool.Put(s)
}

// popSegs cuts the stack, and keeps no object alive that was on it.
func (s *scratch) popSegs(mark int) {
	clear(s.segs[mark:])
	s.segs = s.segs[:mark]
}

// pushInts makes room for n numbers.
func (s *scratch) pushInts(n int) []int64 {
	mark := len(s.ints)
	s.ints = slices.Grow(s.ints, n)[:mark+n]
	return s.ints[mark:]
}

// checkSegs checks what columns rely on; a check that holds must not allocate.
func checkSegs(segs []seg, n int) {
	sum, broken := 0, false
	for _, s := range segs {
		broken = broken || s.n <= 0 || s.base == nil
		sum += s.n
	}
	if broken || n <= 0 || sum != n {
		invariants.Check(false, "%d runs of %d elements together, not %d", len(segs), sum, n)
	}
}
