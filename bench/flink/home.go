// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package flink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Home is a distribution of Flink, with the Java that runs it.
type Home struct {
	dir         string
	java, javac string
	// Version is that of the distribution.
	Version string
}

// distribution and the other patterns are what a directory has that is one.
const (
	distribution = "flink-dist-"
	sqlClient    = "flink-sql-client-"
	memoryUtils  = "bin/bash-java-utils.jar"
)

// Open looks whether a directory is a distribution of Flink with its SQL client, and whether there is a Java: that of
// JAVA_HOME, or of the path.
func Open(dir string) (Home, error) {
	if dir == "" {
		return Home{}, errors.New("no directory of Flink is given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Home{}, err
	}
	dist, err := only(filepath.Join(dir, "lib", distribution+"*.jar"))
	if err != nil {
		return Home{}, fmt.Errorf("%s is no distribution of Flink: %w", dir, err)
	}
	if _, err := only(filepath.Join(dir, "opt", sqlClient+"*.jar")); err != nil {
		return Home{}, fmt.Errorf("%s lacks the SQL client of Flink: %w", dir, err)
	}
	if _, err := only(filepath.Join(dir, memoryUtils)); err != nil {
		return Home{}, fmt.Errorf("%s lacks what lays out the memory of a TaskManager: %w", dir, err)
	}
	h := Home{dir: dir, Version: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dist), distribution), ".jar")}
	if h.java, err = javaTool("java"); err != nil {
		return Home{}, err
	}
	h.javac, err = javaTool("javac")
	return h, err
}

// only is the one file of a pattern.
func only(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("there are %d files %s, want one", len(files), pattern)
	}
	return files[0], nil
}

func javaTool(name string) (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return exec.LookPath(filepath.Join(home, "bin", name))
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("Flink needs a JDK, set JAVA_HOME or the path: %w", err)
	}
	return path, nil
}

// Factory is a factory of tables in Java: the full name of its class, and its source.
type Factory struct{ Name, Source string }

// Compile compiles factories of tables into a directory of dir, to be given to Start.
func (h Home) Compile(ctx context.Context, dir string, factories ...Factory) (classes string, err error) {
	classes = filepath.Join(dir, "classes")
	services := filepath.Join(classes, "META-INF", "services")
	if err := os.MkdirAll(services, 0o755); err != nil {
		return "", err
	}
	args := []string{"-nowarn", "-d", classes, "-cp", h.libraries()}
	var names strings.Builder
	for _, f := range factories {
		fmt.Fprintln(&names, f.Name)
		file := filepath.Join(dir, f.Name[strings.LastIndexByte(f.Name, '.')+1:]+".java")
		if err := os.WriteFile(file, []byte(f.Source), 0o644); err != nil {
			return "", err
		}
		args = append(args, file)
	}
	list := filepath.Join(services, "org.apache.flink.table.factories.Factory")
	if err := os.WriteFile(list, []byte(names.String()), 0o644); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, h.javac, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile for Flink %s: %w\n%s", h.Version, err, out)
	}
	return classes, nil
}

// libraries is the class path of Flink itself.
func (h Home) libraries() string { return filepath.Join(h.dir, "lib", "*") }

// javaArguments open what Flink looks into.
func javaArguments() []string {
	all := []string{
		"--add-exports=java.base/sun.net.util=ALL-UNNAMED", "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
		"--add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED",
	}
	for _, p := range []string{
		"java.lang", "java.net", "java.io", "java.nio", "java.lang.reflect", "java.text", "java.time", "java.util",
		"java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.nio.ch",
	} {
		all = append(all, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	return all
}
