// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest

// checkpoint snapshots the enumerator and all readers, at one point of the assignments.
func (j *jobRun[T, S, E]) checkpoint() *sourceCheckpoint[S, E] {
	j.t.Helper()
	j.deliver()
	state, err := j.enum.Snapshot(1)
	if err != nil {
		j.t.Fatalf("snapshot of the enumerator: %v", err)
	}
	cp := &sourceCheckpoint[S, E]{enum: stored(j.t, []E{state})[0]}
	for _, task := range j.tasks {
		splits, err := task.reader.Snapshot(1)
		if err != nil {
			j.t.Fatalf("snapshot of a reader: %v", err)
		}
		if len(splits) != len(task.held) {
			j.t.Fatalf("snapshot holds %d splits, the reader %d", len(splits), len(task.held))
		}
		for _, s := range splits {
			if !task.held[s.SplitID()] {
				j.t.Fatalf("snapshot holds split %s, which is finished or was never assigned", s.SplitID())
			}
		}
		cp.readers = append(cp.readers, stored(j.t, splits))
		j.kept = append(j.kept, task.records...)
		task.records, task.since, task.finished = nil, nil, nil
	}
	for _, task := range j.tasks {
		if err := task.reader.Completed(1); err != nil {
			j.t.Fatalf("completed: %v", err)
		}
	}
	cp.kept = append(cp.kept, j.kept...)
	return cp
}

// restore throws everything away and goes on from a checkpoint, with that many readers.
func (j *jobRun[T, S, E]) restore(cp *sourceCheckpoint[S, E], readers int) {
	j.t.Helper()
	j.close()
	for _, task := range j.tasks {
		j.lost(task.records)
	}
	j.lost(j.kept[len(cp.kept):])
	j.kept = j.kept[:len(cp.kept)]
	j.startTasks(readers)
	j.startEnumerator(&cp.enum, nil)
	n := 0
	for _, splits := range cp.readers {
		for _, s := range splits {
			j.add(j.tasks[n%readers], []S{s})
			n++
		}
	}
}

// failReader replaces one reader by a new attempt from the checkpoint, or from nothing, while the others go on. What it
// got since then goes back to the enumerator.
func (j *jobRun[T, S, E]) failReader(cp *sourceCheckpoint[S, E], i int) {
	j.t.Helper()
	j.deliver()
	old := j.tasks[i]
	old.cancel()
	j.lost(old.records)
	if err := old.reader.Close(); err != nil {
		j.t.Errorf("close reader: %v", err)
	}
	j.attempt++
	j.tasks[i] = j.newTask(i, len(j.tasks), old.rt.bell)
	if cp != nil && len(cp.readers[i]) > 0 {
		j.add(j.tasks[i], cp.readers[i])
	}
	if len(old.since) > 0 {
		if err := j.enum.AddBack(stored(j.t, old.since), i); err != nil {
			j.t.Fatalf("add back: %v", err)
		}
	}
}

// replaceEnumerator starts a new enumerator from the checkpoint, or from nothing, beside the living readers.
func (j *jobRun[T, S, E]) replaceEnumerator(cp *sourceCheckpoint[S, E]) {
	j.t.Helper()
	j.deliver()
	if err := j.enum.Close(); err != nil {
		j.t.Errorf("close enumerator: %v", err)
	}
	var living [][]S
	for _, task := range j.tasks {
		splits, err := task.reader.Snapshot(2)
		if err != nil {
			j.t.Fatalf("snapshot of a reader: %v", err)
		}
		living = append(living, stored(j.t, append(splits, task.finished...)))
		task.asked = false
	}
	var state *E
	if cp != nil {
		state = &cp.enum
	}
	j.startEnumerator(state, living)
}

// close ends enumerator and readers.
func (j *jobRun[T, S, E]) close() {
	j.t.Helper()
	if err := j.enum.Close(); err != nil {
		j.t.Errorf("close enumerator: %v", err)
	}
	for _, task := range j.tasks {
		task.cancel()
		if err := task.reader.Close(); err != nil {
			j.t.Errorf("close reader: %v", err)
		}
	}
}
