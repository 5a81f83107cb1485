package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/conclave-dev/conclave/pkg/client"
)

// lines writes entries as lines of JSON, in the form of the API.
type lines struct {
	out       io.Writer
	namespace string
}

func (l *lines) take(i item) error {
	return json.NewEncoder(l.out).Encode(client.Entry{
		Namespace: l.namespace, Key: i.key, Revision: i.revision, Type: i.mediaType, Value: i.value,
	})
}

func (l *lines) finish() error { return nil }

// loadLines reads entries, one a line. Their namespaces and revisions are those of
// where they come from, and don't count.
func loadLines(load *cargo, from io.Reader, name string) error {
	text, err := readAll(from, name)
	if err != nil {
		return err
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		at := fmt.Sprintf("%s:%d", name, number)
		if !utf8.Valid(line) { // of which JSON would make other characters
			return fmt.Errorf("%s: it is not UTF-8; such values are base64", at)
		}
		var entry client.Entry
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("%s: not an entry: %w", at, withoutValue(err))
		}
		if entry.Key == "" {
			return fmt.Errorf("%s: an entry has a key", at)
		}
		if entry.Value == nil {
			return fmt.Errorf("%s: the entry of %q has no value, neither text nor base64", at, entry.Key)
		}
		if err := load.add(item{key: entry.Key, value: entry.Value, mediaType: entry.Type, from: at}); err != nil {
			return err
		}
	}
	return nil
}

// withoutValue says what is wrong with JSON without quoting from it.
func withoutValue(err error) error {
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
		if kind.Field == "" {
			return errors.New("it is of another type")
		}
		return fmt.Errorf("member %s is of another type", kind.Field)
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("it is not JSON from byte %d on", syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is empty, or ends too early")
	}
	return err
}
