package config

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// MaxViolations is how many violations a SchemaError names at most.
const MaxViolations = 20

// SchemaError tells why a value doesn't satisfy a schema. It is an ErrSchema.
// It names members of the value and quotes nothing else of it.
type SchemaError struct {
	// Violations are 1 to MaxViolations, sorted by InstancePointer.
	Violations []Violation
}

// Violation is one way in which a value doesn't satisfy a schema. Its texts
// are clipped to about 256 bytes each.
type Violation struct {
	// InstancePointer is where in the value, as a JSON pointer (RFC 6901);
	// empty for the value as a whole.
	InstancePointer string
	// SchemaPointer is the keyword of the schema, empty when the value wasn't
	// compared with one.
	SchemaPointer string
	// Message ends the sentence that begins with the place.
	Message string
}

func (e *SchemaError) Error() string {
	first := e.Violations[0]
	text := fmt.Sprintf("%v: at %q: %s", ErrSchema, first.InstancePointer, first.Message)
	if more := len(e.Violations) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// Is makes errors.Is(err, ErrSchema) hold.
func (e *SchemaError) Is(target error) bool { return target == ErrSchema }

// violations returns the leaves of the library's tree of errors, at least one.
func violations(err error) []Violation {
	var root *jsonschema.ValidationError
	if !errors.As(err, &root) {
		return []Violation{{Message: "doesn't satisfy the schema"}}
	}
	var found []Violation
	collect(root, &found)
	slices.SortFunc(found, func(a, b Violation) int {
		return cmp.Or(
			cmp.Compare(a.InstancePointer, b.InstancePointer),
			cmp.Compare(a.SchemaPointer, b.SchemaPointer),
			cmp.Compare(a.Message, b.Message),
		)
	})
	found = slices.Compact(found)
	return slices.Clone(found[:min(len(found), MaxViolations)]) // no reference to the many
}

// collect appends what e says to found, then what its causes say. Keywords
// that only pass on what their schemas found say nothing.
func collect(e *jsonschema.ValidationError, found *[]Violation) {
	v := Violation{InstancePointer: pointer(e.InstanceLocation)}
	if e.ErrorKind != nil {
		v.SchemaPointer = keywordPointer(e)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		// Their causes say it all.
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			v.InstancePointer = pointer(append(slices.Clone(e.InstanceLocation), name))
			v.Message = "may not be here: the schema knows no such member"
			*found = append(*found, v)
		}
	case *kind.PropertyNames:
		// The name was the value there, so the causes tell of no place.
		var named []Violation
		for _, cause := range e.Causes {
			collect(cause, &named)
		}
		v.InstancePointer = pointer(append(slices.Clone(e.InstanceLocation), k.Property))
		for _, cause := range named {
			v.SchemaPointer, v.Message = cause.SchemaPointer, clip("has a name that "+cause.Message)
			*found = append(*found, v)
		}
		return
	default:
		v.Message = clip(message(k))
		*found = append(*found, v)
	}
	for _, cause := range e.Causes {
		collect(cause, found)
	}
}

// schemaPointer returns the JSON pointer in a location of the library, which
// is a URL.
func schemaPointer(location string) string {
	_, fragment, has := strings.Cut(location, "#")
	if !has {
		fragment = location
	}
	if plain, err := url.PathUnescape(fragment); err == nil {
		fragment = plain
	}
	return clip(fragment)
}

func keywordPointer(e *jsonschema.ValidationError) string {
	return clip(schemaPointer(e.SchemaURL) + pointer(e.ErrorKind.KeywordPath()))
}

// message says what the keyword wants, in terms of the schema alone.
func message(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.FalseSchema:
		return "may not be here"
	case *kind.RefCycle:
		return "can't be checked: the schema refers to itself without end"
	case *kind.Type:
		return "is of type " + k.Got + " and must be " + strings.Join(k.Want, " or ")
	case *kind.Enum:
		return fmt.Sprintf("is none of the %d values allowed", len(k.Want))
	case *kind.Const:
		return "is not the one value allowed"
	case *kind.Not:
		return "satisfies a schema that it must not satisfy"
	case *kind.AnyOf:
		return "satisfies none of the alternatives"
	case *kind.OneOf:
		if k.Subschemas == nil {
			return "satisfies none of the alternatives"
		}
		return "satisfies more than one of the alternatives"
	case *kind.Required:
		return "lacks " + quoted(k.Missing)
	case *kind.DependentRequired:
		return "lacks " + quoted(k.Missing) + fmt.Sprintf(", wanted because it has %q", k.Prop)
	case *kind.Pattern:
		return "doesn't match the pattern"
	case *kind.Format: // of a schema; in values it is an annotation
		if k.Want == "regex" {
			return fmt.Sprintf("is no regular expression that Go takes: %v", k.Err)
		}
		return "is no " + k.Want
	}
	return cmp.Or(countMessage(k), numberMessage(k), "doesn't satisfy the keyword")
}

// countMessage is message for keywords that count, else empty.
func countMessage(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinProperties:
		return fmt.Sprintf("has fewer than %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has more than %d members", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has fewer than %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has more than %d items", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has equal items at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "has no item of the kind wanted"
	case *kind.MinContains:
		return fmt.Sprintf("has fewer than %d items of the kind wanted", k.Want)
	case *kind.MaxContains:
		return fmt.Sprintf("has more than %d items of the kind limited", k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("has fewer than %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has more than %d characters", k.Want)
	}
	return ""
}

// numberMessage is message for keywords that compare numbers, else empty.
func numberMessage(k jsonschema.ErrorKind) string {
	says := func(relation string, limit *big.Rat) string {
		text := limit.RatString()
		if places, exact := limit.FloatPrec(); exact {
			text = limit.FloatString(places)
		}
		return relation + " " + text
	}
	switch k := k.(type) {
	case *kind.Minimum:
		return says("is less than", k.Want)
	case *kind.Maximum:
		return says("is more than", k.Want)
	case *kind.ExclusiveMinimum:
		return says("is not more than", k.Want)
	case *kind.ExclusiveMaximum:
		return says("is not less than", k.Want)
	case *kind.MultipleOf:
		return says("is no multiple of", k.Want)
	}
	return ""
}

// quoted lists names, of which a schema may have many.
func quoted(names []string) string {
	const most = 5
	var texts []string
	for _, name := range names[:min(len(names), most)] {
		texts = append(texts, fmt.Sprintf("%q", name))
	}
	text := strings.Join(texts, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
