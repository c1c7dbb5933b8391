// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import "time"

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
		return t.do(t.ledger.Assign(m.assignment))
	case mailCompleted:
		return t.completed(m.checkpoint)
	case mailCommitted:
		return t.committed(m.checkpoint)
	case mailAborted:
		return t.aborted(m.checkpoint)
	case mailDecided:
		return t.decidedBelow(m.checkpoint)
	case mailAnnounced:
		t.aligner.Announce(m.checkpoint, now)
		return nil
	case mailRoom:
		t.roomy(m.checkpoint)
		return nil
	default: // mailWritten
		return t.written(m.checkpoint, m.err)
	}
}
