// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"math/bits"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// Combined is records of one key that were added to an accumulator before they were sent to the key's subtask. The event
// time that comes with it is that of the first of them; they are all in one slice of windows, or their sessions touch, and
// End is then when these are over, as a distance from the event time.
type Combined[K comparable, A any] struct {
	Key     K
	Span    int64
	Records int64
	Acc     A
}

func (c *Combined[K, A]) key() K             { return c.Key }
func (c *Combined[K, A]) gap() time.Duration { return time.Duration(c.Span) }
func (c *Combined[K, A]) records() int64     { return c.Records }

// Combine is what producers of a step of windows have to know to combine its records; see Combiner.
type Combine[K comparable, T, A any] struct {
	slicing heap.Slicing
	// sessions tells that windows are sessions, whose gap is gap unless gapOf chooses it.
	sessions bool
	gap      int64
	gapOf    func(*T) time.Duration
	key      func(*T) K
	hash     func(rows []T, hashes []uint64)
	add      func(acc *A, in *T)
	// oneKey tells that all records have the same key, as windows over a whole stream have.
	oneKey bool
	// text tells that keys or accumulators can hold strings of records.
	text bool
	// tableBytes is how large the table of a combiner may be.
	tableBytes uintptr
	// Codec is of what is sent.
	Codec *codec.Codec[Combined[K, A]]
}

const (
	// heldBytesMax bounds an accumulator that waits with all that belongs to it: what is larger is not combined, since it
	// may have to be sent for every record.
	heldBytesMax = 256
	// combinerBytes is the size of the table of a combiner, which shares the second-level cache with much else.
	combinerBytes = 128 << 10
	// combineTrial is how many records a combiner looks back on when it judges itself, and combinePause how many it lets
	// pass uncombined after less than half of them found an accumulator.
	combineTrial = 1 << 14
	combinePause = 1 << 20
)

// combineOf returns how records of a windowed step are combined: a *Combine, or nil where they can't be. Late records
// have to arrive as they are where somebody reads them.
func combineOf[K comparable, T, A any](windows Windows, key func(*T) K, add func(acc *A, in *T)) any {
	if windows.Late != "" || unsafe.Sizeof(held[K, A]{}) > heldBytesMax {
		return nil
	}
	c := &Combine[K, T, A]{
		sessions: windows.sessions(), key: key, add: add, oneKey: unsafe.Sizeof(*new(K)) == 0,
		text: keepsText[K, A](), tableBytes: combinerBytes,
	}
	if c.sessions {
		gap, _ := windows.Assigner.Gap()
		c.gap = int64(gap)
		c.gapOf, _ = windows.Gap.(func(*T) time.Duration)
	} else {
		c.slicing = windows.slicing()
	}
	var err error
	if c.hash, err = keys.ColumnHasherFor(key); err != nil {
		return nil
	}
	if c.Codec, err = codec.For[Combined[K, A]](); err != nil {
		return nil
	}
	return c
}

// KeyedWriter is the writer of a keyed edge, as a combiner sees it.
type KeyedWriter[T any] interface {
	Input[T]
	// Own copies what rows hold of memory that is lent for the call.
	Own(rows []T)
	// Channel is the place of the channel for a hash among all of them, Width how many there are.
	Channel(h uint64) int
	Width() int
	// Flush sends the writer's own records.
	Flush() error
	// SendOther sends a batch of a type of its own on a channel, ahead of what the writer holds.
	SendOther(to int, b element.Any) error
}

// Combiner stands before the writer of a keyed edge to windows, and adds records to accumulators before they are sent: what
// crosses the edge is a few accumulators for each key and slice instead of all records.
//
//	record -> hash -> set of two places +- key and slice are there: add
//	                                    +- else: the older of the two is sent
//	watermark, barrier, idle, end ------ what the windows may need by then is sent, then the control
//
// The receiver can't tell the difference, but for the order in which records of one channel reach it between two watermarks:
// an accumulator goes before the watermark that could fire the first window of its records, or a session that touches
// them; records for which that watermark has come are sent one by one. A barrier finds nothing held back, so there is no
// state. Where fewer than half of the records find an accumulator, the combiner stands aside for a while.
//
// It is used by the task's goroutine.
type Combiner[K comparable, T, A any] struct {
	*Combine[K, T, A]
	info Info
	to   KeyedWriter[T]
	// sets have two places each, the newer first, and tags the hashes of what they hold. The event time of a free place is
	// NoTime, which is in no slice and touches no session.
	sets  [][2]held[K, A]
	tags  [][2]uint64
	shift uint
	// count is the number of places taken, due the least of their times.
	count int
	due   int64
	// watermark is what was sent; nothing is combined before the first.
	watermark int64
	// open are batches that are being filled, by channel; sending are those channels that have one.
	open    []*element.Batch[Combined[K, A]]
	sending []int32
	pool    *element.Pool[Combined[K, A]]
	hashes  []uint64
	// single is what is sent by itself.
	single Combined[K, A]
	// plain is set while the writer may hold records of its own.
	plain bool
	// tried and missed are of the trial that goes on, pause the records that pass before the next one.
	tried, missed, pause int
}

