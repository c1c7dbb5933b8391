// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"reflect"
	"unsafe"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Config is what a table is told. Name, Groups and MaxParallelism are required.
type Config struct {
	// Name is that of the state, unique within the operator and stable.
	Name string
	// Groups are the key groups of the subtask, of MaxParallelism in all.
	Groups         statebackend.KeyGroupRange
	MaxParallelism int
	// Seed remixes hashes into slots. It should differ between the tables of a job, best by the uid of the step: rows that
	// arrive in the order of another table's slots must not pile up.
	Seed uint64
	// ReserveBytes is how much a snapshot may hold back before the table is crowded; of twice that, the snapshot is given
	// up. Zero is 32 MB.
	ReserveBytes int64

	// epochMax is the epoch at which epochs are renumbered; zero is the most that a slot can hold.
	epochMax uint64
	// prefetchMin is prefetchBytesMin, or less in tests.
	prefetchMin int64
}

// reserveBytesDefault is Config.ReserveBytes where it is not set.
const reserveBytesDefault = 32 << 20

func (c Config) withDefaults() Config {
	if c.ReserveBytes == 0 {
		c.ReserveBytes = reserveBytesDefault
	}
	if c.epochMax == 0 {
		c.epochMax = epochMask
	}
	if c.prefetchMin == 0 {
		c.prefetchMin = prefetchBytesMin
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Name == "":
		return errors.New("state table: Name is empty")
	case c.MaxParallelism < 1 || c.MaxParallelism > 1<<15:
		return fmt.Errorf("state %s: MaxParallelism %d is not in [1, 32768]", c.Name, c.MaxParallelism)
	case c.Groups.Len() > 0 && (c.Groups.First < 0 || c.Groups.Last >= c.MaxParallelism):
		return fmt.Errorf("state %s: key groups %v are not below %d", c.Name, c.Groups, c.MaxParallelism)
	case c.ReserveBytes < 0:
		return fmt.Errorf("state %s: ReserveBytes is negative", c.Name)
	}
	return nil
}

// The meta word of a slot, from the top: 40 bits of the remixed hash, two bits of occupancy, the epoch of the last write.
// An empty slot is all zero.
const (
	epochBits = 22
	epochMask = 1<<epochBits - 1
	liveBit   = 1 << epochBits
	deadBit   = liveBit << 1
	tagMask   = 1<<64 - 1<<(epochBits+2)
)

// slot holds one row. The state stands before the key so that a state without size takes no room.
type slot[K comparable, S any] struct {
	meta  uint64
	state S
	key   K
}

// Entry is a row as snapshots hold it.
type Entry[K comparable, S any] struct {
	Key   K
	State S
}

// Table is the keyed state of one operator in one subtask: a row of type S for each key. All calls come from the task's
// goroutine. The hash of a key is given with each call, and must be that of internal/keys.
type Table[K comparable, S any] struct {
	config Config
	probe  probe
	// segs has one segment for each key group of the range, entrances what a look-up needs of each.
	segs      []segment[K, S]
	entrances []entrance[K, S]
	// vacant stands for the slots of a segment that has none. A look-up looks at lookedAt slots from a home on before it
	// knows whether they are empty.
	vacant []slot[K, S]

	// epoch is that of writes that come now. It is at least 1: 0 is older than any write since the renumbering.
	epoch uint64
	snap  snapshot
	chain chain

	codec  *codec.Codec[Entry[K, S]]
	times  *codec.Codec[int64]
	schema []byte
	// hash places a key when rows are restored.
	hash func(k *K) (h, salt uint64)
	// shared tells that copies of a row share memory that may be changed in place, so that a row is encoded at once.
	shared bool
	// offHeap tells that slots may lie outside the collector's sight.
	offHeap bool
	memory  memory
	// slotBytes is the size of all arrays of slots.
	slotBytes int64
	ahead     lookahead
	// textAt is where keys have text, or noText. wordKeys tells that keys are compared as a word.
	textAt   uintptr
	wordKeys bool
	// growthParts is in how many parts the slots of a segment are divided, by one of which it grows.
	growthParts int

	ttl *expiry
	// rows and free are scratch space: rows being decoded, and buffers between two uses.
	rows []Entry[K, S]
	free []*buffer[K, S]
	// large is a buffer with more room, between two uses by the scan of a running snapshot.
	large *buffer[K, S]
}

// NewTable makes an empty table. The error names the field of S, or the part of K, that can't be stored.
func NewTable[K comparable, S any](c Config) (*Table[K, S], error) {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, fmt.Errorf("state %s: key: %w", c.Name, err)
	}
	return newTable[K, S](c, func(k *K) (h, salt uint64) { return hash(k), 0 })
}

