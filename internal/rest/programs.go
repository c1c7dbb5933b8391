// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	programNameBytesMax = 255
	argumentsMax        = 10_000
)

type programsAnswer struct {
	Address string        `json:"address"`
	Files   []programItem `json:"files"`
}

type programItem struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Uploaded int64          `json:"uploaded"`
	Entry    []programEntry `json:"entry"`
	// Size and SHA256 are Weir's: a client that has the same program need not upload it again.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type programEntry struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
}

func (a *API) programs(r *http.Request) (any, error) {
	list, err := a.cluster.Programs.List(r.Context())
	if err != nil {
		return nil, err
	}
	body := programsAnswer{Address: baseURL(r), Files: []programItem{}}
	for _, p := range list {
		item := programItem{
			ID: p.ID, Name: p.Name, Uploaded: p.Uploaded.UnixMilli(), Entry: []programEntry{}, Size: p.Size, SHA256: p.SHA256,
		}
		for _, job := range p.Jobs {
			item.Entry = append(item.Entry, programEntry{Name: job})
		}
		body.Files = append(body.Files, item)
	}
	return body, nil
}

// baseURL is how the client reaches the server; the Host has been checked.
func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

type uploadAnswer struct {
	Filename string `json:"filename"`
	Status   string `json:"status"`
	// ID and SHA256 are Weir's.
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
}

// uploadProgram stores the one file of a form, while it arrives.
func (a *API) uploadProgram(r *http.Request) (any, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, invalid("the program has to be sent as multipart/form-data in one part named jarfile: %v", err)
	}
	part, err := programPart(form)
	if err != nil {
		return nil, err
	}
	name, err := programName(part)
	if err != nil {
		return nil, err
	}
	limited := &limitedReader{r: part, left: a.config.UploadBytesMax}
	p, err := a.cluster.Programs.Upload(r.Context(), name, &onlyPart{Reader: limited, form: form})
	switch {
	case limited.left < 0:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the program has more than %d bytes: see rest.server.max-content-length",
			a.config.UploadBytesMax)
	case err != nil:
		return nil, err
	}
	return uploadAnswer{Filename: "/jars/" + p.ID, Status: "success", ID: p.ID, SHA256: p.SHA256}, nil
}

// programPart is the first part of a form, or the second behind what Flink's own client sends first with every file: a
// part named request with the JSON of a message, which is empty here.
func programPart(form *multipart.Reader) (*multipart.Part, error) {
	part, err := form.NextPart()
	if err == nil && part.FormName() == "request" && part.FileName() == "" {
		part, err = form.NextPart()
	}
	if err != nil {
		return nil, invalid("the form has no part: exactly one has to be there, with the program")
	}
	return part, nil
}

// programName checks the file name of a part. Any is fine that is one: no folders, nothing that a terminal acts on.
func programName(part *multipart.Part) (string, error) {
	name := part.FileName() // the last part of the path only
	name = name[strings.LastIndexByte(name, '\\')+1:]
	if name == "" {
		return "", invalid("the part has no file name")
	}
	if !plainName(name) {
		return "", invalid("%q is no name for a program", clip(name))
	}
	return name, nil
}

// plainName tells a name of one file: it can't lead out of a folder.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= programNameBytesMax && name == path.Base(name) &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return r == '/' || r == '\\' || unicode.IsControl(r) || r == unicode.ReplacementChar
		})
}

// limitedReader ends with an error when more comes than may.
type limitedReader struct {
	r    io.Reader
	left int64 // negative once it was too much
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// onlyPart is the content of a part; its end is an error if another part follows, so that nothing is stored then.
type onlyPart struct {
	io.Reader

	form *multipart.Reader
}

// Read reads.
func (o *onlyPart) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if !errors.Is(err, io.EOF) || n > 0 {
		return n, ignoreEnd(err)
	}
	if _, err := o.form.NextPart(); !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("the form has more than one part, or its end is missing: %w", ErrInvalid)
	}
	return 0, io.EOF
}

// ignoreEnd keeps an end that came with bytes for the next read.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (a *API) deleteProgram(r *http.Request) (any, error) {
	id, err := programID(r)
	if err != nil {
		return nil, err
	}
	err = a.cluster.Programs.Delete(r.Context(), id)
	if errors.Is(err, ErrNotFound) {
		// Flink's status for a file that does not exist.
		return nil, invalid("there is no program %q", clip(id))
	}
	if err != nil {
		return nil, err
	}
	return empty{}, nil
}

func programID(r *http.Request) (string, error) {
	id := r.PathValue("program")
	if !plainName(id) {
		return "", invalid("%q is no id of a program", clip(id))
	}
	return id, nil
}

// runRequest is the body of what runs or describes a program. Null and absent are the same.
type runRequest struct {
	EntryClass            string            `json:"entryClass"`
	ProgramArgs           string            `json:"programArgs"`
	ProgramArgsList       []string          `json:"programArgsList"`
	Parallelism           json.RawMessage   `json:"parallelism"`
	JobID                 string            `json:"jobId"`
	ApplicationID         string            `json:"applicationId"`
	AllowNonRestoredState json.RawMessage   `json:"allowNonRestoredState"`
	SavepointPath         string            `json:"savepointPath"`
	ClaimMode             string            `json:"claimMode"`
	Configuration         map[string]string `json:"flinkConfiguration"`
	// What follows is Weir's: the name for people, the directory of the client, and what it saw the program describe, as a
	// JobDescription in base64.
	JobName   string `json:"jobName"`
	Directory string `json:"directory"`
	Described []byte `json:"described"`
}

