// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Probe is a file that shows, before a job starts, whether a TaskManager sees the same storage as the JobMaster.
type Probe struct {
	Name    string
	Content []byte
}

// WriteProbe writes a probe and reads it back. nonce makes it different from all others; RemoveProbe ends it.
func (l *Leader) WriteProbe(ctx context.Context, nonce string) (Probe, error) {
	p := Probe{Name: l.path("probe/" + part(nonce)), Content: []byte("probe " + nonce + "\n")}
	if err := l.objects.Put(ctx, p.Name, p.Content); err != nil {
		return p, fmt.Errorf("checkpoint directory %s can't be written: %w", l.objects.Location(), err)
	}
	return p, p.read(ctx, l.objects, p.Name)
}

// Answer is what a TaskManager does with a probe, over its own view of the storage: it reads it, and writes an answer.
func (p Probe) Answer(ctx context.Context, o Objects, taskManager string) error {
	if err := p.read(ctx, o, p.Name); err != nil {
		return err
	}
	if err := o.Put(ctx, p.answer(taskManager), p.Content); err != nil {
		return fmt.Errorf("checkpoint directory %s can't be written: %w", o.Location(), err)
	}
	return nil
}

// CheckProbe reads the answer of a TaskManager; an error names it.
func (l *Leader) CheckProbe(ctx context.Context, p Probe, taskManager string) error {
	if err := p.read(ctx, l.objects, p.answer(taskManager)); err != nil {
		return fmt.Errorf("TaskManager %s writes to another checkpoint directory than the JobMaster: %w", taskManager, err)
	}
	return nil
}

// RemoveProbe removes a probe and the answers to it.
func (l *Leader) RemoveProbe(ctx context.Context, p Probe, taskManagers ...string) error {
	names := []string{p.Name}
	for _, tm := range taskManagers {
		names = append(names, p.answer(tm))
	}
	return l.objects.Remove(ctx, names...)
}

func (p Probe) answer(taskManager string) string { return p.Name + "." + part(taskManager) }

func (p Probe) read(ctx context.Context, o Objects, name string) error {
	b, err := o.Get(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("checkpoint directory %s is not the JobMaster's: %w", o.Location(), err)
	case err != nil:
		return fmt.Errorf("checkpoint directory %s can't be read: %w", o.Location(), err)
	case !bytes.Equal(b, p.Content):
		return fmt.Errorf("checkpoint directory %s: %s holds other bytes than were written", o.Location(), name)
	}
	return nil
}
