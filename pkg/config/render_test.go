package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// entries makes them of key, media type and value, three by three.
func entries(fields ...string) (made []*config.Entry) {
	for f := range slices.Chunk(fields, 3) {
		made = append(made, &config.Entry{Key: f[0], MediaType: f[1], Value: []byte(f[2])})
	}
	return made
}

// application is what the tests of all three formats render.
var application = entries(
	"app/db/url", "text/plain", "postgres://db:5432/app",
	"app/db/password", config.DefaultMediaType, "it's $(rm -rf ~) `x` \"y\" \\ \n",
	"app/limits", "application/json", `{"z": 1.50, "a": [true, null, "x<y"], "n": 123456789012345678901}`,
	"app/rules", "application/yaml", "b: [1, yes, {c: 0x10}]\na: {}\n",
	"app/tls/key", config.DefaultMediaType, "\xff\x00\x01",
	"app/flag", "text/plain", "no",
	"app/empty", "text/plain", "",
	"app/2fa.on-é", "text/plain", "1",
)

func TestEntriesRenderAsOneDocument(t *testing.T) {
	for format, want := range map[config.RenderFormat]string{
		config.RenderJSON: `{"2fa.on-é":"1","db":{"password":"it's $(rm -rf ~) ` + "`x`" + ` \"y\" \\ \n","url":"postgres://db:5432/app"},` +
			`"empty":"","flag":"no","limits":{"a":[true,null,"x<y"],"n":123456789012345678901,"z":1.50},` +
			`"rules":{"a":{},"b":[1,"yes",{"c":16}]},"tls":{"key":{"base64":"/wAB"}}}` + "\n",
		config.RenderYAML: `"2fa.on-é": "1"
db:
  password: "it's $(rm -rf ~) ` + "`x`" + ` \"y\" \\ \n"
  url: "postgres://db:5432/app"
empty: ""
flag: "no"
limits:
  a:
    - true
    - null
    - "x<y"
  "n": 123456789012345678901
  z: 1.50
rules:
  a: {}
  b:
    - 1
    - "yes"
    - c: 16
tls:
  key:
    base64: "/wAB"
`,
	} {
		for _, prefix := range []string{"app", "app/"} {
			got, err := config.Render(application, prefix, format)
			if err != nil || string(got) != want {
				t.Errorf("%s of %s: %v\n%s\nwant\n%s", format, prefix, err, got, want)
			}
		}
	}
	text := slices.DeleteFunc(slices.Clone(application), func(e *config.Entry) bool { return e.Key == "app/tls/key" })
	got, err := config.Render(text, "app/", config.RenderEnv)
	want := `DB_PASSWORD='it'\''s $(rm -rf ~) ` + "`x`" + ` "y" \ ` + "\n'\n" + `DB_URL='postgres://db:5432/app'
EMPTY=''
FLAG='no'
LIMITS='{"z": 1.50, "a": [true, null, "x<y"], "n": 123456789012345678901}'
RULES='b: [1, yes, {c: 0x10}]
a: {}
'
_2FA_ON__='1'
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	for format, want := range map[config.RenderFormat]string{config.RenderJSON: "{}\n", config.RenderYAML: "{}\n", config.RenderEnv: ""} {
		if got, err := config.Render(nil, "app/", format); err != nil || string(got) != want {
			t.Errorf("%s of nothing: %q, %v", format, got, err)
		}
	}
	if got, err := config.Render(entries("api/x", "text/plain", "1"), "ap", config.RenderJSON); err != nil || string(got) != `{"i":{"x":"1"}}`+"\n" {
		t.Errorf("a prefix may end within a segment: %s, %v", got, err)
	}
}

func TestEntriesThatCantBeRenderedAreNamed(t *testing.T) {
	const text, prefix = "text/plain", "a"
	for _, c := range []struct {
		format  config.RenderFormat
		entries []*config.Entry
		says    string
	}{
		{config.RenderJSON, entries("a/b/c", text, "", "a/b", text, "", "a/b-", text, ""), `"a/b" and "a/b/c" can't both be there: the first would be a value`},
		{config.RenderYAML, entries("a/b", "application/json", "{}", "a/b/c/d", text, ""), `"a/b" and "a/b/c/d" can't both be there`},
		{config.RenderJSON, entries("a/b/c", text, "", "ab", text, ""), `"ab" and "a/b/c" can't both be there`},
		{config.RenderYAML, entries("a/b", text, "", "ab", text, ""), `"a/b" and "ab" have the same name without the prefix`},
		{config.RenderJSON, entries("a", text, ""), `"a" equals the prefix`},
		{config.RenderEnv, entries("a", text, ""), `"a" equals the prefix`},
		{config.RenderJSON, entries("a/x", "application/json", "secret"), `"a/x" can't be embedded as its media type says: it is not JSON: the mistake is at byte`},
		{config.RenderEnv, entries("a/db.url", text, "", "a/db/url", text, ""), `"a/db.url" and "a/db/url" are both the variable DB_URL`},
		{config.RenderEnv, entries("a/xé", text, "", "a/xü", text, ""), `are both the variable X_`},
		{config.RenderEnv, entries("a/1", text, "", "a/_1", text, ""), `"a/1" and "a/_1" are both the variable _1`},
		{config.RenderEnv, entries("a/x", text, "secret\x00"), `"a/x" has a NUL byte`},
		{config.RenderEnv, entries("a/path", text, ""), "is the variable PATH, which shells act on or set themselves"},
		{config.RenderEnv, entries("a/Ifs", text, ""), "is the variable IFS"},
		{config.RenderEnv, entries("a/env", text, ""), "is the variable ENV"},
		{config.RenderEnv, entries("a/bash.env", text, ""), "is the variable BASH_ENV"},
		{config.RenderEnv, entries("a/ld/preload", text, ""), "is the variable LD_PRELOAD"},
	} {
		got, err := config.Render(c.entries, prefix, c.format)
		var found *config.RenderError
		if !errors.Is(err, config.ErrRender) || !errors.As(err, &found) || len(found.Keys) == 0 || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(err.Error(), "secret") || got != nil {
			t.Errorf("%s: %q, %v, want an ErrRender that says %q", c.format, got, err, c.says)
		}
	}
	if _, err := config.Render(nil, "", "toml"); !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), `"toml" is none of "json"`) {
		t.Error(err)
	}
	if _, err := config.Render(entries("b", text, ""), "a", config.RenderJSON); err == nil {
		t.Error("an entry beyond the prefix was rendered")
	}
}

