// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// browser is a Chromium without a window, steered through two pipes: messages of JSON, each ended by a zero byte.
type browser struct {
	cmd     *exec.Cmd
	to      io.WriteCloser
	ended   chan struct{}
	session string
	mu      struct {
		sync.Mutex
		last    int
		waiting map[int]chan message
		// wrong is what the page complained of since it was opened.
		wrong []string
	}
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// startBrowser starts one with a profile in dir and an empty page.
func startBrowser(ctx context.Context, program, dir string) (*browser, error) {
	in, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{to: to, ended: make(chan struct{})}
	b.mu.waiting = map[int]chan message{}
	b.cmd = exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--remote-debugging-pipe", "--window-size=1600,1200", "--user-data-dir="+dir)
	b.cmd.ExtraFiles = []*os.File{in, out} // descriptors 3 and 4
	err = b.cmd.Start()
	_ = in.Close()
	_ = out.Close()
	if err != nil {
		_ = to.Close()
		_ = from.Close()
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	go b.receive(from) // Owner: stop, which ends the process and with it the pipe, and waits for ended
	if err := b.openPage(ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *browser) stop() {
	_ = b.to.Close()
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	<-b.ended
}

func (b *browser) openPage(ctx context.Context) error {
	var target struct {
		ID string `json:"targetId"`
	}
	if err := b.call(ctx, "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return err
	}
	var attached struct {
		Session string `json:"sessionId"`
	}
	if err := b.call(ctx, "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached); err != nil {
		return err
	}
	b.session = attached.Session
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		if err := b.call(ctx, domain+".enable", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// receive hands answers to those who wait and notes what a page complains of.
func (b *browser) receive(from io.ReadCloser) {
	defer close(b.ended)
	defer func() { _ = from.Close() }()
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			message

			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if waiting := b.mu.waiting[m.ID]; waiting != nil {
			delete(b.mu.waiting, m.ID)
			waiting <- m.message // it has room
		} else if wrong := complaint(m.Method, m.Params); wrong != "" && !slices.Contains(b.mu.wrong, wrong) {
			b.mu.wrong = append(b.mu.wrong, wrong)
		}
		b.mu.Unlock()
	}
}

// complaint is what an event says that is wrong, empty if it says nothing of that kind.
func complaint(method string, params json.RawMessage) string {
	var p struct {
		Details struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
		Type string `json:"type"`
		Args []struct {
			Value       any    `json:"value"`
			Description string `json:"description"`
		} `json:"args"`
		Response struct {
			Status int    `json:"status"`
			URL    string `json:"url"`
		} `json:"response"`
		Reason string `json:"errorText"`
	}
	if json.Unmarshal(params, &p) != nil {
		return ""
	}
	switch {
	case method == "Runtime.exceptionThrown":
		return "exception: " + p.Details.Text + " " + p.Details.Exception.Description
	case method == "Runtime.consoleAPICalled" && p.Type == "error":
		text := []string{"console:"}
		for _, a := range p.Args {
			if a.Value != nil {
				text = append(text, fmt.Sprint(a.Value))
			}
			text = append(text, a.Description)
		}
		return strings.Join(text, " ")
	case method == "Network.responseReceived" && p.Response.Status >= http.StatusBadRequest:
		_, path, _ := strings.Cut(strings.TrimPrefix(p.Response.URL, "http://"), "/")
		return fmt.Sprintf("%d /%s", p.Response.Status, path)
	}
	return ""
}

// callMax bounds a call of the browser.
const callMax = 20 * time.Second

// call calls a method of the browser or of its page.
func (b *browser) call(ctx context.Context, method string, params map[string]any, result any) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	answer := make(chan message, 1)
	if params == nil {
		params = map[string]any{}
	}
	b.mu.Lock()
	b.mu.last++
	m := message{ID: b.mu.last, Session: b.session, Method: method, Params: params}
	b.mu.waiting[m.ID] = answer
	b.mu.Unlock()
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m = <-answer:
	case <-b.ended:
		return errors.New(method + ": the browser has ended")
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %s", method, m.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(m.Result, result)
}

// visit opens an address afresh and forgets earlier complaints.
func (b *browser) visit(ctx context.Context, url string) error {
	if err := b.call(ctx, "Page.navigate", map[string]any{"url": "about:blank"}, nil); err != nil {
		return err
	}
	b.mu.Lock()
	b.mu.wrong = nil
	b.mu.Unlock()
	return b.call(ctx, "Page.navigate", map[string]any{"url": url}, nil)
}

// complaints are those since the page was opened.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mu.wrong)
}

// evaluate runs an expression in the page and returns its value as text.
func (b *browser) evaluate(ctx context.Context, expression string) (string, error) {
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	err := b.call(ctx, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &r)
	if err == nil && r.Exception != nil {
		err = fmt.Errorf("%s: %s", expression, r.Exception)
	}
	return fmt.Sprint(r.Result.Value), err
}

// screenshot writes a picture of the page.
func (b *browser) screenshot(ctx context.Context, path string) error {
	var shot struct{ Data string }
	if err := b.call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o600)
}
