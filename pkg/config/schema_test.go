package config_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// compile returns a schema that is known to be good.
func compile(t testing.TB, document string) *config.Schema {
	t.Helper()
	s, err := config.CompileSchema([]byte(document))
	if err != nil {
		t.Fatalf("%.200s: %v", document, err)
	}
	return s
}

// said is what an error of Validate says, a line for each violation.
func said(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var found *config.SchemaError
	if !errors.Is(err, config.ErrSchema) || !errors.As(err, &found) || len(found.Violations) == 0 || len(found.Violations) > config.MaxViolations {
		t.Fatalf("%v is no ErrSchema with 1 to %d violations", err, config.MaxViolations)
	}
	var lines []string
	for _, v := range found.Violations {
		lines = append(lines, v.InstancePointer+" "+v.SchemaPointer+" "+v.Message)
	}
	return strings.Join(lines, "\n")
}

func TestSchemaTellsWhereAValueIsWrong(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`true`, `{"a":1}`, ""},
		{`false`, `1`, "  may not be here"},
		{`{"type":"integer"}`, `1.0`, ""},
		{`{"type":["integer","null"]}`, `1.5`, " /type is of type number and must be null or integer"},
		{`{"properties":{"a/b":{"properties":{"~":{"type":"string"}}}}}`, `{"a/b":{"~":1}}`,
			"/a~1b/~0 /properties/a~1b/properties/~0/type is of type number and must be string"},
		{`{"properties":{"é %":{"type":"string"}}}`, `{"é %":1}`, "/é % /properties/é %/type is of type number and must be string"},
		{`{"$ref":"#/$defs/port","$defs":{"port":{"minimum":1,"maximum":65535.5}}}`, `70000`, " /$defs/port/maximum is more than 65535.5"},
		{`{"$id":"https://a.example/s","$ref":"port","$defs":{"p":{"$id":"port","exclusiveMinimum":1}}}`, `1`, " /$defs/p/exclusiveMinimum is not more than 1"},
		{`{"$defs":{"p":{"$anchor":"port","exclusiveMaximum":9}},"items":{"$ref":"#port"}}`, `[1,9]`, "/1 /$defs/p/exclusiveMaximum is not less than 9"},
		{`{"required":["a","b"],"additionalProperties":false,"properties":{"a":{}}}`, `{"c":1,"d":2}`, ` /required lacks "a", "b"
/c /additionalProperties may not be here: the schema knows no such member
/d /additionalProperties may not be here: the schema knows no such member`},
		{`{"propertyNames":{"maxLength":2,"pattern":"^a"}}`, `{"abc":1}`, "/abc /propertyNames/maxLength has a name that has more than 2 characters"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, ` /dependentRequired/a lacks "b", wanted because it has "a"`},
		{`{"oneOf":[{"type":"string"},{"minimum":2}]}`, `1`, ` /oneOf satisfies none of the alternatives
 /oneOf/0/type is of type number and must be string
 /oneOf/1/minimum is less than 2`},
		{`{"oneOf":[{},{}]}`, `1`, " /oneOf satisfies more than one of the alternatives"},
		{`{"anyOf":[{"not":{}},false]}`, `1`, ` /anyOf satisfies none of the alternatives
 /anyOf/0 satisfies a schema that it must not satisfy
 /anyOf/1 may not be here`},
		{`{"if":{"type":"object"},"then":{"minProperties":1,"maxProperties":0}}`, `{}`, " /then/minProperties has fewer than 1 members"},
		{`{"maxProperties":0}`, `{"a":1}`, " /maxProperties has more than 0 members"},
		{`{"minItems":2,"prefixItems":[{"const":1}]}`, `[2]`, " /minItems has fewer than 2 items\n/0 /prefixItems/0/const is not the one value allowed"},
		{`{"maxItems":1,"uniqueItems":true}`, `[1,1.0]`, " /maxItems has more than 1 items\n /uniqueItems has equal items at 0 and 1"},
		{`{"contains":{"const":1},"minContains":2}`, `[1,2]`, " /minContains has fewer than 2 items of the kind wanted\n/1 /contains/const is not the one value allowed"},
		{`{"contains":{"const":1},"maxContains":1}`, `[1,1]`, " /maxContains has more than 1 items of the kind limited"},
		{`{"enum":["a","b"],"minLength":3}`, `"c"`, " /enum is none of the 2 values allowed\n /minLength has fewer than 3 characters"},
		{`{"minLength":3,"pattern":"^x"}`, `"é"`, " /minLength has fewer than 3 characters\n /pattern doesn't match the pattern"},
		{`{"multipleOf":0.1}`, `0.35`, " /multipleOf is no multiple of 0.1"},
		{`{"unevaluatedProperties":false,"allOf":[{"properties":{"a":true}}]}`, `{"a":1,"b":2}`, "/b /unevaluatedProperties may not be here"},
		{`{"format":"email","contentMediaType":"application/json"}`, `"{"`, ""},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","unknown":1}`, `1`, ""},
		{`{"$ref":"#"}`, `1`, "  can't be checked: the schema refers to itself without end"},
		// A double would take both for 2^53.
		{`{"const":9007199254740993}`, `9007199254740992`, " /const is not the one value allowed"},
		{`{"const":9007199254740993}`, `9007199254740993.0`, ""},
		{`{"maximum":0.1}`, `0.1000000000000000000000000001`, " /maximum is more than 0.1"},
	} {
		if got := said(t, compile(t, c.schema).Validate([]byte(c.value), typeJSON)); got != c.want {
			t.Errorf("%s of %s:\n%s\nwant:\n%s", c.value, c.schema, got, c.want)
		}
	}
}

