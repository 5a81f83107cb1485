package config

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	resyntax "regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/sync/semaphore"
)

// Limits of a schema. The work of validating is bounded beside them, see
// maxSchemaSteps.
const (
	// MaxSchemaBytes is the size of the largest schema.
	MaxSchemaBytes = 256 << 10
	// MaxSchemaNodes is how many objects, arrays and scalars it may consist of,
	// and MaxSubschemas how many schemas with keywords, itself included.
	MaxSchemaNodes = 10_000
	MaxSubschemas  = 2_000
	// MaxPatternBytes is the length of the longest regular expression.
	MaxPatternBytes = 1024
	// maxPatternInstructions bounds what all patterns of a schema compile to.
	maxPatternInstructions = 50_000
)

// Limits of the work of validating one value: schemas that refer to each other
// can otherwise demand time exponential in their size. A step takes about half
// a microsecond. Telling what is wrong takes up to a kilobyte for each part of
// the value that is, so it is given up earlier.
const (
	maxSchemaSteps    = 2_000_000
	maxViolationSteps = 500_000
)

// draft is the dialect of all schemas.
const draft = "https://json-schema.org/draft/2020-12/schema"

// schemaURL names the schema to the library, and oppositeURL what satisfies all
// that the schema doesn't. Nothing can be loaded from either.
const (
	schemaURL   = "conclave:///schema"
	oppositeURL = "conclave:///opposite"
)

// Schema is a compiled JSON Schema (2020-12, https://json-schema.org). It may
// be used by many goroutines at once, which take turns.
//
// Regular expressions are those of Go (RE2), so they take linear time, and
// have no lookaround and no backreferences. The keywords format and content*
// are annotations, as the specification has them by default.
type Schema struct {
	root *jsonschema.Schema
	// opposite tells whether a value satisfies the schema without gathering
	// what is wrong with it: within "not" the library doesn't.
	opposite *jsonschema.Schema

	turn  sync.Mutex
	steps *steps
}

// CompileSchema reads a schema, which is JSON. It may refer to parts of itself
// alone. An InvalidError tells what is wrong and, as a JSON pointer, where.
func CompileSchema(document []byte) (*Schema, error) {
	if len(document) > MaxSchemaBytes {
		return nil, invalid("schema", "it has %d bytes and may have %d", len(document), MaxSchemaBytes)
	}
	decoded, err := decodeJSON(document)
	if err != nil {
		return nil, invalid("schema", "%v", err)
	}
	if n := countNodes(decoded); n > MaxSchemaNodes {
		return nil, invalid("schema", "it has %d objects, arrays and scalars and may have %d", n, MaxSchemaNodes)
	}
	if object, ok := decoded.(map[string]any); ok {
		if err := checkDialect(object, ""); err != nil {
			return nil, err
		}
	}
	s, err := compile(decoded)
	if err != nil {
		return nil, schemaFault(err)
	}
	return s, nil
}

// checkDialect wants the schema at the pointer to be of 2020-12.
func checkDialect(schema map[string]any, pointer string) error {
	if dialect, has := schema["$schema"]; has && dialect != draft && dialect != draft+"#" {
		return invalid("schema", "at %q: $schema may only be %q", pointer+"/$schema", draft)
	}
	return nil
}

// maxValidatedBytes bounds the values that are being validated at a time. A document
// in memory can take more than a hundred times what its text does.
const maxValidatedBytes = MaxValueBytes

// validated weighs the values that are being validated, of whatever store: the memory
// is the process's.
var validated = semaphore.NewWeighted(maxValidatedBytes)

