// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// flinkVersion is that of the clients.
const flinkVersion = "2.3.0"

// flink is an installation: all that clients need of it.
type flink struct {
	// home has the jars in lib; conf is a directory for configuration, web one with the files of the dashboard.
	home, conf, web string
}

// install brings Flink's libraries into home unless they are there, and unpacks the dashboard into dir.
func install(ctx context.Context, home, dir string) (*flink, error) {
	f := &flink{home: home, conf: filepath.Join(dir, "conf"), web: filepath.Join(dir, "web")}
	dist := filepath.Join(home, "lib", "flink-dist-"+flinkVersion+".jar")
	if _, err := os.Stat(dist); err != nil {
		if err := f.download(ctx, filepath.Join(dir, "download")); err != nil {
			return nil, err
		}
	}
	if err := unzip(dist, "web/", f.web); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.conf, 0o755); err != nil {
		return nil, err
	}
	const logging = "rootLogger.level = OFF\n"
	if err := os.WriteFile(filepath.Join(f.conf, "log4j.properties"), []byte(logging), 0o644); err != nil {
		return nil, err
	}
	return f, os.WriteFile(filepath.Join(f.conf, "config.yaml"), []byte("parallelism: {default: 1}\n"), 0o644)
}

// download gets the jars from Flink's Python package, which ships them.
func (f *flink) download(ctx context.Context, dir string) error {
	const name = "apache-flink-libraries"
	get := exec.CommandContext(ctx, "pip", "download", "--quiet", "--no-deps", "--dest", dir, name+"=="+flinkVersion)
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("pip download %s: %w: %s", name, err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("pip download %s: found %q, want one wheel", name, wheels)
	}
	return unzip(wheels[0], "pyflink/lib/", filepath.Join(f.home, "lib"))
}

// unzip unpacks the files below a folder of an archive into dir.
func unzip(archive, folder, dir string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }()
	for _, entry := range z.File {
		name, ok := strings.CutPrefix(entry.Name, folder)
		if !ok || !filepath.IsLocal(name) || strings.HasSuffix(name, "/") {
			continue
		}
		if err := extract(entry, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", entry.Name, archive, err)
		}
	}
	return nil
}

func extract(entry *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := entry.Open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil { //nolint:gosec // the archive is Flink's own
		_ = out.Close()
		return err
	}
	return out.Close()
}

// java is a Java virtual machine with Flink's classes.
func (f *flink) java(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path := []string{}
	for _, pattern := range []string{"flink-*.jar", "log4j-*.jar"} {
		jars, err := filepath.Glob(filepath.Join(f.home, "lib", pattern))
		if err != nil {
			return nil, err
		}
		path = append(path, jars...)
	}
	all := []string{"-XX:TieredStopAtLevel=1"}
	for _, p := range []string{"java.lang", "java.net", "java.io", "java.nio", "java.util", "java.util.concurrent"} {
		all = append(all, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	all = append(all, "-Dlog4j.configurationFile=file:"+filepath.Join(f.conf, "log4j.properties"),
		"-classpath", strings.Join(path, string(os.PathListSeparator)))
	cmd := exec.CommandContext(ctx, "java", append(all, args...)...)
	cmd.Env = append(os.Environ(), "FLINK_CONF_DIR="+f.conf)
	return cmd, nil
}
