// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/keys"
)

// WriterConfig is what a Writer is made of.
type WriterConfig[T any] struct {
	// Senders are the channels, in the order of the consumers.
	Senders []Sender
	// Subtask is that of the producer.
	Subtask int
	// KeyGroups is the max parallelism of the consumer; Hash needs it.
	KeyGroups int
	// RowsMax bounds the rows of a batch; zero leaves it to the type.
	RowsMax      int
	Partitioning Partitioning
	// Hash writes the hash of the key of each row; Hash edges need it. hashes is as long as rows.
	Hash func(rows []T, hashes []uint64)
	// Before, if set, is called before records go to a consumer because a batch of them is full: other outputs of the task
	// send that consumer what they have gathered first. It is for Hash and Forward edges.
	Before func(consumer int) error
	// Loan is that of the task; nil where nothing is lent. What records hold of it is copied before they are sent.
	Loan *element.Loan
}

// Writer is the end of a chain: it finds the channels of records and sends them in batches. It has the methods of an
// operator's input, and those of Output. The task's goroutine calls all but Blocked.
//
// Small batches are gathered in open builders until they are full, Flush is called, or control follows. A batch that
// fills at least half of a builder is passed on as it is where all of its records go the same way: its storage is
// swapped against that of a batch which came home.
type Writer[T any] struct {
	config  WriterConfig[T]
	senders []Sender
	pool    *element.Pool[T]
	owner   codec.Owner[T]
	// builders has one element for each sender where records of a batch go different ways, else a single one. Those that
	// have held no rows yet are nil.
	builders []*builder[T]
	// open lists the builders that hold rows.
	open []int32
	// timed tells whether the rows of open builders have event times.
	timed bool
	// next is the channel of the next batch of Rebalance, drawn the number of records that Shuffle has dealt.
	next  int
	drawn uint64
	router
	// blocked is the time spent waiting for credit in nanoseconds; since is when the wait began that is going on, or zero.
	blocked, since atomic.Int64
}

var _ Output = (*Writer[int])(nil)

// builder is a batch that is being filled. Its columns are spread over the capacity of the batch.
type builder[T any] struct {
	rows   []T
	times  []int64
	hashes []uint64
	// n rows are filled; a builder with none has no batch. One with rows is at this place among those that are open.
	n, place int
	batch    *element.Batch[T]
}

// NewWriter makes the writer of one producing subtask.
func NewWriter[T any](c WriterConfig[T]) *Writer[T] {
	invariants.Check(len(c.Senders) > 0 && len(c.Senders) <= 1<<16, "writer with %d channels", len(c.Senders))
	targets := 1
	if c.Partitioning == Hash || c.Partitioning == Shuffle {
		targets = len(c.Senders)
	}
	rows := element.RowsFor[T](targets)
	if c.RowsMax > 0 {
		rows = min(rows, c.RowsMax)
	}
	w := &Writer[T]{config: c, senders: c.Senders, builders: make([]*builder[T], targets)}
	if c.Loan != nil {
		w.owner = codec.OwnerOf[T]()
	}
	// What a steady edge needs: the credit of each channel, a batch with the consumer's chain, an open builder.
	w.pool = element.NewPool[T](rows, len(c.Senders)*(Credits+2))
	switch c.Partitioning {
	case Hash:
		invariants.Check(c.Hash != nil && c.KeyGroups > 0, "hash writer for %d key groups", c.KeyGroups)
		w.router = newRouter(c.KeyGroups, len(c.Senders))
	case Rebalance:
		w.next = c.Subtask % len(c.Senders)
	case Forward, Global, Shuffle, Broadcast:
	}
	return w
}

// Process sends the records of a batch on, or gathers them.
func (w *Writer[T]) Process(b *element.Batch[T]) error {
	if b.Len() == 0 {
		return nil
	}
	invariants.Check(!b.Borrowed(), "a batch with a frame of its own is sent: the task has not taken it")
	w.Own(b.Rows())
	if timed := b.Times() != nil; timed != w.timed {
		if err := w.Flush(); err != nil {
			return err
		}
		w.timed = timed
	}
	switch {
	case len(w.builders) > 1:
		return w.scatter(b)
	case !b.Shared() && b.Len() <= w.pool.Rows() && 2*b.Len() >= w.pool.Rows():
		return w.pass(b)
	default:
		return w.gather(b)
	}
}

