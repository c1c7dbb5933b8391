// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// logChunkBytes is how much of a log is asked for at a time.
	logChunkBytes = 256 << 10
	// logTimeout bounds one such part.
	logTimeout = 10 * time.Second
)

// logReader reads a part of a log file of some process.
type logReader func(ctx context.Context, r *weirpb.ReadLog) (LogPart, error)

type logItem struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
}

type logsAnswer struct {
	Logs []logItem `json:"logs"`
}

func logsOf(files []*weirpb.LogFile) logsAnswer {
	list := logsAnswer{Logs: []logItem{}}
	for _, f := range files {
		list.Logs = append(list.Logs, logItem{Name: f.Name, Size: f.Size, MTime: f.ModifiedUnixMillis})
	}
	slices.SortFunc(list.Logs, func(x, y logItem) int { return strings.Compare(x.Name, y.Name) })
	return list
}

const logNameBytesMax = 1024

// logFile returns the name of a log file in the path of a request. It may contain folders, but can't lead out of the one
// that the logs are in.
func logFile(r *http.Request) (string, error) {
	name := r.PathValue("file")
	if len(name) > logNameBytesMax || name == "." || !fs.ValidPath(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return "", invalid("%q is no name of a log file", clip(name))
	}
	return name, nil
}

// whole streams a log file from its begin to what is its end now.
func (a *API) whole(r *http.Request, name string, read logReader) (any, error) {
	ctx := context.WithoutCancel(r.Context()) // the time limit is that of each part; a client that left fails the write
	part, err := readPart(ctx, read, &weirpb.ReadLog{Name: name, BytesMax: logChunkBytes})
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		control := http.NewResponseController(w)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		end := part.Size
		for at := int64(0); ; {
			_ = control.SetWriteDeadline(time.Now().Add(a.config.BodyTimeout)) // fails in tests without a connection only
			if _, err := w.Write(part.Data[:min(int64(len(part.Data)), end-at)]); err != nil {
				return fmt.Errorf("send %s: %w", name, err)
			}
			at += int64(len(part.Data))
			if at >= end || len(part.Data) == 0 {
				return nil
			}
			if part, err = readPart(ctx, read, &weirpb.ReadLog{Name: name, Offset: at, BytesMax: logChunkBytes}); err != nil {
				return err
			}
		}
	}), nil
}

func readPart(ctx context.Context, read logReader, r *weirpb.ReadLog) (LogPart, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	return read(ctx, r)
}

func (a *API) jobManagerLogs(r *http.Request) (any, error) {
	files, err := a.cluster.Self.Logs(r.Context())
	if err != nil {
		return nil, err
	}
	return logsOf(files), nil
}

func (a *API) jobManagerLogFile(r *http.Request) (any, error) {
	name, err := logFile(r)
	if err != nil {
		return nil, err
	}
	return a.whole(r, name, a.cluster.Self.ReadLog)
}

// jobManagerLog serves one file by a path of its own; one that was never written is empty.
func (a *API) jobManagerLog(name string) handler {
	return func(r *http.Request) (any, error) {
		return a.whole(r, name, orEmpty(a.cluster.Self.ReadLog))
	}
}

func orEmpty(read logReader) logReader {
	return func(ctx context.Context, r *weirpb.ReadLog) (LogPart, error) {
		part, err := read(ctx, r)
		if errors.Is(err, ErrNotFound) {
			return LogPart{}, nil
		}
		return part, err
	}
}

// workerLog is the logReader of a Worker.
func (a *API) workerLog(id string) logReader {
	return func(ctx context.Context, r *weirpb.ReadLog) (LogPart, error) {
		return a.cluster.Workers.ReadLog(ctx, id, r)
	}
}

func (a *API) taskManagerLogs(r *http.Request) (any, error) {
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	files, err := a.cluster.Workers.Logs(r.Context(), w.Report.Id)
	if err != nil {
		return nil, err
	}
	return logsOf(files), nil
}

func (a *API) taskManagerLogFile(r *http.Request) (any, error) {
	name, err := logFile(r)
	if err != nil {
		return nil, err
	}
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	return a.whole(r, name, a.workerLog(w.Report.Id))
}

