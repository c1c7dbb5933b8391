// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
)

// web serves the files of a dashboard, or the start page where there is none.
type web struct {
	root *os.Root // nil: no dashboard
}

// openWeb opens the folder of a dashboard. Nothing outside of it can be read through it, symbolic links included.
func openWeb(dir string) (*web, error) {
	if dir == "" {
		return &web{}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open rest.web-dir: %w", err)
	}
	if _, err := root.Stat("index.html"); err != nil {
		return nil, errors.Join(fmt.Errorf("rest.web-dir %s holds no dashboard: %w", dir, err), root.Close())
	}
	return &web{root: root}, nil
}

// Close lets go of the folder.
func (w *web) Close() error {
	if w.root == nil {
		return nil
	}
	return w.root.Close()
}

// ServeHTTP serves GET and HEAD. A path that names no file is answered with the first page if a browser wants to show it,
// because a dashboard has paths of its own.
func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if w.root == nil {
		if r.URL.Path == "/" {
			serveStartPage(out)
			return
		}
		writeError(out, notFound("there is no %s %s", r.Method, clip(r.URL.Path)))
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	if w.serveFile(out, r, name) {
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") && path.Ext(name) == "" && w.serveFile(out, r, "index.html") {
		return
	}
	writeError(out, notFound("there is no %s %s", r.Method, clip(r.URL.Path)))
}

// serveFile serves a regular file and tells whether there is one.
func (w *web) serveFile(out http.ResponseWriter, r *http.Request, name string) bool {
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return false
	}
	f, err := w.root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	out.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(out, r, name, info.ModTime(), f)
	return true
}

// startPage is what a browser sees where no dashboard is configured.
const startPage = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Weir</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42em;margin:3em auto;padding:0 1em}code{background:#8882}</style>
</head>
<body>
<h1>Weir</h1>
<p>This is the REST API of a JobManager. It speaks version 1 of Flink's REST API:</p>
<ul>
<li><a href="/v1/overview">/v1/overview</a>: slots, TaskManagers and jobs, counted</li>
<li><a href="/v1/jobs/overview">/v1/jobs/overview</a>: the jobs</li>
<li><a href="/v1/taskmanagers">/v1/taskmanagers</a>: the TaskManagers</li>
<li><a href="/v1/jars">/v1/jars</a>: the uploaded programs</li>
<li><a href="/v1/jobmanager/log">/v1/jobmanager/log</a>: the log of this process</li>
<li><a href="/metrics">/metrics</a>: metrics for Prometheus</li>
</ul>
<p>The command line is <code>weir</code>: <code>weir list</code>, <code>weir run</code>, <code>weir --help</code>.
A dashboard that is written for Flink is served from here if <code>rest.web-dir</code> names the folder of its files.</p>
</body>
</html>
`

func serveStartPage(out http.ResponseWriter) {
	h := out.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = io.WriteString(out, startPage) // a client that is gone hears of no error
}