// Own copies what rows hold of memory that is lent.
func (w *Writer[T]) Own(rows []T) {
	if lent := w.config.Loan.Memory(); lent != nil {
		w.owner.Own(rows, lent)
	}
}

// pass sends a batch as it is, behind what is gathered.
func (w *Writer[T]) pass(b *element.Batch[T]) error {
	if err := w.before(0); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p := w.pool.Get()
	// The columns of hashes stay where they are: those of b say nothing about this edge.
	mine, theirs := p.Hashes(), b.Hashes()
	p.SetHashes(nil)
	b.SetHashes(nil)
	p.Swap(b)
	b.SetHashes(theirs[:0])
	if w.config.Partitioning == Hash {
		p.SetHashes(w.hash(mine[:0], p.Rows()))
	}
	return w.ship(p, element.Control{})
}

// hash appends the hash of each row.
func (w *Writer[T]) hash(hashes []uint64, rows []T) []uint64 {
	if cap(hashes) < len(rows) {
		hashes = make([]uint64, 0, max(w.pool.Rows(), len(rows)))
	}
	hashes = hashes[:len(rows)]
	w.config.Hash(rows, hashes)
	return hashes
}

// gather copies records into the one open builder.
func (w *Writer[T]) gather(b *element.Batch[T]) error {
	rows, times := b.Rows(), b.Times()
	for len(rows) > 0 {
		o, err := w.room(0)
		if err != nil {
			return err
		}
		n := copy(o.rows[o.n:], rows)
		if times != nil {
			times = times[copy(o.times[o.n:], times):]
		}
		if w.config.Partitioning == Hash {
			w.hash(o.hashes[o.n:o.n], o.rows[o.n:o.n+n])
		}
		o.n += n
		rows = rows[n:]
	}
	return nil
}

// room returns the builder of a target with room for a row.
func (w *Writer[T]) room(target int) (*builder[T], error) {
	if o := w.builders[target]; o != nil && o.n < len(o.rows) {
		return o, nil
	}
	return w.makeRoom(target)
}

// makeRoom sends a builder that is full, and gives it a batch.
func (w *Writer[T]) makeRoom(target int) (*builder[T], error) {
	o := w.builders[target]
	if o == nil {
		o = new(builder[T])
		w.builders[target] = o
	}
	place := o.place
	if o.n == 0 {
		place = len(w.open)
		w.open = append(w.open, int32(target))
	} else if err := w.shipFull(target); err != nil {
		return nil, err
	}
	b := w.pool.Get()
	n := w.pool.Rows()
	b.Grow(n)
	if w.timed {
		b.Timed()
	} else {
		b.SetTimes(nil)
	}
	if w.config.Partitioning == Hash {
		b.Keyed()
	}
	b.Resize(n)
	o.place, o.batch, o.rows, o.times, o.hashes = place, b, b.Rows(), b.Times(), b.Hashes()
	return o, nil
}

// shipFull sends a builder that is full, behind what other outputs have for the consumer.
func (w *Writer[T]) shipFull(target int) error {
	if err := w.before(target); err != nil {
		return err
	}
	return w.shipBuilder(target, element.Control{})
}

func (w *Writer[T]) before(consumer int) error {
	if w.config.Before == nil {
		return nil
	}
	return w.config.Before(consumer)
}

// close takes the batch out of a builder; nil if it holds no rows.
func (o *builder[T]) close() *element.Batch[T] {
	if o == nil || o.batch == nil {
		return nil
	}
	b := o.batch
	b.Resize(o.n)
	*o = builder[T]{}
	return b
}

// shipBuilder sends what a builder holds to where it belongs, with a control behind.
func (w *Writer[T]) shipBuilder(i int, c element.Control) error {
	b := w.builders[i].close()
	if len(w.builders) == 1 {
		return w.ship(b, c)
	}
	return w.send(i, b, c)
}

