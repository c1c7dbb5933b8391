// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
)

// point is a small record, of 24 bytes.
type point struct{ Key, Value, Rest int64 }

func pointHash(p *point) uint64 { return hasher(&p.Key) }

// BenchmarkHashEdge sends records by the hash of their keys from two producers to two consumers: through writers and
// gates, then through the same work written out by hand. ratio is what the first uses
// of the cores over what the second does.
func BenchmarkHashEdge(b *testing.B) {
	for _, rowsMax := range []int{1024, 64} {
		b.Run(fmt.Sprint("rows=", rowsMax), func(b *testing.B) {
			const records = 1 << 20
			var engine, loop cost
			for b.Loop() {
				engine.add(timed(func() { hashEdge(b, records, rowsMax) }))
				loop.add(timed(func() { hashLoop(records, rowsMax) }))
			}
			report(b, 2*records, engine, loop)
		})
	}
}

// cost is what a piece of work took, on the clock and of all cores: the latter is what compares on a busy machine.
type cost struct{ wall, cpu time.Duration }

func (c *cost) add(o cost) { c.wall, c.cpu = c.wall+o.wall, c.cpu+o.cpu }

func timed(f func()) cost {
	start, before := time.Now(), cpu()
	f()
	return cost{time.Since(start), cpu() - before}
}

// cpu is what the process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report gives the time of a record by the engine and by the loop, and the ratio of what they use of the cores.
func report(b *testing.B, records int, engine, loop cost) {
	n := float64(b.N * records)
	b.ReportMetric(float64(engine.wall)/n, "ns/record")
	b.ReportMetric(float64(engine.cpu)/n, "cpu-ns/record")
	b.ReportMetric(float64(loop.cpu)/n, "loop-cpu-ns/record")
	b.ReportMetric(float64(engine.cpu)/float64(loop.cpu), "ratio")
	b.ReportMetric(0, "ns/op")
}

// generate fills rows with records that continue at next.
func generate(rows []point, times []int64, next *uint64) {
	for i := range rows {
		*next++
		k := mix(*next)
		rows[i] = point{int64(k >> 40), int64(*next), 1}
		times[i] = int64(*next)
	}
}

func hashEdge(b *testing.B, records, rowsMax int) {
	up, _ := transports[0].open(b, Config{})
	var wg sync.WaitGroup
	for i := range 2 {
		p, err := up.CreatePartition(PartitionID{Attempt: int64(i)}, 2, nil)
		must(b, err)
		wg.Go(func() {
			w := NewWriter(WriterConfig[point]{
				Senders: p.Senders(), Subtask: i, KeyGroups: 128, RowsMax: rowsMax, Partitioning: Hash, Hash: each(pointHash),
			})
			in := element.NewBatch[point](1024)
			in.Timed()
			next := uint64(i) << 40
			for range records / 1024 {
				in.Resize(1024)
				generate(in.Rows(), in.Times(), &next)
				should(b, w.Process(in))
			}
			should(b, w.End())
		})
	}
	sums := make([]int64, 2)
	for i := range 2 {
		k := newTaker(b, 2)
		for c := range 2 {
			must(b, up.Connect(k.Gate, c, Source{ID: PartitionID{Attempt: int64(c)}, Subpartition: i}, nil))
		}
		wg.Go(func() {
			for ended := 0; ended < 2; {
				e := k.take()
				if e.Batch != nil {
					t := e.Batch.(*element.Batch[point])
					rows, times, hashes := t.Rows(), t.Times(), t.Hashes()
					for j := range rows {
						sums[i] += rows[j].Value + times[j] + int64(hashes[j])
					}
					k.Release(e)
				}
				if e.Control.Kind == element.EndOfInput {
					ended++
				}
			}
		})
	}
	wg.Wait()
}

// parcel is the batch of the hand-written loop.
type parcel struct {
	rows   []point
	times  []int64
	hashes []uint64
	home   chan *parcel
}

