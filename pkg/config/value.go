package config

import (
	"fmt"
	"mime"
	"strings"
)

const (
	// MaxValueBytes is the size of the largest value: 2 MiB.
	MaxValueBytes = 2 << 20
	// MaxMediaTypeBytes is the length of the longest media type, parameters
	// included.
	MaxMediaTypeBytes = 255
	// DefaultMediaType is what a value is when its writer didn't say.
	DefaultMediaType = "application/octet-stream"
)

// mediaTypeOr returns the media type, or the default for none.
func mediaTypeOr(mediaType string) string {
	if mediaType == "" {
		return DefaultMediaType
	}
	return mediaType
}

// CheckMediaType returns an InvalidError unless s is a media type such as
// "text/plain; charset=utf-8".
func CheckMediaType(s string) error {
	if err := checkMediaTypeBytes(s); err != nil {
		return err
	}
	name, _, err := mime.ParseMediaType(s)
	if err != nil {
		return invalid("media type", "%q: %v", s, err)
	}
	if !strings.Contains(name, "/") {
		return invalid("media type", "%q has no subtype, as in \"text/plain\"", s)
	}
	return nil
}

// checkMediaTypeBytes is the part of CheckMediaType that Apply repeats. It is
// ours alone: a change of the standard library's parser between two releases
// must not make members disagree about one command.
func checkMediaTypeBytes(s string) error {
	if s == "" || len(s) > MaxMediaTypeBytes {
		return invalid("media type", "it has %d bytes and must have 1 to %d", len(s), MaxMediaTypeBytes)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return invalid("media type", "byte %d (0x%02x) is not printable ASCII", i, s[i])
		}
	}
	return nil
}

// checkValue refuses a value over the limit.
func checkValue(value []byte) error {
	if len(value) > MaxValueBytes {
		return fmt.Errorf("%w: the value has %d bytes and may have %d", ErrTooLarge, len(value), MaxValueBytes)
	}
	return nil
}