// ship sends a batch whose records go the same way, and the control to all channels.
func (w *Writer[T]) ship(b *element.Batch[T], c element.Control) error {
	to := w.next
	switch {
	case b == nil:
		to = -1
	case w.config.Partitioning == Broadcast:
		return w.shipAll(b, c)
	case w.config.Partitioning == Rebalance:
		w.next = (w.next + 1) % len(w.senders)
	}
	if c.Kind == element.None {
		return w.send(to, b, c)
	}
	for i := range w.senders {
		var rows *element.Batch[T]
		if i == to {
			rows = b
		}
		if err := w.send(i, rows, c); err != nil {
			return err
		}
	}
	return nil
}

// shipAll sends one batch to all channels, each with a hold of its own.
func (w *Writer[T]) shipAll(b *element.Batch[T], c element.Control) error {
	for range len(w.senders) - 1 {
		b.Hold()
	}
	for i := range w.senders {
		if err := w.send(i, b, c); err != nil {
			for range w.senders[i+1:] {
				b.Release()
			}
			return err
		}
	}
	return nil
}

// send passes on a batch, which may be nil, and measures how long it waits for credit.
func (w *Writer[T]) send(to int, b *element.Batch[T], c element.Control) error {
	if b == nil {
		return w.senders[to].Send(nil, c)
	}
	return w.pay(to, b, c)
}

// pay sends a batch, which costs credit.
func (w *Writer[T]) pay(to int, b element.Any, c element.Control) error {
	s := w.senders[to]
	if s.Ready() {
		return s.Send(b, c)
	}
	start := time.Now()
	w.since.Store(start.UnixNano())
	err := s.Send(b, c)
	w.since.Store(0)
	w.blocked.Add(int64(time.Since(start)))
	return err
}

// SendOther sends a batch of another record type on a channel of a Hash edge, ahead of what is gathered: its serde is that
// of Either.
func (w *Writer[T]) SendOther(to int, b element.Any) error {
	if err := w.before(to); err != nil {
		return err
	}
	return w.pay(to, b, element.Control{})
}

// Width is the number of channels.
func (w *Writer[T]) Width() int { return len(w.senders) }

// Channel is the one of records whose key has a hash.
func (w *Writer[T]) Channel(h uint64) int {
	group, _ := keys.Group(h, w.groups)
	return int(w.consumerOf(uint64(group)))
}

// control sends what is gathered and the control behind it on every channel.
func (w *Writer[T]) control(c element.Control) error {
	w.open = w.open[:0]
	for i := range w.builders {
		if err := w.shipBuilder(i, c); err != nil {
			return err
		}
	}
	return nil
}

// Watermark sends what is gathered and the watermark behind it.
func (w *Writer[T]) Watermark(at int64) error {
	return w.control(element.Control{Kind: element.Watermark, At: at})
}

// Status sends what is gathered and that the stream went idle or came back.
func (w *Writer[T]) Status(idle bool) error {
	if idle {
		return w.control(element.Control{Kind: element.Idle})
	}
	return w.control(element.Control{Kind: element.Active})
}

// End sends what is gathered and the end of the input.
func (w *Writer[T]) End() error { return w.control(element.Control{Kind: element.EndOfInput}) }

// Barrier sends what is gathered and the barrier behind it.
func (w *Writer[T]) Barrier(b element.CheckpointBarrier) error {
	return w.control(element.Control{Kind: element.Barrier, Checkpoint: b})
}

// Flush sends what is gathered.
func (w *Writer[T]) Flush() error {
	open := w.open
	w.open = w.open[:0]
	for _, i := range open {
		if err := w.shipBuilder(int(i), element.Control{}); err != nil {
			return err
		}
	}
	return nil
}

// FlushTo sends what is gathered for one consumer of a Hash edge, or for the one of a Forward edge.
func (w *Writer[T]) FlushTo(consumer int) error {
	o := w.builders[consumer]
	if o == nil || o.n == 0 {
		return nil
	}
	last := w.open[len(w.open)-1]
	w.open[o.place], w.builders[last].place = last, o.place
	w.open = w.open[:len(w.open)-1]
	return w.shipBuilder(consumer, element.Control{})
}

// Pending reports whether rows are gathered.
func (w *Writer[T]) Pending() bool { return len(w.open) > 0 }

// Blocked is the time spent waiting for credit, a wait that goes on included. It may be called from any goroutine.
func (w *Writer[T]) Blocked() int64 {
	blocked := w.blocked.Load()
	if since := w.since.Load(); since != 0 {
		blocked += max(0, time.Now().UnixNano()-since)
	}
	return blocked
}