func hashLoop(records, rowsMax int) {
	var to [2]chan *parcel
	for i := range to {
		to[i] = make(chan *parcel, 2*Credits)
	}
	var producers, consumers sync.WaitGroup
	for i := range 2 {
		producers.Go(func() {
			home := make(chan *parcel, 4*Credits)
			for range 4 * Credits {
				home <- &parcel{make([]point, 0, rowsMax), make([]int64, 0, rowsMax), make([]uint64, 0, rowsMax), home}
			}
			open := [2]*parcel{<-home, <-home}
			rows, times := make([]point, 1024), make([]int64, 1024)
			hashes, targets := make([]uint64, 1024), make([]uint8, 1024)
			next := uint64(i) << 40
			for range records / 1024 {
				generate(rows, times, &next)
				for j := range rows {
					hashes[j] = pointHash(&rows[j])
					g, _ := keys.Group(hashes[j], 128)
					targets[j] = uint8(g >> 6)
				}
				for j, t := range targets {
					o := open[t]
					n := len(o.rows)
					o.rows, o.times, o.hashes = o.rows[:n+1], o.times[:n+1], o.hashes[:n+1]
					o.rows[n], o.times[n], o.hashes[n] = rows[j], times[j], hashes[j]
					if n+1 == rowsMax {
						to[t] <- o
						open[t] = <-home
					}
				}
			}
			to[0] <- open[0]
			to[1] <- open[1]
		})
	}
	sums := make([]int64, 2)
	for i := range to {
		consumers.Go(func() {
			for p := range to[i] {
				for j := range p.rows {
					sums[i] += p.rows[j].Value + p.times[j] + int64(p.hashes[j])
				}
				p.rows, p.times, p.hashes = p.rows[:0], p.times[:0], p.hashes[:0]
				p.home <- p
			}
		})
	}
	producers.Wait()
	close(to[0])
	close(to[1])
	consumers.Wait()
}

// BenchmarkHandOff passes batches of one row from a task to another, beside a Go channel that does the same with
// batches that come home.
func BenchmarkHandOff(b *testing.B) {
	const rows = 1 << 18
	var engine, loop cost
	for b.Loop() {
		engine.add(timed(func() { handOff(b, rows) }))
		loop.add(timed(func() { handOffLoop(rows) }))
	}
	report(b, rows, engine, loop)
}

func handOff(b *testing.B, rows int) {
	up, _ := transports[0].open(b, Config{})
	p, err := up.CreatePartition(PartitionID{}, 1, nil)
	must(b, err)
	k := newTaker(b, 1)
	must(b, up.Connect(k.Gate, 0, Source{}, nil))
	var wg sync.WaitGroup
	wg.Go(func() {
		for sum := int64(0); ; {
			e := k.take()
			if e.Batch != nil {
				sum += e.Batch.(*element.Batch[point]).Rows()[0].Value
			}
			k.Release(e)
			if e.Control.Kind == element.EndOfInput {
				return
			}
		}
	})
	w := NewWriter(WriterConfig[point]{Senders: p.Senders(), RowsMax: 1, Partitioning: Forward})
	in := element.NewBatch[point](1)
	for range rows {
		in.Reset()
		in.AppendNanos(1).Value = 1
		should(b, w.Process(in))
	}
	should(b, w.End())
	wg.Wait()
}

func handOffLoop(rows int) {
	to, home := make(chan *parcel, Credits), make(chan *parcel, Credits+2)
	for range cap(home) {
		home <- &parcel{rows: make([]point, 1), times: make([]int64, 1)}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		sum := int64(0)
		for p := range to {
			sum += p.rows[0].Value
			home <- p
		}
	})
	for range rows {
		p := <-home
		p.rows[0], p.times[0] = point{Value: 1}, 1
		to <- p
	}
	close(to)
	wg.Wait()
}

