// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime/pprof"
	"sync"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// requestsMax bounds the requests that wait; others are refused.
	requestsMax = 64
	// ReadLogBytesMax bounds one part of a log, threadDumpBytesMax a dump, and logFilesListedMax a list of logs.
	ReadLogBytesMax    = 4 << 20
	threadDumpBytesMax = 8 << 20
	logFilesListedMax  = 4096
)

// requests answers what is asked about a Worker, one after the other.
type requests struct {
	logDir string
	queue  chan func()
	done   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

func startRequests(logDir string) *requests {
	r := &requests{logDir: logDir, queue: make(chan func(), requestsMax), done: make(chan struct{})}
	r.wg.Go(func() {
		for {
			select {
			case f := <-r.queue:
				f()
			case <-r.done:
				return
			}
		}
	})
	return r
}

func (r *requests) stop() {
	r.once.Do(func() { close(r.done) })
	r.wg.Wait()
}

// serve has a request answered; it doesn't block.
func (r *requests) serve(q *weirpb.WorkerRequest, reply func(*weirpb.WorkerReply)) {
	select {
	case r.queue <- func() { reply(r.answer(q)) }:
	default:
		reply(&weirpb.WorkerReply{Error: "the TaskManager has too many requests to answer: try again"})
	}
}

func (r *requests) answer(q *weirpb.WorkerRequest) *weirpb.WorkerReply {
	reply := &weirpb.WorkerReply{}
	var err error
	switch b := q.GetBody().(type) {
	case *weirpb.WorkerRequest_ListLogs:
		reply.Logs, err = r.list()
	case *weirpb.WorkerRequest_ReadLog:
		err = r.read(b.ReadLog, reply)
	case *weirpb.WorkerRequest_ThreadDump:
		reply.Data, err = threadDump()
	default:
		err = errors.New("the TaskManager does not know this request: it is of another version")
	}
	if err != nil {
		return &weirpb.WorkerReply{Error: err.Error(), NotFound: errors.Is(err, fs.ErrNotExist)}
	}
	return reply
}

// list names all logs: those of the Worker first, then those of executors as JOBID/name.
func (r *requests) list() ([]*weirpb.LogFile, error) {
	var files, nested []*weirpb.LogFile
	err := fs.WalkDir(os.DirFS(r.logDir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if name == "." {
				return err
			}
			return nil // it is gone meanwhile
		}
		if !e.Type().IsRegular() {
			return nil
		}
		if len(files)+len(nested) >= logFilesListedMax {
			return fs.SkipAll
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // it is gone meanwhile
		}
		f := &weirpb.LogFile{Name: name, Size: info.Size(), ModifiedUnixMillis: info.ModTime().UnixMilli()}
		if path.Dir(name) == "." {
			files = append(files, f)
		} else {
			nested = append(nested, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	return append(files, nested...), nil
}

// read reads a part of a log. A root keeps names, and links, within the directory.
func (r *requests) read(q *weirpb.ReadLog, reply *weirpb.WorkerReply) error {
	if !fs.ValidPath(q.GetName()) {
		return fmt.Errorf("read log %q: %w", q.GetName(), fs.ErrNotExist)
	}
	root, err := os.OpenRoot(r.logDir)
	if err != nil {
		return fmt.Errorf("read log %q: %w", q.GetName(), err)
	}
	defer func() { _ = root.Close() }() // nothing was written
	info, err := root.Stat(q.GetName())
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("read log %q: %w", q.GetName(), errors.Join(err, fs.ErrNotExist))
	}
	f, err := root.Open(q.GetName())
	if err != nil {
		return fmt.Errorf("read log %q: %w", q.GetName(), err)
	}
	defer func() { _ = f.Close() }()
	reply.Size = info.Size()
	reply.Offset = min(q.GetOffset(), reply.GetSize())
	if q.GetOffset() < 0 {
		reply.Offset = max(0, reply.GetSize()+q.GetOffset())
	}
	limit := int64(ReadLogBytesMax)
	if q.GetBytesMax() > 0 {
		limit = min(limit, int64(q.GetBytesMax()))
	}
	data, err := io.ReadAll(io.NewSectionReader(f, reply.GetOffset(), limit))
	if err != nil {
		return fmt.Errorf("read log %q: %w", q.GetName(), err)
	}
	reply.Data = data
	return nil
}

// threadDump is the stacks of all goroutines of this process, as text.
func threadDump() ([]byte, error) {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
		return nil, fmt.Errorf("dump goroutines: %w", err)
	}
	return b.Bytes()[:min(b.Len(), threadDumpBytesMax)], nil
}
