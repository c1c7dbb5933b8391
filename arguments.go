// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"fmt"
	"strconv"
	"strings"
)

// arguments are those that every program made with Main has; the others are the job's.
type arguments struct {
	checkpointDir, restore string // empty where not given
	allowNonRestored, help bool
	settings               map[string]string
	job                    []string
}

// reserved are the flags that a job can't have for itself.
var reserved = []string{"checkpoint-dir", "restore", "allow-non-restored-state", "help", "h", "D"}

// usage lists them for --help.
var usage = [][2]string{
	{"--checkpoint-dir DIR", "where checkpoints go (default .weir/%s)"},
	{"--restore latest", "continue the newest run in --checkpoint-dir; begin one where there is none"},
	{"--restore PATH", "begin a new run from a savepoint, a checkpoint, or the last checkpoint of a run; takes over its output unless it went on"},
	{"--allow-non-restored-state", "drop state that has no place in the job any more"},
	{"-D KEY=VALUE", "a setting, see below; may be repeated"},
	{"--help", "this text"},
}

// parseArguments takes out the program's own flags, in the forms --name=value and --name value.
func parseArguments(args []string) (arguments, error) {
	a := arguments{settings: map[string]string{}}
	for len(args) > 0 {
		n, err := a.take(args)
		if err != nil {
			return a, err
		}
		args = args[n:]
	}
	return a, nil
}

// take reads the first of args, and the one behind where that is its value. It returns how many these are.
func (a *arguments) take(args []string) (n int, err error) {
	word, dashed := strings.CutPrefix(args[0], "-")
	if pair, ok := strings.CutPrefix(word, "D"); dashed && ok {
		return a.setting(pair, args)
	}
	name, value, joined := strings.Cut(strings.TrimPrefix(word, "-"), "=")
	if !dashed {
		name = "" // the value of a flag of the job, or nothing that is known
	}
	switch name {
	case "help", "h":
		a.help = true
	case "allow-non-restored-state":
		a.allowNonRestored = true
		if joined {
			if a.allowNonRestored, err = strconv.ParseBool(value); err != nil {
				return 0, fmt.Errorf("--%s=%s: want true or false", name, value)
			}
		}
	case "checkpoint-dir", "restore":
		n := 1
		if !joined && len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			value, n = args[1], 2
		}
		if value == "" {
			return 0, fmt.Errorf("--%s needs a value", name)
		}
		if name == "restore" {
			a.restore = value
		} else {
			a.checkpointDir = value
		}
		return n, nil
	default:
		a.job = append(a.job, args[0])
	}
	return 1, nil
}

// setting takes -D key=value or -Dkey=value; pair is what follows -D in its word.
func (a *arguments) setting(pair string, args []string) (n int, err error) {
	n = 1
	if pair == "" && len(args) > 1 {
		pair, n = args[1], 2
	}
	key, value, ok := strings.Cut(pair, "=")
	if !ok || key == "" {
		return 0, fmt.Errorf("-D %s: want -D KEY=VALUE", pair)
	}
	a.settings[key] = value
	return n, nil
}
