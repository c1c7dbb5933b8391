// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// jobRun plays the JobMaster and the tasks of a source.
type jobRun[T any, S connector.Split, E any] struct {
	t    *testing.T
	c    SourceConfig[T, S, E]
	src  connector.Source[T, S, E]
	rows int

	enum    connector.Enumerator[S, E]
	master  *masterContext[S]
	tasks   []*sourceTask[T, S]
	attempt int64
	// kept are the records before the last checkpoint; count is how often each record of kept and of the tasks has come,
	// and missing the number of those wanted that have not.
	kept    []string
	count   map[string]int
	wanted  map[string]bool
	missing int
	turn    int
}

// sourceTask is a reader and what is known of it.
type sourceTask[T any, S connector.Split] struct {
	rt     *Runtime
	cancel context.CancelFunc
	reader connector.Reader[T, S]
	// asked: the reader waits for splits. sleeping: Poll returned ErrWait.
	asked, sleeping, noMore, ended bool
	// held are the ids of unfinished splits; since are the splits that came after the last checkpoint, finished those that
	// ended since.
	held     map[string]bool
	since    []S
	finished []S
	byID     map[string]S
	records  []string
}

// sourceCheckpoint is what a checkpoint of a source holds.
type sourceCheckpoint[S connector.Split, E any] struct {
	enum    E
	readers [][]S
	kept    []string
}

func (c SourceConfig[T, S, E]) start(t *testing.T, readers, rows int) *jobRun[T, S, E] {
	t.Helper()
	j := &jobRun[T, S, E]{t: t, c: c, src: c.New(t), rows: rows, count: map[string]int{}, wanted: map[string]bool{}}
	for i := range c.Want {
		j.wanted[c.Key(&c.Want[i])] = true
	}
	j.missing = len(j.wanted)
	j.startTasks(readers)
	j.startEnumerator(nil, nil)
	return j
}

func (j *jobRun[T, S, E]) startTasks(n int) {
	j.tasks = nil
	bell := make(chan struct{}, 1)
	j.attempt++
	for i := range n {
		task := j.newTask(i, n, bell)
		j.tasks = append(j.tasks, task)
	}
}

func (j *jobRun[T, S, E]) newTask(i, n int, bell chan struct{}) *sourceTask[T, S] {
	j.t.Helper()
	task := &sourceTask[T, S]{rt: NewRuntime(i, n, j.attempt), held: map[string]bool{}, byID: map[string]S{}}
	task.rt.bell = bell
	ctx, cancel := context.WithCancel(j.t.Context())
	task.cancel = cancel
	r, err := j.src.NewReader(ctx, task.rt)
	if err != nil {
		j.t.Fatalf("new reader: %v", err)
	}
	task.reader = r
	return task
}

// startEnumerator makes an enumerator from a state, tells it what living readers have, and starts it.
func (j *jobRun[T, S, E]) startEnumerator(restored *E, assigned [][]S) {
	j.t.Helper()
	j.master = &masterContext[S]{readers: len(j.tasks), bell: j.tasks[0].rt}
	enum, err := j.src.NewEnumerator(j.t.Context(), j.master, restored)
	if err != nil {
		j.t.Fatalf("new enumerator: %v", err)
	}
	for i, splits := range assigned {
		if len(splits) == 0 {
			continue
		}
		if err := enum.Assigned(i, splits); err != nil {
			j.t.Fatalf("assigned: %v", err)
		}
	}
	if err := enum.Start(j.t.Context()); err != nil {
		j.t.Fatalf("start enumerator: %v", err)
	}
	j.enum = enum
}

// deliver hands the readers what the enumerator sent them.
func (j *jobRun[T, S, E]) deliver() {
	j.t.Helper()
	for _, a := range j.master.take(j.t) {
		task := j.tasks[a.reader]
		task.asked, task.sleeping = false, false
		if a.noMore {
			task.noMore = true
			task.reader.NoMoreSplits()
			continue
		}
		splits := stored(j.t, a.splits)
		task.since = append(task.since, splits...)
		j.add(task, splits)
	}
}

func (j *jobRun[T, S, E]) add(task *sourceTask[T, S], splits []S) {
	j.t.Helper()
	for _, s := range splits {
		if task.held[s.SplitID()] {
			j.t.Fatalf("split %s was assigned twice", s.SplitID())
		}
		task.held[s.SplitID()] = true
		task.byID[s.SplitID()] = s
	}
	if err := task.reader.Add(splits); err != nil {
		j.t.Fatalf("add splits: %v", err)
	}
}

// polls makes n polls that bring something, or fewer if the source ends before: then it returns false.
func (j *jobRun[T, S, E]) polls(n int) bool {
	j.t.Helper()
	for n > 0 {
		if j.done() {
			return false
		}
		if j.step() {
			n--
		}
	}
	return true
}

// step lets the next task that is awake work; it waits if all are asleep. It tells whether something came.
func (j *jobRun[T, S, E]) step() bool {
	j.t.Helper()
	for range j.tasks {
		j.turn++
		task := j.tasks[j.turn%len(j.tasks)]
		if task.ended || j.t.Failed() {
			continue
		}
		if len(task.held) == 0 && !task.asked && !task.noMore {
			task.asked = true
			if err := j.enum.ReaderReady(task.rt.Subtask()); err != nil {
				j.t.Fatalf("reader ready: %v", err)
			}
		}
		j.deliver()
		if task.sleeping && !task.rt.due(time.Now()) {
			continue
		}
		if j.poll(task) {
			return true
		}
	}
	if !j.done() {
		j.sleep()
	}
	return false
}

