// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rest"
)

const (
	// programsMax is how many programs are kept; one more is refused until another is deleted.
	programsMax = 10_000
	// nameBytesMax bounds the file name of a program.
	nameBytesMax = 200
)

// Programs are the job programs that were uploaded. A program's content is kept as long as it is listed or a job that
// has not ended needs it.
type Programs struct {
	d            *Dispatcher
	descriptions *descriptions
	mu           struct {
		sync.Mutex
		// uploads counts those under way: their content is there before a record names it, so nothing is removed meanwhile.
		uploads int
		// removing is closed when the removal that is under way is done; nil while none is.
		removing chan struct{}
		// garbage are the hashes of content that may be needed no more.
		garbage map[string]bool
	}
}

var _ rest.Programs = (*Programs)(nil)

func newPrograms(d *Dispatcher) *Programs {
	p := &Programs{d: d, descriptions: newDescriptions(d)}
	p.mu.garbage = map[string]bool{}
	return p
}

// List implements rest.Programs.
func (p *Programs) List(context.Context) ([]rest.Program, error) {
	var all []*core.Program
	p.d.store.view(func(s *core.State) { all = s.Programs() })
	slices.SortStableFunc(all, func(a, b *core.Program) int { return b.Uploaded.Compare(a.Uploaded) })
	out := make([]rest.Program, 0, len(all))
	for _, r := range all {
		out = append(out, p.shown(r))
	}
	return out, nil
}

func (p *Programs) shown(r *core.Program) rest.Program {
	return rest.Program{
		ID: r.ID, Name: r.Name, Uploaded: r.Uploaded, Size: r.Size, SHA256: r.Hash, Jobs: p.descriptions.names(r.Hash),
	}
}

// program returns a stored program by its id.
func (p *Programs) program(id string) (r *core.Program, err error) {
	p.d.store.view(func(s *core.State) { r = s.Program(id) })
	if r == nil {
		err = fmt.Errorf("program %s: %w", id, rest.ErrNotFound)
	}
	return r, err
}

// Upload implements rest.Programs. The same content under the same name is the same program.
func (p *Programs) Upload(ctx context.Context, name string, r io.Reader) (rest.Program, error) {
	if err := checkName(name); err != nil {
		return rest.Program{}, err
	}
	if err := p.beginUpload(ctx); err != nil {
		return rest.Program{}, err
	}
	stored, err := p.upload(ctx, name, r)
	p.endUpload()
	if err != nil {
		return rest.Program{}, err
	}
	return p.shown(stored), nil
}

func (p *Programs) upload(ctx context.Context, name string, r io.Reader) (*core.Program, error) {
	hash, size, err := p.d.config.Artifacts.Put(r, p.d.config.UploadBytesMax)
	if errors.Is(err, artifacts.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", err, &http.MaxBytesError{Limit: p.d.config.UploadBytesMax})
	}
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", name, err)
	}
	added := &core.Program{ID: hash + "_" + name, Name: name, Hash: hash, Size: size, Uploaded: time.Now().UTC()}
	file, err := p.d.config.Artifacts.Path(hash)
	if err == nil {
		err = checkPlatform(file)
	}
	if err == nil {
		var known *core.Program
		count := 0
		p.d.store.view(func(s *core.State) { known, count = s.Program(added.ID), len(s.Programs()) })
		switch {
		case known != nil:
			return known, nil
		case count >= programsMax:
			err = fmt.Errorf("%w: there are %d programs; delete some", rest.ErrConflict, count)
		default:
			err = p.d.write(ctx, &core.Record{ProgramAdded: added})
		}
	}
	if err != nil {
		p.dropLater(hash)
		return nil, fmt.Errorf("upload %s: %w", name, err)
	}
	return added, nil
}

// checkName refuses what is no plain file name.
func checkName(name string) error {
	plain := name != "" && len(name) <= nameBytesMax && name[0] != '.' && name == path.Base(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r) })
	if !plain {
		return fmt.Errorf("%w: program name %.80q: want a file name without folders", rest.ErrInvalid, name)
	}
	return nil
}

// Delete implements rest.Programs.
func (p *Programs) Delete(ctx context.Context, id string) error {
	r, err := p.program(id)
	if err == nil {
		err = p.d.write(ctx, &core.Record{ProgramRemoved: &core.ProgramRemoved{Program: id}})
		if errors.Is(err, core.ErrUnknown) {
			err = fmt.Errorf("program %s: %w", id, rest.ErrNotFound)
		}
	}
	if err != nil {
		return err
	}
	p.collect(r.Hash)
	return nil
}

func (p *Programs) beginUpload(ctx context.Context) error {
	for {
		p.mu.Lock()
		removing := p.mu.removing
		if removing == nil {
			p.mu.uploads++
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		select {
		case <-removing:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Programs) endUpload() {
	p.mu.Lock()
	p.mu.uploads--
	p.mu.Unlock()
	p.removeGarbage()
}

// collect removes the content with that hash if nothing needs it, now or when no upload is under way.
func (p *Programs) collect(hash string) {
	p.dropLater(hash)
	p.removeGarbage()
}

func (p *Programs) dropLater(hash string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.garbage[hash] = true
}

func (p *Programs) removeGarbage() {
	p.mu.Lock()
	if p.mu.uploads > 0 || p.mu.removing != nil || len(p.mu.garbage) == 0 {
		p.mu.Unlock()
		return
	}
	removing := make(chan struct{})
	p.mu.removing = removing
	garbage := p.mu.garbage
	p.mu.garbage = map[string]bool{}
	p.mu.Unlock()
	for hash := range garbage {
		needed := false
		p.d.store.view(func(s *core.State) { needed = s.Needs(hash) })
		if needed {
			continue
		}
		if err := p.d.config.Artifacts.Remove(hash); err != nil {
			p.d.config.Logger.WarnContext(p.d.ctx, "a program that nothing needs is not removed", "error", err)
		}
	}
	p.mu.Lock()
	p.mu.removing = nil
	p.mu.Unlock()
	close(removing)
	p.removeGarbage() // what was added meanwhile
}
