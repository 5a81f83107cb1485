package config

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// RenderFormat is a form of one document made of many entries.
type RenderFormat string

// The formats of Render.
const (
	RenderJSON RenderFormat = "json"
	RenderYAML RenderFormat = "yaml"
	// RenderEnv is text that a POSIX shell evaluates to variables.
	RenderEnv RenderFormat = "env"
)

// MaxRenderBytes is the size of the largest document that Render makes, and of
// the values that it makes one of: 16 MiB.
const MaxRenderBytes = 16 << 20

// maxRenderNodes bounds what the embedded documents may hold together.
const maxRenderNodes = 2 * MaxDocumentNodes

// RenderError tells why entries can't be one document. It is an ErrRender. It
// quotes keys, never values.
type RenderError struct {
	// Keys are the one or two that are to blame.
	Keys []string
	// Reason ends the sentence that begins with the keys.
	Reason string
}

func (e *RenderError) Error() string {
	quoted := make([]string, len(e.Keys))
	for i, key := range e.Keys {
		quoted[i] = fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%v: %s %s", ErrRender, strings.Join(quoted, " and "), e.Reason)
}

// Is makes errors.Is(err, ErrRender) hold.
func (e *RenderError) Is(target error) bool { return target == ErrRender }

// Render makes one document of entries, whose keys all begin with prefix. The
// same entries give the same bytes, in whatever order they come.
//
// The prefix is cut off the keys, with the slash that follows, so "api" and
// "api/" render alike. What is left must name something: a key that equals the
// prefix can't be rendered.
//
// JSON and YAML: the segments of a key are nested objects. A value whose media
// type is that of JSON or YAML is embedded as what it holds; any other is a
// string if it is UTF-8, else {"base64": "..."}. Members are sorted by name.
// JSON is on one line. A key can't be both a value and the parent of others.
//
// RenderEnv: see renderEnv.
//
// Errors: a *RenderError when entries are to blame, ErrTooLarge beyond
// MaxRenderBytes, and an InvalidError for a format that doesn't exist.
func Render(entries []*Entry, prefix string, format RenderFormat) ([]byte, error) {
	switch format {
	case RenderJSON, RenderYAML, RenderEnv:
	default:
		return nil, invalid("format", "%q is none of %q, %q and %q", clip(string(format)), RenderJSON, RenderYAML, RenderEnv)
	}
	named, err := cutPrefix(entries, prefix)
	if err != nil {
		return nil, err
	}
	if format == RenderEnv {
		return renderEnv(named)
	}
	root, err := nest(named)
	if err != nil {
		return nil, err
	}
	out := &limitedBuffer{}
	if format == RenderYAML {
		err = encodeYAML(out, root)
	} else {
		var text []byte
		if text, err = encodeJSON(root); err == nil {
			_, err = out.Write(text)
		}
	}
	if out.full {
		return nil, errRenderTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return out.Bytes(), nil
}

var errRenderTooLarge = fmt.Errorf("%w: the entries are more than a document of %d bytes holds", ErrTooLarge, MaxRenderBytes)

// limitedBuffer takes up to MaxRenderBytes. It is full when it was to take
// more.
type limitedBuffer struct {
	bytes.Buffer
	full bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.full = b.full || b.Len()+len(p) > MaxRenderBytes; b.full {
		return 0, errRenderTooLarge
	}
	return b.Buffer.Write(p)
}

// namedEntry is an entry and its key without the prefix.
type namedEntry struct {
	*Entry
	name string
}

// cutPrefix returns the entries sorted by key.
func cutPrefix(entries []*Entry, prefix string) ([]namedEntry, error) {
	named := make([]namedEntry, 0, len(entries))
	total := 0
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Key, prefix)
		if !ok {
			return nil, fmt.Errorf("render: the key %q doesn't begin with the prefix %q", e.Key, prefix)
		}
		if name = strings.TrimPrefix(name, "/"); name == "" {
			return nil, &RenderError{[]string{e.Key}, "equals the prefix, so that no name is left for it"}
		}
		if total += len(e.Value); total > MaxRenderBytes {
			return nil, errRenderTooLarge
		}
		named = append(named, namedEntry{e, name})
	}
	slices.SortFunc(named, func(a, b namedEntry) int { return strings.Compare(a.Key, b.Key) })
	return named, nil
}

// nest returns the object that the entries are.
func nest(entries []namedEntry) (map[string]any, error) {
	root := map[string]any{}
	// owners holds the key of each object and value, by name.
	owners := map[string]string{}
	parents := map[string]bool{}
	nodes := 0
	for _, e := range entries {
		value, err := embed(e.Entry)
		if err != nil {
			return nil, err
		}
		if nodes += countNodes(value); nodes > maxRenderNodes {
			return nil, errRenderTooLarge
		}
		object := root
		for end := range e.name {
			if e.name[end] != '/' {
				continue
			}
			name, segment := e.name[:end], e.name[strings.LastIndexByte(e.name[:end], '/')+1:end]
			if owner, has := owners[name]; has && !parents[name] {
				return nil, bothLeafAndParent(owner, e.Key)
			}
			owners[name], parents[name] = e.Key, true
			child, ok := object[segment].(map[string]any)
			if !ok {
				child = map[string]any{}
				object[segment] = child
			}
			object = child
		}
		if owner, has := owners[e.name]; has {
			if parents[e.name] {
				return nil, bothLeafAndParent(e.Key, owner)
			}
			return nil, &RenderError{[]string{owner, e.Key}, "have the same name without the prefix"}
		}
		owners[e.name] = e.Key
		object[e.name[strings.LastIndexByte(e.name, '/')+1:]] = value
	}
	return root, nil
}

func bothLeafAndParent(leaf, below string) error {
	return &RenderError{[]string{leaf, below}, "can't both be there: the first would be a value and the parent of the second"}
}

// embed returns the entry's value as a part of a document.
func embed(e *Entry) (any, error) {
	switch syntaxOf(e.MediaType) {
	case syntaxJSON, syntaxYAML:
		document, err := decodeDocument(e.Value, e.MediaType)
		if err != nil {
			return nil, &RenderError{[]string{e.Key}, fmt.Sprintf("can't be embedded as its media type says: %v", err)}
		}
		return document, nil
	}
	if utf8.Valid(e.Value) {
		return string(e.Value), nil
	}
	return map[string]any{"base64": base64.StdEncoding.EncodeToString(e.Value)}, nil
}
