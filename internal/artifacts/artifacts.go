// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package artifacts keeps programs of jobs in a directory, each under the hash of its content.
//
//	DIR/SHA256           a whole program, executable, never changed
//	DIR/partial/SHA256   the beginning of one that is being fetched, kept over broken connections and restarts
//	DIR/put-*            one that is being put; Open removes those of a process that died
//
// The JobManager puts what clients upload; each TaskManager fetches from it what it has to run. What has the name of a hash
// has that hash: it got the name, by a rename, after its content had been hashed and was on the disk. A directory belongs to
// one process, whose goroutines may all use its Store.
//
// Non-obvious: on Linux a program can't be started while any process holds it open for writing, and a child that is
// being started at the same time holds all files of its parent for a moment. Who starts programs tries again then.
package artifacts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

var (
	// ErrNotFound means that no program with that hash is here.
	ErrNotFound = errors.New("artifacts: no such program")
	// ErrTooLarge means that a program is larger than was allowed; nothing of it was kept.
	ErrTooLarge = errors.New("artifacts: program too large")
	// ErrHash means that the content has another hash than was asked for; nothing of it was kept.
	ErrHash = errors.New("artifacts: content doesn't have the hash that was asked for")
	// ErrBusy means that a program is being fetched already.
	ErrBusy = errors.New("artifacts: the program is being fetched already")
	// ErrBadHash means that what should name a program is no SHA-256 in lower-case hexadecimal digits.
	ErrBadHash = errors.New("artifacts: not a SHA-256 in 64 lower-case hexadecimal digits")
)

const (
	partialDir = "partial"
	putPattern = "put-*"
)

// Store is a directory of programs.
type Store struct {
	dir string
	// limit wraps what content is written to; tests have disks that are full.
	limit func(io.Writer) io.Writer
	mu    struct {
		sync.Mutex
		fetching map[string]bool
	}
}

// Open uses a directory, which it makes if needed, and removes what a process left there unfinished that died.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, partialDir), 0o700); err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(globEscaped(dir), putPattern))
	if err != nil {
		return nil, fmt.Errorf("open artifacts in %s: %w", dir, err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open artifacts: remove what was left unfinished: %w", err)
		}
	}
	s := &Store{dir: dir, limit: func(w io.Writer) io.Writer { return w }}
	s.mu.fetching = map[string]bool{}
	return s, nil
}

// globEscaped is a path as a pattern that matches it alone.
func globEscaped(path string) string {
	var b []byte
	for _, c := range []byte(path) {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(b)
}

// Put stores what r has and returns its hash and size. What can't be stored whole leaves nothing behind.
func (s *Store) Put(r io.Reader, sizeMax int64) (sum string, size int64, err error) {
	f, err := os.CreateTemp(s.dir, putPattern)
	if err != nil {
		return "", 0, fmt.Errorf("put program: %w", err)
	}
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(s.limit(f), h), io.LimitReader(r, sizeMax+1))
	if err == nil && size > sizeMax {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, sizeMax)
	}
	sum = hex.EncodeToString(h.Sum(nil))
	if err = s.keep(f, sum, err); err != nil {
		return "", 0, fmt.Errorf("put program: %w", err)
	}
	return sum, size, nil
}

// keep closes f and gives it the name of its hash, or, after an error, removes it.
func (s *Store) keep(f *os.File, sum string, err error) error {
	if err == nil {
		err = f.Chmod(0o700)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, sum))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(s.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Path is the absolute path of a program, which can be executed and must not be changed; ErrNotFound if it isn't here.
func (s *Store) Path(sum string) (string, error) {
	if err := checkHash(sum); err != nil {
		return "", err
	}
	path := filepath.Join(s.dir, sum)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s", ErrNotFound, sum)
	} else if err != nil {
		return "", fmt.Errorf("program %s: %w", sum, err)
	}
	return path, nil
}

