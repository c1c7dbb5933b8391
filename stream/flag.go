// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// Flag returns an argument of the job, recorded at submission and the same in every role; def gives its type. A malformed
// or unknown one fails the job before it starts; --help lists those that build asked for. Asked for again, name gives
// the same value.
func (e *Env) Flag[T string | bool | int | int64 | float64 | time.Duration](name string, def T, usage string) T {
	text, given := e.flags.take(name, any(def) == any(false) || any(def) == any(true))
	value := def
	if given {
		v, err := parseFlag(def, text)
		if err != nil {
			e.fail("--%s=%s: %w", name, text, err)
		}
		value = v
	}
	if slices.Contains(e.flags.reserved, name) {
		e.fail("--%s: every program has this flag already; choose another name", name)
	}
	e.flags.ask(graph.Flag{
		Name: name, Usage: usage, Default: fmt.Sprint(def), Value: fmt.Sprint(value), Type: flagType(def),
	})
	return value
}

func flagType(def any) string {
	if _, ok := def.(time.Duration); ok {
		return "duration"
	}
	return fmt.Sprintf("%T", def)
}

// parseFlag reads text as a value of the type of def.
func parseFlag[T any](def T, text string) (T, error) {
	var v any
	var err error
	switch any(def).(type) {
	case string:
		v = text
	case bool:
		v, err = strconv.ParseBool(text)
	case int:
		v, err = strconv.Atoi(text)
	case int64:
		v, err = strconv.ParseInt(text, 10, 64)
	case float64:
		v, err = strconv.ParseFloat(text, 64)
	case time.Duration:
		v, err = time.ParseDuration(text)
	}
	if err != nil {
		return def, fmt.Errorf("not a %s", flagType(def))
	}
	t, _ := v.(T)
	return t, nil
}

// flagSet holds the arguments of a job until build asks for them.
type flagSet struct {
	args     []argument
	reserved []string
	asked    []graph.Flag
}

type argument struct {
	name, value string
	// joined tells --name=value from --name value.
	joined, taken bool
	// next is what follows as a word of its own: the value, unless the flag is a bool.
	next string
	has  bool
}

// parse splits the arguments. Whether a word behind --name is its value is known only when build asks for its type.
func (f *flagSet) parse(args, reserved []string) error {
	f.reserved = reserved
	for i := 0; i < len(args); i++ {
		name, dashed := strings.CutPrefix(args[i], "-")
		name, _ = strings.CutPrefix(name, "-")
		if !dashed || name == "" {
			return fmt.Errorf("argument %q: want --name=value", args[i])
		}
		a := argument{name: name}
		if n, v, ok := strings.Cut(name, "="); ok {
			a.name, a.value, a.joined = n, v, true
		} else if i+1 < len(args) && isValue(args[i+1]) {
			i++
			a.next, a.has = args[i], true
		}
		f.args = append(f.args, a)
	}
	return nil
}

// isValue tells a value from the next flag: a word that begins with a dash is one only if it is a number.
func isValue(word string) bool {
	after, dashed := strings.CutPrefix(word, "-")
	return !dashed || after == "" || after[0] == '.' || after[0] >= '0' && after[0] <= '9'
}

// take returns the last value given for a name.
func (f *flagSet) take(name string, isBool bool) (value string, given bool) {
	for i := range f.args {
		a := &f.args[i]
		if a.name != name {
			continue
		}
		a.taken, given = true, true
		switch {
		case a.joined:
			value = a.value
		case a.has:
			value = a.next
		case isBool:
			value = "true"
		default:
			value = ""
		}
	}
	return value, given
}

func (f *flagSet) ask(flag graph.Flag) {
	for _, a := range f.asked {
		if a.Name == flag.Name {
			return
		}
	}
	f.asked = append(f.asked, flag)
}

// unknown names the arguments that build did not ask for.
func (f *flagSet) unknown() error {
	var names []string
	for _, a := range f.args {
		if !a.taken {
			names = append(names, "--"+a.name)
		}
	}
	if names == nil {
		return nil
	}
	known := make([]string, len(f.asked))
	for i, a := range f.asked {
		known[i] = "--" + a.Name
	}
	return fmt.Errorf("unknown flag %s; the job has %s", strings.Join(names, ", "), strings.Join(known, ", "))
}

func stack() []byte { return debug.Stack() }