func TestSchemaTakesJSONAndYAML(t *testing.T) {
	s := compile(t, `{"properties":{"port":{"type":"integer"}},"required":["port"]}`)
	for mediaType, yaml := range map[string]bool{
		"application/json": false, "application/vnd.x+json; v=1": false, "Application/JSON": false,
		"application/yaml": true, "application/x-yaml": true, "text/yaml;charset=utf-8": true, "text/x-yaml": true, "application/x+yaml": true,
	} {
		good, bad := `{"port":1}`, `{"port":"x"}`
		if yaml {
			good, bad = "port: 1\n", "port: x\n"
		}
		if err := s.Validate([]byte(good), mediaType); err != nil {
			t.Errorf("%s: %v", mediaType, err)
		}
		if got := said(t, s.Validate([]byte(bad), mediaType)); got != "/port /properties/port/type is of type string and must be integer" {
			t.Errorf("%s: %s", mediaType, got)
		}
	}
	for _, mediaType := range []string{config.DefaultMediaType, "text/plain", "application/jsonx", "json", ""} {
		if got := said(t, compile(t, "true").Validate([]byte("1"), mediaType)); !strings.Contains(got, "must be that of JSON or YAML") {
			t.Errorf("%s: %q", mediaType, got)
		}
	}
	if got := said(t, s.Validate([]byte(`{"port":1`), typeJSON)); got != "  it is not JSON: the mistake is at byte 9" {
		t.Error(got)
	}
}

func TestSchemaErrorsQuoteNoValue(t *testing.T) {
	const secret = "hunter2"
	s := compile(t, `{"properties":{
		"string":{"const":"x","enum":["y"],"maxLength":1,"pattern":"^x","not":{"type":"string"},"allOf":[{"maxLength":1},{"pattern":"^x"}]},
		"length":{"maxLength":1,"pattern":"^x"}, "enum":{"enum":["y"]}, "type":{"type":"integer"},
		"number":{"maximum":1,"multipleOf":7,"exclusiveMaximum":1}, "minimum":{"minimum":999999999,"exclusiveMinimum":999999999},
		"array":{"uniqueItems":true,"contains":{"type":"null"},"items":{"maxLength":1}},
		"any":{"anyOf":[{"const":1},{"type":"null"}],"oneOf":[{"enum":[1]},false]}, "false":false, "format":{"format":"date"}}}`)
	value := `{"string":"hunter2","length":"hunter2","enum":"hunter2","type":"hunter2","number":4242424,"minimum":4242424,
		"array":["hunter2","hunter2"],"any":"hunter2","false":"hunter2","format":"hunter2"}`
	err := s.Validate([]byte(value), typeJSON)
	text := said(t, err) + err.Error()
	if strings.Contains(text, secret) || strings.Contains(text, "4242424") {
		t.Errorf("the value is quoted:\n%s", text)
	}
	if n := strings.Count(text, "\n") + 1; n < 18 {
		t.Errorf("%d violations:\n%s", n, text)
	}
}

func TestViolationsAreFewAndShort(t *testing.T) {
	long := strings.Repeat("é", 5000)
	s := compile(t, `{"additionalProperties":false,"required":["`+long+`"]}`)
	var value strings.Builder
	for i := range 100 {
		fmt.Fprintf(&value, `,"%s%02d":1`, long, i)
	}
	var first string
	for range 5 {
		err := s.Validate([]byte("{"+value.String()[1:]+"}"), typeJSON)
		got := said(t, err)
		if len(got) > config.MaxViolations*3*300 || len(err.Error()) > 3*300 || strings.Count(got, "\n") != 1 {
			t.Errorf("%d bytes, %d in short:\n%.2000s", len(got), len(err.Error()), got)
		}
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%s\nand then\n%s", first, got)
		}
	}
	many := compile(t, `{"items":{"type":"null"}}`).Validate([]byte("["+strings.Repeat("1,", 99)+"1]"), typeJSON)
	if got := said(t, many); strings.Count(got, "\n") != config.MaxViolations-1 {
		t.Error(got)
	}
}

