// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is how the value of an option is written.
type Kind uint8

// The kinds.
const (
	Text Kind = iota
	Bool
	Int
	Duration // as 500ms, 10 s, 1 min; a number alone is milliseconds
	Memory   // as 64mb, 2 gb; a number alone is bytes
	List     // separated by commas or semicolons
)

func (k Kind) String() string {
	return [...]string{"text", "true or false", "number", "duration", "memory size", "list"}[k]
}

// Scope is whose business an option is.
type Scope uint8

// The scopes.
const (
	Common Scope = iota
	JobManager
	TaskManager
	Client
	Job // a default for jobs, which a submission and the job's code override
)

func (s Scope) String() string {
	return [...]string{"cluster", "JobManager", "TaskManager", "client", "job"}[s]
}

// Option is one setting.
type Option struct {
	Key string
	// Deprecated are keys under which the same value may be given, too.
	Deprecated []string
	Kind       Kind
	Scope      Scope
	// Default is the value as text; empty for none.
	Default string
	// Doc is what it does, in one or two sentences.
	Doc string
	// Secret values are shown nowhere.
	Secret bool
	// OneOf are the values that are allowed, empty for all of the Kind.
	OneOf []string
	// Check, if not nil, says why a text is no value of the option.
	Check func(text string) error
}

// check tells whether a text is a value of the option.
func (o *Option) check(text string) error {
	var err error
	switch o.Kind {
	case Bool:
		_, err = strconv.ParseBool(text)
	case Int:
		_, err = strconv.Atoi(text)
	case Duration:
		_, err = ParseDuration(text)
	case Memory:
		_, err = ParseMemory(text)
	case Text, List:
	}
	if err != nil {
		return fmt.Errorf("want a %s, got %q", o.Kind, text)
	}
	if o.Check != nil {
		return o.Check(text)
	}
	if len(o.OneOf) == 0 {
		return nil
	}
	for _, v := range o.OneOf {
		if strings.EqualFold(v, text) {
			return nil
		}
	}
	return fmt.Errorf("want one of %s, got %q", strings.Join(o.OneOf, ", "), text)
}

// unit is a suffix of a value and what it stands for; longer spellings come first.
type unit[T int64 | time.Duration] struct {
	names []string
	size  T
}

var (
	durationUnits = []unit[time.Duration]{
		{[]string{"days", "day", "d"}, 24 * time.Hour},
		{[]string{"hours", "hour", "h"}, time.Hour},
		{[]string{"minutes", "minute", "min", "m"}, time.Minute},
		{[]string{"seconds", "second", "sec", "s"}, time.Second},
		{[]string{"milliseconds", "millisecond", "millis", "milli", "ms", ""}, time.Millisecond},
		{[]string{"microseconds", "microsecond", "micros", "micro", "us", "µs"}, time.Microsecond},
		{[]string{"nanoseconds", "nanosecond", "nanos", "nano", "ns"}, time.Nanosecond},
	}
	memoryUnits = []unit[int64]{
		{[]string{"bytes", "byte", "b", ""}, 1},
		{[]string{"kibibytes", "kilobytes", "kib", "kb", "k"}, 1 << 10},
		{[]string{"mebibytes", "megabytes", "mib", "mb", "m"}, 1 << 20},
		{[]string{"gibibytes", "gigabytes", "gib", "gb", "g"}, 1 << 30},
		{[]string{"tebibytes", "terabytes", "tib", "tb", "t"}, 1 << 40},
	}
)

// ParseDuration reads Flink's syntax, a whole number with a unit, and Go's, as 1m30s.
func ParseDuration(text string) (time.Duration, error) {
	if d, err := parseUnits(text, durationUnits); err == nil {
		return d, nil
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil || d < 0 {
		return 0, fmt.Errorf("duration %q: want a number with a unit, as 500 ms, 10 s or 1 min", text)
	}
	return d, nil
}

// ParseMemory reads a size in bytes.
func ParseMemory(text string) (int64, error) {
	n, err := parseUnits(text, memoryUnits)
	if err != nil {
		return 0, fmt.Errorf("memory size %q: want a number with a unit, as 512mb or 2 gb", text)
	}
	return n, nil
}

func parseUnits[T int64 | time.Duration](text string, units []unit[T]) (T, error) {
	text = strings.TrimSpace(text)
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil {
		return 0, err
	}
	suffix := strings.ToLower(strings.TrimSpace(text[digits:]))
	for _, u := range units {
		for _, name := range u.names {
			if name != suffix {
				continue
			}
			if v := T(n) * u.size; v/u.size == T(n) {
				return v, nil
			}
			return 0, fmt.Errorf("%q is too large", text)
		}
	}
	return 0, fmt.Errorf("unit %q is not known", suffix)
}

// portsMax bounds the ports of a list.
const portsMax = 1024

// ParsePorts reads ports and ranges of them, as 9249 or 9249-9260,9300; none of an empty text.
func ParsePorts(text string) ([]int, error) {
	var ports []int
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err != nil || err2 != nil || last < first || last-first >= uint64(portsMax-len(ports)) {
			return nil, fmt.Errorf("want ports as 9249 or 9249-9260, at most %d, got %q", portsMax, text)
		}
		for p := first; p <= last; p++ {
			ports = append(ports, int(p))
		}
	}
	return ports, nil
}

// ParseBool reads a truth value.
func ParseBool(text string) (bool, error) { return strconv.ParseBool(text) }
