// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/internal/ttl"
)

// expiry is the time to live of the fields of S, nil in a table that has none.
//
// Plain fields and Values have a time each beside the row (segment.stamps); Lists and Maps keep the times of their
// elements themselves, and are lent the clock of the field. Rows are known by their address, so that all of this is compiled
// once.
type expiry struct {
	timed       []timedField
	collections []collectionField
	// every tells that all fields have a time to live, so that a row can expire as a whole.
	every bool

	// last is the row that was lent last and the times beside it, before what its timed fields were as Enter saw them.
	last struct {
		row    unsafe.Pointer
		stamps []int64
	}
	before []reflect.Value
}

// timedField expires as a whole.
type timedField struct {
	name   string
	typ    reflect.Type
	offset uintptr
	clock  *ttl.Clock
	// value fields tell themselves whether they were written; others are compared, bytewise if plain.
	value bool
	plain bool
}

// collectionField expires element by element.
type collectionField struct {
	typ    reflect.Type
	offset uintptr
	clock  *ttl.Clock
}

// collection is what *state.List and *state.Map offer.
type collection interface {
	Len() int
	Expire(c *ttl.Clock)
}

// value is what *state.Value offers.
type value interface{ TakeWritten() bool }

// CheckTTL reports what is wrong with the time to live of fields of a state struct, naming the field.
func CheckTTL(s reflect.Type) error {
	if s.Kind() != reflect.Struct {
		return nil
	}
	for i := range s.NumField() {
		f := s.Field(i)
		tag, err := ttl.ParseTag(f)
		if err != nil {
			return err
		}
		if tag.TTL > 0 {
			if err := checkTimed(f); err != nil {
				return err
			}
		}
		if !isStateType(f.Type) {
			if err := checkNested(f.Name, f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkTimed(f reflect.StructField) error {
	p := reflect.PointerTo(f.Type)
	if isStateType(f.Type) && (p.Implements(reflect.TypeFor[collection]()) || p.Implements(reflect.TypeFor[value]())) {
		return nil
	}
	if layoutOf(f.Type) == layoutShared {
		return fmt.Errorf("field %s: a %s can't have a ttl, since changes inside can't be seen: use a state.Value, List or Map", f.Name, f.Type)
	}
	return nil
}

// checkNested refuses tags where nobody would heed them.
func checkNested(path string, t reflect.Type) error {
	switch t.Kind() {
	case reflect.Array, reflect.Slice, reflect.Pointer:
		return checkNested(path, t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if tag, err := ttl.ParseTag(f); err == nil && tag.TTL > 0 {
			return fmt.Errorf("field %s.%s: only a field of the state struct itself can have a ttl", path, f.Name)
		}
		if err := checkNested(path+"."+f.Name, f.Type); err != nil {
			return err
		}
	}
	return nil
}

func isStateType(t reflect.Type) bool { return t.PkgPath() == statePackage }

const statePackage = "github.com/weir-stream/weir/state"

func newExpiry(s reflect.Type) (*expiry, error) {
	if err := CheckTTL(s); err != nil {
		return nil, err
	}
	if s.Kind() != reflect.Struct {
		return nil, nil
	}
	x := &expiry{every: true}
	for i := range s.NumField() {
		f := s.Field(i)
		tag, err := ttl.ParseTag(f)
		if err != nil {
			return nil, err
		}
		switch {
		case tag.Skip:
			continue
		case tag.TTL == 0:
			x.every = false
			continue
		}
		clock := &ttl.Clock{TTL: int64(tag.TTL), OnRead: tag.OnRead}
		p := reflect.PointerTo(f.Type)
		if isStateType(f.Type) && p.Implements(reflect.TypeFor[collection]()) {
			x.collections = append(x.collections, collectionField{f.Type, f.Offset, clock})
			continue
		}
		x.timed = append(x.timed, timedField{
			name: tag.Name, typ: f.Type, offset: f.Offset, clock: clock,
			value: isStateType(f.Type) && p.Implements(reflect.TypeFor[value]()),
			plain: layoutOf(f.Type) == layoutPlain,
		})
		x.before = append(x.before, reflect.New(f.Type))
	}
	if len(x.timed)+len(x.collections) == 0 {
		return nil, nil
	}
	return x, nil
}

// HasTTL reports whether a field has a time to live: Enter and Leave are needed then.
func (t *Table[K, S]) HasTTL() bool { return t.ttl != nil }

// SetNow tells processing time in Unix nanoseconds, once a batch and before Restore. An earlier one than
// before changes nothing.
func (t *Table[K, S]) SetNow(now int64) {
	if t.ttl != nil {
		t.ttl.setNow(now)
	}
}

func (x *expiry) setNow(now int64) {
	for _, f := range x.timed {
		f.clock.Now = max(f.clock.Now, now)
	}
	for _, f := range x.collections {
		f.clock.Now = max(f.clock.Now, now)
	}
}

// Enter is called before a user function gets the row that Row returned last, Leave after it: what was written in
// between lives anew. Without a time to live both do nothing.
func (t *Table[K, S]) Enter(row *S) {
	if t.ttl != nil {
		t.ttl.enter(unsafe.Pointer(row))
	}
}

// Leave ends what Enter began.
func (t *Table[K, S]) Leave(row *S) {
	if t.ttl != nil {
		t.ttl.leave(unsafe.Pointer(row))
	}
}

// Vacant reports whether a row is as if it were new: nothing has been written to it, or nothing is left.
func (t *Table[K, S]) Vacant(row *S) bool {
	return t.ttl.vacant(reflect.ValueOf(row))
}

// vacant is Vacant for a pointer to a row; x may be nil.
func (x *expiry) vacant(row reflect.Value) bool {
	v := row.Elem()
	if x == nil {
		return v.IsZero()
	}
	for i := range v.NumField() {
		if c, ok := x.collectionOf(v.Type().Field(i)); ok {
			if c.of(row.UnsafePointer()).Len() > 0 {
				return false
			}
		} else if !v.Field(i).IsZero() {
			return false
		}
	}
	return true
}

func (x *expiry) collectionOf(field reflect.StructField) (collectionField, bool) {
	for _, f := range x.collections {
		if f.offset == field.Offset && f.typ == field.Type {
			return f, true
		}
	}
	return collectionField{}, false
}

func (x *expiry) width() int { return len(x.timed) }

// lend prepares a row, with its times beside it, for its user, and reports whether nothing is left of it.
func (x *expiry) lend(row unsafe.Pointer, stamps []int64, isNew bool) bool {
	if !isNew {
		isNew = x.expire(row, stamps)
	}
	if isNew {
		x.bind(row)
		for f := range stamps {
			stamps[f] = x.timed[f].clock.Now
		}
	}
	x.last.row, x.last.stamps = row, stamps
	return isNew
}

// bind gives the collections of a new row their clocks.
func (x *expiry) bind(row unsafe.Pointer) {
	for _, f := range x.collections {
		f.of(row).Expire(f.clock)
	}
}

// expire drops what has expired of a row, and reports whether nothing is left of it.
func (x *expiry) expire(row unsafe.Pointer, stamps []int64) (gone bool) {
	gone = x.every
	for f := range stamps {
		if !x.timed[f].clock.Expired(stamps[f]) {
			gone = false
			continue
		}
		x.timed[f].of(row).SetZero()
	}
	for _, f := range x.collections {
		c := f.of(row)
		c.Expire(f.clock)
		gone = gone && c.Len() == 0
	}
	return gone
}

// expired drops what has expired of the row in slot i, and reports whether nothing is left of it.
func (t *Table[K, S]) expired(sg *segment[K, S], i int) bool {
	return t.ttl != nil && t.ttl.expire(unsafe.Pointer(&sg.slots[i].state), sg.stampsOf(i))
}

// dropExpired makes the row in slot i, which the scan of the running snapshot has come to, a tombstone if nothing is left
// of it.
func (t *Table[K, S]) dropExpired(sg *segment[K, S], i int) bool {
	if !t.expired(sg, i) {
		return false
	}
	s := &sg.slots[i]
	s.meta = s.meta&^epochMask | t.epoch
	sg.dirty = t.epoch
	sg.live--
	t.bury(sg, i)
	if !t.snap.full {
		t.hold(sg, i)
	}
	return true
}

func (x *expiry) enter(row unsafe.Pointer) {
	if x.last.row != row {
		panic("heap: Enter of another row than the last that was lent")
	}
	for f := range x.timed {
		field := x.timed[f].of(row)
		if x.timed[f].value {
			field.Addr().Interface().(value).TakeWritten()
			continue
		}
		x.before[f].Elem().Set(field)
	}
}

func (x *expiry) leave(row unsafe.Pointer) {
	if x.last.row != row {
		panic("heap: Leave of another row than the last that was lent")
	}
	stamps := x.last.stamps
	for f := range x.timed {
		field := &x.timed[f]
		if field.clock.OnRead || field.written(row, x.before[f]) {
			stamps[f] = field.clock.Now
		}
	}
}

// restored sets the times of a row that was restored; fields that were stored without one begin to live now.
func (x *expiry) restored(stamps []int64, row int, names []string, columns [][]int64) {
	for f := range x.timed {
		stamps[f] = x.timed[f].clock.Now
		if c := slices.Index(names, x.timed[f].name); c >= 0 {
			stamps[f] = columns[c][row]
		}
	}
}

func (f *timedField) of(row unsafe.Pointer) reflect.Value {
	return reflect.NewAt(f.typ, unsafe.Add(row, f.offset)).Elem()
}

func (f *timedField) written(row unsafe.Pointer, before reflect.Value) bool {
	if f.value {
		return f.of(row).Addr().Interface().(value).TakeWritten()
	}
	if f.plain {
		now := unsafe.Slice((*byte)(unsafe.Add(row, f.offset)), f.typ.Size())
		return !bytes.Equal(now, unsafe.Slice((*byte)(before.UnsafePointer()), f.typ.Size()))
	}
	return !f.of(row).Equal(before.Elem())
}

func (f *collectionField) of(row unsafe.Pointer) collection {
	return reflect.NewAt(f.typ, unsafe.Add(row, f.offset)).Interface().(collection)
}
