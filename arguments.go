// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"fmt"
	"path/filepath"
	"strings"
)

// arguments are those that every program made with Main has; the others are the job's.
type arguments struct {
	checkpointDir, restore string
	allowNonRestored, help bool
	settings               map[string]string
	job                    []string
}

// reserved are the flags that a job can't have for itself.
var reserved = []string{"checkpoint-dir", "restore", "allow-non-restored-state", "help", "h", "D"}

// usage lists them for --help.
const usage = `Flags of every job:
  --checkpoint-dir DIR         where checkpoints go (default .weir/%s)
  --restore latest|PATH        continue the newest run in --checkpoint-dir, or begin a new one from a savepoint or checkpoint
  --allow-non-restored-state   drop state of PATH that has no place in the job any more
  -D KEY=VALUE                 a setting, see below; may be repeated
  --help                       this text
`

// parseArguments takes out the program's own flags, in the forms --name=value and --name value.
func parseArguments(job string, args []string) (arguments, error) {
	a := arguments{checkpointDir: filepath.Join(".weir", job), settings: map[string]string{}}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		next := func() (string, error) {
			if joined {
				return value, nil
			}
			if i+1 == len(args) {
				return "", fmt.Errorf("%s needs a value", name)
			}
			i++
			return args[i], nil
		}
		var err error
		switch strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-") {
		case "checkpoint-dir":
			a.checkpointDir, err = next()
		case "restore":
			if a.restore, err = next(); err == nil && a.restore == "" {
				err = fmt.Errorf("--restore needs `latest` or a path")
			}
		case "allow-non-restored-state":
			a.allowNonRestored = !joined || value == "true"
		case "help", "h":
			a.help = true
		default:
			err = a.other(args, &i)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// other takes -D key=value, -Dkey=value, or a flag of the job.
func (a *arguments) other(args []string, i *int) error {
	pair, isSetting := strings.CutPrefix(args[*i], "-D")
	if !isSetting {
		a.job = append(a.job, args[*i])
		return nil
	}
	if pair == "" {
		if *i+1 == len(args) {
			return fmt.Errorf("-D needs KEY=VALUE")
		}
		*i++
		pair = args[*i]
	}
	key, value, ok := strings.Cut(pair, "=")
	if !ok {
		return fmt.Errorf("-D %s: want KEY=VALUE", pair)
	}
	a.settings[key] = value
	return nil
}
