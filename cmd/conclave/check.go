package main

import (
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What nodes take for a key and a media type, in bytes.
const (
	keyBytesMax  = 512
	typeBytesMax = 255
)

// checkKey refuses what nodes refuse for a key, so that an import finds it before it
// has written anything. It says which key, and why.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > keyBytesMax:
		return fmt.Errorf("key %q has %d bytes and must have 1 to %d", shorten(key), len(key), keyBytesMax)
	case !utf8.ValidString(key):
		return fmt.Errorf("key %q is not UTF-8", key)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("key %q has a control character", key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("key %q has a segment %q: none may be empty, \".\" or \"..\"", key, segment)
		}
	}
	return nil
}

// shorten is the beginning of a text that may be long.
func shorten(text string) string {
	if len(text) <= keyBytesMax {
		return text
	}
	return text[:keyBytesMax] + "..."
}

// checkType refuses what nodes refuse for a media type. None is none.
func checkType(mediaType string) error {
	if mediaType == "" {
		return nil
	}
	if len(mediaType) > typeBytesMax {
		return fmt.Errorf("its media type has %d bytes and may have %d", len(mediaType), typeBytesMax)
	}
	if strings.ContainsFunc(mediaType, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("its media type %q has other characters than printable ASCII", mediaType)
	}
	if name, _, err := mime.ParseMediaType(mediaType); err != nil || !strings.Contains(name, "/") {
		return fmt.Errorf("%q is no media type, such as text/plain", mediaType)
	}
	return nil
}
