package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// checkNames holds each name to what is said of it: "" for a good one, else a
// part of the error.
func checkNames(t *testing.T, check func(string) error, names map[string]string) {
	t.Helper()
	for name, says := range names {
		err := check(name)
		if says == "" {
			if err != nil {
				t.Errorf("%.80q: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80q: %v, want an ErrInvalid that says %q", name, err, says)
		}
	}
}

func TestNamespacesAreDNSLabels(t *testing.T) {
	checkNames(t, config.CheckNamespace, map[string]string{
		"a": "", "pay": "", "p-1": "", "0": "", strings.Repeat("a", 63): "",
		"": "0 bytes", strings.Repeat("a", 64): "64 bytes", "-a": `'-' at byte 0`, "a-": `'-' at byte 1`,
		"aB": `'B' at byte 1`, "a.b": `'.' at byte 1`, "a/b": `'/' at byte 1`, "a_b": `'_'`, "é": "byte 0",
	})
}

func TestKeysAreSegmentsOfCleanText(t *testing.T) {
	checkNames(t, config.CheckKey, map[string]string{
		"a": "", "db/url": "", "...": "", ".env": "", "a b": "", "日本/ü": "", "%2F": "", "a/.b/c..": "", "\uFFFD": "", "~": "",
		strings.Repeat("k", 512): "", strings.Repeat("k", 513): "513 bytes", "": "0 bytes",
		"/a": `segment "" at byte 0`, "a/": `segment "" at byte 2`, "a//b": `segment "" at byte 2`,
		".": `segment "." at byte 0`, "a/../b": `segment ".." at byte 2`, "a/.": `segment "." at byte 2`,
		"a\x00b": "U+0000 at byte 1", "a\nb": "U+000A at byte 1", "\x7f": "U+007F", "\u0085": "U+0085", "ab\xff": "byte 2 (0xff)", "\xed\xa0\x80": "byte 0",
	})
}

func TestPrefixesAreBeginningsOfKeys(t *testing.T) {
	checkNames(t, config.CheckPrefix, map[string]string{
		"": "", "d": "", "db/": "", "db/u": "", ".": "", "db/..": "",
		"/": `segment "" at byte 0`, "a//": `segment "" at byte 2`, "../": `segment ".."`, "a/./b": `segment "."`,
		"\n": "U+000A", "\xc3": "byte 0", strings.Repeat("k", 513): "513 bytes",
	})
}

func TestMediaTypesHaveTypeAndSubtype(t *testing.T) {
	checkNames(t, config.CheckMediaType, map[string]string{
		"text/plain": "", "Text/Plain; Charset=\"utf-8\"": "", "application/vnd.x+json": "",
		"": "0 bytes", "text": "no subtype", "text/": "text/", "a/b; c": "a/b; c", "a/b\r\nX: y": "byte 3", "a/ü": "byte 2",
		"a/" + strings.Repeat("b", 254): "256 bytes",
	})
}