// TestSteadyEdgeAllocatesNothing counts the objects that batches of a warm edge cost.
func TestSteadyEdgeAllocatesNothing(t *testing.T) {
	up, _ := transports[0].open(t, Config{})
	for _, p := range []Partitioning{Forward, Hash, Broadcast} {
		id := PartitionID{Edge: int(p)}
		produced := partition(t, up, id, 2)
		gates := make([]*Gate, 2)
		for i := range gates {
			gates[i] = NewGate([]int{0}, func() {}, GateOptions{})
			must(t, up.Connect(gates[i], 0, Source{ID: id, Subpartition: i}, nil))
		}
		w := NewWriter(WriterConfig[point]{
			Senders: produced.Senders(), KeyGroups: 8, RowsMax: 64, Partitioning: p, Hash: each(pointHash),
		})
		in := element.NewBatch[point](64)
		in.Timed()
		next := uint64(0)
		step := func() {
			in.Resize(64)
			generate(in.Rows(), in.Timed(), &next)
			must(t, w.Process(in))
			must(t, w.Flush())
			for _, g := range gates {
				for e, ok := g.Next(); ok; e, ok = g.Next() {
					g.Release(e)
				}
			}
		}
		for range 10 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n >= 1 {
			t.Errorf("%v: %v objects a batch", p, n)
		}
	}
}

// BenchmarkIdleChannels connects a thousand producers with a thousand consumers and reports what a channel costs.
func BenchmarkIdleChannels(b *testing.B) {
	const side = 1000
	for b.Loop() {
		before := heap()
		start := time.Now()
		ends := connectAll(b, side)
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/(side*side), "connect-ns/channel")
		b.ReportMetric(float64(heap()-before)/(side*side), "B/channel")
		runtime.KeepAlive(ends)
	}
	b.ReportMetric(0, "ns/op")
}

// idleChannelBytesMax bounds what both ends of a channel take that has carried nothing.
const idleChannelBytesMax = 200

// TestIdleChannelIsSmall holds the memory of an idle channel. It counts all that is allocated on the way, so it is no matter
// of what the collector has found.
func TestIdleChannelIsSmall(t *testing.T) { // not parallel: what others allocate would count
	const side = 200
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	ends := connectAll(t, side)
	if n := (allocated() - before) / (side * side); n > idleChannelBytesMax {
		t.Errorf("a channel takes %d bytes, at most %d", n, idleChannelBytesMax)
	}
	runtime.KeepAlive(ends)
}

