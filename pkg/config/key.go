package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names, in bytes.
const (
	MaxNamespaceBytes = 63
	MaxKeyBytes       = 512
)

// CheckNamespace returns an InvalidError unless s is a DNS label: 1 to 63 of
// a-z, 0-9 and '-', with no '-' at either end.
func CheckNamespace(s string) error {
	if s == "" || len(s) > MaxNamespaceBytes {
		return invalid("namespace", "it has %d bytes and must have 1 to %d", len(s), MaxNamespaceBytes)
	}
	for i := range len(s) {
		c := s[i]
		inner := c == '-' && i > 0 && i < len(s)-1
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !inner {
			return invalid("namespace", "%q at byte %d: only a-z, 0-9 and an inner '-' may stand in a DNS label", c, i)
		}
	}
	return nil
}

// CheckKey returns an InvalidError unless s is a key: 1 to 512 bytes of UTF-8
// in segments separated by '/', none of them empty, "." or "..", and without
// control characters. Keys are compared byte by byte; nothing is normalised.
//
// Apply and Restore check by it too, so it must stay what it was: a stricter rule
// would refuse what the log and the snapshots hold, and members of different
// versions would differ. A rule for new writes alone belongs in Put.Encode.
func CheckKey(s string) error {
	if s == "" || len(s) > MaxKeyBytes {
		return invalid("key", "it has %d bytes and must have 1 to %d", len(s), MaxKeyBytes)
	}
	if err := checkText("key", s); err != nil {
		return err
	}
	return checkSegments("key", s, len(s))
}

// CheckPrefix returns an InvalidError unless s is the beginning of some key.
// The empty prefix is the beginning of all.
func CheckPrefix(s string) error {
	if len(s) > MaxKeyBytes {
		return invalid("prefix", "it has %d bytes and may have %d", len(s), MaxKeyBytes)
	}
	if err := checkText("prefix", s); err != nil {
		return err
	}
	// What follows the last slash may yet grow into a good segment.
	return checkSegments("prefix", s, strings.LastIndexByte(s, '/'))
}

// checkText finds bytes that aren't UTF-8 and control characters.
func checkText(what, s string) error {
	for i, r := range s {
		// An ASCII letter is by far the most common case.
		if r >= ' ' && r < unicode.MaxASCII {
			continue
		}
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return invalid(what, "byte %d (0x%02x) is not UTF-8", i, s[i])
		}
		if unicode.IsControl(r) {
			return invalid(what, "control character %U at byte %d", r, i)
		}
	}
	return nil
}

// checkSegments checks the segments of s that end at or before end.
func checkSegments(what, s string, end int) error {
	for start := 0; start <= end; {
		length := strings.IndexByte(s[start:], '/')
		if length < 0 {
			length = len(s) - start
		}
		switch segment := s[start : start+length]; segment {
		case "", ".", "..":
			return invalid(what, "segment %q at byte %d: a segment may not be empty, \".\" or \"..\"", segment, start)
		}
		start += length + 1
	}
	return nil
}

// invalid makes an InvalidError with a formatted reason.
func invalid(what, reason string, args ...any) error {
	return &InvalidError{What: what, Reason: fmt.Sprintf(reason, args...)}
}