// Validate returns nil if value satisfies the schema, else a *SchemaError. A
// value that is no JSON or YAML, by media type or by content, satisfies no
// schema, and neither does one that takes too many steps to check.
func (s *Schema) Validate(value []byte, mediaType string) error {
	weight := min(int64(len(value)), maxValidatedBytes)
	_ = validated.Acquire(context.Background(), weight) // it waits for others as long as they take
	defer validated.Release(weight)
	document, err := decodeDocument(value, mediaType)
	if err != nil {
		return &SchemaError{Violations: []Violation{{Message: err.Error()}}}
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	var satisfies bool
	if !s.steps.enough(maxSchemaSteps, func() { satisfies = s.opposite.Validate(document) != nil }) {
		return &SchemaError{Violations: []Violation{{Message: "to check it by this schema takes too many steps"}}}
	}
	if satisfies {
		return nil
	}
	found := []Violation{{Message: "doesn't satisfy the schema; to tell where takes too many steps"}}
	s.steps.enough(maxViolationSteps, func() { found = violations(s.root.Validate(document)) })
	return &SchemaError{Violations: found}
}

// steps counts down what is left of the work that a validation may take.
type steps struct {
	left int
}

// tooManySteps is what take panics with: the library has no other way out.
type tooManySteps struct{}

// enough calls validate and tells whether it could do with so many steps.
func (s *steps) enough(limit int, validate func()) (enough bool) {
	defer func() {
		if reason := recover(); reason != nil {
			if _, ours := reason.(tooManySteps); !ours {
				panic(reason)
			}
		}
	}()
	s.left = limit
	validate()
	return true
}

func (s *steps) take(n int) {
	if s.left -= n; s.left < 0 {
		panic(tooManySteps{})
	}
}

// schemaCompiler makes one schema, whose parts count their steps.
type schemaCompiler struct {
	steps *steps
	// whole tells that all that the document holds is compiled.
	whole        bool
	schemas      int
	patterns     map[string]*pattern
	instructions int
}

// compile returns the library's error, or an InvalidError.
func compile(document any) (*Schema, error) {
	c := schemaCompiler{steps: new(steps), patterns: map[string]*pattern{}}
	library := jsonschema.NewCompiler()
	library.DefaultDraft(jsonschema.Draft2020)
	library.UseLoader(noLoader{})
	library.UseRegexpEngine(c.pattern)
	// A vocabulary of no keywords: the library shows it each schema that it
	// has compiled.
	library.RegisterVocabulary(&jsonschema.Vocabulary{URL: "conclave:///steps", Compile: c.meter})
	library.AssertVocabs()
	opposite := map[string]any{"not": map[string]any{"$ref": schemaURL}}
	if err := errors.Join(library.AddResource(schemaURL, document), library.AddResource(oppositeURL, opposite)); err != nil {
		return nil, err
	}
	s := &Schema{steps: c.steps}
	var err error
	if s.root, err = library.Compile(schemaURL); err != nil {
		return nil, err
	}
	c.whole = true
	if s.opposite, err = library.Compile(oppositeURL); err != nil {
		return nil, err
	}
	return s, nil
}

// noLoader refuses every reference beyond the document.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errors.New("nothing is loaded") }

// meter makes the schema that was just compiled count its steps before its
// parts are evaluated. The library has a place for a check of that kind where
// it checks formats, which are annotations here, so none is there yet. It
// compares with enum and const before that, so they are taken from it.
func (c *schemaCompiler) meter(ctx *jsonschema.CompilerContext, keywords map[string]any) (jsonschema.SchemaExt, error) {
	if c.whole {
		return nil, nil // of the opposite
	}
	s := ctx.Enqueue(nil) // the schema itself
	if c.schemas++; c.schemas > MaxSubschemas {
		return nil, invalid("schema", "it consists of more than %d schemas", MaxSubschemas)
	}
	at, inside := strings.CutPrefix(s.Location, schemaURL+"#")
	if !inside {
		return nil, invalid("schema", "it refers to %q, and may refer to parts of itself alone", clip(s.Location))
	}
	if err := checkDialect(keywords, schemaPointer(at)); err != nil {
		return nil, err
	}
	cost := costOf(s)
	s.Format = &jsonschema.Format{Name: "steps", Validate: func(v any) error {
		c.steps.take(cost.of(v))
		return nil
	}}
	only := allowed{enum: s.Enum, constant: s.Const}
	if s.Enum, s.Const = nil, nil; only == (allowed{}) {
		return nil, nil
	}
	return only, nil
}

// allowed are the keywords enum and const of a schema; each may be absent.
type allowed struct {
	enum     *jsonschema.Enum
	constant *any
}

// Validate compares v with the values allowed.
func (a allowed) Validate(ctx *jsonschema.ValidatorContext, v any) {
	equal := func(other any) bool {
		same, err := ctx.Equals(v, other)
		return same && err == nil
	}
	if a.enum != nil && !slices.ContainsFunc(a.enum.Values, equal) {
		ctx.AddError(&kind.Enum{Want: a.enum.Values})
	}
	if a.constant != nil && !equal(*a.constant) {
		ctx.AddError(&kind.Const{})
	}
}

// equalSteps is what it takes to compare two scalars: numbers are compared as
// fractions.
const equalSteps = 4

// stepCost is what evaluating a schema takes, less what its parts take.
type stepCost struct {
	always    int
	eachChild int
	unique    bool
}

// costOf charges a schema for each part that it may evaluate, since a part
// that fails at once can't charge for itself.
func costOf(s *jsonschema.Schema) stepCost {
	cost := stepCost{always: 4, eachChild: 1, unique: s.UniqueItems}
	cost.always += len(s.AllOf) + len(s.AnyOf) + len(s.OneOf) + len(s.DependentSchemas) + len(s.Required)
	for _, names := range s.DependentRequired {
		cost.always += len(names)
	}
	if s.Enum != nil {
		cost.always += equalSteps * countNodes(s.Enum.Values)
	}
	if s.Const != nil {
		cost.always += equalSteps * countNodes(*s.Const)
	}
	if s.PropertyNames != nil {
		cost.eachChild++
	}
	return cost
}

func (c stepCost) of(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return c.always + c.eachChild*len(v)
	case []any:
		n := c.always + c.eachChild*len(v)
		if c.unique {
			// The library compares each of up to 20 items with each, and hashes more.
			n += equalSteps * countNodes(v) * min(len(v), 10)
		}
		return n
	}
	return c.always
}

