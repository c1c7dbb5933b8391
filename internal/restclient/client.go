// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package restclient speaks to the REST API of a JobManager, for the command line and for tests. It knows the paths and
// bodies that it needs and no more; the API itself is described in docs/rest.md.
package restclient

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Config says how to reach a JobManager.
type Config struct {
	// Address is host:port, or a URL.
	Address string
	// Token is shown as a bearer token, if not empty.
	Token string
	// TLS makes it HTTPS, if not nil.
	TLS *tls.Config
}

// Client is safe for use by several goroutines.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client; nothing is sent yet.
func New(c Config) *Client {
	base := strings.TrimSuffix(c.Address, "/")
	if !strings.Contains(base, "://") {
		scheme := "http://"
		if c.TLS != nil {
			scheme = "https://"
		}
		base = scheme + base
	}
	return &Client{base: base + "/v1", token: c.Token, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig: c.TLS,
		DialContext:     (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}}
}

// Address is the base of all paths.
func (c *Client) Address() string { return strings.TrimSuffix(c.base, "/v1") }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StatusError is an answer that is no success.
type StatusError struct {
	Code     int
	Messages []string
}

func (e *StatusError) Error() string {
	if len(e.Messages) == 0 {
		return fmt.Sprintf("the JobManager answered %d %s", e.Code, http.StatusText(e.Code))
	}
	return strings.Join(e.Messages, "; ")
}

// ErrUnreachable is wrapped by errors of calls that reached no JobManager.
var ErrUnreachable = errors.New("no JobManager is reached")

// Get reads the JSON answer of a path into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	return c.call(ctx, http.MethodGet, path, nil, v)
}

// Post sends body as JSON, if it isn't nil, and reads the answer into v, if it isn't nil. So do Patch and Delete.
func (c *Client) Post(ctx context.Context, path string, body, v any) error {
	return c.call(ctx, http.MethodPost, path, body, v)
}

// Patch changes something.
func (c *Client) Patch(ctx context.Context, path string, v any) error {
	return c.call(ctx, http.MethodPatch, path, nil, v)
}

// Delete removes something.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

func (c *Client) call(ctx context.Context, method, path string, body, v any) error {
	var r io.Reader
	kind := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		r, kind = bytes.NewReader(b), "application/json"
	}
	resp, err := c.do(ctx, method, path, kind, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // the answer was read, or does not count
	if v == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return fmt.Errorf("%s %s: answer not understood: %w", method, path, err)
	}
	return nil
}

// do sends a request and returns the answer, if it is a success.
func (c *Client) do(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.Address(), reason(err))
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // the answer was read, or does not count
	return nil, statusError(resp)
}

// reason is what of a transport's error people want to read.
func reason(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused; is a cluster up there? `weir cluster up` starts one")
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; ca.pem of security.ssl.dir has to be that of the cluster", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w; `weir certs init --host` makes a certificate for further names", err)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"): // the error has no type
		return errors.New("it speaks plain HTTP: security.ssl.rest.enabled is set here, and not there")
	}
	return err
}

// hintFor says what to set where an answer shows that the client lacks something.
func hintFor(status int, messages []string) string {
	switch {
	case status == http.StatusUnauthorized:
		return "set rest.token, or WEIR_REST_TOKEN, to one of the tokens in the cluster's rest.token-file"
	case status == http.StatusForbidden && strings.Contains(strings.Join(messages, " "), "takes the role"):
		return "set rest.token, or WEIR_REST_TOKEN, to a token of that role"
	case status == http.StatusBadRequest && strings.Contains(strings.Join(messages, " "), "HTTP request to an HTTPS server"):
		return "set security.ssl.rest.enabled, and security.ssl.dir to a directory with the cluster's ca.pem"
	}
	return ""
}

// errorBytesMax bounds what is read of an error's body.
const errorBytesMax = 1 << 20

func statusError(resp *http.Response) error {
	var body struct {
		Errors []string `json:"errors"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, errorBytesMax))
	if err == nil && json.Unmarshal(b, &body) != nil {
		body.Errors = []string{cmp.Or(strings.TrimSpace(string(b)), resp.Status)}
	}
	if hint := hintFor(resp.StatusCode, body.Errors); hint != "" {
		body.Errors = append(body.Errors, hint)
	}
	return &StatusError{Code: resp.StatusCode, Messages: body.Errors}
}

// Stream returns the body of a path, to be closed by the caller.
func (c *Client) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
