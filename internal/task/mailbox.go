// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/task/splits"
)

// mailsMax bounds the mails that wait for a task whose user function takes its time. What comes beyond is dropped: the
// control plane repeats what matters, and messages may be lost in any case.
const mailsMax = 4096

// mail is a message to the task's goroutine; which fields count depends on the kind.
type mail struct {
	kind mailKind
	// checkpoint is that of all kinds but assign.
	checkpoint int64
	trigger    splits.Trigger
	assignment splits.Assignment
	err        error
}

type mailKind uint8

const (
	mailTrigger mailKind = iota
	mailCompleted
	mailCommitted
	mailAborted
	mailDecided
	mailAssign
	// mailAnnounced tells of the first barrier of a checkpoint that came into the gate.
	mailAnnounced
	// mailWritten tells that the file of a snapshot ended, with err or without.
	mailWritten
	// mailRoom tells that the file of a snapshot takes more again.
	mailRoom
)

// mailbox brings mails to the task's goroutine, in order, and wakes it: for mails, for events of the gate, for operators
// that want a tick, and to be canceled.
type mailbox struct {
	// wake has room for one token: a goroutine that is about to wait finds it.
	wake chan struct{}
	// some is set while there are mails, ticks while an operator wants one: the loop looks at them once a turn.
	some, ticks atomic.Bool
	// announced is the highest checkpoint that was announced.
	announced atomic.Int64

	mu struct {
		sync.Mutex
		mails []mail
		// closed is set when nobody will read any more.
		closed bool
	}
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// signal wakes the goroutine, now or when it is about to wait.
func (m *mailbox) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// post adds a mail. Those about files are never dropped: there is one for the end of each file that the task began, and
// one each time that it was told to wait.
func (m *mailbox) post(x mail) {
	m.mu.Lock()
	if m.mu.closed || len(m.mu.mails) >= mailsMax && x.kind < mailWritten {
		m.mu.Unlock()
		return
	}
	m.mu.mails = append(m.mu.mails, x)
	m.mu.Unlock()
	m.some.Store(true)
	m.signal()
}

// take returns the mails, and takes over the storage of those before.
func (m *mailbox) take(before []mail) []mail {
	clear(before)
	m.some.Store(false) // first: what is posted from now on sets it again
	m.mu.Lock()
	defer m.mu.Unlock()
	mails := m.mu.mails
	m.mu.mails = before[:0]
	return mails
}

// close takes no more mails, and drops those that nobody has read.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.mails, m.mu.closed = nil, true
}

// tick asks for the ticks of operators that were woken.
func (m *mailbox) tick() {
	m.ticks.Store(true)
	m.signal()
}

// announce is the hook of the gate: all but the first barrier of a checkpoint are old news.
func (m *mailbox) announce(_ int, b element.CheckpointBarrier) {
	for {
		highest := m.announced.Load()
		if b.ID <= highest {
			return
		}
		if m.announced.CompareAndSwap(highest, b.ID) {
			m.post(mail{kind: mailAnnounced, checkpoint: b.ID})
			return
		}
	}
}
