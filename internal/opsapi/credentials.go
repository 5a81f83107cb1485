package opsapi

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/internal/pki"
)

const (
	// tokenBytesMin keeps out what can be guessed, tokenBytesMax and tokensMax
	// bound what is read at each request.
	tokenBytesMin = 16
	tokenBytesMax = 1024
	tokensMax     = 16
)

// A role is on whose behalf a request comes.
type role string

const (
	// roleNone: nobody that this node knows.
	roleNone role = ""
	// roleAdmin: a person.
	roleAdmin role = "admin"
	// roleOperator: the operator that runs the cluster.
	roleOperator role = "operator"
)

// credentials say which file holds the tokens of which role; an empty name means
// that nobody has the role.
type credentials []struct {
	role role
	file string
}

// check reports what would keep everybody out, or the wrong one in.
func (c credentials) check() error {
	owner := make(map[string]role)
	for _, source := range c {
		if source.file == "" {
			continue
		}
		tokens, err := readTokens(source.file)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			if other, taken := owner[string(token)]; taken && other != source.role {
				return fmt.Errorf("token file %s: one of its tokens is in the file of the role %s as well", source.file, other)
			}
			owner[string(token)] = source.role
		}
	}
	return nil
}

// holder returns the role whose token the request carries. Every token of every
// role is compared, each in constant time, so that the time tells nothing about
// which one was close. An error means that the token is in no file that can be
// read, and that another file can't be.
func (c credentials) holder(r *http.Request) (role, error) {
	scheme, presented, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || presented == "" {
		return roleNone, nil
	}
	sum := sha256.Sum256([]byte(presented))
	found := roleNone
	var unreadable error
	for _, source := range c {
		if source.file == "" {
			continue
		}
		tokens, err := readTokens(source.file)
		unreadable = errors.Join(unreadable, err)
		for _, token := range tokens {
			known := sha256.Sum256(token)
			if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
				found = source.role
			}
		}
	}
	if found == roleNone {
		return roleNone, unreadable
	}
	return found, nil
}

// certified returns the role that the certificate of the connection gives in the
// cluster, and whom it is made out to. The certificate was verified when the
// connection began; it has to be valid at each request, however long that stands.
func certified(r *http.Request, clusterID string, now time.Time) (role, pki.Identity) {
	over := func(c *x509.Certificate) bool { return now.After(c.NotAfter) }
	lives := func(chain []*x509.Certificate) bool { return !slices.ContainsFunc(chain, over) }
	if r.TLS == nil || clusterID == "" || !slices.ContainsFunc(r.TLS.VerifiedChains, lives) {
		return roleNone, pki.Identity{}
	}
	who, ok := pki.Holder(r.TLS.PeerCertificates[0], clusterID, pki.RoleOperator, pki.RoleAdmin)
	switch {
	case ok && who.Role == pki.RoleOperator:
		return roleOperator, who
	case ok:
		return roleAdmin, who
	}
	return roleNone, pki.Identity{}
}

// readTokens reads a file of one token a line. Its errors name the file and the
// line, never what stands there.
func readTokens(name string) ([][]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	defer file.Close()
	const limit = tokensMax * (tokenBytesMax + 2) // each line with its ending
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("token file: %w", err)
	case len(content) > limit:
		return nil, fmt.Errorf("token file %s: it is longer than %d bytes", name, limit)
	}
	var tokens [][]byte
	number := 0
	for line := range bytes.Lines(content) {
		number++
		token := bytes.TrimSpace(line)
		switch {
		case len(token) == 0:
			continue
		case len(token) < tokenBytesMin || len(token) > tokenBytesMax:
			return nil, fmt.Errorf("token file %s, line %d: a token has %d to %d bytes, this one has %d",
				name, number, tokenBytesMin, tokenBytesMax, len(token))
		case bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("token file %s, line %d: a token is made of visible ASCII characters", name, number)
		}
		tokens = append(tokens, token)
	}
	switch {
	case len(tokens) == 0:
		return nil, fmt.Errorf("token file %s: it holds no token", name)
	case len(tokens) > tokensMax:
		return nil, fmt.Errorf("token file %s: it holds %d tokens, and may hold %d", name, len(tokens), tokensMax)
	}
	return tokens, nil
}
