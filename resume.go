// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
)

// resume is the command that starts the program again from what restore says: command is how it was started, args its
// arguments.
func resume(command string, args []string, restore string) string {
	words := []string{command}
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		hasNext := !joined && i+1 < len(args)
		switch {
		case !strings.HasPrefix(args[i], "-"):
			words = append(words, quote(args[i]))
		case name == "restore":
			if hasNext {
				i++
			}
		case name == "overwrite": // of the job, by convention: it concerns results of other runs
			if _, err := strconv.ParseBool(args[min(i+1, len(args)-1)]); hasNext && err == nil {
				i++
			}
		default:
			words = append(words, quote(args[i]))
		}
	}
	return strings.Join(append(words, "--restore", quote(restore)), " ")
}

// goRun matches the path of a program that `go run` has built, in a directory that goes away or in the build cache.
var goRun = regexp.MustCompile(`[/\\](go-build\d+[/\\]b\d+[/\\]exe|[0-9a-f]{64}-d)[/\\][^/\\]+$`)

// invocation is the command that starts this program again in its working directory: `go run PACKAGE` where it was
// started so, else the path that it was started by.
func invocation() string {
	info, ok := debug.ReadBuildInfo()
	if exe := os.Args[0]; !ok || !goRun.MatchString(exe) {
		return quote(exe)
	}
	return "go run " + quote(runTarget(info, workingDir()))
}

// runTarget is what `go run` has to be given in dir to run a program.
func runTarget(info *debug.BuildInfo, dir string) string {
	if info.Path == "command-line-arguments" { // go run main.go: the directory of the files, most likely
		return "."
	}
	inModule, ok := strings.CutPrefix(info.Path, info.Main.Path)
	root := moduleRoot(dir)
	if ok && root != "" && moduleOf(root) == info.Main.Path {
		if rel, err := filepath.Rel(dir, filepath.Join(root, filepath.FromSlash(inModule))); err == nil {
			if !strings.HasPrefix(rel, ".") {
				rel = "." + string(filepath.Separator) + rel
			}
			return rel
		}
	}
	if v := info.Main.Version; root == "" && v != "" && v != "(devel)" {
		return info.Path + "@" + v
	}
	return info.Path
}

// moduleRoot is the directory at or above dir that holds go.mod; empty without one.
func moduleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// moduleOf is the path of the module whose root directory is given.
func moduleOf(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return ""
	}
	m := moduleLine.FindSubmatch(text)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// quote makes a word of the shell of an argument.
func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n'\"\\$&|;<>()*?[]{}~`#!") {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