func (a *API) taskManagerLog(name string) handler {
	return func(r *http.Request) (any, error) {
		w, err := a.worker(r)
		if err != nil {
			return nil, err
		}
		return a.whole(r, name, orEmpty(a.workerLog(w.Report.Id)))
	}
}

func (a *API) jobManagerLogURL(r *http.Request) (any, error) {
	if _, err := a.ofJob(a.datasets)(r); err != nil {
		return nil, err
	}
	return map[string]string{"url": baseURL(r) + "/jobmanager/log"}, nil
}

func (a *API) taskManagerLogURL(r *http.Request) (any, error) {
	if _, err := a.ofJob(a.datasets)(r); err != nil {
		return nil, err
	}
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"url": baseURL(r) + "/taskmanagers/" + url.PathEscape(w.Report.Id) + "/log"}, nil
}

// jobManagerSource is the source of the logs that the JobManager's host has.
const jobManagerSource = "jobmanager"

type jobLogItem struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime"`
}

// jobLogs lists the log files of the processes of a job: of its JobMaster and of its executors on all Workers. Workers
// that do not answer are left out, and named.
func (a *API) jobLogs(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	if _, err := a.cluster.Jobs.Summary(r.Context(), id); err != nil {
		return nil, err
	}
	workers, err := a.cluster.Workers.List(r.Context())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), logTimeout)
	defer cancel()
	own, err := a.cluster.Self.Logs(ctx)
	if err != nil {
		return nil, err
	}
	lists := make([][]*weirpb.LogFile, len(workers))
	failed := make([]bool, len(workers))
	inParallel(len(workers), func(i int) {
		var err error
		lists[i], err = a.cluster.Workers.Logs(ctx, workers[i].Report.Id)
		failed[i] = err != nil
	})
	logs, silent := []jobLogItem{}, []string{}
	add := func(source string, files []*weirpb.LogFile) {
		for _, f := range logsOf(files).Logs {
			if strings.Contains(f.Name, id) {
				logs = append(logs, jobLogItem{Source: source, Name: f.Name, Size: f.Size, MTime: f.MTime})
			}
		}
	}
	add(jobManagerSource, own)
	for i, w := range workers {
		if failed[i] {
			silent = append(silent, w.Report.Id)
		}
		add(w.Report.Id, lists[i])
	}
	return map[string]any{"logs": logs, "unreachable": silent}, nil
}

// Headers of a part of a log.
const (
	logOffsetHeader = "Weir-Log-Offset"
	logSizeHeader   = "Weir-Log-Size"
)

// jobLogFile answers a part of a log file of a job: bytes= (at most logChunkBytes) from offset=, which counts from the end
// if it is negative. Headers tell where the part begins and how long the file is, so that a client can follow it.
func (a *API) jobLogFile(r *http.Request) (any, error) {
	id, err := idOf(r, "job")
	if err != nil {
		return nil, err
	}
	name, err := logFile(r)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(name, id) {
		return nil, notFound("job %s has no log file %q", id, clip(name))
	}
	offset, err := queryInt(r, "offset", 0)
	if err != nil {
		return nil, err
	}
	most, err := queryInt(r, "bytes", logChunkBytes)
	if err != nil {
		return nil, err
	}
	if most < 1 || most > logChunkBytes {
		return nil, invalid("bytes=%d: it has to be from 1 to %d", most, logChunkBytes)
	}
	read := a.cluster.Self.ReadLog
	if source := r.PathValue("source"); source != jobManagerSource {
		if len(source) > workerIDBytesMax {
			return nil, invalid("%q is no source of logs", clip(source))
		}
		read = a.workerLog(source)
	}
	part, err := readPart(r.Context(), read, &weirpb.ReadLog{Name: name, Offset: offset, BytesMax: int32(most)})
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set(logOffsetHeader, strconv.FormatInt(part.Offset, 10))
		h.Set(logSizeHeader, strconv.FormatInt(part.Size, 10))
		_, err := w.Write(part.Data)
		return err
	}), nil
}