func TestBadSchemasAreRefusedWithAPointer(t *testing.T) {
	const alone = "may refer to parts of itself alone"
	for schema, says := range map[string]string{
		``:                                       "it is not JSON: the mistake is at byte 0",
		`{"type":"a","type":"b"}`:                "two members of one name",
		`[]`:                                     `at "": is of type array and must be boolean or object`,
		`{"type":"strin"}`:                       `at "/type": is none of the 7 values allowed`,
		`{"properties":{"a/b":{"minimum":"x"}}}`: `at "/properties/a~1b/minimum": is of type string and must be number`,
		`{"items":{"pattern":"(?=x)"}}`:          `at "/items/pattern": is no regular expression that Go takes: invalid or unsupported Perl syntax`,
		`{"patternProperties":{"[":{}}}`:         `at "/patternProperties/[": has a name that is no regular expression`,
		`{"pattern":"` + strings.Repeat("a", 1025) + `"}`:                                                                       "it has 1025 bytes and may have 1024",
		`{"allOf":[{"pattern":"(.{1,300}){1,3}"},` + strings.Repeat(`{"pattern":"`+"x{1000}"+`"},`, 1) + patterns(100) + `{}]}`: "the patterns of the schema are together too large",
		`{"$ref":"other.json"}`:                                   alone,
		`{"$ref":"https://example.com/x"}`:                        alone,
		`{"$ref":"file:///etc/passwd"}`:                           alone,
		`{"$dynamicRef":"conclave:///opposite"}`:                  alone,
		`{"$ref":"conclave:///opposite#/not"}`:                    alone,
		`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`: alone,
		`{"$ref":"#/$defs/none"}`:                                 `"#/$defs/none" not found`,
		`{"$ref":"#none"}`:                                        `"#none" not found`,
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`:   `at "/$schema": $schema may only be`,
		`{"$schema":"https://example.com/own"}`:                   `at "/$schema": $schema may only be`,
		`{"properties":{"a":{"$id":"x","$schema":"http://json-schema.org/draft-07/schema#"}}}`:    `at "/properties/a/$schema": $schema may only be`,
		`{"$defs":{"a":{"$anchor":"q"},"b":{"$anchor":"q"}}}`:                                     `duplicate anchor "q"`,
		strings.Repeat(`{"not":`, 65) + "true" + strings.Repeat("}", 65):                          "deeper than 64",
		`{"allOf":[` + strings.Repeat(`{"title":""},`, config.MaxSubschemas-1) + `{"title":""}]}`: "more than 2000 schemas",
		`{"allOf":[` + strings.Repeat("{},", config.MaxSchemaNodes-2) + `true]}`:                  "may have 10000",
		`{"title":"` + strings.Repeat("x", config.MaxSchemaBytes) + `"}`:                          "may have 262144",
	} {
		_, err := config.CompileSchema([]byte(schema))
		var invalid *config.InvalidError
		if !errors.As(err, &invalid) || invalid.What != "schema" || !strings.Contains(err.Error(), says) || len(err.Error()) > 1000 {
			t.Errorf("%.100s: %v, want an InvalidError that says %q", schema, err, says)
		}
	}
	compile(t, `{"allOf":[`+strings.Repeat(`{"title":""},`, config.MaxSubschemas-2)+`{"title":""}]}`)
	compile(t, `{"allOf":[`+strings.Repeat("{},", config.MaxSchemaNodes-3)+`true]}`)
}

// patterns are n schemas with a large pattern each, all different.
func patterns(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `{"pattern":"%d[a-z]{1000}"},`, i)
	}
	return out.String()
}

// doubling is a schema of which each part applies the next one twice by the
// keyword, 60 times.
func doubling(keyword, root, last string) string {
	var out strings.Builder
	out.WriteString(`{"$defs":{`)
	for i := range 60 {
		next := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		parts := "[" + next + "," + next + "]"
		if keyword == "dependentSchemas" {
			parts = `{"a":` + next + `,"b":` + next + `}`
		}
		fmt.Fprintf(&out, `"d%d":{%q:%s},`, i, keyword, parts)
	}
	return out.String() + `"d60":` + last + `},` + root + `}`
}

func TestCostlyValidationsAreGivenUp(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	const root, notRoot = `"$ref":"#/$defs/d0"`, `"not":{"$ref":"#/$defs/d0"}`
	for name, c := range map[string]struct{ schema, value string }{
		"allOf":                   {doubling("allOf", root, `{"type":"string"}`), `"x"`},
		"anyOf that fails":        {doubling("anyOf", root, `{"type":"string"}`), `1`},
		"anyOf within not":        {doubling("anyOf", notRoot, `{"type":"string"}`), `1`},
		"dependentSchemas":        {doubling("dependentSchemas", notRoot, `false`), `{"a":1,"b":2}`},
		"at each level of values": {`{"properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}}}`, deep(60)},
		"pattern":                 {`{"pattern":"(x+x+)+y{1,400}(x?){1,500}$"}`, `"` + strings.Repeat("x", 2_000_000) + `"`},
		"uniqueItems":             {`{"uniqueItems":true,"items":{"$ref":"#"}}`, strings.Repeat("[", 60) + strings.Repeat("1,", 20000) + "1" + strings.Repeat("]", 60)},
		"uniqueItems of few":      {`{"items":{"uniqueItems":true}}`, "[" + strings.Repeat("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],", 10000) + "1]"},
		"enum":                    {`{"items":{"enum":[` + strings.Repeat("0,", 9000) + `1]}}`, "[" + strings.Repeat("2,", 10000) + "1]"},
	} {
		if testing.Short() && name != "allOf" && name != "pattern" && name != "uniqueItems" {
			continue // each takes seconds
		}
		if got := said(t, compile(t, c.schema).Validate([]byte(c.value), typeJSON)); got != "  to check it by this schema takes too many steps" {
			t.Errorf("%s: %q", name, got)
		}
	}
	// It is fit for use afterwards, and a large value alone is no reason.
	s := compile(t, `{"items":{"type":"integer","minimum":0,"maximum":9}}`)
	many := strings.Repeat("1,", 240_000)
	if got := said(t, s.Validate([]byte("["+many+"1]"), typeJSON)); got != "" {
		t.Error(got)
	}
	if got := said(t, s.Validate([]byte("["+many+"11]"), typeJSON)); got != "  doesn't satisfy the schema; to tell where takes too many steps" {
		t.Error(got)
	}
	if got := said(t, s.Validate([]byte("[11]"), typeJSON)); got != "/0 /items/maximum is more than 9" {
		t.Error(got)
	}
}

// TestLongestChainsFitTheStack: a stack that overflows ends the process.
func TestLongestChainsFitTheStack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a gigabyte")
	}
	var schema strings.Builder
	schema.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	const links = config.MaxSubschemas - 4
	for i := range links {
		fmt.Fprintf(&schema, `"d%d":{"$ref":"#/$defs/d%d"},`, i, i+1)
	}
	fmt.Fprintf(&schema, `"d%d":{"properties":{"a":{"$ref":"#"}}}}}`, links)
	s := compile(t, schema.String())
	value := strings.Repeat(`{"a":`, config.MaxDocumentDepth) + "1" + strings.Repeat("}", config.MaxDocumentDepth)
	if err := s.Validate([]byte(value), typeJSON); err != nil {
		t.Error(err)
	}
}

