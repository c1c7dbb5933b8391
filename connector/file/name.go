// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	inProgressSuffix = ".inprogress"
	pendingSuffix    = ".pending"
	// markerName is the file that names the run to which a directory belongs. Runs that took it over from the one before
	// have a number behind theirs, from 2 on.
	markerName = ".weir-run"
)

// marker says that a directory belongs to a run, or did before the next one took it over. As each is created under the
// condition that it isn't there, one run only can follow another.
type marker struct {
	// number is 1 for the first run.
	number int
	run    string
}

func (m marker) file() string {
	if m.number == 1 {
		return markerName
	}
	return markerName + "-" + strconv.Itoa(m.number)
}

func parseMarker(file string) (marker, bool) {
	if file == markerName {
		return marker{number: 1}, true
	}
	digits, ok := strings.CutPrefix(file, markerName+"-")
	n, err := strconv.Atoi(digits)
	m := marker{number: n}
	return m, ok && err == nil && n > 1 && m.file() == file
}

// name is what the names of a file are made of.
type name struct {
	job             string
	subtask         int64
	attempt, number int64
	suffix          string
}

func (n name) final() string {
	return fmt.Sprintf("part-%s-%d-%d-%d%s", n.job, n.subtask, n.attempt, n.number, n.suffix)
}

func (n name) inProgress() string { return "." + n.final() + inProgressSuffix }

func (n name) pending() string { return "." + n.final() + pendingSuffix }

// part is a name found in a directory.
type part struct {
	name
	// committed files have their final name.
	committed bool
}

// parseName recognises the names that this package gives, and no others.
func parseName(file string) (part, bool) {
	p := part{committed: true}
	rest, hidden := strings.CutPrefix(file, ".")
	if hidden {
		p.committed = false
		shorter, ok := strings.CutSuffix(rest, inProgressSuffix)
		if !ok {
			shorter, ok = strings.CutSuffix(rest, pendingSuffix)
		}
		if !ok {
			return part{}, false
		}
		rest = shorter
	}
	for _, suffix := range []string{".csv", ".jsonl", ".txt"} {
		if stem, ok := strings.CutSuffix(rest, suffix); ok {
			p.suffix, rest = suffix, stem
		}
	}
	rest, ok := strings.CutPrefix(rest, "part-")
	if !ok || p.suffix == "" {
		return part{}, false
	}
	for _, to := range []*int64{&p.number, &p.attempt, &p.subtask} {
		dash := strings.LastIndexByte(rest, '-')
		if dash < 0 {
			return part{}, false
		}
		v, err := strconv.ParseInt(rest[dash+1:], 10, 64)
		if err != nil {
			return part{}, false
		}
		rest, *to = rest[:dash], v
	}
	p.job = rest
	return p, p.job != "" && !strings.ContainsFunc(p.job, func(r rune) bool { return !strings.ContainsRune(jobChars, r) })
}

// jobChars are those that a job id may have, so that it can be part of a name.
const jobChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
