package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// embedded renders one entry of the media type as the member "v" of JSON.
func embedded(value, mediaType string) (string, error) {
	text, err := config.Render([]*config.Entry{{Key: "v", Value: []byte(value), MediaType: mediaType}}, "", config.RenderJSON)
	return strings.TrimSuffix(strings.TrimPrefix(string(text), `{"v":`), "}\n"), err
}

func TestYAMLIsReadAsItsCounterpartInJSON(t *testing.T) {
	for yaml, want := range map[string]string{
		"":                                 `null`,
		"# nothing\n":                      `null`,
		"---\n...\n":                       `null`,
		"[~, null, Null, NULL]":            `[null,null,null,null]`,
		"[true, True, FALSE]":              `[true,true,false]`,
		"[yes, no, on, off, y, n]":         `["yes","no","on","off","y","n"]`,
		"[1, -2, +3, 0x1F, 0o17, 0b101]":   `[1,-2,3,31,15,5]`,
		"[1.50, -.5, +2., 1e3, 1E-3, 0.0]": `[1.50,-0.5,2,1e3,1E-3,0.0]`,
		"[09, 1_000, 00.5]":                `[9,1000,0.5]`,
		"[123456789012345678901234567890, 0.1234567890123456789012345, 1e399]":     `[123456789012345678901234567890,0.1234567890123456789012345,1e399]`,
		"[0xFFFFFFFFFFFFFFFF, !!int 1_0, !!str 12, '12', \"1e399\"]":               `[18446744073709551615,10,"12","12","1e399"]`,
		"[2026-11-23, 2026-11-23T10:00:00Z, 12:30:45]":                             `["2026-11-23","2026-11-23T10:00:00Z","12:30:45"]`,
		"a: |\n  x\n  y\nb: >-\n  x\n  y\n":                                        `{"a":"x\ny\n","b":"x y"}`,
		"8080: a\ntrue: b\n1.0: c\n2026-01-01: d\n":                                `{"1.0":"c","2026-01-01":"d","8080":"a","true":"b"}`,
		"x: &x {a: 1, b: [2]}\ny: *x\nz: {<<: *x, a: 3}\n":                         `{"x":{"a":1,"b":[2]},"y":{"a":1,"b":[2]},"z":{"a":3,"b":[2]}}`,
		"x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y, {c: 3}], \"<<\": 4}\n": `{"x":{"a":1},"y":{"a":2,"b":2},"z":{"\u003c\u003c":4,"a":1,"b":2,"c":3}}`,
		`{"json": [1, {"a": null}]}`:                                               `{"json":[1,{"a":null}]}`,
	} {
		got, err := embedded(yaml, typeYAML)
		if want = strings.ReplaceAll(want, `\u003c`, "<"); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", yaml, got, err, want)
		}
	}
}

func TestYAMLWithoutCounterpartIsRefused(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	merges := "a0: &a0 {x: 1}\n"
	for i := range 30 {
		merges += fmt.Sprintf("a%d: &a%d {<<: [*a%d, *a%d]}\n", i+1, i+1, i, i)
	}
	for yaml, says := range map[string]string{
		"a: secret\n\tb: [":                     "line 2 or near",
		"a: *secret":                            "it is not YAML",
		"\xff\xfea\x00":                         "not UTF-8",
		"a: 1\na: 2\n":                          "two members of one name, the second at line 2",
		"1: a\n'1': b\n":                        "two members of one name, the second at line 2",
		"a: 1\n---\nb: 2\n":                     "more than one YAML document",
		"a: 1\n---\n{":                          "not YAML",
		"- .nan":                                "line 1 has a tag, a number or a name",
		"- -.inf":                               "line 1",
		"- !!binary aGk=":                       "line 1",
		"- !secret x":                           "line 1",
		"- !!set {a: null}":                     "line 1",
		"\n- !!int secret":                      "line 2",
		"- !!bool secret":                       "line 1",
		"- !!null secret":                       "line 1",
		"? [a]\n: b":                            "line 1",
		"~: b":                                  "line 1",
		"{<<: secret}":                          "merges something that is not a mapping",
		"&a [*a]":                               "deeper than 64",
		"&a {<<: *a}":                           "deeper than 64",
		bomb:                                    "more than 250000 objects",
		merges:                                  "more than 250000 objects",
		strings.Repeat("- ", 65) + "x":          "deeper than 64",
		strings.Repeat("[", 400_000):            "not YAML",
		"- 1e401":                               "exponent beyond 400",
		"- " + strings.Repeat("9", 257):         "a number of 257 characters",
		"- !!int 0x" + strings.Repeat("f", 255): "a number of 257 characters",
		strings.Repeat("#", 1<<20+1):            "may have 1048576 bytes",
	} {
		got, err := embedded(yaml, typeYAML)
		if !errors.Is(err, config.ErrRender) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60q: %.60s, %v, want an ErrRender that says %q", yaml, got, err, says)
		}
	}
}

func TestJSONIsReadStrictly(t *testing.T) {
	for json, says := range map[string]string{
		`{"n":-12345678901234567890.0123456789e-5}`:       "",
		` [ "` + "\u2028" + `😀\ud83d\ude00" ] `:           "",
		strings.Repeat("[", 64) + strings.Repeat("]", 64): "",
		"[" + strings.Repeat("1,", 249_998) + "1]":        "",
		``:                    "byte 0",
		`{"secret"}`:          "byte",
		`[1,]`:                "byte",
		`{"a":1,}`:            "byte",
		`[1 2]`:               "byte",
		`{1:2}`:               "byte",
		`[01]`:                "byte",
		`nul`:                 "byte",
		`[1]]`:                "byte",
		`"secret" 1`:          "something follows",
		"\"\xff\"":            "not UTF-8",
		"\ufeff1":             "byte",
		`{"a":{"b":1,"b":1}}`: "two members of one name; the second ends at byte 15",
		`{"\u0061":1,"a":1}`:  "two members of one name",
		strings.Repeat("[", 65) + strings.Repeat("]", 65):           "deeper than 64",
		strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65): "deeper than 64",
		"[" + strings.Repeat("1,", 249_999) + "1]":                  "more than 250000",
		`1e401`:                   "exponent beyond 400",
		`1e-99999999999999999999`: "exponent beyond 400",
		strings.Repeat("1", 257):  "a number of 257 characters",
	} {
		_, err := embedded(json, typeJSON)
		if says == "" {
			if err != nil {
				t.Errorf("%.60q: %v", json, err)
			}
			continue
		}
		if !errors.Is(err, config.ErrRender) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60q: %v, want an ErrRender that says %q", json, err, says)
		}
	}
}
