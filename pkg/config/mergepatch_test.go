package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	typeJSON = "application/json"
	typeYAML = "application/yaml"
)

func TestMergePatchesFollowRFC7396(t *testing.T) {
	for _, c := range []struct{ value, patch, want string }{
		// The table of appendix A.
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// What is inside an array is taken as it is, nulls included.
		{`{}`, `{"a":[{"b":null},null]}`, `{"a":[{"b":null},null]}`},
		// Numbers keep their digits, characters stay themselves.
		{`{"n":123456789012345678901234567890.10}`, `{"m":1e0}`, `{"m":1e0,"n":123456789012345678901234567890.10}`},
		{"{ \"b\" : 1,\n \"a\" : \"<&>\u00e9\\u0041\" }", `{}`, `{"a":"<&>éA","b":1}`},
	} {
		got, err := config.MergePatch([]byte(c.value), typeJSON, []byte(c.patch))
		if err != nil || string(got) != c.want {
			t.Errorf("%s with %s: %s, %v, want %s", c.value, c.patch, got, err, c.want)
		}
	}
}

func TestMergePatchesAreRefused(t *testing.T) {
	long := `"` + strings.Repeat("x", config.MaxValueBytes-10) + `"`
	for _, c := range []struct {
		value, mediaType, patch string
		want                    error
		says                    string
	}{
		{`{}`, typeYAML, `{}`, config.ErrInvalid, `invalid value: a merge patch applies to JSON, and its media type is "application/yaml"`},
		{`{`, typeJSON, `{}`, config.ErrInvalid, "invalid value: it is not JSON: the mistake is at byte 1"},
		{`{}`, typeJSON, `{"a":1,}`, config.ErrInvalid, "invalid merge patch: it is not JSON: the mistake is at byte"},
		{`{}`, typeJSON, `{"a":1,"a":1}`, config.ErrInvalid, "invalid merge patch: an object has two members of one name"},
		{`{}`, typeJSON, strings.Repeat("[", 100), config.ErrInvalid, "nested deeper than 64"},
		{`{"a":` + long + `}`, "application/vnd.x+json; v=1", `{"b":"12345"}`, config.ErrTooLarge, "the value has"},
		{`{}`, typeJSON, `{"a":` + long + `}      `, config.ErrTooLarge, "merge patch: "},
	} {
		_, err := config.MergePatch([]byte(c.value), c.mediaType, []byte(c.patch))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.50s with %.50s: %v, want %v that says %q", c.value, c.patch, err, c.want, c.says)
		}
	}
}