// held is an accumulator that waits.
type held[K comparable, A any] struct {
	at int64
	// due is the watermark that it must be sent before.
	due int64
	row Combined[K, A]
}

// inFlight is about how many batches of a channel are in use at once.
const inFlight = 6

// NewCombiner makes the combiner of one producing subtask. rowsMax bounds the rows of a batch; zero leaves it to the type. info
// is of the step that the records are for: what its functions do is its fault.
func NewCombiner[K comparable, T, A any](c *Combine[K, T, A], info Info, to KeyedWriter[T], rowsMax int) *Combiner[K, T, A] {
	width := to.Width()
	rows := element.RowsFor[Combined[K, A]](width)
	if rowsMax > 0 {
		rows = min(rows, rowsMax)
	}
	return &Combiner[K, T, A]{
		Combine: c, info: info, to: to, watermark: element.MinWatermark, due: element.MaxWatermark,
		open: make([]*element.Batch[Combined[K, A]], width),
		pool: element.NewPool[Combined[K, A]](rows, width*inFlight),
	}
}

// Process combines the records of a batch, or passes it on.
func (c *Combiner[K, T, A]) Process(b *element.Batch[T]) (err error) {
	n := b.Len()
	if c.pause > 0 || c.watermark == element.MinWatermark || b.Times() == nil {
		if err := c.sendAll(); err != nil {
			return err
		}
		c.pause = max(0, c.pause-n)
		c.plain = true
		return c.to.Process(b)
	}
	if c.plain {
		c.plain = false
		if err := c.to.Flush(); err != nil {
			return err
		}
	}
	if err := c.combine(b); err != nil {
		return err
	}
	if c.tried += n; c.tried >= combineTrial {
		if 2*c.missed > c.tried {
			c.pause = combinePause
		}
		c.tried, c.missed = 0, 0
	}
	return nil
}

func (c *Combiner[K, T, A]) combine(b *element.Batch[T]) (err error) {
	defer guard(&c.info, &err)
	if c.sets == nil {
		c.makeTable()
	}
	if c.text {
		c.to.Own(b.Rows())
	}
	n := b.Len()
	if cap(c.hashes) < n {
		c.hashes = make([]uint64, max(n, b.Limit()))
	}
	hashes := c.hashes[:n]
	if c.oneKey {
		c.hash(b.Rows()[:min(n, 1)], hashes)
		for i := range hashes {
			hashes[i] = hashes[0]
		}
	} else {
		c.hash(b.Rows(), hashes)
	}
	if c.sessions {
		return c.touch(b.Rows(), b.Times(), hashes)
	}
	return c.slice(b.Rows(), b.Times(), hashes)
}