func TestSchemaCacheKeepsWhatWasUsedLast(t *testing.T) {
	var cache config.SchemaCache
	id := func(revision int) config.SchemaID {
		return config.SchemaID{Namespace: "pay", Prefix: "db/", Revision: uint64(revision)}
	}
	get := func(id config.SchemaID, document string) *config.Schema {
		t.Helper()
		s, err := cache.Get(id, []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := get(id(1), `{"minimum":1}`)
	for i := 2; i <= 1000; i++ {
		get(id(i), `{"minimum":2}`)
		if get(id(1), "not even read") != first {
			t.Fatalf("after %d others, the one that is always used is gone", i)
		}
	}
	if _, err := cache.Get(id(2), []byte(`[]`)); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("%v: is the one that was never used again still kept?", err)
	}
	for i := range 20 { // more bytes than it keeps
		get(id(2000+i), `{"title":"`+strings.Repeat("x", config.MaxSchemaBytes-100)+`"}`)
	}
	if get(id(1), `{"minimum":1}`) == first {
		t.Error("the cache knows no limit of bytes")
	}
	other := config.SchemaID{Namespace: "pay", Prefix: "web/", Revision: 1}
	if err := get(other, `{"minimum":5}`).Validate([]byte("3"), typeJSON); err == nil {
		t.Error("two prefixes share what one revision attached to one of them")
	}
}

func TestSchemaServesManyAtOnce(t *testing.T) {
	var cache config.SchemaCache
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				s, err := cache.Get(config.SchemaID{Revision: uint64(j % 3)}, []byte(`{"type":"integer","maximum":100}`))
				if err != nil {
					t.Error(err)
					return
				}
				value := (i%2)*1000 + j
				if got, want := s.Validate(fmt.Append(nil, value), typeJSON) == nil, value <= 100; got != want {
					t.Errorf("%d: %v", value, got)
				}
			}
		})
	}
	wg.Wait()
}