// List returns the hashes of all programs that are here whole, sorted.
func (s *Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list programs: %w", err)
	}
	var sums []string
	for _, e := range entries {
		if checkHash(e.Name()) == nil {
			sums = append(sums, e.Name())
		}
	}
	return sums, nil
}

// Remove deletes a program and what was fetched of it, if there is any. Processes that run it go on.
func (s *Store) Remove(sum string) error {
	if err := checkHash(sum); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(s.dir, sum), filepath.Join(s.dir, partialDir, sum)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove program: %w", err)
		}
	}
	return nil
}

// checkHash refuses what could name a file outside of the directory.
func checkHash(sum string) error {
	digits := len(sum) == 2*sha256.Size
	for _, c := range []byte(sum) {
		digits = digits && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f')
	}
	if !digits {
		return fmt.Errorf("%w: %.80q", ErrBadHash, sum)
	}
	return nil
}

// Partial is a program whose content arrives in pieces. It belongs to one goroutine.
type Partial struct {
	store   *Store
	sum     string
	file    *os.File
	hash    hash.Hash
	offset  int64
	sizeMax int64
	done    bool
}

// Partial goes on with a program of which the beginning may be here: Offset tells how much. One goroutine at a time can
// have it, others get ErrBusy until Commit or Close.
func (s *Store) Partial(sum string, sizeMax int64) (*Partial, error) {
	if err := checkHash(sum); err != nil {
		return nil, err
	}
	s.mu.Lock()
	busy := s.mu.fetching[sum]
	s.mu.fetching[sum] = true
	s.mu.Unlock()
	if busy {
		return nil, fmt.Errorf("%w: %s", ErrBusy, sum)
	}
	p := &Partial{store: s, sum: sum, hash: sha256.New(), sizeMax: sizeMax}
	f, err := os.OpenFile(filepath.Join(s.dir, partialDir, sum), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		p.file = f
		p.offset, err = io.Copy(p.hash, f) // leaves the file at its end
	}
	if err != nil {
		return nil, fmt.Errorf("go on with program %s: %w", sum, errors.Join(err, p.Close()))
	}
	return p, nil
}

// Offset is the number of bytes that are here.
func (p *Partial) Offset() int64 { return p.offset }

// Write implements io.Writer: it appends data. After an error what is here is still a beginning of the content.
func (p *Partial) Write(data []byte) (int, error) {
	if p.offset+int64(len(data)) > p.sizeMax {
		return 0, errors.Join(fmt.Errorf("%w: more than %d bytes", ErrTooLarge, p.sizeMax), p.discard())
	}
	n, err := p.store.limit(p.file).Write(data)
	p.hash.Write(data[:n])
	p.offset += int64(n)
	if err != nil {
		err = fmt.Errorf("write program %s: %w", p.sum, err)
	}
	return n, err
}

// discard begins anew, from nothing.
func (p *Partial) discard() error {
	p.hash.Reset()
	p.offset = 0
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(err, p.file.Truncate(0))
}

// Commit makes the content a program of the Store if it has the hash that it should have; else ErrHash, and all of it is
// removed. The Partial is closed either way.
func (p *Partial) Commit() error {
	if p.done {
		return fs.ErrClosed
	}
	p.done = true
	defer p.release()
	var err error
	if got := hex.EncodeToString(p.hash.Sum(nil)); got != p.sum {
		err = fmt.Errorf("%w: %s, and not %s", ErrHash, got, p.sum)
	}
	if err = p.store.keep(p.file, p.sum, err); err != nil {
		return fmt.Errorf("store program: %w", err)
	}
	return nil
}

// Close ends the fetching and keeps what is here for a later Partial. It can be called again, and after Commit.
func (p *Partial) Close() error {
	if p.done {
		return nil
	}
	p.done = true
	defer p.release()
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

func (p *Partial) release() {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	delete(p.store.mu.fetching, p.sum)
}
