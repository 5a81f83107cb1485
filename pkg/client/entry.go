package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// entryType is the representation of an entry that holds all its fields.
const entryType = "application/vnd.conclave.entry+json"

// Entry is a key with its value at one revision.
type Entry struct {
	Namespace string
	Key       string
	// Revision is the revision that last wrote the key, CreateRevision the one
	// that created it; Version counts the writes since, itself the first.
	Revision       uint64
	CreateRevision uint64
	Version        uint64
	// Type is the media type, as the writer gave it.
	Type string
	// Value is nil in a listing without values.
	Value []byte
}

// sentEntry is the form in which the API sends an entry: a value is text when it
// is UTF-8, and base64 otherwise.
type sentEntry struct {
	Namespace      string  `json:"namespace"`
	Key            string  `json:"key"`
	Revision       uint64  `json:"revision"`
	CreateRevision uint64  `json:"createRevision,omitempty"`
	Version        uint64  `json:"version,omitempty"`
	Type           string  `json:"type,omitempty"`
	Text           *string `json:"text,omitempty"`
	Base64         []byte  `json:"base64,omitempty"`
}

// MarshalJSON writes the form of the API.
func (e Entry) MarshalJSON() ([]byte, error) {
	sent := sentEntry{e.Namespace, e.Key, e.Revision, e.CreateRevision, e.Version, e.Type, nil, nil}
	sent.Text, sent.Base64 = sendValue(e.Value)
	return json.Marshal(sent)
}

// UnmarshalJSON reads the form of the API.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var sent sentEntry
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	*e = Entry{sent.Namespace, sent.Key, sent.Revision, sent.CreateRevision, sent.Version, sent.Type, nil}
	var err error
	e.Value, err = receiveValue(sent.Text, sent.Base64)
	return err
}

// sendValue returns a value as text or base64, and neither for none.
func sendValue(value []byte) (text *string, base64 []byte) {
	switch {
	case value == nil:
		return nil, nil
	case utf8.Valid(value):
		s := string(value)
		return &s, nil
	}
	return nil, value
}

// receiveValue is the reverse of sendValue.
func receiveValue(text *string, base64 []byte) ([]byte, error) {
	switch {
	case text == nil:
		return base64, nil
	case base64 != nil:
		return nil, errors.New("an entry has both text and base64")
	}
	return []byte(*text), nil
}

// entryPath returns the path of a key.
func entryPath(namespace, key string) (string, error) { return keyPath("/v1/kv/", namespace, key) }

// keyPath returns a path that ends in a key, percent-encoded segment by segment. An
// empty segment or one of dots is left for the node to refuse, since a path that
// was cleaned up on its way would be another key.
func keyPath(endpoint, namespace, key string) (string, error) {
	if namespace == "" || key == "" {
		return "", errors.New("client: a namespace and a key are needed")
	}
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return "", fmt.Errorf("client: key %q: a segment between slashes is empty, %q or %q", key, ".", "..")
		}
		segments[i] = escapeSegment(segment)
	}
	return endpoint + escapeSegment(namespace) + "/" + strings.Join(segments, "/"), nil
}

// prefixPath returns a path that ends in a prefix of keys, which may be empty or end
// within a segment or before one.
func prefixPath(endpoint, namespace, prefix string) (string, error) {
	if namespace == "" {
		return "", errors.New("client: a namespace is needed")
	}
	path := endpoint + escapeSegment(namespace)
	segments := strings.Split(prefix, "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		if segment == "" && !last || segment == "." || segment == ".." {
			return "", fmt.Errorf("client: prefix %q: a segment between slashes is empty, %q or %q", prefix, ".", "..")
		}
		path += "/" + escapeSegment(segment)
	}
	return path, nil
}

// escapeSegment percent-encodes all but what RFC 3986 calls unreserved. It is
// stricter than url.PathEscape, which leaves bytes such as + and & that some
// proxies rewrite.
func escapeSegment(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// writeETag and readETag convert a revision to the entity tag of its value and back.
func writeETag(revision uint64) string { return strconv.Quote(strconv.FormatUint(revision, 10)) }

func readETag(tag string) (uint64, error) {
	unquoted, err := strconv.Unquote(tag)
	if err != nil {
		return 0, fmt.Errorf("entity tag %q is not quoted", tag)
	}
	return strconv.ParseUint(unquoted, 10, 64)
}

// readRevision reads the revision that an answer is of.
func readRevision(header http.Header) (uint64, error) {
	revision, err := strconv.ParseUint(header.Get("Conclave-Revision"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("header Conclave-Revision: %w", err)
	}
	return revision, nil
}
