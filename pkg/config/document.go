package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a value that is read as a document: to be validated, patched or
// rendered. A value that never is may exceed them.
const (
	// MaxDocumentDepth is how deep objects and arrays may be nested.
	MaxDocumentDepth = 64
	// MaxDocumentNodes is how many objects, arrays and scalars a document may
	// have. What a YAML alias stands for counts as often as it is used.
	MaxDocumentNodes = 250_000
	// MaxYAMLBytes is the size of the largest YAML document. Its parser holds
	// about a hundred times as much.
	MaxYAMLBytes = 1 << 20
	// maxNumberBytes and maxNumberExponent bound a number: they are kept digit by
	// digit, and compared as fractions.
	maxNumberBytes    = 256
	maxNumberExponent = 400
)

// syntax is how the bytes of a value are to be read.
type syntax uint8

const (
	syntaxOther syntax = iota
	syntaxJSON
	syntaxYAML
)

// syntaxOf tells it from the media type: application/json and +json (RFC
// 6839), application/yaml and +yaml (RFC 9512), and the names that YAML had
// before it was registered.
func syntaxOf(mediaType string) syntax {
	name, _, err := mime.ParseMediaType(mediaType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return syntaxOther
	}
	switch {
	case name == "application/json", strings.HasSuffix(name, "+json"):
		return syntaxJSON
	case name == "application/yaml", name == "application/x-yaml", name == "text/yaml", name == "text/x-yaml",
		strings.HasSuffix(name, "+yaml"):
		return syntaxYAML
	}
	return syntaxOther
}

// documentError tells why bytes are no document, as in "it is not JSON: the
// mistake is at byte 7". It quotes nothing of them.
type documentError struct {
	reason string
}

func (e *documentError) Error() string { return e.reason }

func badDocument(reason string, args ...any) error {
	return &documentError{reason: fmt.Sprintf(reason, args...)}
}

// decodeDocument returns the document in value as nil, bool, string,
// json.Number, []any and map[string]any. Numbers keep all their digits. Its
// error is a *documentError.
func decodeDocument(value []byte, mediaType string) (any, error) {
	switch syntaxOf(mediaType) {
	case syntaxJSON:
		return decodeJSON(value)
	case syntaxYAML:
		return decodeYAML(value)
	}
	return nil, badDocument("its media type must be that of JSON or YAML, such as application/json or application/yaml")
}

// budget counts what a document holds against the limits.
type budget struct {
	nodes int
}

// node counts one more node, below depth objects and arrays.
func (b *budget) node(depth int) error {
	if b.nodes++; b.nodes > MaxDocumentNodes {
		return badDocument("it has more than %d objects, arrays and scalars", MaxDocumentNodes)
	}
	if depth > MaxDocumentDepth {
		return badDocument("its objects and arrays are nested deeper than %d", MaxDocumentDepth)
	}
	return nil
}

// decodeJSON reads one JSON document (RFC 8259), in which no name may stand
// twice in an object.
func decodeJSON(value []byte) (any, error) {
	if !utf8.Valid(value) {
		return nil, badDocument("it is not UTF-8")
	}
	d := &jsonDecoder{tokens: json.NewDecoder(bytes.NewReader(value))}
	d.tokens.UseNumber()
	document, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.tokens.Token(); err != io.EOF {
		return nil, badDocument("it is not JSON: something follows the end of the document, at byte %d", d.tokens.InputOffset())
	}
	return document, nil
}

// jsonDecoder builds a document from tokens. The standard library's own
// decoder lets a later name override an earlier one, and counts nothing.
type jsonDecoder struct {
	tokens *json.Decoder
	budget budget
}

func (d *jsonDecoder) token() (json.Token, error) {
	token, err := d.tokens.Token()
	if err != nil {
		// The library's words may quote the value.
		return nil, badDocument("it is not JSON: the mistake is at byte %d", d.tokens.InputOffset())
	}
	return token, nil
}

func (d *jsonDecoder) value(depth int) (any, error) {
	token, err := d.token()
	if err != nil {
		return nil, err
	}
	return d.rest(token, depth)
}

// rest returns the value that begins with token, below depth others.
func (d *jsonDecoder) rest(token json.Token, depth int) (any, error) {
	if token == json.Delim('{') || token == json.Delim('[') {
		depth++
	}
	if err := d.budget.node(depth); err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case json.Number:
		return token, checkNumber(string(token))
	}
	return token, nil
}

func (d *jsonDecoder) array(depth int) (any, error) {
	array := []any{}
	for {
		token, err := d.token()
		if err != nil {
			return nil, err
		}
		if token == json.Delim(']') {
			return array, nil
		}
		item, err := d.rest(token, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
}

func (d *jsonDecoder) object(depth int) (any, error) {
	object := map[string]any{}
	for {
		token, err := d.token()
		if err != nil {
			return nil, err
		}
		if token == json.Delim('}') {
			return object, nil
		}
		name := token.(string) // the library lets nothing else stand here
		if _, twice := object[name]; twice {
			return nil, badDocument("an object has two members of one name; the second ends at byte %d", d.tokens.InputOffset())
		}
		if object[name], err = d.value(depth); err != nil {
			return nil, err
		}
	}
}

// checkNumber refuses numbers that would take long to compute with. s is a
// number in the grammar of JSON.
func checkNumber(s string) error {
	if len(s) > maxNumberBytes {
		return badDocument("it has a number of %d characters, which may have %d", len(s), maxNumberBytes)
	}
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		exponent, err := strconv.Atoi(s[e+1:])
		if err != nil || exponent > maxNumberExponent || exponent < -maxNumberExponent {
			return badDocument("it has a number with an exponent beyond %d", maxNumberExponent)
		}
	}
	return nil
}

// encodeJSON returns document as JSON without insignificant space: members
// sorted by name, numbers digit by digit as they came. It ends with a newline.
func encodeJSON(document any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return out.Bytes(), nil
}

// pointer returns a JSON pointer (RFC 6901) of the tokens, clipped.
func pointer(tokens []string) string {
	var out strings.Builder
	for _, token := range tokens {
		out.WriteByte('/')
		out.WriteString(pointerEscapes.Replace(token))
	}
	return clip(out.String())
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// maxClipBytes is where a text in an error ends: names in documents and
// schemas may be long.
const maxClipBytes = 256

// clip cuts a long text off, at the end of a character.
func clip(s string) string {
	if len(s) <= maxClipBytes {
		return s
	}
	end := maxClipBytes
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// sortedNames returns the names of an object's members in byte order.
func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
