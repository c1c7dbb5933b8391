// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"errors"
	"time"
)

// errEnded declines checkpoints that come too late.
var errEnded = errors.New("the task has ended")

// readMails does what the mails ask for, in their order.
func (t *subtask) readMails(now time.Time) error {
	t.mails = t.mail.take(t.mails)
	for i := range t.mails {
		if err := t.readMail(&t.mails[i], now); err != nil {
			return err
		}
	}
	return nil
}

func (t *subtask) readMail(m *mail, now time.Time) error {
	switch m.kind {
	case mailTrigger:
		return t.trigger(m.trigger, now)
	case mailAssign:
		if t.ledger == nil {
			return nil
		}
		return t.do(t.ledger.Assign(m.assignment), now)
	case mailCompleted:
		return t.completed(m.checkpoint)
	case mailCommitted:
		return t.committed(m.checkpoint)
	case mailAborted:
		return t.aborted(m.checkpoint, now)
	case mailAnnounced:
		t.aligner.Announce(m.checkpoint, now)
		return nil
	default: // mailWritten
		return t.written(m.checkpoint, m.err)
	}
}

// declineRest declines the triggers that nobody will look at any more, for a task that finished. Those of one that
// failed or was canceled are aborted with it.
func (t *subtask) declineRest(s Status) {
	if s != Finished {
		return
	}
	for _, m := range t.mail.take(nil) {
		if m.kind == mailTrigger {
			t.decline(m.checkpoint, errEnded)
		}
	}
}
