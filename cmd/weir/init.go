// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed" // the files of a new job
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// The files of a new job are those of newjob, which is compiled and tested with the rest.
var (
	//go:embed newjob/main.go
	newMain string
	//go:embed newjob/main_test.go
	newTest string
)

// licence is the first line of our files, and not of a user's.
const licence = "// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0\n\n"

const newReadme = `# newjob

    go test ./...          the tests
    go run . --help        its flags
    go run .               the job, in this process
    weir run .             the job, on a cluster
`

var jobName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func (a *app) initCommand() *cobra.Command {
	var module, checkout string
	c := &cobra.Command{
		Use: "init NAME", Short: "Make a new job with its test, in a directory of its own", Args: exactly("NAME"),
		Long: "Make directory NAME with a Go module: a job that counts words, and a test of it. Then:\n\n" +
			"  cd NAME && go mod tidy && go test ./... && go run .",
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			if !jobName.MatchString(name) {
				return usageError{c.Name(), fmt.Errorf("name %q: want small letters, digits and '-', beginning with a letter", name)}
			}
			if module == "" {
				module = "example.com/" + name
			}
			if checkout == "" {
				checkout = knownCheckout()
			}
			if err := writeJob(name, module, absolute(checkout)); err != nil {
				return err
			}
			return a.print(map[string]string{"dir": name, "module": module}, func(w io.Writer) {
				fmt.Fprintf(w, "%s/ is made. Next:\n\n  cd %s\n  go mod tidy\n  go test ./...\n  go run .\n", name, name)
			})
		},
	}
	c.Flags().StringVar(&module, "module", "", "path of the module (default: example.com/NAME)")
	c.Flags().StringVar(&checkout, "checkout", "", "directory of a checkout of Weir to build against (default: the one around the working directory, or the one that this binary was built in)")
	return c
}

// writeJob makes the files of a new job; a directory that is there is left alone.
func writeJob(name, module, checkout string) error {
	if checkout == "" && !released() {
		return fmt.Errorf("this weir is no released version that job %s could require: say --checkout DIR, the directory of a checkout of Weir", name)
	}
	if err := os.Mkdir(name, 0o777); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; choose another name", name)
		}
		return err
	}
	mod := fmt.Sprintf("module %s\n\ngo 1.27\n\nrequire %s %s\n", module, ourModule, moduleVersion())
	if checkout != "" {
		mod += fmt.Sprintf("\nreplace %s => %s\n", ourModule, strconv.Quote(checkout))
	}
	fill := strings.NewReplacer("newjob", name, licence, "")
	for file, text := range map[string]string{
		"go.mod":  mod,
		"main.go": fill.Replace(newMain), "main_test.go": fill.Replace(newTest), "README.md": fill.Replace(newReadme),
		"words.txt": "the quick brown fox\njumps over the lazy dog\nthe end\n",
	} {
		if err := os.WriteFile(filepath.Join(name, file), []byte(text), 0o666); err != nil {
			return fmt.Errorf("make job %s: %w", name, err)
		}
	}
	return nil
}

// ourModule is the path of this module.
const ourModule = "github.com/weir-stream/weir"

// knownCheckout is the directory of a checkout of Weir around the working directory, or else the one that this binary was
// built in; empty if there is none, or a released version is there to require.
func knownCheckout() string {
	if dir, err := os.Getwd(); err == nil {
		if checkout := checkoutAround(dir); checkout != "" {
			return checkout
		}
	}
	if released() {
		return ""
	}
	_, source, _, _ := runtime.Caller(0)
	if !filepath.IsAbs(source) {
		return "" // built with -trimpath
	}
	return checkoutAround(filepath.Dir(source))
}

// checkoutAround is the directory of a checkout of Weir at or above dir; empty if there is none.
func checkoutAround(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(text), "module "+ourModule+"\n") {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// released reports whether this binary is of a version that a module can require.
func released() bool {
	v := buildVersion().Version
	return strings.HasPrefix(v, "v") && !strings.Contains(v, "+")
}

// moduleVersion is the version of Weir that a new job requires: this binary's, if it is a released one.
func moduleVersion() string {
	if released() {
		return buildVersion().Version
	}
	return "v0.0.0"
}
