// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// handler answers one request: with what is marshaled as the body of a 200, an answer of another status, a stream, or an
// error.
type handler func(r *http.Request) (any, error)

// answer is a body with a status of its own.
type answer struct {
	status int
	body   any
}

// stream writes its answer itself. An error before the first byte becomes the answer, a later one ends the connection.
type stream func(w http.ResponseWriter) error

// empty is the body of answers that say all by their status.
type empty struct{}

// failureAnswer is the body of every error.
type failureAnswer struct {
	Errors []string `json:"errors"`
}

// refusal is an error with a status of its own.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error { return refuse(http.StatusNotFound, format, args...) }

func invalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, format, args...)
}

func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if own, ok := errors.AsType[*refusal](err); ok {
		status = own.status
	}
	writeJSON(w, status, failureAnswer{Errors: []string{err.Error()}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"errors":["the answer can't be written as JSON"]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that is gone hears of no error
}

// serve turns a handler into one of net/http.
func (a *API) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := h(r)
		if err != nil {
			a.logFailure(r, err)
			writeError(w, err)
			return
		}
		switch b := body.(type) {
		case answer:
			writeJSON(w, b.status, b.body)
		case stream:
			if err := b(w); err != nil {
				a.logFailure(r, err)
				panic(http.ErrAbortHandler) // the client sees that the answer is cut
			}
		default:
			writeJSON(w, http.StatusOK, b)
		}
	})
}

// logFailure logs errors that are not the client's.
func (a *API) logFailure(r *http.Request, err error) {
	_, own := errors.AsType[*refusal](err)
	if status := statusOf(err); status >= http.StatusInternalServerError && !own {
		a.logger.WarnContext(r.Context(), "A request failed",
			"method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
}

// readBody decodes a JSON body into v; an empty one leaves v as it is. Unknown fields are accepted.
func readBody(r *http.Request, v any) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the body of the request: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return invalid("the body of the request does not match the expected format: %v", err)
	}
	return nil
}

// number is a float that marshals as Java's does: "NaN" as text.
type number float64

// MarshalJSON writes it.
func (n number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 0):
		return fmt.Appendf(nil, "%q", strings.Replace(strconv.FormatFloat(f, 'g', -1, 64), "Inf", "Infinity", 1)), nil
	default:
		return strconv.AppendFloat(nil, f, 'g', -1, 64), nil
	}
}

var idPattern = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

// idOf returns the id in a part of the path, in lower case.
func idOf(r *http.Request, part string) (string, error) {
	id := r.PathValue(part)
	if !idPattern.MatchString(id) {
		return "", invalid("%q is no valid %s: it has to be 32 hexadecimal digits", clip(id), part)
	}
	return strings.ToLower(id), nil
}

// indexOf returns the number in a part of the path.
func indexOf(r *http.Request, part string) (int, error) {
	n, err := strconv.Atoi(r.PathValue(part))
	if err != nil || n < 0 {
		return 0, invalid("%q is no valid %s: it has to be a number from 0", clip(r.PathValue(part)), part)
	}
	return n, nil
}

// queryInt returns a number of the query, or otherwise if it is not given.
func queryInt(r *http.Request, name string, otherwise int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, invalid("%s=%q: it has to be a whole number", name, clip(text))
	}
	return n, nil
}

// queryList returns all parts of a query parameter that may be repeated and may contain commas.
func queryList(r *http.Request, name string) []string {
	var parts []string
	for _, v := range r.URL.Query()[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part != "" {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

const clipBytes = 200

// clip shortens what a client sent, for the answer that quotes it.
func clip(s string) string {
	if len(s) > clipBytes {
		return strings.ToValidUTF8(s[:clipBytes], "") + "..."
	}
	return s
}