// countNodes is how many arrays, objects and scalars v has.
func countNodes(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += countNodes(member)
		}
	case []any:
		for _, item := range v {
			n += countNodes(item)
		}
	}
	return n
}

// pattern compiles a regular expression that counts its steps.
func (c *schemaCompiler) pattern(expression string) (jsonschema.Regexp, error) {
	if known := c.patterns[expression]; known != nil {
		return known, nil
	}
	if len(expression) > MaxPatternBytes {
		return nil, fmt.Errorf("it has %d bytes and may have %d", len(expression), MaxPatternBytes)
	}
	parsed, err := resyntax.Parse(expression, resyntax.Perl)
	if err != nil {
		return nil, patternFault(err)
	}
	program, err := resyntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, patternFault(err)
	}
	if c.instructions += len(program.Inst); c.instructions > maxPatternInstructions {
		return nil, errors.New("the patterns of the schema are together too large; mind repetitions such as {1,1000}")
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil, patternFault(err)
	}
	c.patterns[expression] = &pattern{compiled, len(program.Inst), c.steps}
	return c.patterns[expression], nil
}

// patternFault says in few words what Go has against an expression.
func patternFault(err error) error {
	var fault *resyntax.Error
	if errors.As(err, &fault) {
		return errors.New(fault.Code.String())
	}
	return err
}

type pattern struct {
	*regexp.Regexp
	instructions int
	steps        *steps
}

// MatchString takes, at worst, time in proportion to both lengths.
func (p *pattern) MatchString(s string) bool {
	p.steps.take(1 + len(s)*p.instructions/100)
	return p.Regexp.MatchString(s)
}

// schemaFault turns the library's error about a schema into an InvalidError.
func schemaFault(err error) error {
	var (
		ours        *InvalidError
		invalidPart *jsonschema.SchemaValidationError
		badPattern  *jsonschema.InvalidRegexError
		remote      *jsonschema.LoadURLError
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &invalidPart):
		first := violations(invalidPart.Err)[0]
		return invalid("schema", "at %q: %s", first.InstancePointer, first.Message)
	case errors.As(err, &badPattern):
		return invalid("schema", "at %q: a regular expression that Go doesn't take: %v", schemaPointer(badPattern.URL), badPattern.Err)
	case errors.As(err, &remote):
		return invalid("schema", "it refers to %q, and may refer to parts of itself alone", clip(remote.URL))
	}
	return invalid("schema", "%s", clip(strings.ReplaceAll(err.Error(), schemaURL, "")))
}