// runOf reads what to run from the body and, where that is silent, from the query.
func runOf(r *http.Request) (Run, error) {
	id, err := programID(r)
	if err != nil {
		return Run{}, err
	}
	var body runRequest
	if r.Method == http.MethodPost {
		if err := readBody(r, &body); err != nil {
			return Run{}, err
		}
	}
	q := r.URL.Query()
	run := Run{
		Program: id, Job: firstOf(body.EntryClass, q.Get("entry-class")), Name: body.JobName, Dir: body.Directory,
		Settings: body.Configuration,
	}
	if run.Arguments, err = argumentsOf(r, body); err != nil {
		return Run{}, err
	}
	if run.Parallelism, err = parallelismOf(firstOf(rawText(body.Parallelism), q.Get("parallelism"))); err != nil {
		return Run{}, err
	}
	if run.Savepoint, err = localPath("savepointPath", firstOf(body.SavepointPath, q.Get("savepointPath"))); err != nil {
		return Run{}, err
	}
	allow := firstOf(rawText(body.AllowNonRestoredState), q.Get("allowNonRestoredState"), "false")
	if run.AllowNonRestoredState, err = strconv.ParseBool(allow); err != nil {
		return Run{}, invalid("allowNonRestoredState=%q: it has to be true or false", clip(allow))
	}
	if err := oneOf("claimMode", firstOf(body.ClaimMode, q.Get("claimMode")), "NO_CLAIM", "CLAIM"); err != nil {
		return Run{}, err
	}
	if run.JobID = strings.ToLower(firstOf(body.ApplicationID, body.JobID)); run.JobID != "" && !idPattern.MatchString(run.JobID) {
		return Run{}, invalid("%q is no valid id: it has to be 32 hexadecimal digits", clip(run.JobID))
	}
	if len(body.Described) > 0 {
		run.Described = &weirpb.JobDescription{}
		if err := proto.Unmarshal(body.Described, run.Described); err != nil {
			return Run{}, invalid("described is no description of a job: %v", err)
		}
	}
	return run, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// rawText is a JSON number, boolean or string as text: Flink's server takes each for the other.
func rawText(raw json.RawMessage) string {
	text := strings.Trim(string(raw), `"`)
	if text == "null" {
		return ""
	}
	return text
}

func parallelismOf(text string) (int32, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, invalid("parallelism=%q: it has to be a whole number from 1", clip(text))
	}
	return int32(n), nil
}

// argumentsOf reads the arguments of the program from the first place that has any: a list in the body, a line in the
// body, a list in the query, a line in the query.
func argumentsOf(r *http.Request, body runRequest) ([]string, error) {
	q := r.URL.Query()
	arguments := body.ProgramArgsList
	if len(arguments) == 0 && body.ProgramArgs != "" {
		arguments = splitLine(body.ProgramArgs)
	}
	if len(arguments) == 0 {
		arguments = queryList(r, "programArg")
	}
	if line := firstOf(q.Get("programArgs"), q.Get("program-args")); len(arguments) == 0 && line != "" {
		arguments = splitLine(line)
	}
	if len(arguments) > argumentsMax {
		return nil, invalid("there are more than %d arguments", argumentsMax)
	}
	for _, arg := range arguments {
		if strings.ContainsRune(arg, 0) {
			return nil, invalid("an argument contains a zero byte")
		}
	}
	return arguments, nil
}

// splitLine splits a line into words at white space; quotes hold a word together.
func splitLine(line string) []string {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && unicode.IsSpace(r):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

func (a *API) planProgram(r *http.Request) (any, error) {
	run, err := runOf(r)
	if err != nil {
		return nil, err
	}
	d, err := a.cluster.Programs.Describe(r.Context(), run)
	if err != nil {
		return nil, err
	}
	return map[string]json.RawMessage{"plan": planOf(&weirpb.JobDetail{
		JobId: strings.Repeat("0", 32), Name: d.Name, Plan: d.Plan,
	})}, nil
}

func (a *API) runProgram(r *http.Request) (any, error) {
	run, err := runOf(r)
	if err != nil {
		return nil, err
	}
	id, err := a.cluster.Programs.Run(r.Context(), run)
	if err != nil {
		return nil, err
	}
	return map[string]string{"jobid": id}, nil
}

func (a *API) runApplication(r *http.Request) (any, error) {
	run, err := runOf(r)
	if err != nil {
		return nil, err
	}
	id, err := a.cluster.Programs.RunApplication(r.Context(), run)
	if err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, map[string]string{"applicationid": id}}, nil
}

// patience gives an upload time as long as bytes arrive.
func (a *API) patience(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		r.Body = &patientBody{ReadCloser: r.Body, extend: func() {
			until := time.Now().Add(a.config.BodyTimeout)
			_ = control.SetReadDeadline(until) // fails in tests without a connection only
			_ = control.SetWriteDeadline(until.Add(requestTimeout))
		}}
		next.ServeHTTP(w, r)
	})
}

type patientBody struct {
	io.ReadCloser

	extend func()
}

// Read gives the client some time for each part.
func (b *patientBody) Read(p []byte) (int, error) {
	b.extend()
	return b.ReadCloser.Read(p)
}
