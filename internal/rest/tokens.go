// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Role is what a client may do; each includes those before it.
type Role int

// The roles: ReadOnly looks, Operator submits and steers jobs, Admin also shuts down and drains.
const (
	noRole Role = iota
	ReadOnly
	Operator
	Admin
)

// String is the name of the role in a file of tokens.
func (r Role) String() string {
	switch r {
	case ReadOnly:
		return "read-only"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	case noRole:
	}
	return "none"
}

const (
	tokenCharsMin  = 16
	tokensMax      = 1000
	tokenLineChars = 4096
)

// Tokens are the secrets that clients show, with the role of each. It keeps their hashes only.
type Tokens struct {
	entries []tokenEntry
}

type tokenEntry struct {
	hash [sha256.Size]byte
	role Role
}

// LoadTokens reads a file of tokens.
func LoadTokens(path string) (*Tokens, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the file of tokens: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	t, err := ParseTokens(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ParseTokens reads lines of a role and a token; empty ones and those that begin with # say nothing. Its errors quote no
// token.
func ParseTokens(r io.Reader) (*Tokens, error) {
	t := &Tokens{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, tokenLineChars)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: it has to be a role (read-only, operator or admin) and a token", n)
		}
		role := roleOf(fields[0])
		if role == noRole {
			return nil, fmt.Errorf("line %d: the first word has to be a role: read-only, operator or admin", n)
		}
		if len(fields[1]) < tokenCharsMin {
			return nil, fmt.Errorf("line %d: the token is shorter than %d characters", n, tokenCharsMin)
		}
		if len(t.entries) == tokensMax {
			return nil, fmt.Errorf("line %d: there are more than %d tokens", n, tokensMax)
		}
		t.entries = append(t.entries, tokenEntry{hash: sha256.Sum256([]byte(fields[1])), role: role})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	if len(t.entries) == 0 {
		return nil, fmt.Errorf("it contains no token: %w", ErrInvalid)
	}
	return t, nil
}

func roleOf(name string) Role {
	for _, r := range []Role{ReadOnly, Operator, Admin} {
		if r.String() == name {
			return r
		}
	}
	return noRole
}

// role returns the highest role of a token. It takes the same time whatever the token is: hashes are compared, all of
// them, in constant time.
func (t *Tokens) role(token string) Role {
	hash := sha256.Sum256([]byte(token))
	role := noRole
	for _, e := range t.entries {
		if subtle.ConstantTimeCompare(hash[:], e.hash[:]) == 1 {
			role = max(role, e.role)
		}
	}
	return role
}

// authenticate returns the role of who sends a request: by a bearer token, or the password of basic authentication, which
// is how a browser can show one.
func (t *Tokens) authenticate(r *http.Request) Role {
	if t == nil {
		return Admin
	}
	header := r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return t.role(strings.TrimSpace(token))
	}
	if _, password, ok := r.BasicAuth(); ok {
		return t.role(password)
	}
	return noRole
}

type roleKey struct{}

func withRole(ctx context.Context, r Role) context.Context {
	return context.WithValue(ctx, roleKey{}, r)
}

// permit lets those pass that have at least a role.
func (a *API) permit(least Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if has, _ := r.Context().Value(roleKey{}).(Role); has < least {
			writeError(w, refuse(http.StatusForbidden,
				"%s %s takes the role %s, and the token has the role %s", r.Method, clip(r.URL.Path), least, has))
			return
		}
		next.ServeHTTP(w, r)
	})
}