// connectAll connects so many producers with as many consumers, and returns all that lives of that.
func connectAll(tb testing.TB, side int) []any {
	tb.Helper()
	up, _ := transports[0].open(tb, Config{})
	ends := []any{up}
	gates := make([]*Gate, side)
	for i := range gates {
		gates[i] = NewGate(make([]int, side), func() {}, GateOptions{})
		ends = append(ends, gates[i])
	}
	for i := range side {
		id := PartitionID{Attempt: int64(i)}
		p, err := up.CreatePartition(id, side, nil)
		must(tb, err)
		for c, g := range gates {
			must(tb, up.Connect(g, i, Source{ID: id, Subpartition: c}, nil))
		}
		ends = append(ends, NewWriter(WriterConfig[point]{
			Senders: p.Senders(), KeyGroups: 32768, Partitioning: Hash, Hash: each(pointHash),
		}))
	}
	return ends
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bid is a record that takes about 176 bytes on the wire.
type bid struct {
	Auction, Bidder, Price int64
	Channel, URL           string
	At                     int64
	Extra                  string
}

func bids(n int) []bid {
	rows := make([]bid, n)
	for i := range rows {
		rows[i] = bid{
			Auction: int64(mix(uint64(i)) >> 40), Bidder: int64(mix(uint64(i)) >> 44), Price: int64(i) * 17,
			Channel: fmt.Sprint("channel-", i%10_000), At: 1_700_000_000_000 + int64(i),
			URL:   "https://www.nexmark.example/item.htm?query=1&channel_id=" + fmt.Sprint(i),
			Extra: strings.Repeat("x", 92),
		}
	}
	return rows
}

// BenchmarkSocketEdge sends bids over one connection, both ends in this process: with owned and with borrowed strings,
// and beside that by a bare loop over frames, which encodes, writes, reads and decodes with borrowed strings, without
// gates, credit and tasks. of-bare is the inverse of the ratio; pipe is a loop that moves as many
// bytes and does nothing else.
func BenchmarkSocketEdge(b *testing.B) {
	c, err := codec.For[bid]()
	must(b, err)
	for _, tr := range transports[2:4] {
		for _, strings := range []codec.Strings{codec.Owned, codec.Borrowed} {
			name := "owned"
			if strings {
				name = "borrowed"
			}
			b.Run(tr.name+"/"+name, func(b *testing.B) {
				defer debug.SetGCPercent(debug.SetGCPercent(400)) // as executors set it
				const records = 1 << 20
				rows := bids(element.RowsFor[bid](1))
				batch := element.NewBatch[bid](len(rows))
				batch.Resize(len(rows))
				copy(batch.Rows(), rows)
				frame := c.Append(nil, rows)
				batches := records / len(rows)
				var engine, bare, pipe cost
				for b.Loop() {
					engine.add(socketEdge(b, tr, c, strings, rows, batches))
					bare.add(bareLoop(b, tr, rows, c, len(frame), batches))
					pipe.add(bareLoop(b, tr, rows, nil, len(frame), batches))
				}
				n := float64(b.N * batches * len(rows))
				report(b, batches*len(rows), engine, bare)
				b.ReportMetric(n/engine.wall.Seconds()/1e6, "Mrecords/s")
				b.ReportMetric(n/bare.wall.Seconds()/1e6, "bare-Mrecords/s")
				b.ReportMetric(float64(pipe.cpu)/n, "pipe-cpu-ns/record")
				b.ReportMetric(float64(bare.cpu)/float64(engine.cpu), "of-bare")
				b.ReportMetric(float64(len(frame))/float64(len(rows)), "B/record")
			})
		}
	}
}

func socketEdge(
	b *testing.B, tr transport, c *codec.Codec[bid], strings codec.Strings, rows []bid, batches int,
) cost {
	up, down := tr.open(b, Config{})
	p, err := up.CreatePartition(PartitionID{}, 1, SerdeOf(c, strings))
	must(b, err)
	k := newTaker(b, 1)
	must(b, down.Connect(k.Gate, 0, Source{Address: up.Address()}, SerdeOf(c, strings)))
	w := NewWriter(WriterConfig[bid]{Senders: p.Senders(), Partitioning: Forward})
	must(b, w.Watermark(0))
	for k.take().Control.Kind != element.Watermark { // connected
	}
	return timed(func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			in := element.NewBatch[bid](len(rows))
			for range batches {
				in.Resize(len(rows))
				copy(in.Rows(), rows)
				should(b, w.Process(in))
			}
			should(b, w.End())
		})
		sum := 0
		for {
			e := k.take()
			must(b, e.Err)
			if e.Batch != nil {
				rows := e.Batch.(*element.Batch[bid]).Rows()
				for i := range rows {
					sum += int(rows[i].Price) + len(rows[i].URL)
				}
				k.Release(e)
			}
			if e.Control.Kind == element.EndOfInput {
				break
			}
		}
		wg.Wait()
	})
}

func bareLoop(b *testing.B, tr transport, rows []bid, c *codec.Codec[bid], size, frames int) cost {
	where := "127.0.0.1:0"
	if tr.network == "unix" {
		where = b.TempDir() + "/bare"
	}
	l, err := net.Listen(tr.network, where)
	must(b, err)
	out, err := net.Dial(tr.network, l.Addr().String())
	must(b, err)
	in, err := l.Accept()
	must(b, err)
	defer closeAll(b, l, out, in)
	return timed(func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			src := make([]bid, len(rows))
			buf := make([]byte, headerBytes+size)
			for range frames {
				if c != nil {
					copy(src, rows)
					buf = c.Append(buf[:headerBytes], src)
				}
				binary.LittleEndian.PutUint32(buf, uint32(len(buf)-headerBytes))
				_, err := out.Write(buf)
				should(b, err)
			}
		})
		sum := 0
		buf, dst := make([]byte, size), make([]bid, len(rows))
		for range frames {
			_, err := io.ReadFull(in, buf[:headerBytes])
			must(b, err)
			_, err = io.ReadFull(in, buf[:binary.LittleEndian.Uint32(buf)])
			must(b, err)
			if c == nil {
				continue
			}
			_, err = c.Decode(buf, dst, codec.Borrowed)
			must(b, err)
			for i := range dst {
				sum += int(dst[i].Price) + len(dst[i].URL)
			}
		}
		wg.Wait()
	})
}