// slice adds records to the accumulators of their slices, those of one slice in a row.
func (c *Combiner[K, T, A]) slice(rows []T, times []int64, hashes []uint64) error {
	s := &c.slicing
	times = times[:len(rows)]
	for i := 0; i < len(rows); {
		t, n := times[i], 1
		var start, end, due int64
		early := false // no window of the slice has fired
		if t != element.NoTime && s.Contains(t) {
			start, end, early = s.Slice(t)
			due = s.FirstEnd(start) - 1
			early = early && due > c.watermark
		}
		if !early {
			if err := c.alone(&rows[i], t, 0, hashes[i]); err != nil {
				return err
			}
			i++
			continue
		}
		for i+n < len(rows) && times[i+n] >= start && times[i+n] < end {
			n++
		}
		c.due = min(c.due, due)
		if err := c.run(rows[i:i+n], times[i:], hashes[i:], start, end, due); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// run adds records to the accumulators of the slice [start, end).
func (c *Combiner[K, T, A]) run(rows []T, times []int64, hashes []uint64, start, end, due int64) (err error) {
	sets, tags, shift, key, add := c.sets, c.tags, c.shift, c.key, c.add
	times, hashes, span := times[:len(rows)], hashes[:len(rows)], uint64(end-start)
	for i := range rows {
		k, h := key(&rows[i]), hashes[i]
		// The tag chooses between the places without a jump, which would go either way.
		set, way := h>>shift, 0
		if tags[set][1] == h {
			way = 1
		}
		p := &sets[set][way]
		if uint64(p.at-start) >= span || p.row.Key != k {
			p = &sets[set][1-way]
			if uint64(p.at-start) >= span || p.row.Key != k {
				if p, err = c.place(h); err != nil {
					return err
				}
				p.at, p.due, p.row.Key = times[i], due, k
			}
		}
		if !c.oneKey {
			p.row.Records++
			add(&p.row.Acc, &rows[i])
			continue
		}
		for i := range rows {
			add(&p.row.Acc, &rows[i])
		}
		p.row.Records += int64(len(rows))
		break
	}
	return nil
}

func (c *Combiner[K, T, A]) makeTable() {
	n := bits.Len(uint(max(1, c.tableBytes/unsafe.Sizeof(held[K, A]{})/2))) - 1
	c.sets, c.tags, c.shift = make([][2]held[K, A], 1<<n), make([][2]uint64, 1<<n), uint(64-n)
	for i := range c.sets {
		c.sets[i][0].at, c.sets[i][1].at = element.NoTime, element.NoTime
	}
}

// place makes room for a hash, and sends what was there.
func (c *Combiner[K, T, A]) place(h uint64) (*held[K, A], error) {
	set, tag := &c.sets[h>>c.shift], &c.tags[h>>c.shift]
	c.missed++
	c.count++
	if set[0].at != element.NoTime {
		if old := &set[1]; old.at != element.NoTime {
			c.count--
			if err := c.send(old.at, tag[1], &old.row); err != nil {
				return nil, err
			}
		}
		set[1], tag[1] = set[0], tag[0]
		set[0] = held[K, A]{}
	}
	tag[0] = h
	return &set[0], nil
}

// alone sends a record by itself.
func (c *Combiner[K, T, A]) alone(in *T, t, span int64, h uint64) error {
	c.missed++
	row := &c.single
	*row = Combined[K, A]{Key: c.key(in), Span: span, Records: 1}
	c.add(&row.Acc, in)
	return c.send(t, h, row)
}

// send puts an accumulator into the batch of its channel.
func (c *Combiner[K, T, A]) send(at int64, h uint64, row *Combined[K, A]) error {
	to := c.to.Channel(h)
	b := c.open[to]
	if b == nil {
		b = c.pool.Get()
		b.Timed()
		b.Keyed()
		c.open[to] = b
		c.sending = append(c.sending, int32(to))
	}
	n := b.Len()
	b.Resize(n + 1)
	b.Rows()[n], b.Times()[n], b.Hashes()[n] = *row, at, h
	if !b.Full() {
		return nil
	}
	// The channel stays in the list, with an empty batch.
	c.open[to] = c.pool.Get()
	c.open[to].Timed()
	c.open[to].Keyed()
	return c.to.SendOther(to, b)
}

// sendUntil sends the accumulators that are due at a watermark, and all batches.
func (c *Combiner[K, T, A]) sendUntil(at int64) error {
	if c.count > 0 && at >= c.due {
		c.due = element.MaxWatermark
		for i := range c.sets {
			for way := range c.sets[i] {
				if err := c.sendDue(at, &c.sets[i][way], c.tags[i][way]); err != nil {
					return err
				}
			}
		}
	}
	for _, to := range c.sending {
		b := c.open[to]
		c.open[to] = nil
		if b.Len() == 0 {
			b.Release()
		} else if err := c.to.SendOther(int(to), b); err != nil {
			return err
		}
	}
	c.sending = c.sending[:0]
	return nil
}

// sendDue sends the accumulator of a place, if it has one that is due.
func (c *Combiner[K, T, A]) sendDue(at int64, p *held[K, A], h uint64) error {
	switch {
	case p.at == element.NoTime:
		return nil
	case p.due > at:
		c.due = min(c.due, p.due)
		return nil
	}
	err := c.send(p.at, h, &p.row)
	*p = held[K, A]{at: element.NoTime}
	c.count--
	return err
}

func (c *Combiner[K, T, A]) sendAll() error { return c.sendUntil(element.MaxWatermark) }

// Watermark sends what is due before it.
func (c *Combiner[K, T, A]) Watermark(at int64) error {
	if err := c.sendUntil(at); err != nil {
		return err
	}
	c.watermark = at
	return c.to.Watermark(at)
}

// Status sends all before the input goes idle: then the watermark of the receiver may pass its own.
func (c *Combiner[K, T, A]) Status(idle bool) error {
	if err := c.sendAll(); err != nil {
		return err
	}
	return c.to.Status(idle)
}

// End sends all.
func (c *Combiner[K, T, A]) End() error {
	if err := c.sendAll(); err != nil {
		return err
	}
	return c.to.End()
}

// Clear sends all, before a barrier.
func (c *Combiner[K, T, A]) Clear() error { return c.sendAll() }

func _[K comparable, T, A any]() { var _ Input[T] = (*Combiner[K, T, A])(nil) }