func newTable[K comparable, S any](c Config, hash func(k *K) (h, salt uint64)) (*Table[K, S], error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	rows, err := codec.For[Entry[K, S]]()
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", c.Name, err)
	}
	times, err := codec.For[int64]()
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", c.Name, err)
	}
	ttl, err := newExpiry(reflect.TypeFor[S]())
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", c.Name, err)
	}
	t := &Table[K, S]{
		config:    c,
		segs:      make([]segment[K, S], c.Groups.Len()),
		entrances: make([]entrance[K, S], c.Groups.Len()),
		vacant:    make([]slot[K, S], lookedAt),
		codec:     rows,
		times:     times,
		schema:    rows.Schema().Marshal(),
		hash:      hash,
		ttl:       ttl,
		textAt:    textAt(reflect.TypeFor[K]()),
		wordKeys:  wordKey(reflect.TypeFor[K]()),

		growthParts: growthParts,
	}
	layout := layoutOf(reflect.TypeFor[Entry[K, S]]())
	t.shared, t.offHeap = layout == layoutShared, layout == layoutPlain
	for i := range t.segs {
		t.segs[i].index = i
		t.entrances[i].slots = &t.vacant[0]
	}
	size := unsafe.Sizeof(slot[K, S]{})
	t.probe = probe{
		groups: uint64(c.MaxParallelism), first: uint64(max(0, c.Groups.First)), mix: remix(c.Seed),
		entrances: unsafe.Pointer(unsafe.SliceData(t.entrances)), count: uint64(len(t.entrances)),
		slotBytes: size, homeMask: homeMask(size),
	}
	t.setEpoch(1)
	return t, nil
}

// remix makes an odd multiplier of a seed, with about as many ones as zeros.
func remix(seed uint64) uint64 {
	x := seed + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31 | 1
}

// Row lends the row of a key for writing, adding a zero one where there is none. It is valid until the next call of the
// table. Every access counts as a write.
func (t *Table[K, S]) Row(h uint64, k *K) (row *S, isNew bool) {
	group, rest := bits.Mul64(h, t.probe.groups)
	e := &t.entrances[group-t.probe.first]
	tag := rest * t.probe.mix & tagMask
	want := tag | t.probe.lendable
	s := e.at(tag)
	s = s.skip(neighbor(s.meta, want, unsafe.Sizeof(*s)))
	for s.meta != want || s.key != *k {
		if s.meta == 0 || (s.meta^want)&^epochMask == 0 {
			return t.rowSlow(h, k)
		}
		s = s.skip(unsafe.Sizeof(*s))
	}
	return &s.state, false
}

// rowSlow is Row for rows that are new, or not written in this epoch, or expire.
func (t *Table[K, S]) rowSlow(h uint64, k *K) (row *S, isNew bool) {
	sg, i, isNew := t.put(h, 0, k)
	if t.ttl != nil {
		isNew = t.ttl.lend(unsafe.Pointer(&sg.slots[i].state), sg.stampsOf(i), isNew)
	}
	return &sg.slots[i].state, isNew
}

// Lookup returns the row of a key for reading, or nil. It is valid until the next call of the table.
func (t *Table[K, S]) Lookup(h uint64, k *K) *S {
	sg, i, ok := t.find(h, 0, k)
	if !ok || t.expired(sg, i) {
		return nil
	}
	return &sg.slots[i].state
}

// Delete drops the row of a key and reports whether there was one.
func (t *Table[K, S]) Delete(h uint64, k *K) bool { return t.remove(h, 0, k) }

// All yields all rows, by key group. They are not to be changed, nor the table, before it ends.
func (t *Table[K, S]) All() iter.Seq2[*K, *S] {
	return func(yield func(*K, *S) bool) {
		for g := range t.segs {
			slots := t.segs[g].slots
			for i := range slots {
				s := &slots[i]
				if s.meta&liveBit == 0 || t.expired(&t.segs[g], i) {
					continue
				}
				if !yield(&s.key, &s.state) {
					return
				}
			}
		}
	}
}

// Name implements statebackend.State.
func (t *Table[K, S]) Name() string { return t.config.Name }

// Schema implements statebackend.State.
func (t *Table[K, S]) Schema() []byte { return t.schema }

// Size implements statebackend.State. What rows point to is not counted.
func (t *Table[K, S]) Size() statebackend.Size {
	var n statebackend.Size
	for i := range t.segs {
		sg := &t.segs[i]
		n.Rows += int64(sg.live)
		n.Bytes += int64(len(sg.stamps)) * 8
	}
	n.Bytes += t.slotBytes + t.snap.heldBytes
	return n
}

// OffHeapBytes is the memory of the table that the collector does not see.
func (t *Table[K, S]) OffHeapBytes() int64 { return t.memory.mapped }