// sleep waits until a task that slept is due, unless one is awake.
func (j *jobRun[T, S, E]) sleep() {
	j.t.Helper()
	var asleep []*Runtime
	for _, task := range j.tasks {
		switch {
		case task.ended:
		case !task.sleeping:
			return
		default:
			asleep = append(asleep, task.rt)
		}
	}
	if len(asleep) > 0 && !waitAny(asleep) {
		j.t.Fatal("no reader has woken its task although records are missing")
	}
}

// poll calls Poll once and checks what it returns.
func (j *jobRun[T, S, E]) poll(task *sourceTask[T, S]) bool {
	j.t.Helper()
	b := element.NewBatch[T](j.rows)
	before := time.Now()
	id, err := task.reader.Poll(b)
	if blocked := time.Since(before); blocked > 0 {
		j.t.Fatalf("Poll blocked for %v", blocked)
	}
	rows := b.Rows()
	for i := range rows {
		key := j.c.Key(&rows[i])
		task.records = append(task.records, key)
		j.came(key, 1)
	}
	task.sleeping = errors.Is(err, connector.ErrWait)
	switch {
	case len(rows) > j.rows:
		j.t.Fatalf("Poll returned %d records in a batch of %d", len(rows), j.rows)
	case errors.Is(err, io.EOF):
		if len(task.held) > 0 || !task.noMore {
			j.t.Fatalf("Poll returned io.EOF with splits %v left, no more splits %v", task.held, task.noMore)
		}
		task.ended = true
	case err != nil && !errors.Is(err, connector.ErrWait) && !errors.Is(err, connector.ErrSplitEnd):
		j.t.Fatalf("poll: %v", err)
	case len(rows) > 0 || errors.Is(err, connector.ErrSplitEnd):
		if !task.held[id] {
			j.t.Fatalf("Poll returned split %q, which the reader does not hold", id)
		}
	}
	if errors.Is(err, connector.ErrSplitEnd) {
		delete(task.held, id)
		task.finished = append(task.finished, task.byID[id])
	}
	return len(rows) > 0 || errors.Is(err, connector.ErrSplitEnd)
}

// done tells whether all there is to come has come.
func (j *jobRun[T, S, E]) done() bool {
	if j.src.Boundedness() == connector.Unbounded {
		return j.missing == 0
	}
	for _, task := range j.tasks {
		if !task.ended {
			return false
		}
	}
	return true
}

// finish reads to the end, and compares.
func (j *jobRun[T, S, E]) finish() {
	j.t.Helper()
	for !j.done() {
		j.step()
	}
	j.close()
	extra := 0
	for key, n := range j.count {
		if n > 1 {
			j.t.Errorf("record %s came %d times", key, n)
		}
		if n > 0 && !j.wanted[key] {
			extra++
		}
	}
	for key := range j.wanted {
		if j.count[key] == 0 {
			j.t.Errorf("record %s is missing", key)
		}
	}
	if j.src.Boundedness() == connector.Bounded && extra > 0 {
		j.t.Errorf("%d records came that are none of the source", extra)
	}
}

// came counts a record, or takes back that it came.
func (j *jobRun[T, S, E]) came(key string, n int) {
	before := j.count[key]
	j.count[key] = before + n
	if !j.wanted[key] {
		return
	}
	switch {
	case before == 0 && n > 0:
		j.missing--
	case before == -n:
		j.missing++
	}
}

// lost takes back records that are rolled back.
func (j *jobRun[T, S, E]) lost(keys []string) {
	for _, key := range keys {
		j.came(key, -1)
	}
}

// masterContext collects what an enumerator sends.
type masterContext[S connector.Split] struct {
	readers int
	bell    *Runtime
	mu      struct {
		sync.Mutex
		sent []assignment[S]
		err  error
	}
}

type assignment[S connector.Split] struct {
	reader int
	splits []S
	noMore bool
}

func (m *masterContext[S]) Readers() []int {
	var all []int
	for i := range m.readers {
		all = append(all, i)
	}
	return all
}

func (m *masterContext[S]) Assign(reader int, splits ...S) {
	m.send(assignment[S]{reader: reader, splits: splits})
}

func (m *masterContext[S]) NoMoreSplits(reader int) {
	m.send(assignment[S]{reader: reader, noMore: true})
}

func (m *masterContext[S]) send(a assignment[S]) {
	m.mu.Lock()
	m.mu.sent = append(m.mu.sent, a)
	m.mu.Unlock()
	m.bell.Wake()
}

func (m *masterContext[S]) Fail(err error) {
	m.mu.Lock()
	m.mu.err = err
	m.mu.Unlock()
	m.bell.Wake()
}

func (m *masterContext[S]) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (m *masterContext[S]) take(t testing.TB) []assignment[S] {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.err != nil {
		t.Fatalf("the enumerator failed the job: %v", m.mu.err)
	}
	sent := m.mu.sent
	m.mu.sent = nil
	return sent
}
