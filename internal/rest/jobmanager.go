// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

type settingItem struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (a *API) jobManagerConfig(*http.Request) (any, error) {
	items := []settingItem{}
	for _, s := range a.cluster.Self.Config() {
		items = append(items, settingItem(s))
	}
	return items, nil
}

type environmentAnswer struct {
	JVM       environmentOfProcess `json:"jvm"`
	ClassPath []string             `json:"classpath"`
}

type environmentOfProcess struct {
	Version string   `json:"version"`
	Arch    string   `json:"arch"`
	Options []string `json:"options"`
}

// jobManagerEnvironment tells what the process is: in place of a class path, the modules that it is built from. It shows no
// variable of the environment, as those may be secret, but limits of the runtime.
func (a *API) jobManagerEnvironment(*http.Request) (any, error) {
	e := environmentAnswer{
		JVM: environmentOfProcess{
			Version: runtime.Version() + ", " + runtime.GOOS, Arch: runtime.GOARCH,
			Options: []string{
				"GOMAXPROCS=" + strconv.Itoa(runtime.GOMAXPROCS(0)),
				"GOMEMLIMIT=" + strconv.FormatInt(debug.SetMemoryLimit(-1), 10),
			},
		},
		ClassPath: []string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			e.ClassPath = append(e.ClassPath, m.Path+"@"+m.Version)
		}
	}
	return e, nil
}

type threadDumpAnswer struct {
	Threads []threadItem `json:"threadInfos"`
}

type threadItem struct {
	Name string `json:"threadName"`
	Text string `json:"stringifiedThreadInfo"`
}

// threads splits the stacks of goroutines, as the runtime prints them, into one item each.
func threads(dump []byte) threadDumpAnswer {
	body := threadDumpAnswer{Threads: []threadItem{}}
	for text := range strings.SplitSeq(strings.TrimSpace(strings.ToValidUTF8(string(dump), "\uFFFD")), "\n\n") {
		head, _, _ := strings.Cut(text, "\n")
		if head != "" {
			body.Threads = append(body.Threads, threadItem{Name: strings.TrimSuffix(head, ":"), Text: text + "\n\n"})
		}
	}
	return body
}

const dumpBytesMax = 16 << 20

func (a *API) jobManagerThreadDump(*http.Request) (any, error) {
	for size := 256 << 10; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= dumpBytesMax {
			return threads(b[:n]), nil
		}
	}
}

func (a *API) taskManagerThreadDump(r *http.Request) (any, error) {
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	dump, err := a.cluster.Workers.ThreadDump(r.Context(), w.Report.Id)
	if err != nil {
		return nil, err
	}
	return threads(dump), nil
}
