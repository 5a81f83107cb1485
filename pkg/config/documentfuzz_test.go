package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/conclave-dev/conclave/pkg/config"
)

// FuzzSchema validates anything by anything. What is refused is told in few
// words, and the same way again.
func FuzzSchema(f *testing.F) {
	for _, c := range [][2]string{
		{`{"type":"object","properties":{"a":{"$ref":"#/$defs/p"}},"$defs":{"p":{"minimum":1}}}`, `{"a":0}`},
		{`{"oneOf":[{"enum":[1,"x"]},{"not":{"const":null}}],"unevaluatedItems":false}`, `[1]`},
		{`{"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"},"uniqueItems":true,"contains":true,"maxContains":1}`, `[[1,1],[]]`},
		{`{"patternProperties":{"^a":false},"additionalProperties":{"pattern":"x+$"},"propertyNames":{"minLength":2}}`, `{"a":1,"bb":"y"}`},
		{`{"if":{"multipleOf":0.1},"then":{"maximum":1e400},"else":{"dependentSchemas":{"a":false}}}`, `1e-400`},
		{`{"$id":"urn:x","$ref":"urn:x#y","$defs":{"y":{"$anchor":"y","type":"null"}}}`, "a: &a [*a]"},
	} {
		f.Add([]byte(c[0]), []byte(c[1]), strings.HasPrefix(c[1], "a:"))
	}
	f.Fuzz(func(t *testing.T, document, value []byte, yaml bool) {
		s, err := config.CompileSchema(document)
		if err != nil {
			if !errors.Is(err, config.ErrInvalid) || len(err.Error()) > 2000 {
				t.Fatalf("%q: %v", document, err)
			}
			return
		}
		mediaType := typeJSON
		if yaml {
			mediaType = typeYAML
		}
		first := said(t, s.Validate(value, mediaType))
		if strings.Contains(first, "  doesn't satisfy the schema") && !strings.Contains(first, "too many steps") {
			t.Fatalf("%q of %q is refused, and nothing is wrong with it", value, document)
		}
		if again := said(t, s.Validate(value, mediaType)); again != first || len(first) > config.MaxViolations*1000 {
			t.Fatalf("%q of %q: %q and then %q", value, document, first, again)
		}
	})
}

// FuzzJSON holds what is embedded to what the standard library reads.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e3,"x\u0000\ud83d\ude00",null,true,{}]}`, `[1,]`, `{"a":1,"a":2}`, ` "<\u2028>" `, `1e999`, `01`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := embedded(string(data), typeJSON)
		if err != nil {
			if !errors.Is(err, config.ErrRender) || len(err.Error()) > 500 {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is embedded as %s", data, got)
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var value any
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(value); err != nil || got+"\n" != want.String() {
			t.Fatalf("%q is embedded as %s, want %s", data, got, want.String())
		}
	})
}

// FuzzYAML reads anything as YAML. What can be read is written as YAML and
// read again, and is the same.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: &a {b: [1, 0x1F, 1e999, .5, 09, 1_0]}\nc: {<<: *a, d: yes}\n", "- |\n x\n- >-\n y\n- 'z'\n- \"\\x01\\u2028\"\n", "&a [*a]", "? a\n: - b\n",
		"!!int 12", "- 2026-11-23\n- 12:30:45\n- ~\n", "%YAML 1.1\n---\na\n...\n", "{a: 1, a: 2}", "\t", "a: b: c", "- - - x", "\ufeffa: 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := embedded(string(data), typeYAML)
		if err != nil {
			if !errors.Is(err, config.ErrRender) && !errors.Is(err, config.ErrTooLarge) || len(err.Error()) > 500 {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if !json.Valid([]byte(first)) {
			t.Fatalf("%q is read as %s", data, first)
		}
		text, err := config.Render(entries("v", typeJSON, first), "", config.RenderYAML)
		if err != nil {
			if strings.Contains(err.Error(), "nested deeper") || errors.Is(err, config.ErrTooLarge) {
				return
			}
			t.Fatalf("%q is read as %s, which is not JSON: %v", data, first, err)
		}
		again, err := embedded(string(text), typeYAML)
		if want := `{"v":` + first + "}"; err != nil && !strings.Contains(err.Error(), "nested deeper") || err == nil && again != want {
			t.Fatalf("%q is read as %s, written as %q and read again as %s, %v", data, first, text, again, err)
		}
	})
}

// FuzzMergePatch applies anything to anything. A patch that was applied
// changes nothing when it is applied again.
func FuzzMergePatch(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"c":[{"d":null}]}}`), []byte(`{"a":{"b":null,"e":{"f":null}},"c":[null]}`))
	f.Add([]byte(`[1]`), []byte(`{"a":null}`))
	f.Add([]byte(`1`), []byte(`null`))
	f.Fuzz(func(t *testing.T, value, patch []byte) {
		once, err := config.MergePatch(value, typeJSON, patch)
		if err != nil {
			if !errors.Is(err, config.ErrInvalid) && !errors.Is(err, config.ErrTooLarge) {
				t.Fatalf("%q with %q: %v", value, patch, err)
			}
			return
		}
		twice, err := config.MergePatch(once, typeJSON, patch)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q with %q: %s and then %s, %v", value, patch, once, twice, err)
		}
	})
}

// FuzzRenderEnv renders two entries and reads the text back by the rule of
// POSIX for single quotes.
func FuzzRenderEnv(f *testing.F) {
	f.Add("a", []byte("it's"), "b/c", []byte("'\n'"))
	f.Add("2", []byte("\xff\\"), "é", []byte("$(x)"))
	f.Fuzz(func(t *testing.T, key1 string, value1 []byte, key2 string, value2 []byte) {
		if config.CheckKey(key1) != nil || config.CheckKey(key2) != nil {
			return
		}
		text, err := config.Render(entries(key1, "text/plain", string(value1), key2, "text/plain", string(value2)), "", config.RenderEnv)
		if err != nil {
			if !errors.Is(err, config.ErrRender) {
				t.Fatalf("%q, %q: %v", key1, key2, err)
			}
			return
		}
		got := unquoted(t, string(text))
		if len(got) != 2 || !(got[0] == string(value1) && got[1] == string(value2) || got[0] == string(value2) && got[1] == string(value1)) {
			t.Fatalf("%q=%q and %q=%q: %q", key1, value1, key2, value2, text)
		}
	})
}

// unquoted returns the values of lines NAME='value', in which \' may stand
// between quoted parts.
func unquoted(t *testing.T, text string) (values []string) {
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || name == "" || name[0] <= '9' {
			t.Fatalf("no variable begins %q", text)
		}
		var value strings.Builder
		for !strings.HasPrefix(rest, "\n") {
			if after, escaped := strings.CutPrefix(rest, `\'`); escaped {
				value.WriteByte('\'')
				rest = after
				continue
			}
			part, after, ok := strings.Cut(strings.TrimPrefix(rest, "'"), "'")
			if !ok || !strings.HasPrefix(rest, "'") {
				t.Fatalf("no quoted part begins %q", rest)
			}
			value.WriteString(part)
			rest = after
		}
		values, text = append(values, value.String()), rest[1:]
	}
	return values
}
