// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/process"
)

// logger logs to a file of the cluster's log directory, if name is not empty, and to standard error.
func (a *app) logger(name string) (*slog.Logger, io.Closer, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.config.String(config.LogLevel))); err != nil {
		return nil, nil, err
	}
	handlers := []slog.Handler{a.console(level)}
	var file io.Closer = io.NopCloser(nil)
	if name != "" {
		f, err := process.OpenLog(filepath.Join(a.dataDir(), "log", name))
		if err != nil {
			return nil, nil, err
		}
		handlers, file = append(handlers, a.handler(f, level)), f
	}
	return slog.New(slog.NewMultiHandler(handlers...)), file, nil
}

// console is readable on a terminal.
func (a *app) console(level slog.Level) slog.Handler {
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return tint.NewTextHandler(f, &tint.Options{Level: level, TimeFormat: "15:04:05"})
	}
	return a.handler(a.err, level)
}

func (a *app) handler(w io.Writer, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if a.config.String(config.LogFormat) == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}
