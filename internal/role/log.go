// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"io"
	"log/slog"
)

// Settings of logs, as the cluster has them.
const (
	logLevelKey  = "log.level"
	logFormatKey = "log.format"
)

// startLogger is for what happens before the settings are there.
func startLogger(out io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(out, nil)) }

// newLogger logs as the settings say, to where user code writes its errors.
func newLogger(out io.Writer, settings map[string]string) *slog.Logger {
	o := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings[logLevelKey])); err == nil {
		o.Level = level
	}
	if settings[logFormatKey] == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}