func TestRenderedDocumentsAreBounded(t *testing.T) {
	big := func(n int, mediaType, value string) (made []*config.Entry) {
		for i := range n {
			made = append(made, &config.Entry{Key: fmt.Sprintf("k%d", i), MediaType: mediaType, Value: []byte(value)})
		}
		return made
	}
	mib := strings.Repeat("x", 1<<20)
	deep := strings.Repeat("a/", 250)
	for name, c := range map[string]struct {
		format  config.RenderFormat
		entries []*config.Entry
	}{
		"values":      {config.RenderEnv, big(17, "text/plain", mib)},
		"escapes":     {config.RenderJSON, big(3, "text/plain", strings.Repeat("\x01", 1<<20))},
		"base64":      {config.RenderYAML, big(13, "text/plain", strings.Repeat("\xff", 1<<20))},
		"quotes":      {config.RenderEnv, big(5, "text/plain", strings.Repeat("'", 1<<20))},
		"nodes":       {config.RenderJSON, big(3, "application/json", "["+strings.Repeat("1,", 200_000)+"1]")},
		"indentation": {config.RenderYAML, entries(deep+"a", "application/json", "["+strings.Repeat("1,", 100_000)+"1]")},
	} {
		if got, err := config.Render(c.entries, "", c.format); !errors.Is(err, config.ErrTooLarge) || got != nil {
			t.Errorf("%s: %d bytes, %v, want ErrTooLarge", name, len(got), err)
		}
	}
	if got, err := config.Render(big(15, "text/plain", mib), "", config.RenderEnv); err != nil || len(got) < 15<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// randomValue is text of what shells, YAML and JSON give a meaning to.
func randomValue(r *rand.Rand, alphabet []string) string {
	var out strings.Builder
	for range r.IntN(12) {
		out.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return out.String()
}

// nasty means something to a shell, to YAML or to JSON.
var nasty = []string{"'", `'\''`, `"`, "`id`", "$HOME", "$(id)", "${x}", `\`, `\n`, "\n", "\r", "\t", " ", ";", "&", "|", ">", "#", "*", "~", "!", "=", "\x01", "\x7f", "\xff",
	"\xc3", "é", "\u2028", "\ufeff", "😀", "- ", ": ", "? ", "---\n", "...", "<<", "%", "@", "{", "}", "[", "]", ",", "0", "1e5", "yes", "null", "a", "\x85"}

func TestRenderIsTheSameInAnyOrderAndAsJSONAndYAML(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var all []*config.Entry
		for i := range r.IntN(10) {
			e := &config.Entry{Key: fmt.Sprintf("p/%s%d", []string{"", "a/", "b/c/"}[r.IntN(3)], i), Value: []byte(randomValue(r, nasty)), MediaType: "text/plain"}
			if r.IntN(2) == 0 {
				e.MediaType = "application/json"
				e.Value, _ = json.Marshal(map[string]any{string(e.Value): []any{string(e.Value), i, nil}})
			}
			all = append(all, e)
		}
		rendered := map[config.RenderFormat]string{}
		for _, format := range []config.RenderFormat{config.RenderJSON, config.RenderYAML, config.RenderEnv} {
			for range 3 {
				r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				text, err := config.Render(all, "p/", format)
				if err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				if first, has := rendered[format]; has && first != string(text) {
					t.Fatalf("round %d: %s and then %s", round, first, text)
				}
				rendered[format] = string(text)
			}
		}
		again, err := embedded(rendered[config.RenderYAML], typeYAML)
		if err != nil || again+"\n" != rendered[config.RenderJSON] {
			t.Fatalf("round %d: %v\n%q\nread back as\n%s\nwant\n%s", round, err, rendered[config.RenderYAML], again, rendered[config.RenderJSON])
		}
	}
}

// TestAShellReadsBackWhatWasRendered evaluates documents as a user would, and
// prints each variable with its length in front.
func TestAShellReadsBackWhatWasRendered(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, shell := range []string{"sh", "dash", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // every system has sh
		}
		for round := range 20 {
			var all []*config.Entry
			var print, want strings.Builder
			for i := range 20 {
				value := randomValue(r, nasty)
				all = append(all, &config.Entry{Key: fmt.Sprintf("p/k.%d", i), Value: []byte(value), MediaType: "text/plain"})
				fmt.Fprintf(&print, "printf '%%s|' \"$K_%d\"\n", i)
				want.WriteString(value + "|")
			}
			text, err := config.Render(all, "p/", config.RenderEnv)
			if err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{`eval "$1"`, "command . /dev/stdin"} {
				command := exec.Command(path, "-c", "set -eu\n"+how+"\n"+print.String(), shell, string(text))
				command.Stdin = strings.NewReader(string(text))
				got, err := command.CombinedOutput()
				if err != nil || string(got) != want.String() {
					t.Fatalf("%s, %s, round %d: %v\n%q\nof\n%q\nwant\n%q", shell, how, round, err, got, text, want.String())
				}
			}
		}
	}
}
