package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"
)

const (
	// maxJSONDepth bounds the nesting of objects and arrays in a request.
	maxJSONDepth = 16
	// maxJSONItems bounds the items of an array, of which no request takes more than
	// 256. The decoder makes tens of bytes of each, however short it is.
	maxJSONItems = 1024
)

// readJSON reads a body of at most maxBytes that is one JSON value (RFC 8259)
// with the fields of into and no others.
func (h *Handler) readJSON(r *http.Request, maxBytes int64, into any) error {
	body, err := h.readBody(r, maxBytes)
	if err != nil {
		return err
	}
	defer h.releaseBody(body)
	if err := decodeJSON(body.bytes, into); err != nil {
		return errMalformed.because("the body: %v", err)
	}
	return nil
}

// decodeJSON refuses what encoding/json would read and change in silence: bytes
// that aren't UTF-8, half a surrogate pair, a name given twice in one object or in
// another case, null, names that into doesn't have, and what follows the value. into is
// made of structs, slices and pointers.
func decodeJSON(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	if err := checkSurrogates(data); err != nil {
		return err
	}
	walk := json.NewDecoder(bytes.NewReader(data))
	walk.UseNumber()
	known := map[string]bool{}
	addNames(known, reflect.TypeOf(into))
	if err := checkNames(walk, known, 0); err != nil {
		return jsonError(err)
	}
	if _, err := walk.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the value, near byte %d", walk.InputOffset())
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return jsonError(decoder.Decode(into))
}

// jsonError says what is wrong and where, without quoting a value.
func jsonError(err error) error {
	kind := (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &kind):
		what, _, _ := strings.Cut(kind.Value, " ") // "number 1.5"
		return fmt.Errorf("field %.200q, near byte %d: no %s can stand there", kind.Field, kind.Offset, what)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends before its value does")
	case err != nil:
		return fmt.Errorf("%.300s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// addNames adds the names of all fields in a type, at whatever depth.
func addNames(names map[string]bool, t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		addNames(names, t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			names[name] = true
			addNames(names, t.Field(i).Type)
		}
	}
}

// checkNames walks over one value and refuses one that is nested too deeply, an
// array of too many items, or an object that has a name twice or not exactly as it is
// known. Whether a known
// name stands at its place is for the decoder to say.
func checkNames(d *json.Decoder, known map[string]bool, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token == nil {
		return fmt.Errorf("null stands at byte %d, where nothing can be null", d.InputOffset())
	}
	opening, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth == maxJSONDepth {
		return fmt.Errorf("it is nested more than %d deep, at byte %d", maxJSONDepth, d.InputOffset())
	}
	names := map[string]bool{}
	for items := 0; d.More(); items++ {
		if opening == '[' && items == maxJSONItems {
			return fmt.Errorf("an array has more than %d items, at byte %d", maxJSONItems, d.InputOffset())
		}
		if opening == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			text := fmt.Sprint(name)
			if !known[text] {
				return fmt.Errorf("unknown field %.80q, at byte %d", text, d.InputOffset())
			}
			if names[text] {
				return fmt.Errorf("field %q stands twice in one object, at byte %d", text, d.InputOffset())
			}
			names[text] = true
		}
		if err := checkNames(d, known, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing delimiter
	return err
}

// checkSurrogates refuses \uD800 to \uDFFF where they aren't the two halves of a
// pair in order, for no text has such a character.
func checkSurrogates(data []byte) error {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch half := escapedSurrogate(data[i:]); {
		case half == 0:
			i++ // what is escaped begins nothing
		case half == 'h' && escapedSurrogate(data[i+6:]) == 'l':
			i += 11
		default:
			return fmt.Errorf("%q at byte %d is half of a character", data[i:i+6], i)
		}
	}
	return nil
}

// escapedSurrogate tells whether data begins with the escaped high ('h') or low
// ('l') half of a pair, or with neither (0).
func escapedSurrogate(data []byte) byte {
	if len(data) < 6 || data[1] != 'u' || data[0] != '\\' || data[2]|0x20 != 'd' {
		return 0
	}
	switch third := data[3] | 0x20; {
	case third == '8' || third == '9' || third == 'a' || third == 'b':
		return 'h'
	case third >= 'c' && third <= 'f':
		return 'l'
	default:
		return 0
	}
}