// Close gives the memory back; the table is not used afterwards.
func (t *Table[K, S]) Close() error {
	t.ahead.forget()
	for i := range t.segs {
		t.release(t.segs[i].slots)
		t.segs[i] = segment[K, S]{index: i}
		t.entrances[i] = entrance[K, S]{slots: &t.vacant[0]}
	}
	t.memory.leave()
	return t.memory.err
}

func slotBytes[K comparable, S any]() int64 { return int64(unsafe.Sizeof(slot[K, S]{})) }

func (t *Table[K, S]) setEpoch(epoch uint64) {
	t.ahead.forget()
	t.epoch, t.probe.lendable = epoch, liveBit|epoch
	if t.ttl != nil {
		t.probe.lendable = liveBit | deadBit
	}
}

// place finds the segment of a hash, and the tag that stands for the hash inside. Tags are multiples of 1<<24, and slots
// are in the order of tags as far as probing leaves them there.
func (t *Table[K, S]) place(h, salt uint64) (*segment[K, S], uint64) {
	group, rest := bits.Mul64(h, t.probe.groups)
	if invariants.Enabled && !t.config.Groups.Contains(int(group)) {
		invariants.Check(false, "state %s: key group %d is not in %v", t.config.Name, group, t.config.Groups)
	}
	return &t.segs[group-t.probe.first], (rest ^ salt) * t.probe.mix & tagMask
}

// put returns the slot of a key after making it one that is written in this epoch.
func (t *Table[K, S]) put(h, salt uint64, k *K) (sg *segment[K, S], at int, isNew bool) {
	sg, tag := t.place(h, salt)
	if len(sg.slots) == 0 {
		return sg, t.insert(sg, tag, 0, k), true
	}
	for i := sg.home(tag); ; i++ {
		s := &sg.slots[i]
		switch m := s.meta; {
		case m&^epochMask == tag|liveBit && s.key == *k:
			if m&epochMask != t.epoch {
				t.touch(sg, i)
			}
			return sg, i, false
		case m == 0:
			return sg, t.insert(sg, tag, i, k), true
		case m&^epochMask == tag|deadBit && s.key == *k:
			t.touch(sg, i)
			s.meta ^= liveBit | deadBit
			sg.dead--
			sg.live++
			return sg, i, true
		}
	}
}

// find returns the slot of a live row.
func (t *Table[K, S]) find(h, salt uint64, k *K) (sg *segment[K, S], at int, ok bool) {
	sg, tag := t.place(h, salt)
	if len(sg.slots) == 0 {
		return nil, 0, false
	}
	for i := sg.home(tag); ; i++ {
		s := &sg.slots[i]
		if s.meta&^epochMask == tag|liveBit && s.key == *k {
			return sg, i, true
		}
		if s.meta == 0 {
			return nil, 0, false
		}
	}
}

// insert puts a new row into the empty slot i, or elsewhere if the segment has to grow.
func (t *Table[K, S]) insert(sg *segment[K, S], tag uint64, i int, k *K) int {
	for sg.live+sg.dead >= sg.limit || i == len(sg.slots)-1 {
		t.grow(sg)
		for i = sg.home(tag); sg.slots[i].meta != 0; {
			i++
		}
	}
	s := &sg.slots[i]
	s.meta, s.key = tag|liveBit|t.epoch, *k
	sg.live++
	sg.dirty = t.epoch
	return i
}

// touch prepares slot i for its first write in this epoch.
func (t *Table[K, S]) touch(sg *segment[K, S], i int) {
	s := &sg.slots[i]
	if t.snap.needs(sg.index, s.meta) {
		t.hold(sg, i)
	}
	s.meta = s.meta&^epochMask | t.epoch
	sg.dirty = t.epoch
}

func (t *Table[K, S]) remove(h, salt uint64, k *K) bool {
	sg, i, ok := t.find(h, salt, k)
	if ok {
		t.removeAt(sg, i)
	}
	return ok
}

// removeAt drops the row of slot i: it leaves a tombstone if an increment has to tell of it.
func (t *Table[K, S]) removeAt(sg *segment[K, S], i int) {
	t.touch(sg, i)
	t.ahead.forgetRows()
	sg.live--
	if !t.chain.tellsDeletes() {
		sg.unlink(i)
		return
	}
	t.bury(sg, i)
}

// bury makes the live slot i a tombstone.
func (t *Table[K, S]) bury(sg *segment[K, S], i int) {
	var zero S
	s := &sg.slots[i]
	s.state = zero
	s.meta ^= liveBit | deadBit
	sg.dead++
}

var _ statebackend.State = (*Table[int64, int64])(nil)
